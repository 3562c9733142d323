package deliver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

const (
	// lateItems bounds the events that are remembered as taken late, of all
	// subscriptions together: about 10 MB. The oldest is forgotten for the
	// newest.
	lateItems = 1 << 16
	// lateItemsOfOne bounds those of one subscription, to two batches of the
	// largest kind. What comes beyond it is delivered once more.
	lateItemsOfOne = 10000
)

// lateSet remembers the events that an endpoint took after its time limit:
// until their next try falls due, which is then left out. A restart forgets
// them; their events are delivered once more, as after any crash.
//
// An entry whose event has found its end otherwise does no harm: it says that
// the event was delivered, which stays true. It goes when it is the oldest.
type lateSet struct {
	// mu protects the fields below. A lane's mu may be held when it is taken.
	mu  sync.Mutex
	set map[lateItem]*lane
	// order holds what was added last, as a ring once it is full.
	order []lateItem
	next  int
}

type lateItem struct {
	sub resource.UID
	id  [16]byte
}

// add remembers events that the endpoint of l took.
func (s *lateSet) add(l *lane, ids [][16]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = make(map[lateItem]*lane)
	}
	for _, id := range ids {
		if l.late.Load() >= lateItemsOfOne {
			return
		}
		it := lateItem{l.uid, id}
		if s.set[it] != nil {
			continue
		}
		s.set[it] = l
		l.late.Add(1)
		if len(s.order) < lateItems {
			s.order = append(s.order, it)
			continue
		}
		if oldest := s.order[s.next]; oldest != it {
			s.forget(oldest)
		}
		s.order[s.next] = it
		s.next = (s.next + 1) % lateItems
	}
}

// forget removes an entry, if it is there, and reports whether it was. mu is
// held.
func (s *lateSet) forget(it lateItem) bool {
	l := s.set[it]
	if l == nil {
		return false
	}
	delete(s.set, it)
	l.late.Add(-1)
	return true
}

// tookLate reports whether the endpoint took an event when nobody waited for
// its answer any more, and forgets it: whoever asks finishes the event. It costs
// nothing while there are none.
func (l *lane) tookLate(id [16]byte) bool {
	if l.late.Load() == 0 {
		return false
	}
	s := &l.d.late
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forget(lateItem{l.uid, id})
}

// deliveredLate finishes an event that its endpoint took late.
func (l *lane) deliveredLate(h *eventlog.Claim) {
	l.metrics.delivered(1)
	h.Release()
}

// answer is how a target tells of an answer that comes late. It belongs to one
// attempt that fails, or to any number of successful ones, and knows the events
// by their ids only: a target may keep it for minutes.
type answer struct {
	lane  *lane
	state atomic.Int32
	ids   [][16]byte
	// until is the end of the probation that the endpoint had once the attempt was
	// given up.
	until time.Time
}

// The states of an answer.
const (
	awaited  int32 = iota // by the attempt itself
	overdue               // the attempt timed out; ids are those of its events that wait
	answered              // late
)

// came is [destination.Notification.Late]. When it comes before the attempt is
// given up, the one who gives it up looks at the state.
func (a *answer) came() {
	if a.state.CompareAndSwap(overdue, answered) {
		a.lane.answeredLate(a.ids, a.until)
		return
	}
	a.state.CompareAndSwap(awaited, answered)
}

// expect lets a late answer count for the events with these ids.
func (a *answer) expect(ids [][16]byte) {
	a.ids = ids
	if !a.state.CompareAndSwap(awaited, overdue) {
		a.lane.answeredLate(ids, a.until)
	}
}

// unused reports whether nobody has answered late, so that the answer may wait
// for another attempt.
func (a *answer) unused() bool { return a.state.Load() == awaited }

// answeredLate remembers what the endpoint took. The circuit learns of it now,
// not when the events fall due: it is now that the endpoint showed that it
// works, unless another failure has put it into a longer probation since.
func (l *lane) answeredLate(ids [][16]byte, until time.Time) {
	l.d.late.add(l, ids)
	now := l.d.now()
	l.mu.Lock()
	if !l.circuit.until.After(until) {
		l.circuit.succeed()
	}
	l.health.success = now
	l.hire(now, 0)
	l.notify()
	l.mu.Unlock()
}
