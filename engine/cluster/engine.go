package cluster

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// closeTimeout bounds what Close tells the servers.
const closeTimeout = 5 * time.Second

// Engine is an open connection to the cluster.
type Engine struct {
	opts   Options
	id     string        // of this process
	serial atomic.Uint64 // of its messages
	conn   *nats.Conn
	js     jetstream.JetStream

	events     *source
	deliveries jetstream.Stream
	lines      [engine.Spilled]*line // of Waiting and DeadLetters
	spills     spills
	notes      notes

	state      jetstream.Stream
	committing sync.Mutex // one Commit at a time; protects the field below
	unsure     bool       // the last one was not answered: see settle

	refused atomic.Pointer[refused]
	spilled atomic.Int64  // deliveries, as of the last look
	full    chan struct{} // cap 1: much is settled, truncate now
	settled atomic.Int64  // bytes settled since then

	upkeep  context.CancelFunc
	tending sync.WaitGroup
	writing sync.WaitGroup // Append, Move and Commit
	closing sync.Once
	closed  chan struct{} // conn is
	failed  chan struct{}

	// mu protects the fields below.
	mu        sync.Mutex
	ended     error // why nothing more is done
	failure   error
	readers   map[*context.CancelFunc]bool
	followers map[*replay]bool // that have handed out everything there is
	advanced  chan struct{}    // closed when one of them has come further
}

// Open connects to the cluster, creates what is missing and returns when it
// answers. Every error is one line that says what to do about it.
func Open(ctx context.Context, o Options) (_ *Engine, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		opts: o, id: nuid.Next(), full: make(chan struct{}, 1), closed: make(chan struct{}), failed: make(chan struct{}),
		readers: make(map[*context.CancelFunc]bool), followers: make(map[*replay]bool), advanced: make(chan struct{}),
	}
	if err := e.connect(ctx); err != nil {
		return nil, err
	}
	if err := e.open(ctx); err != nil {
		e.end(engine.ErrClosed)
		e.conn.Close()
		<-e.closed
		return nil, err
	}
	upkeep, stop := context.WithCancel(context.Background())
	e.upkeep = stop
	e.tending.Go(func() { e.heartbeat(upkeep) })
	e.tending.Go(func() { e.tend(upkeep) })
	e.tending.Go(func() { e.checkSync(upkeep) })
	return e, nil
}

// begin admits a write, unless the engine is closed; e.writing.Done ends it.
func (e *Engine) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended == nil {
		e.writing.Add(1)
	}
	return e.ended
}

// read runs a reader until ctx ends, whose error it returns then, or the engine.
func (e *Engine) read(ctx context.Context, run func(context.Context) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	if err := e.ended; err != nil {
		e.mu.Unlock()
		return err
	}
	e.readers[&cancel] = true
	e.mu.Unlock()
	err := run(inner)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.readers, &cancel)
	switch {
	case err == nil || ctx.Err() != nil:
		return cmp.Or(ctx.Err(), err)
	case e.ended != nil:
		return e.ended
	}
	return err
}

// end refuses what comes from now on, and ends the readers. Only the first reason
// counts.
func (e *Engine) end(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended != nil {
		return
	}
	e.ended = why
	for cancel := range e.readers {
		(*cancel)()
	}
}

// over returns why nothing more is done.
func (e *Engine) over() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return cmp.Or(e.ended, engine.ErrClosed)
}

// fail ends the engine for good.
func (e *Engine) fail(why error) {
	e.end(why)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failure == nil && !errors.Is(e.ended, engine.ErrClosed) {
		e.failure = why
		close(e.failed)
	}
}

// Failed implements [engine.Engine].
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err implements [engine.Engine].
func (e *Engine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failure
}

// Free implements [engine.Engine]: the disks are the servers'.
func (e *Engine) Free() int64 { return -1 }

// Held implements [engine.Deliveries]. The server counts messages, and those of many
// subscriptions lie together: nobody can tell.
func (e *Engine) Held() map[resource.UID]engine.Held { return nil }

// Counts implements [engine.Engine]. It is what the last look found, a second ago
// at most. Messages that nobody has read yet are counted by their usual size.
func (e *Engine) Counts() engine.Counts {
	c := engine.Counts{Records: e.events.messagesLeft.Load()}
	for q, l := range e.lines {
		for _, t := range l.tiers {
			c.Deliveries[q] += t.partsLeft.Load()
		}
	}
	c.Deliveries[engine.Spilled] = e.spilled.Load()
	return c
}

// fixed returns the sources that have a consumer for good.
func (e *Engine) fixed() []*source {
	all := []*source{e.events}
	for _, l := range e.lines {
		for _, t := range l.tiers {
			all = append(all, t.source)
		}
	}
	return all
}

// sources returns all there are.
func (e *Engine) sources() []*source {
	all := e.fixed()
	for _, s := range e.spills.all() {
		all = append(all, s.source)
	}
	return all
}

// Close implements [engine.Engine].
func (e *Engine) Close() error {
	e.closing.Do(e.close)
	return nil
}

func (e *Engine) close() {
	e.end(engine.ErrClosed)
	e.writing.Wait()
	e.upkeep()
	e.tending.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if e.conn.IsConnected() {
		if err := e.handOver(ctx); err != nil {
			e.opts.Logger.Warn("what was settled last may be handed out again", "error", err)
		}
	}
	if err := e.conn.Drain(); err != nil {
		e.conn.Close()
	}
	<-e.closed // Drain itself is bounded by drainTimeout
}

// handOver gives back what is held, so that the next owner has it at once.
func (e *Engine) handOver(ctx context.Context) error {
	errs := []error{e.writeNotes(ctx)}
	for _, s := range e.sources() {
		for _, h := range s.holds(func(*held) bool { return true }) {
			h.putBack(0)
		}
		errs = append(errs, s.confirm(ctx))
	}
	for _, s := range e.spills.all() { // their consumers do not live for long
		if s.reader() != nil {
			if _, err := s.truncate(ctx); !isGone(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(append(errs, e.conn.FlushWithContext(ctx))...)
}
