package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/resource"
)

const (
	// What one ConsumeBacklog may have out without Done; one record is always
	// allowed.
	backlogRecordsInHand = 256
	backlogBytesInHand   = 8 << 20
	// backlogIdle is how long the server keeps the consumer of a backlog that
	// nobody reads.
	backlogIdle = 5 * time.Minute
	// backlogPoll is how often a backlog with records out is looked at again,
	// when nothing in this process says that it changed.
	backlogPoll = time.Second
)

// backlogs is the stream with one subject per subscription. A subscription has
// a consumer only while its backlog is being read.
type backlogs struct {
	queue *queue // without a consumer

	// mu protects the fields below.
	mu   sync.Mutex
	subs map[resource.UID]*backlog // those that may have something
}

// backlog is what this process knows of one subscription's. It is entered
// before the first record is written and removed when all of it is gone, so it
// outlives the calls of ConsumeBacklog.
type backlog struct {
	subject string
	ledger  *ledger
	changed chan struct{} // cap 1: something was written or done
	records atomic.Int64  // out and not done
	bytes   atomic.Int64

	// Protected by backlogs.mu.
	writing  int    // Overflow calls under way
	writes   uint64 // Overflow calls ever
	consumer jetstream.Consumer
}

func (l *Log) openBacklogs(ctx context.Context) error {
	q, err := l.add(ctx, "backlog", backlogStream, backlogSubject+"*", deliveryAppender(backlogsInFlight), 0)
	if err != nil {
		return err
	}
	l.backlogs = &backlogs{queue: q, subs: make(map[resource.UID]*backlog)}
	subs, err := l.Backlogs(ctx)
	if err != nil {
		return err
	}
	for _, sub := range subs {
		l.backlogs.get(sub)
	}
	return nil
}

// get returns what is known of sub's backlog, creating it. b.mu is not held.
func (b *backlogs) get(sub resource.UID) *backlog {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.getLocked(sub)
}

func (b *backlogs) getLocked(sub resource.UID) *backlog {
	s, ok := b.subs[sub]
	if !ok {
		s = &backlog{
			subject: backlogSubject + sub.String(),
			ledger:  newLedger(b.queue.ledger.conn, func() {}),
			changed: make(chan struct{}, 1),
		}
		b.subs[sub] = s
	}
	return s
}

func (s *backlog) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Overflow makes deliveries durable behind what the subscription's backlog
// already holds, and returns when they are. Errors are those of [Log.Retry]; at
// most 16 MiB of all subscriptions are under way, beyond which it blocks. Due is
// ignored.
func (l *Log) Overflow(ctx context.Context, sub resource.UID, ds []Delivery) error {
	if len(ds) == 0 {
		return nil
	}
	b := l.backlogs
	b.mu.Lock()
	s := b.getLocked(sub)
	s.writing++
	s.writes++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		s.writing--
		b.mu.Unlock()
		s.signal()
	}()
	of := make([]*Delivery, len(ds))
	for i := range ds {
		of[i] = &ds[i]
	}
	if err := b.queue.appendDeliveries(ctx, s.subject, of, time.Time{}); err != nil {
		return fmt.Errorf("store a backlog of %d: %w", len(ds), err)
	}
	return nil
}

// HasBacklog reports whether sub may have a backlog: from before an Overflow of
// this process begins to write, and from Open for what was there, until a
// ConsumeBacklog or DropBacklog has returned nil with nothing left.
func (l *Log) HasBacklog(sub resource.UID) bool {
	l.backlogs.mu.Lock()
	defer l.backlogs.mu.Unlock()
	_, ok := l.backlogs.subs[sub]
	return ok
}

// Backlogs returns the subscriptions that have one, in no order.
func (l *Log) Backlogs(ctx context.Context) ([]resource.UID, error) {
	info, err := l.backlogs.queue.stream.Info(ctx, jetstream.WithSubjectFilter(backlogSubject+"*"))
	if err != nil {
		return nil, fmt.Errorf("list backlogs: %w", err)
	}
	var subs []resource.UID
	for subject := range info.State.Subjects {
		sub, err := resource.ParseUID(subject[len(backlogSubject):])
		if err != nil {
			return nil, fmt.Errorf("list backlogs: subject %s: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

// DropBacklog removes sub's backlog, for a subscription that is gone. What a
// ConsumeBacklog has handed out already stays with its caller; that call then
// finds nothing more. An Overflow that runs meanwhile may leave something.
func (l *Log) DropBacklog(ctx context.Context, sub resource.UID) error {
	b := l.backlogs
	b.mu.Lock()
	s := b.getLocked(sub)
	before := s.writes
	b.mu.Unlock()
	if err := l.purge(ctx, b.queue.stream, jetstream.WithPurgeSubject(s.subject)); err != nil {
		return fmt.Errorf("drop the backlog of %v: %w", sub, err)
	}
	b.forget(sub, s, before)
	s.signal()
	return nil
}

// forget removes s unless something was, or is being, written since writes was
// read; it reports whether it did.
func (b *backlogs) forget(sub resource.UID, s *backlog, writes uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.writing > 0 || s.writes != writes {
		return false
	}
	if b.subs[sub] == s {
		delete(b.subs, sub)
	}
	return true
}

// ConsumeBacklog hands out sub's backlog in order, as fast as Done is called: at
// most 256 records or 8 MiB are out without it. It calls handle from one
// goroutine at a time. It returns nil when nothing is left: each record is done
// and removed, and no Overflow is under way. Otherwise it returns when ctx ends,
// with ctx's error, or the connection is closed; what is out then stays out until
// Done or [Log.Close].
//
// It sees what Overflow adds while it runs. An Overflow that begins just as it
// returns nil is the caller's to see, and this is how: after each Overflow, under
// one lock, start a reader of that subscription unless one is noted as running;
// after nil, under the same lock, read again if [Log.HasBacklog], else note that
// none is running. No interleaving then leaves a backlog without a reader.
func (l *Log) ConsumeBacklog(ctx context.Context, sub resource.UID, handle func(DeliveryBatch)) error {
	b := l.backlogs
	for failing := false; ; failing = true {
		r := backlogReader{backlog: b.get(sub), log: l, sub: sub, handle: handle}
		err := r.run(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isClosed(err):
			return fmt.Errorf("read the backlog of %v: %w", sub, err)
		case !failing && !isGone(err): // once, not four times a second
			l.opts.Logger.Warn("cannot read a backlog, trying again", "subscription", sub, "error", err)
		}
		if !sleep(ctx, recoverDelay) {
			return ctx.Err()
		}
	}
}

// isGone reports whether the consumer was deleted under its reader: another
// node found the backlog drained.
func isGone(err error) bool {
	return errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDoesNotExist) || errors.Is(err, jetstream.ErrNoHeartbeat)
}

// heartbeat is that of every backlog's ledger.
func (b *backlogs) heartbeat(before time.Time) {
	for _, s := range b.all() {
		s.ledger.heartbeat(before)
	}
}

// closeBacklogs gives back what is out, and cuts off what is done: the consumers forget
// it with the process.
func (l *Log) closeBacklogs(ctx context.Context) error {
	var errs []error
	for _, s := range l.backlogs.all() {
		s.ledger.giveBack()
		if s.consumer != nil {
			errs = append(errs, s.ledger.confirm(ctx))
			if err := l.truncateBacklog(ctx, s); err != nil && !isGone(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (b *backlogs) all() []*backlog {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.subs))
}

// truncateBacklog cuts off what is done of one backlog.
func (l *Log) truncateBacklog(ctx context.Context, s *backlog) error {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("read the state of %s: %w", s.subject, err)
	}
	return l.truncateBacklogTo(ctx, s, info.AckFloor.Stream)
}

func (l *Log) truncateBacklogTo(ctx context.Context, s *backlog, floor uint64) error {
	if floor == 0 {
		return nil
	}
	err := l.purge(ctx, l.backlogs.queue.stream, jetstream.WithPurgeSubject(s.subject), jetstream.WithPurgeSequence(floor+1))
	if err != nil {
		return fmt.Errorf("truncate %s: %w", s.subject, err)
	}
	return nil
}
