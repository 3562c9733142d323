package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// syncFunc makes an open file or folder durable: [os.File.Sync] but in tests.
type syncFunc func(*os.File) error

// Write replaces the content of path and gives it the mode perm, whatever the
// umask. When it returns nil, that is durable. After an error path holds the old
// or the new content, or is as missing as it was.
//
// The content is written beside path under a name that begins with a dot. What a
// crash leaves there is never read, and the next Write of path removes it. So
// only one Write of the same path may run at a time.
func Write(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, (*os.File).Sync)
}

func write(path string, data []byte, perm fs.FileMode, sync syncFunc) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	err := writeNew(temp, data, perm, sync)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // the first error is the one to tell
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := syncDir(filepath.Dir(path), sync); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// writeNew makes a file of its own: one that is there already may have another
// mode or be open elsewhere.
func writeNew(path string, data []byte, perm fs.FileMode, sync syncFunc) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A key is readable by nobody else, not even for a moment.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = sync(f)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// MkdirAll is [os.MkdirAll] whose folders are durable when it returns. Those
// that are there already are taken as they are.
func MkdirAll(dir string, perm fs.FileMode) error {
	return mkdirAll(dir, perm, (*os.File).Sync)
}

func mkdirAll(dir string, perm fs.FileMode, sync syncFunc) error {
	dir = filepath.Clean(dir)
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := mkdirAll(above, perm, sync); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, perm); err != nil {
		if st, statErr := os.Stat(dir); statErr != nil || !st.IsDir() {
			return err
		} // another process was faster
	}
	return syncDir(above, sync)
}

// SyncDir makes the names in a folder durable: what was created, renamed or
// removed there. It does nothing where there is no such thing, on Windows and on
// file systems that cannot sync a folder.
func SyncDir(dir string) error { return syncDir(dir, (*os.File).Sync) }

// SyncOpenDir is [SyncDir] for a folder that the caller has opened.
func SyncOpenDir(f *os.File) error { return syncOpenDir(f, (*os.File).Sync) }

func syncDir(dir string, sync syncFunc) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it is only read
	return syncOpenDir(f, sync)
}

func syncOpenDir(f *os.File, sync syncFunc) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	if err := sync(f); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
