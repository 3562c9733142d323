package deliver

import (
	"slices"
	"sync"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
)

// worker makes attempts, one after the other, and ends when there is nothing to
// do. The sweeper looks at it under the lane's mutex, so the items, since, loose
// and idle are the lane's to protect while it is in flight; the rest is the
// worker's own.
type worker struct {
	since time.Time
	// idle means that no attempt is under way whose items the sweeper may see.
	idle bool
	// loose counts the items that hold something else than the lane's backlog.
	loose int
	hired bool // and has not looked at the queue yet
	round int  // of the circuit, when the attempt began
	extra int  // what the attempt takes of the memory for batches
	// adrift is what of it the log has let go: it is in memory for the endpoint alone.
	adrift int

	*load
	// now is the clock, read once per attempt; sub is what the attempt obeys.
	now time.Time
	sub *Subscription
	// over and late were taken with the items and need no attempt: their time is
	// over, or the endpoint took them long ago.
	over, late []item
}

// load is what a target is shown. A target whose attempt failed may still be
// looking at it, so only that of a successful attempt is used again.
type load struct {
	items []item
	// The items point to these copies, lest one event keep its whole batch in
	// memory: fresh holds those of first attempts.
	fresh     []eventlog.Entry
	returning []eventlog.Delivery
	shown     []destination.Item
	n         destination.Notification
	// answer waits for one that comes late.
	answer *answer
}

func newLoad() *load {
	d := &load{answer: new(answer)}
	d.n.Late = d.answer.came
	return d
}

// workerPool keeps workers that have ended. Those that have room for many
// events are kept apart: they would be a waste of memory where there is one.
type workerPool struct{ singles, multiples sync.Pool }

func (p *workerPool) get(batches bool) *worker {
	pool := &p.singles
	if batches {
		pool = &p.multiples
	}
	if w, ok := pool.Get().(*worker); ok {
		return w
	}
	return &worker{load: newLoad()}
}

func (p *workerPool) put(w *worker) {
	if cap(w.shown) > 1 {
		p.multiples.Put(w)
	} else {
		p.singles.Put(w)
	}
}

// newWorker returns a worker that is about to look at the queue. mu is held.
func (l *lane) newWorker() *worker {
	w := l.d.idle.get(l.batches.on())
	w.idle, w.hired = true, true
	w.answer.lane = l
	return w
}

func (l *lane) work(w *worker) {
	defer l.d.workers.Done()
	ctx := l.d.phases.attempts
	w.now = l.d.now()
	for l.next(w) {
		l.attempt(ctx, w)
	}
	w.unload()
	l.d.idle.put(w)
}

// next gives w what the oldest item shares an attempt with, or retires it.
func (l *lane) next(w *worker) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.workers-- // w itself does not count against the limit
	if w.hired {
		w.hired = false
		l.hired--
	}
	if l.queue.len == 0 || l.d.stopping.Load() || !l.mayStart(w.now) {
		l.flights = slices.DeleteFunc(l.flights, func(f *worker) bool { return f == w })
		return false
	}
	l.workers++
	l.take(w)
	if len(w.items) > 0 {
		l.probes++
		w.round, w.since = l.circuit.round, w.now
	}
	if len(w.items) == 1 {
		w.seal()
		w.idle = false
	}
	l.notify()
	return true
}

// launch makes the worker's items visible to the sweeper, if they are not yet:
// what takes long with many of them is done before, with no lock held.
func (l *lane) launch(w *worker) {
	if !w.idle {
		return
	}
	w.seal()
	l.mu.Lock()
	w.idle = false
	l.mu.Unlock()
}

// seal copies what the items point to.
func (w *worker) seal() {
	n, returning := len(w.items), 0
	if n == 1 && w.items[0].prior == nil && len(w.fresh) == 1 && len(w.shown) == 1 && len(w.returning) == 0 {
		w.sealOne() // the usual case, as often as there are events
		return
	}
	w.loose = 0
	for i := range w.items {
		if w.items[i].prior != nil {
			returning++
		}
		if w.items[i].from != fromBacklog {
			w.loose++
		}
	}
	w.fresh = resize(w.fresh, n-returning)
	w.returning = resize(w.returning, returning)
	w.shown = resize(w.shown, n)
	fresh, again := w.fresh, w.returning
	for i := range w.items {
		it := &w.items[i]
		if it.prior == nil {
			fresh[0] = *it.entry
			it.entry, fresh = &fresh[0], fresh[1:]
		} else {
			again[0] = *it.prior
			it.prior, it.entry, again = &again[0], &again[0].Entry, again[1:]
		}
		w.shown[i] = destination.Item{ID: it.entry.ID, Attempt: it.attempts(), Event: &it.entry.Event}
	}
}

// sealOne is seal for one event on its first attempt after another such one.
func (w *worker) sealOne() {
	it := &w.items[0]
	w.loose = 1
	if it.from == fromBacklog {
		w.loose = 0
	}
	w.fresh[0] = *it.entry
	it.entry = &w.fresh[0]
	w.shown[0] = destination.Item{ID: it.entry.ID, Event: &it.entry.Event}
}

// resize returns s with n elements that the caller sets; those it had beyond n
// are cleared, and the ones beyond its length always are.
func resize[T any](s []T, n int) []T {
	if len(s) > n {
		clear(s[n:])
	}
	return slices.Grow(s[:0], n)[:n]
}

// land ends an attempt: it takes the items, with whatever holds they have by
// now, away from the worker. mu is held.
func (l *lane) land(w *worker) []item {
	w.idle = true
	if w.round == l.circuit.round {
		l.probes--
	}
	l.give(w)
	l.ashore(w)
	return w.items
}

// payload is the size of the events under way.
func (w *worker) payload() (bytes int) {
	for i := range w.items {
		bytes += w.items[i].payload()
	}
	return bytes
}

// unload forgets the events. What is beyond the lengths is clear already.
func (w *worker) unload() {
	clear(w.items)
	w.items = w.items[:0]
	w.fresh, w.returning, w.shown = resize(w.fresh, 0), resize(w.returning, 0), resize(w.shown, 0)
	w.n.Items, w.sub, w.answer.lane = nil, nil, nil
}
