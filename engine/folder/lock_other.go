//go:build !windows && (!unix || solaris || aix)

package folder

import (
	"fmt"
	"os"
)

// lock cannot lock here: the system has no flock that Go exposes. Running two
// processes on one folder is then the operator's mistake to avoid.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	return f, nil
}
