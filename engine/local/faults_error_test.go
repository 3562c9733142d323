package local_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/intertie/intertie/engine"
)

// once fails one operation.
type once struct {
	err     error
	ops, at atomic.Int64
	what    atomic.Pointer[string] // was it
}

func (o *once) String() string { return "once" }

// MaybeError implements [errorfs.Injector].
func (o *once) MaybeError(op errorfs.Op) error {
	if o.ops.Add(1) != o.at.Load() {
		return nil
	}
	what := fmt.Sprintf("kind %d of %s", op.Kind, op.Path)
	o.what.Store(&what)
	return fmt.Errorf("injected: %w", o.err)
}

// did says what has failed; nothing if none has.
func (o *once) did() string {
	if what := o.what.Load(); what != nil {
		return *what
	}
	return ""
}

// holdsBoth opens a folder as it is after the end of the process, and after a power
// cut, without any fault, and compares.
func holdsBoth(fs *vfs.MemFS, l *ledger) error {
	killed, cut := holds(copyOf(fs), l), holds(fs.CrashClone(vfs.CrashCloneCfg{}), l)
	if killed != nil {
		killed = fmt.Errorf("afterwards: %w", killed)
	}
	if cut != nil {
		cut = fmt.Errorf("after a power cut: %w", cut)
	}
	return errors.Join(killed, cut)
}

// errs are injected in turn.
var errs = []error{syscall.EIO, syscall.EMFILE, syscall.EACCES}

// copyOf returns an independent copy of a file system.
func copyOf(fs *vfs.MemFS) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
}

// closedCleanly returns the folder of a workload that was closed.
func closedCleanly(t *testing.T, seed uint64, steps, largest int) (*vfs.MemFS, *ledger) {
	t.Helper()
	fs, w := atWork(t, seed, steps, largest)
	w.stop()
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, w.ledger
}

// holds opens a folder without any fault, and compares.
func holds(fs vfs.FS, l *ledger) error {
	e, err := openFault(fs)
	if err != nil {
		return fmt.Errorf("the next opening: %w", err)
	}
	got, err := everything(e)
	if err == nil {
		err = l.is(got)
	}
	return errors.Join(err, e.Close())
}

// closeAnyhow closes an engine that may have failed, or fail of it. That it hangs is
// an error, whatever the engine has come to.
func closeAnyhow(e engine.Engine) error {
	closed := make(chan struct{})
	go func() { defer close(closed); _ = e.Close() }()
	select {
	case <-closed:
		return nil
	case <-time.After(5 * time.Second):
		return fmt.Errorf("close hangs (%w)", e.Err())
	}
}

// folders are what openings begin with.
func folders(t *testing.T, steps, largest int) map[string]func() (*vfs.MemFS, *ledger) {
	return map[string]func() (*vfs.MemFS, *ledger){
		"empty":   func() (*vfs.MemFS, *ledger) { return newMemory(t), newLedger(largest) },
		"closed":  func() (*vfs.MemFS, *ledger) { return closedCleanly(t, 1, steps, largest) },
		"cut off": func() (*vfs.MemFS, *ledger) { return brokenOff(t, 1, steps, largest, vfs.CrashCloneCfg{}) },
		"killed": func() (*vfs.MemFS, *ledger) {
			return brokenOff(t, 3, steps, largest, vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
		},
	}
}

// TestErrorAtEveryOperationOfAnOpening: it returns an error or works, and in no
// case is anything lost, nor does Pebble end the process without a reason.
func TestErrorAtEveryOperationOfAnOpening(t *testing.T) {
	for name, folder := range folders(t, 40, largeBodies) {
		t.Run(name, func(t *testing.T) {
			apart(t, 0, func() func(n int64) bool {
				base, l := folder()
				return func(n int64) bool {
					fs, o := copyOf(base), &once{err: errs[n%int64(len(errs))]}
					o.at.Store(n)
					e, err := openFault(errorfs.Wrap(memFS{fs}, o))
					over := o.did() == ""
					when := fmt.Sprintf("operation %d of the opening (%s): %v", n, o.did(), o.err)
					if loss, ok := errors.AsType[*engine.LossError](err); ok {
						t.Errorf("%s: is said to be a loss (acceptable: %v): %v", when, loss.Acceptable, err)
					}
					if err == nil {
						if got, err := everything(e); err == nil {
							if err := l.is(got); err != nil {
								t.Errorf("%s: %v", when, err)
							}
						}
						if err := closeAnyhow(e); err != nil {
							t.Errorf("%s: %v", when, err)
						}
					}
					if err := holdsBoth(fs, l); err != nil {
						t.Errorf("%s: %v", when, err)
					}
					return over
				}
			})
		})
	}
}

// TestErrorAtEveryOperation: an engine at work goes on, or fails and says why. What
// it acknowledged is there for the next one.
func TestErrorAtEveryOperation(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			apart(t, endsAllowed, func() func(n int64) bool {
				base, known := closedCleanly(t, seed, 20, largeBodies)
				return func(n int64) bool { return errorWhileRunning(t, base, known, seed, n) }
			})
		})
	}
}

// errorWhileRunning fails the n-th operation of an engine at work. It returns true
// if there are fewer.
func errorWhileRunning(t *testing.T, base *vfs.MemFS, known *ledger, seed uint64, n int64) bool {
	t.Helper()
	fs, o := copyOf(base), &once{err: errs[n%int64(len(errs))]}
	e, err := openFault(errorfs.Wrap(memFS{fs}, o))
	if err != nil {
		t.Fatal(err)
	}
	l := known.now(func() {})
	w, err := startWorkload(e, l, rand.New(rand.NewPCG(seed, 3)))
	if err != nil {
		t.Fatal(err)
	}
	o.at.Store(o.ops.Load() + n)
	ran := make(chan error, 1)
	go func() { ran <- w.run(50) }()
	select {
	case err = <-ran:
	case <-e.Failed():
		// A call that is under way may never return: the process has to end. What it
		// does until then counts for nothing.
		err = e.Err()
	}
	when := fmt.Sprintf("operation %d (%s): %v", n, o.did(), o.err)
	select {
	case <-e.Failed():
		if e.Err() == nil {
			t.Errorf("%s: failed without a reason", when)
		}
	default:
		if err == nil {
			break
		}
		w.stop()
		if again := goesOn(e, l); again != nil && e.Err() == nil {
			t.Errorf("%s: %v, and it has neither failed nor goes on: %v", when, err, again)
		}
	}
	w.stop()
	if err := closeAnyhow(e); err != nil {
		t.Errorf("%s: %v", when, err)
	}
	var killed, cut *vfs.MemFS
	l = l.now(func() { killed, cut = copyOf(fs), fs.CrashClone(vfs.CrashCloneCfg{}) })
	if err := holds(killed, l); err != nil {
		t.Errorf("%s: afterwards: %v", when, err)
	}
	if err := holds(cut, l); err != nil {
		t.Errorf("%s: after a power cut: %v", when, err)
	}
	return o.did() == ""
}

// goesOn says whether an engine takes and hands out events.
func goesOn(e engine.Engine, l *ledger) error {
	w, err := startWorkload(e, l, rand.New(rand.NewPCG(0, 4)))
	if err != nil {
		return err
	}
	defer w.stop()
	return w.append()
}
