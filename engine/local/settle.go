package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// record is the owner of the events of one Append that are out.
type record struct {
	seq uint64

	mu      sync.Mutex // protects the fields below
	settled []bool     // or about to be
	open    int        // events whose end is not written
	marked  bool       // something of it has been written under its progress key
}

// take claims the end of event i for one caller, once.
func (r *record) take(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i < 0 || i >= len(r.settled) || r.settled[i] {
		return false
	}
	r.settled[i] = true
	return true
}

// giveBack undoes take for a write that was not made.
func (r *record) giveBack(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled[i] = false
}

// delivery is the owner of one delivery that is out. Its key is never used again.
type delivery struct {
	queue engine.Queue
	sub   resource.UID
	due   int64
	order uint64
	body  uint64
	size  int
	taken atomic.Bool
}

func (d *delivery) key() []byte { return queueKey(d.queue, d.due, d.sub, d.order) }

// settlement gathers ends that are written together. It is used by one goroutine.
type settlement struct {
	events     map[*record][]int
	deliveries []*delivery
	// whole are records of which nothing is open any more: all that is left is to
	// delete them.
	whole []*record
	last  []*record          // those of events that go with this write; into decides
	moved map[*delivery]bool // deliveries whose body stays
}

// take claims what ref names; false when somebody has before.
func (s *settlement) take(ref engine.Ref) bool {
	switch of := ref.Of.(type) {
	case *record:
		if !of.take(ref.Index) {
			return false
		}
		if s.events == nil {
			s.events = make(map[*record][]int)
		}
		s.events[of] = append(s.events[of], ref.Index)
		return true
	case *delivery:
		if of.taken.Swap(true) {
			return false
		}
		s.deliveries = append(s.deliveries, of)
		return true
	default:
		return false
	}
}

// keepBody says that the body of a delivery goes on under another key.
func (s *settlement) keepBody(d *delivery) {
	if s.moved == nil {
		s.moved = make(map[*delivery]bool)
	}
	s.moved[d] = true
}

func (s *settlement) empty() bool {
	return len(s.events) == 0 && len(s.deliveries) == 0 && len(s.whole) == 0
}

// giveBack undoes all of it.
func (s *settlement) giveBack() {
	for r, of := range s.events {
		for _, i := range of {
			r.giveBack(i)
		}
	}
	for _, d := range s.deliveries {
		d.taken.Store(false)
	}
}

// into adds the ends to a batch. A record goes when these are its last: then the
// ends of its other events are written, since each is counted after its write.
func (s *settlement) into(b *pebble.Batch, t *tally) error {
	for r, of := range s.events {
		r.mu.Lock()
		whole := r.open == len(of)
		r.marked = r.marked || !whole
		r.mu.Unlock()
		if whole {
			s.last = append(s.last, r)
			continue
		}
		var set []byte
		for _, i := range of {
			set = binary.AppendUvarint(set, uint64(i)) //nolint:gosec // an index
		}
		if err := b.Merge(numberKey(progressPrefix, r.seq), set, nil); err != nil {
			return err
		}
	}
	for _, r := range slices.Concat(s.last, s.whole) {
		key := numberKey(eventPrefix, r.seq)
		if err := b.Delete(key, nil); err != nil {
			return err
		}
		t.remove(records, key)
		if r.marked {
			if err := b.Delete(numberKey(progressPrefix, r.seq), nil); err != nil {
				return err
			}
		}
	}
	for _, d := range s.deliveries {
		key := d.key()
		if err := b.Delete(key, nil); err != nil {
			return err
		}
		t.remove(int(d.queue), key)
		if s.moved[d] {
			continue
		}
		if err := b.Delete(numberKey(bodyPrefix, d.body), nil); err != nil {
			return err
		}
	}
	return nil
}

// written takes note of ends that are in the database.
func (e *Engine) written(s *settlement) {
	var whole []*record
	for r, of := range s.events {
		r.mu.Lock()
		r.open -= len(of)
		if r.open == 0 && !slices.Contains(s.last, r) {
			whole = append(whole, r) // another write ended the rest meanwhile
		}
		r.mu.Unlock()
	}
	e.inHand.give(len(s.last) + len(s.whole))
	for _, d := range s.deliveries {
		e.settledDelivery(d)
	}
	if len(whole) > 0 {
		e.ends.add(func(s *settlement) { s.whole = append(s.whole, whole...) })
	}
}

// ends gathers what was done and is not written yet.
type ends struct {
	wake chan struct{} // cap 1

	mu      sync.Mutex // protects waiting
	waiting settlement
}

func (n *ends) add(what func(*settlement)) {
	n.mu.Lock()
	what(&n.waiting)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *ends) takeAll() settlement {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.waiting
	n.waiting = settlement{}
	return all
}

// endsPause is for how long ends are gathered: what a killed process repeats.
const endsPause = 2 * time.Millisecond

// writeEnds writes what was done until ctx ends.
func (e *Engine) writeEnds(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-e.ends.wake:
		case <-ctx.Done():
			return
		}
		pause.Reset(endsPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		if err := e.flushEnds(pebble.NoSync); err != nil {
			e.fail(err)
			return
		}
	}
}

// flushEnds writes what is waiting now.
func (e *Engine) flushEnds(o *pebble.WriteOptions) error {
	s := e.ends.takeAll()
	if s.empty() {
		return nil
	}
	b := e.db.NewBatch()
	var t tally
	err := s.into(b, &t)
	if err == nil {
		err = b.Merge(tallyKey, t.encode(), nil)
	}
	if err == nil {
		err = e.db.Apply(b, o)
	}
	if err != nil {
		return fmt.Errorf("write what is done: %w", err)
	}
	e.counts.add(&t)
	e.written(&s)
	return b.Close()
}

// Done implements [engine.Deliveries].
func (e *Engine) Done(refs ...engine.Ref) {
	e.ends.add(func(s *settlement) {
		for _, ref := range refs {
			s.take(ref)
		}
	})
}
