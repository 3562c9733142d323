//go:build linux || darwin || freebsd || dragonfly

package engine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// diskSpace returns how many bytes of dir's file system this process may still
// use, and how many it has.
func diskSpace(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	// The types differ between systems.
	size := int64(st.Bsize)                                      //nolint:unconvert,nolintlint
	return int64(st.Bavail) * size, int64(st.Blocks) * size, nil //nolint:gosec,unconvert,nolintlint // far below 1<<63
}
