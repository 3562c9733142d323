package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/intertie/intertie/atomicfile"
)

// Format is the data-folder format that this program reads and writes. Format 1
// held the files of an embedded NATS server.
const Format = 2

// FormatFile is the name of the file that holds the format.
const FormatFile = "format"

const (
	// beganFile says that a first start is under way. It is there from Begin to
	// Commit.
	beganFile = "first-start"
	// oldFolder is where format 1 kept everything.
	oldFolder = "jetstream"
)

var (
	// ErrInUse is wrapped when another process has the data folder open.
	ErrInUse = errors.New("another process is using it")
	// ErrNewerFormat is wrapped when a newer program wrote the data folder.
	ErrNewerFormat = errors.New("written by a newer version")
	// ErrOlderFormat is wrapped when a program wrote it whose format is not read
	// any more.
	ErrOlderFormat = errors.New("written by an older version")
)

// Folder is a data folder, locked for this process until Close, or until nothing
// refers to it any more. Its methods must not be called concurrently.
type Folder struct {
	dir  string
	lock *os.File
	// formatted says that the format is written, began that a first start is
	// marked.
	formatted, began bool
}

// Open creates dir if needed, locks it for this process and checks its format.
// A folder that is refused is left exactly as it was. [ErrInUse],
// [ErrNewerFormat] and [ErrOlderFormat] can be told apart; every error is one
// line that names the folder.
func Open(dir string) (_ *Folder, err error) {
	// Before anything is touched, and again under the lock.
	if _, err := readFormat(dir); err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder %s cannot be created: %w", dir, reason(err))
	}
	f := &Folder{dir: dir}
	if f.lock, err = lock(dir); err != nil {
		return nil, fmt.Errorf("data folder %s %w", dir, err)
	}
	defer func() {
		if err != nil {
			_ = f.lock.Close() // the lock goes with it; err is what matters
		}
	}()
	if f.formatted, err = readFormat(dir); err != nil {
		return nil, err
	}
	_, err = os.Lstat(filepath.Join(dir, beganFile))
	f.began = err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data folder %s cannot be read: %w", dir, reason(err))
	}
	if f.formatted && f.began {
		// Commit was cut off before its end. Left there, the mark would make a lost
		// folder look like a first start one day.
		if err := f.unmark(); err != nil {
			return nil, err
		}
	}
	if !f.formatted {
		// A process that was killed may have made the folder and not have come to
		// this. Where the folder above cannot be read, there is no way to sync it.
		_ = atomicfile.SyncDir(filepath.Dir(filepath.Clean(dir)))
	}
	return f, nil
}

// Close lets other processes open the folder.
func (f *Folder) Close() error {
	if err := f.lock.Close(); err != nil {
		return fmt.Errorf("release data folder %s: %w", f.dir, reason(err))
	}
	return nil
}

// Dir returns the path that the folder was opened by.
func (f *Folder) Dir() string { return f.dir }

// New reports whether no first start was completed here: there is no format.
func (f *Folder) New() bool { return !f.formatted }

// Unfinished reports whether a first start began here and was not completed. The
// files beside it then prove nothing: nobody was ever told that they are good.
func (f *Folder) Unfinished() bool { return !f.formatted && f.began }

// Leftovers returns which of the named files are there. One that cannot be looked
// at counts: nobody can say that it is missing.
func (f *Folder) Leftovers(names ...string) []string {
	var out []string
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(f.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			out = append(out, name)
		}
	}
	return out
}

// Begin marks the folder, durably, as one in which a first start is under way:
// call it before the first file is made. In a folder that has a format or a mark
// it does nothing.
func (f *Folder) Begin() error {
	if f.formatted || f.began {
		return nil
	}
	const text = "A first start is under way here, or was cut off. The next one goes on with it.\n"
	if err := atomicfile.Write(filepath.Join(f.dir, beganFile), []byte(text), 0o600); err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w", f.dir, reason(err))
	}
	f.began = true
	return nil
}

// Commit writes the format, durably. It is the last step of a first start, after
// everything that the folder must hold from now on; in a folder that has a format
// it does nothing.
func (f *Folder) Commit() error {
	if f.formatted {
		return nil
	}
	if err := atomicfile.Write(filepath.Join(f.dir, FormatFile), fmt.Appendf(nil, "%d\n", Format), 0o600); err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w", f.dir, reason(err))
	}
	f.formatted = true
	return f.unmark()
}

// unmark removes the mark of Begin. Should a power cut bring it back, it is
// beside a format and the next Open removes it again.
func (f *Folder) unmark() error {
	if err := os.Remove(filepath.Join(f.dir, beganFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data folder %s cannot be written: %w", f.dir, reason(err))
	}
	f.began = false
	return nil
}

// readFormat reports whether the folder has a format, or why it cannot be used.
func readFormat(dir string) (bool, error) {
	const noMigration = "and there is no migration: name another folder with --data, or use the version that wrote it"
	b, err := os.ReadFile(filepath.Join(dir, FormatFile))
	if errors.Is(err, fs.ErrNotExist) {
		if st, err := os.Stat(filepath.Join(dir, oldFolder)); err == nil && st.IsDir() {
			return false, fmt.Errorf("data folder %s holds %s/: %w with NATS inside, %s", dir, oldFolder, ErrOlderFormat, noMigration)
		}
		return false, nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return false, nil // it cannot be created, which is the better thing to say
	}
	if err != nil {
		return false, fmt.Errorf("data folder %s cannot be read: %w", dir, reason(err))
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	switch {
	case err != nil || n < 1:
		return false, fmt.Errorf("data folder %s: its file %q holds no format number; restore it from a copy of the folder", dir, FormatFile)
	case n > Format:
		return false, fmt.Errorf("data folder %s has format %d, this program knows up to %d: %w", dir, n, Format, ErrNewerFormat)
	case n < Format:
		return false, fmt.Errorf("data folder %s has format %d, this program reads %d: %w, %s", dir, n, Format, ErrOlderFormat, noMigration)
	}
	return true, nil
}

// reason strips the operation and path that the caller's own line already has.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
