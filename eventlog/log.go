package eventlog

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// The errors of an engine that callers tell apart.
var (
	// ErrNoSpace says that there is no room on disk. Nothing was written, unless the
	// error wraps [ErrUnconfirmed] as well.
	ErrNoSpace = engine.ErrNoSpace
	// ErrClosed says that the log was closed; nothing was written.
	ErrClosed = engine.ErrClosed
	// ErrTooLarge says that a call does not fit one record; nothing was written.
	ErrTooLarge = engine.ErrTooLarge
	// ErrUnconfirmed says that what was appended may or may not be durable.
	ErrUnconfirmed = engine.ErrUnconfirmed
)

// Options of a log. The zero value works.
type Options struct {
	// Logger is told about records that cannot be read; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics; nil keeps them to ourselves.
	Registerer prometheus.Registerer
	// Ledger is told what is kept; nil counts nothing.
	Ledger *Ledger
}

// Log is the open event log. Its methods are safe for concurrent use, but each
// Consume method, and ConsumeBacklog of one subscription, may run once at a time.
type Log struct {
	engine   engine.Engine
	logger   *slog.Logger
	met      *metrics
	appender *appender
	ledger   *Ledger
	ours     bool // what is appended here is handed out here
	undo     func()
}

// Open opens the log that e keeps, which stays the caller's: call [Log.Close]
// before it is closed.
func Open(e engine.Engine, o Options) (*Log, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{engine: e, logger: o.Logger, met: newMetrics(e), ledger: o.Ledger, undo: func() {}}
	if l.ledger != nil {
		held := e.Held()
		l.ledger.begin(held)
		l.ours = held != nil
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(l.met); err != nil {
			return nil, fmt.Errorf("register the event log's metrics: %w", err)
		}
		l.undo = func() { o.Registerer.Unregister(l.met) }
	}
	l.appender = newAppender(e, l.met)
	return l, nil
}

// Close commits what is being appended and refuses what comes later with
// [ErrClosed]. End the Consume methods first. Further calls do nothing.
func (l *Log) Close() {
	l.appender.close()
	l.undo()
}

// Append makes entries durable, all of them or none, and returns when they are:
// nil means synced to disk, or stored by a quorum of the cluster. Entries of
// one call stay together and in order.
//
// Concurrent calls share records and syncs. At most 32 MiB of calls are under
// way; a call beyond that blocks until there is room. When ctx ends first the
// error is ctx's, and the entries may or may not become durable; the same holds
// for every error that wraps [ErrUnconfirmed]. After any other error nothing was
// written. [ErrNoSpace] comes at once when the disk is close to full. Entries are
// not kept after Append returns.
func (l *Log) Append(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := l.engine.Room(); err != nil {
		return fmt.Errorf("append events: %w", err)
	}
	size := 0
	for i := range entries {
		size += entrySize(&entries[i])
	}
	var as []arrival
	if l.ours {
		as = l.ledger.arriving(entries)
	}
	return l.appender.append(ctx, len(entries), size, as, func(b []byte) []byte {
		for i := range entries {
			b = appendEntry(b, &entries[i])
		}
		return b
	})
}

// ConsumeEvents hands out appended events, each record once, in the order they
// were committed, first those that were handed out before a crash and not settled.
// It calls handle from one goroutine at a time and blocks until ctx ends, whose
// error it returns, or the log is closed or has failed. What is out stays out when
// it returns.
func (l *Log) ConsumeEvents(ctx context.Context, handle func(EventBatch)) error {
	return l.engine.Events(ctx, func(r engine.Record) {
		entries, err := decodeEvents(r.Data, r.Count)
		if err != nil {
			l.unreadable("events", err)
			return
		}
		refs := make([]engine.Ref, 0, len(entries))
		for i := range entries {
			if r.Settled == nil || !r.Settled[i] {
				entries[len(refs)] = entries[i]
				refs = append(refs, engine.Ref{Of: r.Of, Index: i})
			}
		}
		b := NewEventBatch(l.engine, entries[:len(refs)], refs)
		b.batch.keeps = l.ledger.transiting(b.Entries, r.Ours && l.ours)
		handle(b)
	})
}

// Retry makes deliveries durable until they are Due, settles what owned them before
// as far as no share of it is left, and returns when both are. After an error the
// shares are still the caller's, and some of the deliveries may be durable and will
// be handed out too. With [ErrNoSpace] the disk has no room even for this: try again
// later.
func (l *Log) Retry(ctx context.Context, ts []Transfer) error {
	return l.move(ctx, engine.Waiting, ts)
}

// DeadLetter makes deliveries durable among the dead letters. It is as [Log.Retry].
func (l *Log) DeadLetter(ctx context.Context, ts []Transfer) error {
	return l.move(ctx, engine.DeadLetters, ts)
}

// Overflow makes deliveries durable behind what the subscription's backlog already
// holds. Due is ignored. Otherwise it is as [Log.Retry].
func (l *Log) Overflow(ctx context.Context, sub resource.UID, ts []Transfer) error {
	for i := range ts {
		if ts[i].Delivery.Subscription != sub {
			return fmt.Errorf("a delivery to %s does not belong into the backlog of %s", ts[i].Delivery.Subscription, sub)
		}
	}
	return l.move(ctx, engine.Spilled, ts)
}

func (l *Log) move(ctx context.Context, q engine.Queue, ts []Transfer) error {
	if len(ts) == 0 {
		return nil
	}
	shares := make(map[*Claim]int64, len(ts))
	for i := range ts {
		shares[ts[i].Claim]++
	}
	delete(shares, nil)
	ds := make([]engine.Delivery, len(ts))
	size := 0
	for i := range ts {
		size += deliverySize(&ts[i].Delivery)
	}
	buf := make([]byte, 0, size)
	for i := range ts {
		d, c := &ts[i].Delivery, ts[i].Claim
		ds[i] = engine.Delivery{Queue: q, Subscription: d.Subscription, Due: d.Due}
		buf, ds[i].Head, ds[i].Body = encodeDelivery(buf, d)
		if l.settles(c, shares[c]) {
			ds[i].From = c.ref
		}
	}
	if err := l.engine.Move(ctx, ds); err != nil {
		return fmt.Errorf("store %d deliveries (%s): %w", len(ds), queueNames[q], err)
	}
	l.met.moved(q, len(ds), len(buf))
	l.ledger.moved(ds)
	for i := range ds {
		c := ts[i].Claim
		n, ok := shares[c]
		if !ok {
			continue
		}
		delete(shares, c)
		if c.shares.Add(-n) == 0 {
			c.end(ds[i].From.Of != nil)
		}
	}
	return nil
}

// settles reports whether n shares are all that a claim of this log has: then the
// write that moves them settles it. A claim that has more may have less at any
// moment, but never the other way round: who adds some has one.
func (l *Log) settles(c *Claim, n int64) bool {
	return c != nil && c.of != nil && c.shares.Load() == n
}

// ConsumeRetries hands out the deliveries that are due: never before, and late
// by no more than the work in front of them takes. A batch may gather deliveries
// of many subscriptions. Otherwise it is as [Log.ConsumeEvents].
func (l *Log) ConsumeRetries(ctx context.Context, handle func(DeliveryBatch)) error {
	return l.engine.Due(ctx, engine.Waiting, l.deliveries(engine.Waiting, handle))
}

// ConsumeDeadLetters hands out dead letters when they are Due. It is as
// [Log.ConsumeRetries].
func (l *Log) ConsumeDeadLetters(ctx context.Context, handle func(DeliveryBatch)) error {
	return l.engine.Due(ctx, engine.DeadLetters, l.deliveries(engine.DeadLetters, handle))
}

// ConsumeBacklog hands out sub's backlog in order, as fast as its claims end: about
// 8 MiB may be out. It returns nil when nothing is left: all is settled, and no
// Overflow is under way. Its handler may block for as long as it likes.
//
// It sees what Overflow adds while it runs. An Overflow that begins just as it
// returns nil is the caller's to see.
func (l *Log) ConsumeBacklog(ctx context.Context, sub resource.UID, handle func(DeliveryBatch)) error {
	return l.engine.ReadSpilled(ctx, sub, l.deliveries(engine.Spilled, handle))
}

// Backlogs returns the subscriptions that have one, in no order.
func (l *Log) Backlogs(ctx context.Context) ([]resource.UID, error) { return l.engine.SpilledBy(ctx) }

// DropBacklog removes sub's backlog, for a subscription that is gone, and calls each
// with every delivery that goes. What a ConsumeBacklog has handed out already stays
// with its caller. After an error each may have been called for some.
func (l *Log) DropBacklog(ctx context.Context, sub resource.UID, each func(Delivery)) error {
	return l.engine.DropSpilled(ctx, sub, func(p engine.Pending) {
		l.ledger.settled(sub, sizeKept(&p.Delivery))
		d, err := decodeDelivery(&p.Delivery)
		if err != nil {
			l.logger.Error("a record cannot be read and goes with its backlog", "subscription", sub, "error", err)
			d.Subscription = sub
		}
		each(d)
	})
}

// deliveries makes what an engine hands out into batches.
func (l *Log) deliveries(q engine.Queue, handle func(DeliveryBatch)) func([]engine.Pending) {
	return func(ps []engine.Pending) {
		ds, refs := make([]Delivery, 0, len(ps)), make([]engine.Ref, 0, len(ps))
		keeps := make([]keep, 0, len(ps))
		for i := range ps {
			d, err := decodeDelivery(&ps[i].Delivery)
			if err != nil {
				l.unreadable(queueNames[q], err)
				continue
			}
			ds, refs, keeps = append(ds, d), append(refs, ps[i].Ref), append(keeps, keepOf(&ps[i].Delivery))
		}
		if len(ds) == 0 {
			return
		}
		b := NewDeliveryBatch(l.engine, ds, refs)
		b.batch.ledger, b.batch.keeps = l.ledger, keeps
		handle(b)
	}
}

// unreadable keeps what cannot be read: it stays out, and the next start finds it
// again.
func (l *Log) unreadable(queue string, err error) {
	l.met.unreadable.WithLabelValues(queue).Inc()
	l.logger.Error("a record cannot be read and is kept", "queue", queue, "error", err)
}
