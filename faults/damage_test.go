package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDamage damages one file of a folder that nobody serves, by one bit, a sector
// of zeros, a cut, or all of it: the start is refused, or an error says what is
// wrong, or everything is there.
func TestDamage(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"after a stop": syscall.SIGTERM, "after a kill": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := chance(t)
			whole := filepath.Join(t.TempDir(), "data")
			w := newWorld(t, whole)
			w.fill(t)
			w.end(t, signal)
			// It is large, and made again; a process that was killed at once has made none.
			if err := os.Remove(w.file("ballast")); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			files := filesOf(t, whole)
			samples := 14 * *rounds
			refused := 0
			for sample := range samples {
				w.dir = filepath.Join(t.TempDir(), "data")
				if err := os.CopyFS(w.dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				// Every file in turn: the large ones would take all samples.
				file := files[(sample*len(files)+r.IntN(len(files)))/samples%len(files)]
				how := damage(t, w.file(file), r)
				w.setDown(false)
				if !w.start(t) {
					line, err := w.refusal()
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%s: %s: %s", file, how, line)
					refused++
					continue
				}
				lost := w.losses(t)
				named := !w.Running() || strings.Contains(w.log.String(), "level=ERROR")
				t.Logf("%s: %s: it starts, %d are lost, named: %t", file, how, len(lost), named)
				if len(lost) > 0 && !named {
					t.Errorf("%s: %s: %d are lost in silence: %.1000v\n%s", file, how, len(lost), lost, w.log)
				}
				w.leave(t)
			}
			t.Logf("%d of %d starts were refused", refused, samples)
		})
	}
}

// filesOf lists what the server must find as it left it. Dead letters in blobs/
// are out of its hands.
func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == "blobs":
			return fs.SkipDir
		case e.Type().IsRegular():
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// damage does one thing to a file and says what.
func damage(t *testing.T, path string, r *rand.Rand) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kind, at, size := 0, 0, len(body)
	if size > 0 {
		kind, at = r.IntN(6), r.IntN(size)
	}
	var how string
	switch kind {
	case 0:
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return "missing"
	case 1:
		how, body = "cut", body[:at]
	case 2:
		how = "a sector of zeros"
		clear(body[at/sector*sector : min(at/sector*sector+sector, len(body))])
	default:
		how = "a bit"
		body[at] ^= 1 << r.IntN(8)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s at %d of %d", how, at, size)
}
