package engine

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// diskSpace returns how many bytes of dir's file system this process may still
// use, and how many it has.
func diskSpace(dir string) (free, total int64, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	var available, size uint64
	if err := windows.GetDiskFreeSpaceEx(name, &available, &size, nil); err != nil {
		return 0, 0, fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	return int64(available), int64(size), nil //nolint:gosec // far below 1<<63
}
