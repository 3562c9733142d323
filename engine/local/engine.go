package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// Options says where the data lies, and under which conditions.
type Options struct {
	// Dir is the data folder, which the caller has locked.
	Dir string
	// Logger is told what an operator must know; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics of the disk and the database; nil keeps none.
	Registerer prometheus.Registerer
	// Now is the clock that due times are compared with; nil means time.Now.
	Now func() time.Time
	// AcceptLoss is the ID of a [engine.LossError] that a person has read: what it
	// names is given up.
	AcceptLoss string

	// Reserve is how many bytes of the file system are kept free; 0 means an eighth
	// of it, at least 32 MiB and at most 256 MiB. More than half of it is taken as
	// half.
	Reserve int64
	// MeasureEvery is how often the free space is measured; 0 means 500 ms.
	MeasureEvery time.Duration
	// DiskPatience is for how long one operation of the file system may take before
	// the engine fails; 0 means 20 s.
	DiskPatience time.Duration

	// FS is the file system; nil means that of the operating system. For tests.
	FS vfs.FS
	// MemTable is how many bytes are gathered in memory before a table is written;
	// 0 means 8 MiB. For tests.
	MemTable uint64
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MeasureEvery == 0 {
		o.MeasureEvery = 500 * time.Millisecond
	}
	if o.DiskPatience == 0 {
		o.DiskPatience = 20 * time.Second
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.MemTable == 0 {
		o.MemTable = 8 << 20
	}
	return o
}

// Engine implements [engine.Engine] in one Pebble database.
type Engine struct {
	opts   Options
	fs     vfs.FS
	health io.Closer
	logger *slog.Logger
	now    func() time.Time
	db     *pebble.DB
	acked  *acked
	// readOnly is for looking only, accepted says that the log was cut.
	readOnly, accepted bool
	findings           []string    // of examine
	broken             bool        // it could not count to the end
	opened             atomic.Bool // damage that shows from now on is a failure
	space              *space
	undo               func() // of the metrics

	seq       sequence
	counts    counts
	tail      tail
	nextEvent uint64 // the reader's
	inHand    inHand // records
	ends      ends
	dues      [engine.Spilled]*dueQueue
	spills    spills
	held      map[resource.UID]engine.Held // when it was opened
	former    uint64                       // the newest record of before
	resources resources

	// life ends when Close begins, or the engine fails: its cause says which.
	life     context.Context //nolint:containedctx // the engine's own, which readers join to theirs
	end      context.CancelCauseFunc
	upkeep   sync.WaitGroup
	closeMu  sync.RWMutex // held for reading by calls that write
	closed   sync.Once
	closeErr error

	failed   chan struct{} // closed by the first fail
	failOnce sync.Once
	err      atomic.Pointer[error]
}

// Open opens the database in a data folder, or makes one. It compares what is
// there with what must be, and returns a [engine.LossError] when that is less.
// The caller has locked the folder.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o = o.withDefaults()
	e := newEngine(ctx, o)
	e.openDisk()
	if err := e.open(); err != nil {
		return nil, e.giveUp(err)
	}
	var err error
	if e.undo, err = e.register(o.Registerer); err != nil {
		return nil, e.giveUp(err)
	}
	e.opened.Store(true)
	e.upkeep.Go(func() { e.writeEnds(e.life) })
	e.upkeep.Go(func() { e.syncAcked(e.life) })
	e.upkeep.Go(func() { e.space.watch(o.MeasureEvery, e.life.Done()) })
	e.upkeep.Go(func() { e.reclaim(e.life) })
	return e, nil
}

// giveUp closes what an Open that failed has opened.
func (e *Engine) giveUp(err error) error {
	e.end(err)
	return errors.Join(err, e.closeFiles())
}

func newEngine(ctx context.Context, o Options) *Engine {
	e := &Engine{
		opts: o, logger: o.Logger, now: o.Now, undo: func() {},
		inHand:    inHand{max: recordsInHand},
		ends:      ends{wake: make(chan struct{}, 1)},
		tail:      tail{more: make(chan struct{}, 1)},
		spills:    spills{of: make(map[resource.UID]*spill)},
		held:      make(map[resource.UID]engine.Held),
		resources: resources{followers: make(map[*follower]bool)},
		failed:    make(chan struct{}),
	}
	e.life, e.end = context.WithCancelCause(context.WithoutCancel(ctx))
	for q := range e.dues {
		e.dues[q] = newDueQueue(engine.Queue(q))
	}
	return e
}

// openDisk puts what watches the disk around the file system.
func (e *Engine) openDisk() {
	raw, dir := e.opts.FS, e.opts.Dir
	e.space = newSpace(e.opts.Reserve, e.logger, func() (free, total, inodes int64, err error) {
		u, err := raw.GetDiskUsage(dir)
		return int64(u.AvailBytes), int64(u.TotalBytes), freeInodesOf(raw, dir), err //nolint:gosec // far below 1<<63
	})
	e.space.ballast.fs, e.space.ballast.path = raw, raw.PathJoin(dir, "ballast")
	e.fs = vfs.OnDiskFull(raw, func() { e.space.full(e.logger) })
	e.fs, e.health = vfs.WithDiskHealthChecks(e.fs, e.opts.DiskPatience/4, nil, func(i vfs.DiskSlowInfo) {
		if i.Duration < e.opts.DiskPatience {
			e.logger.Warn("the disk is slow", "file", i.Path, "operation", i.OpType.String(), "since", i.Duration)
			return
		}
		e.fail(fmt.Errorf("the disk hangs: %s of %s takes %v", i.OpType, i.Path, i.Duration.Round(time.Second)))
	})
	e.fs = fatalFS{e.fs, e}
}

func freeInodesOf(fs vfs.FS, dir string) int64 {
	if fs != vfs.Default {
		return -1
	}
	return freeInodes(dir)
}

// fail ends the engine for good.
func (e *Engine) fail(err error) {
	e.failOnce.Do(func() {
		e.err.Store(&err)
		close(e.failed)
		e.end(err)
		e.logger.Error("the storage has failed", "error", err)
	})
}

// Failed implements [engine.Engine].
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err implements [engine.Engine].
func (e *Engine) Err() error {
	if err := e.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Room implements [engine.Engine].
func (e *Engine) Room() error { return e.space.room() }

// Reachable implements [engine.Engine].
func (e *Engine) Reachable() error { return e.Err() }

// Free implements [engine.Engine].
func (e *Engine) Free() int64 { return e.space.left() }

// Held implements [engine.Deliveries].
func (e *Engine) Held() map[resource.UID]engine.Held { return e.held }

// Counts implements [engine.Engine].
func (e *Engine) Counts() engine.Counts { return e.counts.get() }

// reading returns a context that also ends with the engine.
func (e *Engine) reading(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.life, func() { cancel(context.Cause(e.life)) })
	return ctx, func() { stop(); cancel(nil) }
}

// whyEnded is the error of a reader: why its context ended, if that did.
func whyEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Close implements [engine.Engine].
func (e *Engine) Close() error {
	e.closed.Do(func() {
		e.undo()
		e.end(engine.ErrClosed)
		if e.Err() != nil {
			// What is under way may never come back. The process ends with it.
			e.closeErr = e.Err()
			return
		}
		// An engine that fails meanwhile may never come back from here.
		closed := make(chan error, 1)
		go func() {
			e.closeMu.Lock() // waits for calls under way; there are none afterwards
			defer e.closeMu.Unlock()
			e.upkeep.Wait()
			closed <- errors.Join(e.flushEnds(pebble.Sync), e.closeFiles())
		}()
		select {
		case e.closeErr = <-closed:
		case <-e.failed:
			e.closeErr = e.Err()
		}
	})
	return e.closeErr
}

// closeFiles closes what was opened.
func (e *Engine) closeFiles() error {
	if e.Err() != nil {
		return nil //nolint:nilerr // said already; what hangs is left behind
	}
	var errs []error
	if e.db != nil {
		errs = append(errs, e.db.Close())
	}
	if e.acked != nil {
		errs = append(errs, e.acked.close(!e.readOnly && e.db != nil))
	}
	return errors.Join(append(errs, e.health.Close())...)
}

// counts mirrors the tally.
type counts struct {
	mu    sync.Mutex
	tally tally
}

func (c *counts) add(t *tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.sum(t)
}

func (c *counts) get() engine.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := engine.Counts{Records: int64(c.tally.n[records])} //nolint:gosec // a count
	for q := range out.Deliveries {
		out.Deliveries[q] = int64(c.tally.n[q]) //nolint:gosec // a count
	}
	return out
}
