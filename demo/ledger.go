package demo

import (
	"slices"
	"sync"
	"time"
)

// place names a mailbox of a customer.
type place struct{ customer, box string }

// ledger knows what must arrive where, and what did. Safe for concurrent use.
type ledger struct {
	now func() time.Time

	// changed holds at most one token: something arrived since it was taken.
	changed chan struct{}

	// mu protects the fields below.
	mu        sync.Mutex
	entries   map[entryKey]*entry
	expected  map[place]int
	delivered map[place]int
	total     tally
	delays    []time.Duration // publish to arrival, of first arrivals
	last      arrival
}

type entryKey struct {
	place
	id string
}

type entry struct {
	sent     time.Time
	arrivals int
}

type arrival struct {
	place
	order order
}

// tally is the sum of a ledger.
type tally struct {
	expected   int // deliveries that the filters ask for
	delivered  int // of those, how many arrived at least once
	duplicates int // arrivals beyond the first: allowed, at least once is the promise
	misrouted  int // arrivals that no filter asked for
}

func (t tally) lost() int { return t.expected - t.delivered }

func newLedger(now func() time.Time) *ledger {
	return &ledger{
		now:       now,
		changed:   make(chan struct{}, 1),
		entries:   map[entryKey]*entry{},
		expected:  map[place]int{},
		delivered: map[place]int{},
	}
}

// expect must be called before the event is sent: it may arrive before the
// publisher has read its answer.
func (l *ledger) expect(p place, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[entryKey{p, id}] = &entry{sent: l.now()}
	l.expected[p]++
	l.total.expected++
}

// arrived books one delivery.
func (l *ledger) arrived(p place, id string, o order) {
	l.mu.Lock()
	e := l.entries[entryKey{p, id}]
	switch {
	case e == nil:
		l.total.misrouted++
	case e.arrivals > 0:
		e.arrivals++
		l.total.duplicates++
	default:
		e.arrivals++
		l.delivered[p]++
		l.total.delivered++
		l.delays = append(l.delays, l.now().Sub(e.sent))
		l.last = arrival{p, o}
	}
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *ledger) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// snapshot returns deliveries at each place and the latest arrival.
func (l *ledger) snapshot(places []place) (counts []int, last arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range places {
		counts = append(counts, l.delivered[p])
	}
	return counts, l.last
}

// delay returns a quantile (0 … 1) of the time from sending to arrival.
func (l *ledger) delay(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.delays) == 0 {
		return 0
	}
	slices.Sort(l.delays)
	return l.delays[int(q*float64(len(l.delays)-1))]
}
