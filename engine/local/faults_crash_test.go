package local_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/intertie/intertie/engine"
)

// crashes takes the power at every operation that changes the file system, and
// looks at what is left.
type crashes struct {
	t   *testing.T
	fs  *vfs.MemFS
	l   *ledger
	rng *rand.Rand
	mu  sync.Mutex // protects rng

	ops     atomic.Int64
	left    chan remains
	lookers sync.WaitGroup
	refused atomic.Int64
	looked  atomic.Int64
}

// remains is what a power cut left, and what was known in that moment.
type remains struct {
	fs    *vfs.MemFS
	known *ledger
	when  string
	exact bool // just what was synced
}

func newCrashes(t *testing.T, fs *vfs.MemFS, l *ledger, seed uint64) *crashes {
	c := &crashes{t: t, fs: fs, l: l, rng: rand.New(rand.NewPCG(seed, 0)), left: make(chan remains, 4)}
	for range 2 {
		c.lookers.Go(func() {
			for r := range c.left {
				c.look(r)
			}
		})
	}
	return c
}

func (c *crashes) String() string { return "crashes" }

// MaybeError implements [errorfs.Injector]. The operation has not begun.
func (c *crashes) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	n := c.ops.Add(1)
	if n%sparsely() != 0 {
		return nil
	}
	c.mu.Lock()
	percent, seed := []int{10, 50, 90, 100}[c.rng.IntN(4)], c.rng.Uint64()
	c.mu.Unlock()
	exact, some := (*vfs.MemFS)(nil), (*vfs.MemFS)(nil)
	known := c.l.now(func() {
		exact = c.fs.CrashClone(vfs.CrashCloneCfg{})
		some = c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, seed))})
	})
	when := fmt.Sprintf("operation %d (kind %d of %s)", n, op.Kind, op.Path)
	c.left <- remains{exact, known, when + ", only what was synced", true}
	c.left <- remains{some, known, fmt.Sprintf("%s, %d %% of what was not synced, seed %d", when, percent, seed), percent == 100}
	return nil
}

// look opens what is left. All that was acknowledged is there; what was not synced
// may also be such that the folder is refused, by name.
func (c *crashes) look(r remains) {
	if c.t.Failed() {
		return
	}
	c.looked.Add(1)
	e, err := openFault(memFS{r.fs})
	if loss, ok := errors.AsType[*engine.LossError](err); ok && !r.exact && len(loss.Findings) > 0 {
		c.refused.Add(1)
		c.t.Logf("%s: refused: %v", r.when, err)
		return
	}
	if err != nil {
		c.t.Errorf("%s: open: %v", r.when, err)
		return
	}
	got, err := everything(e)
	if err == nil {
		err = r.known.is(got)
	}
	if err = errors.Join(err, e.Close()); err != nil {
		c.t.Errorf("%s: %v", r.when, err)
	}
}

func (c *crashes) end() {
	close(c.left)
	c.lookers.Wait()
	c.t.Logf("%d operations, %d times looked, %d refused", c.ops.Load(), c.looked.Load(), c.refused.Load())
}

// TestPowerCutAtEveryOperation: making a folder, work, closing, opening, work.
func TestPowerCutAtEveryOperation(t *testing.T) {
	const seed = 1
	fs, l := newMemory(t), newLedger(largeBodies)
	rng := rand.New(rand.NewPCG(seed, 1))
	c := newCrashes(t, fs, l, seed)
	defer c.end()
	for range 2 {
		e, err := openFault(errorfs.Wrap(memFS{fs}, c))
		if err != nil {
			t.Fatal(err)
		}
		w, err := startWorkload(e, l, rng)
		if err != nil {
			t.Fatal(err)
		}
		err = w.run(60)
		w.stop()
		if err = errors.Join(err, e.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPowerCutWhileRecovering: the power is cut at every operation of an opening
// that follows a power cut.
func TestPowerCutWhileRecovering(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fs, l := brokenOff(t, seed, 80, largeBodies, vfs.CrashCloneCfg{})
			c := newCrashes(t, fs, l, seed)
			defer c.end()
			e, err := openFault(errorfs.Wrap(memFS{fs}, c))
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// atWork returns an engine in its second life, after some steps in each, so that
// there are tables as well as a log.
func atWork(t *testing.T, seed uint64, steps, largest int) (*vfs.MemFS, *workload) {
	t.Helper()
	fs, l, rng := newMemory(t), newLedger(largest), rand.New(rand.NewPCG(seed, 2))
	for life := range 2 {
		e, err := openFault(memFS{fs})
		if err != nil {
			t.Fatal(err)
		}
		w, err := startWorkload(e, l, rng)
		if err == nil {
			err = w.run(steps / 2)
		}
		if err != nil {
			t.Fatal(err)
		}
		if life == 1 {
			return fs, w
		}
		w.stop()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	panic("unreachable")
}

// brokenOff returns what a power cut in the middle of a workload leaves.
func brokenOff(t *testing.T, seed uint64, steps, largest int, cfg vfs.CrashCloneCfg) (*vfs.MemFS, *ledger) {
	t.Helper()
	fs, w := atWork(t, seed, steps, largest)
	var left *vfs.MemFS
	known := w.now(func() { left = fs.CrashClone(cfg) })
	w.stop()
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	return left, known
}
