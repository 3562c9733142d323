package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/resource"
)

// Dispatcher takes accepted events from the log and sees each of them through
// to its end. All methods are safe for concurrent use.
type Dispatcher struct {
	opts     Options
	log      Log
	logger   *slog.Logger
	now      func() time.Time
	random   func() float64 // uniform in [0,1)
	schedule schedule
	metrics  *metrics
	started  time.Time

	memory                *budget
	sweeper               *sweeper
	retries, deadLetters  *handover
	removed               *removals
	late                  lateSet
	backlogReaders        atomic.Int64
	buried                atomic.Int64 // bytes of dead letters in memory
	adrift                atomic.Int64 // bytes of attempts under way that are insured
	bodies                bodies
	returning             [2]*budget   // what is read back: of lanes that answer, of others
	batching              atomic.Int64 // lanes that share BatchMemory
	batchBytes            atomic.Int64 // what attempts take of it
	stopping              atomic.Bool  // no attempt may begin
	workers               sync.WaitGroup
	idle                  workerPool
	tasks                 sync.WaitGroup // backlog writers and readers, blob writers
	quit, abort, finished chan struct{}
	quitOnce, abortOnce   sync.Once
	running               atomic.Bool

	// phases end one after the other during a stop. Set by Run before anything
	// that reads them starts; kept here because lanes start their goroutines
	// when an event makes them, not when somebody passes a context.
	phases struct {
		intake   context.Context //nolint:containedctx // see above; reading and everything that can be read again
		attempts context.Context //nolint:containedctx // see above; attempts and blobs under way
		writes   context.Context //nolint:containedctx // see above; records of what attempts led to
	}

	// configure serialises changes of topics.
	configure sync.Mutex
	// mu protects the maps. They hold snapshots and lanes that look after
	// themselves, so it is held for a look-up only.
	mu     sync.RWMutex
	topics map[resource.UID]*topic
	lanes  map[resource.UID]*lane
}

// New returns a dispatcher that knows no topics. It starts nothing.
func New(o Options) (*Dispatcher, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("deliver: register metrics: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Doubted == nil {
		o.Doubted = func() bool { return false }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		opts: o, log: o.Log, logger: o.Logger, now: o.Now, random: rand.Float64,
		schedule: o.Schedule, metrics: m,
		sweeper: newSweeper(), removed: newRemovals(),
		quit: make(chan struct{}), abort: make(chan struct{}), finished: make(chan struct{}),
		topics: make(map[resource.UID]*topic), lanes: make(map[resource.UID]*lane),
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(newCollector(d)); err != nil {
			return nil, fmt.Errorf("deliver: register metrics: %w", err)
		}
	}
	d.memory = newBudget(o.Memory, d.sweeper.hurry)
	for i := range d.returning {
		d.returning[i] = newBudget(max(1, o.BacklogMemory/2), func() {})
	}
	d.retries = newHandover("retries", o.Logger, o.Log.Retry)
	d.deadLetters = newHandover("dead letters", o.Logger, o.Log.DeadLetter)
	return d, nil
}

// ErrRunning is returned when Run is called more than once.
var ErrRunning = errors.New("deliver: the dispatcher ran already")

// Run delivers until ctx ends or Drain is called, then stops gracefully:
// nothing new is read, attempts under way come to their end within
// DrainTimeout, what they led to is written. Everything else has a durable
// owner and is handed out again by the log after a restart. The error is that
// of a consumer that failed before; a dispatcher runs once.
func (d *Dispatcher) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer close(d.finished)
	d.started = d.now()

	base := context.WithoutCancel(ctx)
	attempts, endAttempts := context.WithCancel(base)
	defer endAttempts()
	writes, endWrites := context.WithCancel(base)
	defer endWrites()
	stoppable, stopIntake := context.WithCancel(ctx)
	defer stopIntake()
	g, intake := errgroup.WithContext(stoppable)
	d.phases.intake, d.phases.attempts, d.phases.writes = intake, attempts, writes //nolint:fatcontext // a dispatcher runs once

	var writers sync.WaitGroup
	writers.Go(func() { d.retries.run(writes) })
	writers.Go(func() { d.deadLetters.run(writes) })

	g.Go(func() error {
		select {
		case <-d.quit:
			stopIntake()
		case <-intake.Done():
		}
		return nil
	})
	err := d.resumeBacklogs(intake)
	if err == nil {
		g.Go(func() error { return d.sweep(intake) })
		g.Go(func() error { return d.dropBacklogs(intake) })
		g.Go(consume(intake, "events", d.log.ConsumeEvents, d.events(intake)))
		g.Go(consume(intake, "retries", d.log.ConsumeRetries, d.dueRetries(intake)))
		g.Go(consume(intake, "dead letters", d.log.ConsumeDeadLetters, d.dueDeadLetters(intake)))
	} else {
		stopIntake()
	}
	err = errors.Join(err, g.Wait())

	d.drain(&writers, endAttempts, endWrites)
	return err
}

// consume adapts one of the log's consumers to an errgroup. A consumer that
// ends without being told to is an error: its events would wait for ever.
func consume[B any](
	ctx context.Context, what string, consumer func(context.Context, func(B)) error, handle func(B),
) func() error {
	return func() error {
		err := consumer(ctx, handle)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		return fmt.Errorf("deliver: consume %s: %w", what, err)
	}
}

// resumeBacklogs starts reading what a former run left behind.
func (d *Dispatcher) resumeBacklogs(ctx context.Context) error {
	subs, err := d.log.Backlogs(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // stopped before it began
		}
		return fmt.Errorf("deliver: list backlogs: %w", err)
	}
	for _, uid := range subs {
		l := d.lane(uid)
		if l == nil {
			d.removed.put(removal{sub: uid})
			continue
		}
		l.mu.Lock()
		if l.closed {
			d.removed.put(removal{sub: uid, lane: l})
		} else {
			l.startReading()
		}
		l.mu.Unlock()
	}
	return nil
}

// drain ends the later phases of a stop. Every reader has ended.
func (d *Dispatcher) drain(writers *sync.WaitGroup, endAttempts, endWrites context.CancelFunc) {
	d.stopping.Store(true)

	// A little is kept back for writing what the last attempts led to.
	patience := time.NewTimer(d.opts.DrainTimeout - d.opts.DrainTimeout/10)
	defer patience.Stop()
	attempts := ended(&d.workers, &d.tasks)
	select {
	case <-attempts:
	case <-patience.C:
	case <-d.abort:
	}
	endAttempts()
	<-attempts

	d.retries.close()
	d.deadLetters.close()
	rest := time.NewTimer(max(d.opts.DrainTimeout/10, time.Millisecond))
	defer rest.Stop()
	written := ended(writers)
	select {
	case <-written:
	case <-rest.C:
	}
	endWrites()
	<-written
}

// ended returns a channel that is closed when all groups are done. The caller
// must receive from it.
func ended(groups ...*sync.WaitGroup) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		for _, g := range groups {
			g.Wait()
		}
	}()
	return c
}

// Drain stops a running dispatcher and waits until Run is about to return. When
// ctx ends before, attempts under way are cancelled (their events are attempted
// again after a restart) and the error is that of ctx. It is nil if Run was
// never called.
func (d *Dispatcher) Drain(ctx context.Context) error {
	d.quitOnce.Do(func() { close(d.quit) })
	if !d.running.Load() {
		return nil
	}
	select {
	case <-d.finished:
		return nil
	case <-ctx.Done():
		d.abortOnce.Do(func() { close(d.abort) })
		<-d.finished
		return ctx.Err()
	}
}
