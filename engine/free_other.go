//go:build !linux && !darwin && !freebsd && !dragonfly && !windows

package engine

import "errors"

// diskSpace cannot tell here: the system has no call for it that Go exposes.
// What is refused then is only what follows a write that failed.
func diskSpace(string) (free, total int64, err error) {
	return 0, 0, errors.ErrUnsupported
}
