package deliver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// lane is everything that waits for or works on one subscription. It lives as
// long as the subscription's UID, through every change of its settings.
type lane struct {
	d       *Dispatcher
	uid     resource.UID
	metrics *laneMetrics
	// sub is what the next attempt obeys.
	sub atomic.Pointer[Subscription]
	// tasks are the goroutines that write and read the backlog.
	tasks sync.WaitGroup
	// changed wakes the backlog reader, the only one who listens: there may be
	// room, the circuit may have closed, an overflow may be written.
	changed chan struct{}

	graves graves

	// mu protects the fields below. It is never held during a call to the log,
	// a target or a store.
	mu      sync.Mutex
	closed  bool
	queue   queue
	circuit circuit
	limit   concurrency
	// workers run; probes are those of them that began in the circuit's current
	// round.
	workers, probes int
	flights         []*worker
	watched         bool // by the sweeper
	backlog         backlog
}

func newLane(d *Dispatcher, sub *Subscription, m *laneMetrics) *lane {
	l := &lane{
		d: d, uid: sub.UID, metrics: m,
		changed: make(chan struct{}, 1),
		limit:   concurrency{limit: d.opts.Concurrency, max: d.opts.MaxConcurrency},
	}
	l.graves.full = make(chan struct{}, 1)
	l.backlog.hurry = make(chan struct{}, 1)
	l.sub.Store(sub)
	return l
}

// offer takes over an item that was just read from the log, and never waits:
// it goes into the queue if there is room, behind the backlog if there is one,
// behind the end of probation if there is one.
func (l *lane) offer(it item, now time.Time) {
	l.mu.Lock()
	switch {
	case l.closed:
		l.mu.Unlock()
		l.d.drop(l, it.delivery(l.uid), reasonSubscriptionDeleted)
		it.hold.release()
	case it.from == fromEvents && l.backlog.exists, l.circuit.state(now) != Open && !l.hasRoom(it.size):
		l.overflow(it)
		l.mu.Unlock()
	case l.circuit.state(now) == Open:
		until := l.circuit.until
		l.mu.Unlock()
		l.postpone(it, until, now)
	default:
		l.enqueue(it, now)
		l.mu.Unlock()
	}
}

// hasRoom reports whether the queue takes size more bytes. mu is held.
func (l *lane) hasRoom(size int) bool {
	return l.queue.len == 0 || l.queue.len < l.d.opts.QueueItems && l.queue.bytes+size <= l.d.opts.QueueBytes
}

// enqueue appends to the queue and sees to it that somebody works on it. mu is
// held.
func (l *lane) enqueue(it item, now time.Time) {
	l.queue.push(it)
	if !l.watched {
		l.watched = true
		l.d.sweeper.watch(l)
	}
	l.hire(now)
}

// hire starts a worker if there is work and the endpoint may be asked more at a
// time. mu is held.
func (l *lane) hire(now time.Time) {
	if l.queue.len == 0 || !l.mayStart(now) || l.d.stopping.Load() {
		return
	}
	l.workers++
	l.d.workers.Add(1)
	w := newWorker()
	l.flights = append(l.flights, w)
	go l.work(w)
}

// mayStart reports whether one more attempt may begin. mu is held.
func (l *lane) mayStart(now time.Time) bool {
	switch l.circuit.state(now) {
	case Closed:
		return l.workers < l.limit.limit
	case HalfOpen:
		return l.probes == 0
	default:
		return false
	}
}

// worker makes attempts, one after the other, and ends when there is nothing to
// do. The sweeper looks at it under the lane's mutex, so hold, since and idle
// are the lane's to protect; the rest is the worker's own.
type worker struct {
	hold  *hold
	from  source
	since time.Time
	idle  bool
	round int // of the circuit, when the attempt began

	*load
	// now is the clock, read once per attempt.
	now time.Time
}

// load is what a target is shown. A target whose attempt failed may still be
// looking at it, so only that of a successful attempt is used again.
type load struct {
	it    item
	entry eventlog.Entry // a copy, lest one event keep its whole batch in memory
	prior eventlog.Delivery
	n     destination.Notification
	items [1]destination.Item
}

var workers = sync.Pool{New: func() any { return &worker{load: new(load)} }}

func newWorker() *worker {
	w := workers.Get().(*worker)
	w.idle = true
	return w
}

func (l *lane) work(w *worker) {
	defer l.d.workers.Done()
	ctx := l.d.phases.attempts
	w.now = l.d.now()
	for l.next(w) {
		l.attempt(ctx, w)
	}
	*w.load = load{}
	w.hold = nil
	workers.Put(w)
}

// next gives w the oldest item, or retires it.
func (l *lane) next(w *worker) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.workers-- // w itself does not count against the limit
	if l.queue.len == 0 || l.d.stopping.Load() || !l.mayStart(w.now) {
		for i, f := range l.flights {
			if f == w {
				last := len(l.flights) - 1
				l.flights[i], l.flights[last] = l.flights[last], nil
				l.flights = l.flights[:last]
				break
			}
		}
		return false
	}
	l.workers++
	l.probes++
	w.take(l.queue.pop())
	w.round, w.since, w.idle = l.circuit.round, w.now, false
	l.notify()
	return true
}

// take makes it the worker's. The lane's mu is held.
func (w *worker) take(it item) {
	w.hold, w.from = it.hold, it.from
	if it.prior != nil {
		w.prior = *it.prior
		it.prior = &w.prior
		it.entry = &w.prior.Entry
	} else {
		w.entry = *it.entry
		it.entry = &w.entry
	}
	w.it = it
}

// land ends an attempt: it takes the item, with whatever hold it has by now,
// away from the worker. mu is held.
func (l *lane) land(w *worker) item {
	it := w.it
	it.hold = w.hold
	w.hold, w.idle = nil, true
	if w.round == l.circuit.round {
		l.probes--
	}
	return it
}

// notify wakes the backlog reader. mu is held.
func (l *lane) notify() {
	if !l.backlog.reading {
		return
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// close drops what waits in memory and stops the backlog's goroutines. Attempts
// under way come to their end; what is left of them is dropped too.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	waiting := append(l.queue.takeAll(), l.backlog.takeUnwritten()...)
	if l.backlog.stop != nil {
		l.backlog.stop()
	}
	l.mu.Unlock()
	for i := range waiting {
		l.d.drop(l, waiting[i].delivery(l.uid), reasonSubscriptionDeleted)
		waiting[i].hold.release()
	}
}

func (l *lane) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
