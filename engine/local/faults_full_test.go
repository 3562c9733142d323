package local_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/local"
)

// TestDiskFilledBySomebodyElse: at any operation the disk is full without a warning.
// The ballast lets what is under way go on; with no room for that either, the engine
// fails and says why, or its process ends. When there is room again it all goes on,
// and nothing that was acknowledged is lost.
func TestDiskFilledBySomebodyElse(t *testing.T) {
	const last = 41
	for name, ballast := range map[string]int64{"the ballast is enough": 10_000, "the ballast is used up": 2} {
		t.Run(name, func(t *testing.T) {
			apart(t, endsAllowed, func() func(n int64) bool {
				return func(n int64) bool {
					fillTheDisk(t, n, ballast)
					return n >= last
				}
			})
		})
	}
}

// fullDisk has no room from some operation on, but for what the ballast took: so
// many operations.
type fullDisk struct {
	ballast     int64
	ops, at     atomic.Int64
	full        atomic.Bool
	left, freed atomic.Int64
}

func (d *fullDisk) String() string { return "full disk" }

// MaybeError implements [errorfs.Injector].
func (d *fullDisk) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && d.ops.Add(1) == d.at.Load() {
		d.full.Store(true)
	}
	switch op.Kind {
	case errorfs.OpRemove:
		if op.Path == dataDir+"/ballast" && d.full.Load() {
			d.left.Store(d.ballast)
			d.freed.Add(1)
		}
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFilePreallocate, errorfs.OpMkdirAll:
		if d.full.Load() && d.left.Add(-1) < 0 {
			return &vfsError{op.Path}
		}
	default:
	}
	return nil
}

// vfsError is what a file system says.
type vfsError struct{ path string }

func (e *vfsError) Error() string { return "write " + e.path + ": " + syscall.ENOSPC.Error() }
func (e *vfsError) Unwrap() error { return syscall.ENOSPC }

func fillTheDisk(t *testing.T, n, ballast int64) {
	t.Helper()
	fs, w := atWork(t, uint64(n), 10, largeBodies)
	w.stop()
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	usage := func(free uint64) {
		fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 2 << 30, UsedBytes: 2<<30 - free})
	}
	usage(1 << 30)
	d := &fullDisk{ballast: ballast}
	e, err := local.Open(context.Background(), local.Options{
		Dir: dataDir, FS: errorfs.Wrap(memFS{fs}, d), MemTable: 32 << 10, MeasureEvery: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := eventually(func() bool { _, err := fs.Stat(dataDir + "/ballast"); return err == nil }); err != nil {
		t.Fatalf("no ballast: %v", err)
	}
	w, err = startWorkload(e, w.ledger, w.rng)
	if err != nil {
		t.Fatal(err)
	}
	d.at.Store(d.ops.Load() + n)
	ran := make(chan error, 1)
	go func() { ran <- w.run(20) }()
	select {
	case err = <-ran:
	case <-e.Failed():
		err = e.Err()
	}
	if errors.Is(err, engine.ErrNoSpace) && e.Err() == nil {
		err = nil // from the first write without room on, everything new is refused
	}
	when := fmt.Sprintf("full at operation %d, the ballast given up %d times", n, d.freed.Load())
	switch {
	case err == nil && d.full.Load():
		usage(4096)
		if err := eventually(func() bool { return e.Room() != nil }); err != nil || !errors.Is(e.Room(), engine.ErrNoSpace) {
			t.Errorf("%s: room is %v", when, e.Room())
		}
		if err := e.Append(context.Background(), []byte("x"), 1); !errors.Is(err, engine.ErrNoSpace) {
			t.Errorf("%s: append: %v", when, err)
		}
		d.full.Store(false)
		usage(1 << 30)
		if err := eventually(func() bool { return e.Room() == nil }); err != nil {
			t.Errorf("%s: no room afterwards: %v", when, e.Room())
		}
		if err := w.run(10); err != nil {
			t.Errorf("%s: afterwards: %v", when, err)
		}
	case err != nil && e.Err() == nil:
		t.Errorf("%s: %v, and it has not failed", when, err)
	case err != nil && ballast > 100:
		t.Errorf("%s: %v", when, err)
	}
	w.stop()
	if err := closeAnyhow(e); err != nil {
		t.Errorf("%s: %v", when, err)
	}
	var left *vfs.MemFS
	known := w.now(func() { left = copyOf(fs) })
	if err := holds(left, known); err != nil {
		t.Errorf("%s: %v", when, err)
	}
}

func eventually(holds func() bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), faultWait)
	defer cancel()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
