package deliver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// disk is a durable log in memory: what is on it survives a dispatcher. A
// record stays until the session that was handed it says Done.
type disk struct {
	mu      sync.Mutex
	next    int
	records []*record // in the order written
	changed chan struct{}
	// writes counts calls by queue.
	writes map[string]int
}

type record struct {
	id         int
	queue      string
	sub        resource.UID // of a backlog
	entries    []eventlog.Entry
	deliveries []eventlog.Delivery
}

const (
	queueEvents  = "events"
	queueRetries = "retries"
	queueDead    = "dead letters"
	queueBacklog = "backlog"
)

func newDisk() *disk { return &disk{changed: make(chan struct{}), writes: make(map[string]int)} }

func (k *disk) add(rs ...*record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range rs {
		k.next++
		r.id = k.next
		k.records = append(k.records, r)
	}
	k.tell()
}

// tell wakes every consumer. mu is held.
func (k *disk) tell() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// publish accepts events as one batch.
func (k *disk) publish(es ...eventlog.Entry) { k.add(&record{queue: queueEvents, entries: es}) }

// count returns how many records of a queue are not Done.
func (k *disk) count(queue string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, r := range k.records {
		if r.queue == queue {
			n++
		}
	}
	return n
}

// left counts all records that are not Done.
func (k *disk) left() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.records)
}

func (k *disk) written(queue string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.writes[queue]
}

// session is one process's view of a disk. After fuse calls it is dead: calls
// fail, and what it says Done to stays.
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

func (k *disk) open(fuse int) *session {
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

func (s *session) Retry(ctx context.Context, ds []eventlog.Delivery) error {
	return s.put(ctx, queueRetries, resource.UID{}, ds)
}

func (s *session) DeadLetter(ctx context.Context, ds []eventlog.Delivery) error {
	return s.put(ctx, queueDead, resource.UID{}, ds)
}

func (s *session) Overflow(ctx context.Context, sub resource.UID, ds []eventlog.Delivery) error {
	return s.put(ctx, queueBacklog, sub, ds)
}

func (s *session) put(_ context.Context, queue string, sub resource.UID, ds []eventlog.Delivery) error {
	if !s.step() {
		return errDead
	}
	if s.failing != nil {
		if err := s.failing(queue, ds); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.writes[queue]++
	s.mu.Unlock()
	if queue == queueBacklog {
		s.add(&record{queue: queue, sub: sub, deliveries: append([]eventlog.Delivery(nil), ds...)})
		return nil
	}
	for _, d := range ds {
		s.add(&record{queue: queue, deliveries: []eventlog.Delivery{d}})
	}
	return nil
}

func (s *session) Backlogs(context.Context) ([]resource.UID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[resource.UID]bool)
	var subs []resource.UID
	for _, r := range s.records {
		if r.queue == queueBacklog && !seen[r.sub] {
			seen[r.sub] = true
			subs = append(subs, r.sub)
		}
	}
	return subs, nil
}

func (s *session) DropBacklog(_ context.Context, sub resource.UID) error {
	if !s.step() {
		return errDead
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []*record
	for _, r := range s.records {
		if r.queue != queueBacklog || r.sub != sub {
			kept = append(kept, r)
		}
	}
	s.records = kept
	s.tell()
	return nil
}

func (s *session) ConsumeEvents(ctx context.Context, handle func(eventlog.EventBatch)) error {
	return s.consume(ctx, queueEvents, resource.UID{}, func(rs []*record) {
		handle(eventlog.EventBatch{Entries: rs[0].entries, Done: s.done(rs)})
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
		var ds []eventlog.Delivery
		for _, r := range rs {
			ds = append(ds, r.deliveries...)
		}
		handle(eventlog.DeliveryBatch{Deliveries: ds, Done: s.done(rs)})
	})
}

func (s *session) done(rs []*record) func() {
	return func() {
		if !s.step() {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		gone := make(map[*record]bool, len(rs))
		for _, r := range rs {
			gone[r] = true
		}
		s.records = slices.DeleteFunc(s.records, func(r *record) bool { return gone[r] })
		s.tell()
	}
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
			if r.queue != queue || r.sub != sub {
				continue
			}
			left = true
			s.smu.Lock()
			handed := s.handed[r.id]
			s.smu.Unlock()
			if handed {
				continue
			}
			if queue == queueRetries || queue == queueDead {
				if early := time.Until(r.deliveries[0].Due); early > 0 {
					wait = min(wait, early)
					continue
				}
			}
			next = append(next, r)
			if queue == queueEvents || queue == queueBacklog {
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
