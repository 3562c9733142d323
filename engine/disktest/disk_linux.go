package disktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a mounted file system.
type Disk struct {
	// Dir is its root.
	Dir string
}

// New mounts a file system of size bytes until the test ends.
func New(t testing.TB, size int64) *Disk {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("intertie-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		missing(t, err)
	}
	t.Cleanup(func() {
		// Detached, since nats-server leaves files open when a write failed.
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return &Disk{Dir: dir}
}

func (d *Disk) foreign() string { return filepath.Join(d.Dir, "of-another-program") }

// Fill lets another program take all but leave bytes, at once.
func (d *Disk) Fill(t testing.TB, leave int64) {
	t.Helper()
	f, err := os.OpenFile(d.foreign(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	at := int64(0)
	if st, err := f.Stat(); err == nil {
		at = st.Size()
	}
	// By halves: what is free changes while it is taken.
	for step := max(d.Free(t)-leave, 4096); step >= 4096; {
		switch err := unix.Fallocate(int(f.Fd()), 0, at, step); {
		case err == nil && d.Free(t) >= leave:
			at += step
		case err == nil, errors.Is(err, unix.ENOSPC):
			if err := f.Truncate(at); err != nil {
				t.Fatal(err)
			}
			step /= 2
		case errors.Is(err, unix.EINTR):
		default:
			t.Fatalf("fill the disk: %v", err)
		}
	}
}

// Release removes what Fill took.
func (d *Disk) Release(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.foreign()); err != nil {
		t.Fatal(err)
	}
}

// Free returns how many bytes are free.
func (d *Disk) Free(t testing.TB) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(d.Dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * int64(st.Bsize) //nolint:gosec,unconvert,nolintlint // far below 1<<63; the types differ
}
