package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Format is the data-folder format that this program reads and writes.
const Format = 1

const (
	formatFile = "format"
	lockFile   = "lock"
)

var (
	// ErrInUse is wrapped when another process has the data folder open.
	ErrInUse = errors.New("another process is using it")
	// ErrNewerFormat is wrapped when a newer program wrote the data folder.
	ErrNewerFormat = errors.New("written by a newer version")
)

// folder is the data folder, locked for this process.
type folder struct{ lock *os.File }

// openFolder creates dir if needed, locks it and checks its format. The format
// is looked at first, so that nothing of a newer folder is touched, and again
// under the lock.
func openFolder(dir string) (_ *folder, err error) {
	if err := checkFormat(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder %s cannot be created: %w", dir, reason(err))
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s is not writable: %w", dir, reason(err))
	}
	defer func() {
		if err != nil {
			_ = lock.Close() // the lock goes with it; err is what matters
		}
	}()
	if err := tryLock(lock); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	if err := checkFormat(dir); err != nil {
		return nil, err
	}
	if err := writeFormat(dir); err != nil {
		return nil, fmt.Errorf("data folder %s is not writable: %w", dir, reason(err))
	}
	return &folder{lock: lock}, nil
}

// close releases the lock. The file stays: removing it would let two processes
// lock two different files of the same name.
func (f *folder) close() error {
	if err := f.lock.Close(); err != nil {
		return fmt.Errorf("release the data folder: %w", err)
	}
	return nil
}

func checkFormat(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data folder %s cannot be read: %w", dir, reason(err))
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 1 {
		return fmt.Errorf("data folder %s: its file %q holds no format number", dir, formatFile)
	}
	if n > Format {
		return fmt.Errorf("data folder %s has format %d, this program knows up to %d: %w", dir, n, Format, ErrNewerFormat)
	}
	return nil
}

// writeFormat records the format of a new folder; the rename makes it appear
// whole or not at all.
func writeFormat(dir string) error {
	name := filepath.Join(dir, formatFile)
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	tmp := name + ".tmp"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d\n", Format), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// reason strips the operation and path that the caller's own line already has.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
