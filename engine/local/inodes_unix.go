//go:build linux || darwin || freebsd

package local

import "golang.org/x/sys/unix"

// freeInodes returns how many files the file system of dir can still hold, or -1
// where it does not count them.
func freeInodes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Files == 0 {
		return -1
	}
	return int64(st.Ffree) //nolint:gosec,unconvert,nolintlint // far below 1<<63; the types differ between systems
}
