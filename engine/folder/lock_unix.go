//go:build unix && !solaris && !aix

package folder

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the lock of the folder itself or fails at once: a file in it could
// be removed, and two processes then hold the locks of two files of one name. The
// kernel drops it when the process ends, so a crash leaves nothing to clean up.
func lock(dir string) (*os.File, error) {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return nil, fmt.Errorf("is not writable: %w", err)
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("is locked: %w", ErrInUse)
	}
	return nil, fmt.Errorf("cannot be locked, which its file system must allow: %w", err)
}
