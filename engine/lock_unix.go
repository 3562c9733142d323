//go:build unix && !solaris && !aix

package engine

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock or fails at once. The kernel drops it when the
// process ends, so a crash leaves nothing to clean up.
func tryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrInUse
	default:
		return fmt.Errorf("cannot be locked: %w", err)
	}
}
