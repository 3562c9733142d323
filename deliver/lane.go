package deliver

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	// late counts the events that the endpoint took when nobody waited for its
	// answer any more; dead those that this process gave up and has not buried.
	late, dead atomic.Int64

	graves graves

	// mu protects the fields below. It is never held during a call to the log,
	// a target or a store.
	mu      sync.Mutex
	closed  bool
	queue   queue
	circuit circuit
	limit   concurrency
	batches batches
	health  health
	// workers run; hired are those of them that have not looked at the queue
	// yet, probes those that began in the circuit's current round.
	workers, hired, probes int
	flights                []*worker
	adrift                 int  // of the flights are insured
	watched                bool // by the sweeper
	gathering              bool // somebody is going to call endGathering
	backlog                backlog
}

func newLane(d *Dispatcher, sub *Subscription, m *laneMetrics) *lane {
	l := &lane{
		d: d, uid: sub.UID, metrics: m,
		changed: make(chan struct{}, 1),
		limit:   concurrency{limit: d.opts.Concurrency, max: d.opts.MaxConcurrency},
		circuit: circuit{longest: d.scaled(longestProbation)},
	}
	l.graves.full = make(chan struct{}, 1)
	l.backlog.hurry = make(chan struct{}, 1)
	l.configure(sub)
	return l
}

// configure makes sub what the next attempt obeys.
func (l *lane) configure(sub *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.sub.Swap(sub)
	if sub.Batch != l.batches.Batch {
		l.batches.Batch, l.batches.ceiling = sub.Batch, 0
	}
	l.takePart()
	if before != nil && before.Parked && !sub.Parked && l.backlog.exists {
		l.startReading()
	}
}

// offer takes over an item that was just read from the log, and never waits:
// it goes into the queue if there is room, behind the backlog if there is one,
// behind the end of probation if there is one. True asks the caller to call
// endGathering when it has offered what it has. It is copied, so that the same
// may be offered to others.
func (l *lane) offer(it *item, now time.Time) (gathered bool) {
	if it.from == fromRetries && l.tookLate(it.entry.ID) {
		l.deliveredLate(it.claim)
		return false
	}
	l.mu.Lock()
	switch {
	case l.closed:
		l.mu.Unlock()
		l.d.drop(l, it.delivery(l.uid), reasonSubscriptionDeleted)
		it.claim.Release()
	case l.parked():
		l.overflow(l.park(it))
		l.mu.Unlock()
	case it.from == fromEvents && l.backlog.exists, l.circuit.state(now) != Open && !l.hasRoom(it.size):
		l.overflow(*it)
		l.mu.Unlock()
	case l.circuit.state(now) == Open:
		until := l.circuit.until
		l.mu.Unlock()
		l.postpone(*it, until, now)
	default:
		l.enqueue(it)
		if !l.hireForWhole(now) {
			gathered, l.gathering = !l.gathering, true
		}
		l.mu.Unlock()
	}
	return gathered
}

// hasRoom reports whether the queue takes size more bytes. mu is held.
func (l *lane) hasRoom(size int) bool {
	if l.queue.len == 0 {
		return true
	}
	items, bytes := l.bounds()
	return l.queue.len < items && l.queue.bytes+size <= bytes
}

// enqueue appends to the queue; the caller sees to it that somebody works on
// it. mu is held.
func (l *lane) enqueue(it *item) {
	l.queue.push(it)
	if !l.watched {
		l.watched = true
		l.takePart()
		l.d.sweeper.watch(l)
	}
}

// hire starts a worker if there is work for one, beyond what those take who
// are about to look at the queue: the hired, and so many more; and if the
// endpoint may be asked more at a time. mu is held.
func (l *lane) hire(now time.Time, more int) {
	if !l.exceeds(l.hired+more) || !l.mayStart(now) || l.d.stopping.Load() {
		return
	}
	l.workers++
	l.hired++
	l.d.workers.Add(1)
	w := l.newWorker()
	l.flights = append(l.flights, w)
	go l.work(w)
}

// mayStart reports whether one more attempt may begin. mu is held.
func (l *lane) mayStart(now time.Time) bool {
	if l.parked() || l.crowded() {
		return false
	}
	switch l.circuit.state(now) {
	case Closed:
		return l.workers < l.limit.limit
	case HalfOpen:
		return l.probes == 0
	default:
		return false
	}
}

// crowded reports whether one attempt at a time has to do: when those that hang
// fill the memory, for a lane that has one of them or does not answer. mu is held.
func (l *lane) crowded() bool {
	return l.workers > 0 && l.d.adrift.Load() >= l.d.opts.Memory && !l.answers()
}

// putBack returns items that were taken from the queue but not attempted to its
// head, in their order. The queue may exceed its bounds by them: they were in
// it a moment ago. When the lane was closed or its circuit opened meanwhile
// they go where they would have gone from the queue.
func (l *lane) putBack(its []item, now time.Time) {
	l.mu.Lock()
	closed, open, until := l.closed, l.circuit.state(now) == Open, l.circuit.until
	if !closed && !open {
		for _, it := range slices.Backward(its) {
			l.queue.pushFront(&it)
		}
		l.hire(now, 1)
	}
	l.mu.Unlock()
	for i := range its {
		switch {
		case closed:
			l.d.drop(l, its[i].delivery(l.uid), reasonSubscriptionDeleted)
			its[i].claim.Release()
		case open:
			l.postpone(its[i], until, now)
		}
	}
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
		l.abandon(&waiting[i])
	}
}

// abandon drops an item of a closed lane. If it is the copy of one whose attempt is
// under way, that one tells what becomes of it.
func (l *lane) abandon(it *item) {
	if !l.insures(it.entry.ID) {
		l.d.drop(l, it.delivery(l.uid), reasonSubscriptionDeleted)
	}
	it.claim.Release()
}

func (l *lane) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
