package deliver

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// disk is a durable log in memory: what is on it survives a dispatcher. A
// record stays until everything in it is settled by the session that was handed it.
type disk struct {
	// forgets says that a record is handed out again as a whole after a crash, as by
	// an engine that settles records; otherwise only what is open in it.
	forgets bool
	// copies says that deliveries are read anew each time, a few at once, as from a
	// disk; what is on it takes no memory but that of the published events.
	copies bool

	mu      sync.Mutex
	next    int
	records []*record           // in the order written
	gone    int                 // of those, settled whole
	events  map[[16]byte][]byte // what copies are made of
	changed chan struct{}
	// writes counts calls by queue.
	writes map[string]int
}

// record has either entries or deliveries.
type record struct {
	id         int
	queue      string
	sub        resource.UID // of a backlog
	entries    []eventlog.Entry
	deliveries []eventlog.Delivery
	settled    []bool // by index
	left       int    // not settled
}

// open returns the indexes that are not settled.
func (r *record) open() (indexes []int) {
	for i, settled := range r.settled {
		if !settled {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// owned calls each with what the record keeps, whoever it is for.
func (k *disk) owned(entry func(*eventlog.Entry), delivery func(*eventlog.Delivery)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.records {
		for i := range r.settled {
			switch {
			case r.left == 0, r.settled[i] && !k.forgets:
			case r.entries != nil:
				entry(&r.entries[i])
			default:
				delivery(&r.deliveries[i])
			}
		}
	}
}

const (
	queueEvents  = "events"
	queueRetries = "retries"
	queueDead    = "dead letters"
	queueBacklog = "backlog"
	dropping     = "dropping a backlog" // what failing is asked before it
)

// copiedAtOnce is how many records a disk that copies hands out at once.
const copiedAtOnce = 16

func newDisk() *disk {
	return &disk{forgets: true, changed: make(chan struct{}), writes: make(map[string]int)}
}

func (k *disk) add(rs ...*record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range rs {
		k.next++
		r.id = k.next
		r.left = len(r.entries) + len(r.deliveries)
		r.settled = make([]bool, r.left)
		k.records = append(k.records, r)
	}
	k.tell()
}

// settle settles what is named, and removes the records of which all is.
func (k *disk) settle(refs []engine.Ref) {
	k.mu.Lock()
	defer k.mu.Unlock()
	drained := false
	for _, ref := range refs {
		r := ref.Of.(*record)
		if r.settled[ref.Index] {
			panic("settled twice")
		}
		r.settled[ref.Index] = true
		if r.left--; r.left == 0 {
			k.gone++
			drained = drained || r.queue == queueBacklog
		}
	}
	if k.gone > len(k.records)/2 { // not one by one
		k.records, k.gone = slices.DeleteFunc(k.records, func(r *record) bool { return r.left == 0 }), 0
	}
	if drained {
		k.tell()
	}
}

// crashed forgets what no record outlives.
func (k *disk) crashed() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records, k.gone = slices.DeleteFunc(k.records, func(r *record) bool { return r.left == 0 }), 0
	if k.forgets {
		for _, r := range k.records {
			clear(r.settled)
			r.left = len(r.settled)
		}
	}
}

// tell wakes every consumer. mu is held.
func (k *disk) tell() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// publish accepts events as one batch.
func (k *disk) publish(es ...eventlog.Entry) {
	if k.copies {
		k.mu.Lock()
		for i := range es {
			k.events[es[i].ID] = es[i].Event.JSON
		}
		k.mu.Unlock()
	}
	k.add(&record{queue: queueEvents, entries: es})
}

// copying makes the disk one that copies.
func (k *disk) copying() { k.copies, k.events = true, make(map[[16]byte][]byte) }

// count returns how many records of a queue are not settled.
func (k *disk) count(queue string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, r := range k.records {
		if r.queue == queue && r.left > 0 {
			n++
		}
	}
	return n
}

// left counts all records that are not settled.
func (k *disk) left() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.records) - k.gone
}

func (k *disk) written(queue string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.writes[queue]
}

// session is one process's view of a disk. After fuse calls it is dead: calls
// fail, and what it settles stays.
type session struct {
	*disk
	// failing, if set, decides whether a write to a queue is refused.
	failing func(queue string, ds []eventlog.Delivery) error

	smu    sync.Mutex
	handed map[int]bool
	fuse   int // calls left; negative for no limit
	dead   bool
	blown  chan struct{}
}

// open begins a process, after which there is no other.
func (k *disk) open(fuse int) *session {
	k.crashed()
	return &session{disk: k, handed: make(map[int]bool), fuse: fuse, blown: make(chan struct{})}
}

var errDead = errors.New("the log is gone")

// step counts a call.
func (s *session) step() bool {
	s.smu.Lock()
	defer s.smu.Unlock()
	if s.dead {
		return false
	}
	if s.fuse == 0 {
		s.dead = true
		close(s.blown)
		return false
	}
	s.fuse--
	return true
}

func (s *session) Retry(ctx context.Context, ts []eventlog.Transfer) error {
	return s.put(ctx, queueRetries, resource.UID{}, ts)
}

func (s *session) DeadLetter(ctx context.Context, ts []eventlog.Transfer) error {
	return s.put(ctx, queueDead, resource.UID{}, ts)
}

func (s *session) Overflow(ctx context.Context, sub resource.UID, ts []eventlog.Transfer) error {
	return s.put(ctx, queueBacklog, sub, ts)
}

// put writes, and lets go of the former owners: a crash may come between the two.
func (s *session) put(_ context.Context, queue string, sub resource.UID, ts []eventlog.Transfer) error {
	if !s.step() {
		return errDead
	}
	ds := make([]eventlog.Delivery, len(ts))
	claims := make([]*eventlog.Claim, len(ts))
	for i := range ts {
		ds[i], claims[i] = ts[i].Delivery, ts[i].Claim
	}
	if s.failing != nil {
		if err := s.failing(queue, ds); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.writes[queue]++
	if s.copies {
		for i := range ds {
			ds[i].Event.JSON = s.events[ds[i].ID]
		}
	}
	s.mu.Unlock()
	rs := []*record{{queue: queue, sub: sub, deliveries: ds}}
	if queue != queueBacklog {
		rs = rs[:0]
		for i := range ds {
			rs = append(rs, &record{queue: queue, deliveries: ds[i : i+1]})
		}
	}
	s.add(rs...)
	eventlog.ReleaseAll(claims)
	return nil
}

func (s *session) Backlogs(context.Context) ([]resource.UID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[resource.UID]bool)
	var subs []resource.UID
	for _, r := range s.records {
		if r.queue == queueBacklog && r.left > 0 && !seen[r.sub] {
			seen[r.sub] = true
			subs = append(subs, r.sub)
		}
	}
	return subs, nil
}

// DropBacklog that fails has dropped one record.
func (s *session) DropBacklog(_ context.Context, sub resource.UID, each func(eventlog.Delivery)) error {
	if !s.step() {
		return errDead
	}
	var err error
	if s.failing != nil {
		err = s.failing(dropping, nil)
	}
	var gone []eventlog.Delivery
	s.mu.Lock()
	s.records = slices.DeleteFunc(s.records, func(r *record) bool {
		if r.queue != queueBacklog || r.sub != sub || r.left == 0 || s.wasHanded(r) || err != nil && gone != nil {
			return false
		}
		for _, i := range r.open() {
			gone = append(gone, r.deliveries[i])
		}
		return true
	})
	s.tell()
	s.mu.Unlock()
	for _, d := range gone {
		each(d)
	}
	return err
}

func (s *session) wasHanded(r *record) bool {
	s.smu.Lock()
	defer s.smu.Unlock()
	return s.handed[r.id]
}

// Done is for the claims of what is handed out.
func (s *session) Done(refs ...engine.Ref) {
	if s.step() {
		s.settle(refs)
	}
}

func (s *session) ConsumeEvents(ctx context.Context, handle func(eventlog.EventBatch)) error {
	return s.consume(ctx, queueEvents, resource.UID{}, func(rs []*record) {
		refs := s.refs(rs)
		es := make([]eventlog.Entry, len(refs))
		for i, ref := range refs {
			es[i] = rs[0].entries[ref.Index]
		}
		handle(eventlog.NewEventBatch(s, es, refs))
	})
}

func (s *session) ConsumeRetries(ctx context.Context, handle func(eventlog.DeliveryBatch)) error {
	return s.consumeDeliveries(ctx, queueRetries, resource.UID{}, handle)
}

func (s *session) ConsumeDeadLetters(ctx context.Context, handle func(eventlog.DeliveryBatch)) error {
	return s.consumeDeliveries(ctx, queueDead, resource.UID{}, handle)
}

func (s *session) ConsumeBacklog(ctx context.Context, sub resource.UID, handle func(eventlog.DeliveryBatch)) error {
	return s.consumeDeliveries(ctx, queueBacklog, sub, handle)
}

func (s *session) consumeDeliveries(
	ctx context.Context, queue string, sub resource.UID, handle func(eventlog.DeliveryBatch),
) error {
	return s.consume(ctx, queue, sub, func(rs []*record) {
		refs := s.refs(rs)
		ds := make([]eventlog.Delivery, len(refs))
		for i, ref := range refs {
			ds[i] = ref.Of.(*record).deliveries[ref.Index]
			if s.copies {
				ds[i].Event.JSON = bytes.Clone(ds[i].Event.JSON)
			}
		}
		handle(eventlog.NewDeliveryBatch(s, ds, refs))
	})
}

// refs names what is open in records.
func (s *session) refs(rs []*record) (refs []engine.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rs {
		for _, i := range r.open() {
			refs = append(refs, engine.Ref{Of: r, Index: i})
		}
	}
	return refs
}

// consume hands out records in order: one at a time, or all that are due.
func (s *session) consume(ctx context.Context, queue string, sub resource.UID, handle func([]*record)) error {
	for ctx.Err() == nil {
		var next []*record
		wait := time.Hour
		left := false
		s.mu.Lock()
		changed := s.changed
		for _, r := range s.records {
			if r.queue != queue || r.sub != sub || r.left == 0 {
				continue
			}
			left = true
			if s.wasHanded(r) {
				continue
			}
			if queue == queueRetries || queue == queueDead {
				if early := time.Until(r.deliveries[0].Due); early > 0 {
					wait = min(wait, early)
					continue
				}
			}
			next = append(next, r)
			if queue == queueEvents || queue == queueBacklog || s.copies && len(next) == copiedAtOnce {
				break
			}
		}
		s.mu.Unlock()
		if queue == queueBacklog && !left {
			return nil
		}
		if len(next) > 0 {
			if !s.step() {
				<-ctx.Done()
				return ctx.Err()
			}
			s.smu.Lock()
			for _, r := range next {
				s.handed[r.id] = true
			}
			s.smu.Unlock()
			handle(next)
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	return ctx.Err()
}
