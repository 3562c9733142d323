package local_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/intertie/intertie/engine"
)

// TestFlippedBitsAndCuts: a flipped bit, and a cut, at every hundredth byte of every
// file of a folder, and each file removed. All that was acknowledged is there, or whoever opens or reads it
// is told. Nobody takes memory without bound for it, and nothing else is deleted:
// with the bit as it was, all is there again.
func TestFlippedBitsAndCuts(t *testing.T) {
	for name, folder := range folders(t, 44, smallBodies) {
		if name == "empty" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			apart(t, 0, func() func(n int64) bool {
				base, l := folder()
				damages := damagesTo(t, base)
				return func(n int64) bool {
					if n <= int64(len(damages)) { // each process has a folder of its own, not quite of one size
						damages[n-1].try(t, base, l, name == "cut off")
					}
					return n >= int64(len(damages))
				}
			})
		})
	}
}

// damage is one thing done to one file.
type damage struct {
	file   string
	before []byte
	offset int
	bit    int // or what is done instead
}

const (
	cut     = -1 // it ends at the offset
	removed = -2 // the whole file
)

func (d damage) String() string {
	switch d.bit {
	case removed:
		return d.file + " removed"
	case cut:
		return fmt.Sprintf("%s of %d bytes cut at %d", d.file, len(d.before), d.offset)
	}
	return fmt.Sprintf("%s of %d bytes, bit %d at %d", d.file, len(d.before), d.bit, d.offset)
}

func damagesTo(t *testing.T, fs *vfs.MemFS) []damage {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, 12))
	const step = 100
	var all []damage
	for _, file := range filesOf(t, fs, dataDir) {
		before := contentOf(t, fs, file)
		for i := 0; i < len(before); i += step {
			offset := min(i+rng.IntN(step), len(before)-1)
			all = append(all, damage{file, before, offset, rng.IntN(8)}, damage{file, before, offset, cut})
		}
		all = append(all, damage{file, before, 0, removed})
	}
	return all
}

// filesOf lists the files of a folder, those in folders of it too.
func filesOf(t *testing.T, fs *vfs.MemFS, dir string) []string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	var files []string
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			files = append(files, filesOf(t, fs, path)...)
		} else {
			files = append(files, path)
		}
	}
	return files
}

func contentOf(t *testing.T, fs *vfs.MemFS, file string) []byte {
	t.Helper()
	b, err := fs.UnsafeGetFileDataBuffer(file)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b)
}

func write(fs vfs.FS, file string, content []byte) error {
	f, err := fs.Create(file, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Clone(content)) // it scribbles on what it is given
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(fs, fs.PathDir(file)))
}

// try does it to a copy, and looks.
func (d damage) try(t *testing.T, base *vfs.MemFS, l *ledger, powerCut bool) {
	t.Helper()
	fs := copyOf(base)
	if err := d.do(fs); err != nil {
		t.Fatal(err)
	}
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	err := d.look(t, fs, l, powerCut)
	runtime.ReadMemStats(&is)
	if took := is.TotalAlloc - was.TotalAlloc; took > 256<<20 {
		t.Errorf("%v: took %d MB", d, took>>20)
	}
	if err != nil {
		t.Errorf("%v: %v", d, err)
	}
}

func (d damage) do(fs vfs.FS) error {
	switch d.bit {
	case removed:
		return errors.Join(fs.Remove(d.file), syncFolder(fs, fs.PathDir(d.file)))
	case cut:
		return write(fs, d.file, d.before[:d.offset])
	default:
		after := slices.Clone(d.before)
		after[d.offset] ^= 1 << d.bit
		return write(fs, d.file, after)
	}
}

// look opens what is damaged. Its error is a breach of the rule.
func (d damage) look(t *testing.T, fs *vfs.MemFS, l *ledger, powerCut bool) error {
	t.Helper()
	e, err := openFault(fs)
	if err != nil {
		loss, ok := errors.AsType[*engine.LossError](err)
		if named := strings.Contains(err.Error(), dataDir) || strings.Contains(err.Error(), "file 0"); ok && len(loss.Findings) == 0 || !ok && !named {
			return fmt.Errorf("refused without a name: %w", err)
		}
		repaired := copyOf(fs)
		if err := write(repaired, d.file, d.before); err != nil {
			return err
		}
		if err := holds(repaired, l); err != nil {
			return fmt.Errorf("refused (%w), and with the file as it was: %w", errors.New(firstLine(err)), err)
		}
		return nil
	}
	got, err := everything(e)
	switch {
	case err == nil:
		err = l.is(got)
		if err != nil && powerCut && strings.HasSuffix(d.file, ".log") {
			// The number of acknowledged writes is synced once a second only, so for that
			// long nothing tells the end of the newest block of the log from damage to it,
			// nor that a log was longer, or there.
			if err = l.before.is(got); d.bit < 0 || inLastBlock(d.offset, d.before) {
				err = nil
			}
		}
	case !strings.HasPrefix(err.Error(), "hangs"):
		err = nil
	}
	return errors.Join(err, closeAnyhow(e))
}

// logBlock is how Pebble divides its log.
const logBlock = 32 << 10

func inLastBlock(offset int, log []byte) bool { return offset/logBlock == (len(log)-1)/logBlock }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
