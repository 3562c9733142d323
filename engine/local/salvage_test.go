package local

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// fill makes a folder with so many deliveries and resources, in tables when
// flushed, otherwise in the write-ahead log alone, as a killed process leaves it.
func fill(t *testing.T, n int, flushed bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	e, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		d := engine.Delivery{
			Queue: engine.Waiting, Subscription: resource.UID{1}, Due: time.Now().Add(time.Hour),
			Head: fmt.Appendf(nil, "head %d", i), Body: bytes.Repeat(fmt.Appendf(nil, "body %06d ", i), 100),
		}
		if err := e.Move(t.Context(), []engine.Delivery{d}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Commit(t.Context(), uint64(i+1), []engine.Write{{Key: fmt.Sprintf("/r/%06d", i), Value: []byte("value")}}); err != nil {
			t.Fatal(err)
		}
	}
	if flushed {
		if err := e.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return killed
}

// flip changes one bit in the middle of the largest file that matches.
func flip(t *testing.T, dir, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no file like %s: %v", pattern, err)
	}
	var largest string
	var data []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if b = bytes.TrimRight(b, "\x00"); len(b) > len(data) {
			largest, data = f, b
		}
	}
	at := len(data) / 2
	f, err := os.OpenFile(largest, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{data[at] ^ 1}, int64(at)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestALossIsNamedAndCanBeAccepted damages a folder. The check names what is wrong
// and gives an ID; another ID opens nothing; with this one the engine goes on, says
// so in the log, and from then on all is well.
func TestALossIsNamedAndCanBeAccepted(t *testing.T) {
	const n = 300
	for name, tt := range map[string]struct {
		flushed bool
		damage  func(*testing.T, string)
		names   string
		starts  bool // without looking at everything
	}{
		"a bit of the log":          {damage: func(t *testing.T, dir string) { t.Helper(); flip(t, dir, "pebble/*.log") }, names: "WAL"},
		"a bit of a table":          {flushed: true, damage: func(t *testing.T, dir string) { t.Helper(); flip(t, dir, "pebble/*.sst") }, names: "checksum", starts: true},
		"the number of writes gone": {flushed: true, damage: func(t *testing.T, dir string) { t.Helper(); remove(t, dir, ackedFile) }, names: ackedFile},
		"the end of the log gone":   {damage: func(t *testing.T, dir string) { t.Helper(); cutTail(t, dir) }, names: "acknowledged writes are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t, n, tt.flushed)
			tt.damage(t, dir)
			report, err := Check(t.Context(), Options{Dir: dir}, Reader{})
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(append(report.Missing, report.Damaged...), "\n")
			if !strings.Contains(all, tt.names) || report.ID == "" {
				t.Fatalf("the check says %q, ID %q", all, report.ID)
			}
			if !tt.starts {
				_, err := Open(t.Context(), Options{Dir: dir})
				if err == nil || !strings.Contains(err.Error(), "--accept-loss=") {
					t.Fatalf("a start says %v", err)
				}
			}
			if _, err := Open(t.Context(), Options{Dir: dir, AcceptLoss: "00000000"}); err == nil {
				t.Fatal("another ID was accepted")
			}
			var log bytes.Buffer
			e, err := Open(t.Context(), Options{Dir: dir, AcceptLoss: report.ID, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), "accept loss") {
				t.Errorf("the log says %s", &log)
			}
			waits := e.Counts().Deliveries[engine.Waiting]
			if waits > n || waits < 1 {
				t.Errorf("%d of %d deliveries are left", waits, n)
			}
			if err := e.Move(context.Background(), []engine.Delivery{{Queue: engine.Waiting, Due: time.Now().Add(time.Hour), Body: []byte("new")}}); err != nil {
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			after, err := Check(t.Context(), Options{Dir: dir}, Reader{})
			if err != nil || len(after.Missing)+len(after.Damaged) > 0 || after.Counts.Deliveries[engine.Waiting] != waits+1 {
				t.Errorf("afterwards: %+v, %v", after, err)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// cutTail takes away the last record of the log, as if it had never been written.
func cutTail(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "pebble/*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("logs %v, %v", files, err)
	}
	newest := slices.Max(files)
	b, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.TrimRight(b, "\x00")
	if err := os.WriteFile(newest, b[:len(b)-20], 0o600); err != nil {
		t.Fatal(err)
	}
}
