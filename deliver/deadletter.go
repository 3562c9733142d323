package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/blob"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
)

// deadLetterDue is when an event that is given up now is to be written.
func (d *Dispatcher) deadLetterDue(dl eventlog.Delivery, now time.Time) time.Time {
	if due := dl.LastAttempt.Add(d.opts.DeadLetterDelay); !dl.LastAttempt.IsZero() && due.After(now) {
		return due
	}
	return now
}

// dueDeadLetters returns the handler of dead letters that are to be written. It
// never waits for a store.
func (d *Dispatcher) dueDeadLetters(ctx context.Context) func(eventlog.DeliveryBatch) {
	return func(b eventlog.DeliveryBatch) {
		now := d.now()
		for i, dl := range b.Deliveries {
			if d.deadLetters.room(ctx) != nil {
				return
			}
			l, p := d.lane(dl.Subscription), eventlog.Transfer{Delivery: dl, Claim: &b.Claims[i]}
			switch {
			case l == nil:
				d.drop(nil, dl, reasonSubscriptionDeleted)
				p.Claim.Release()
			case l.tookLate(dl.ID):
				l.deliveredLate(p.Claim)
				l.undead()
			case l.parked():
				p.Delivery.Due = now.Add(d.opts.DeadLetterDelay)
				d.deadLetters.put(p.Delivery, p.Claim)
			case l.sub.Load().DeadLetter == nil:
				l.lose(p, reason(dl.Reason))
			case !l.bury(p, now):
				l.later(p, now)
			}
		}
	}
}

// undead counts a dead letter that does not wait any more. One of a former
// process was never counted.
func (l *lane) undead() {
	for {
		n := l.dead.Load()
		if n <= 0 || l.dead.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// lose drops a dead letter.
func (l *lane) lose(p eventlog.Transfer, why reason) {
	l.d.drop(l, p.Delivery, why)
	l.undead()
	p.Claim.Release()
}

// later returns a dead letter to the queue that cannot be written now, or drops
// it when its store has refused for too long.
func (l *lane) later(p eventlog.Transfer, now time.Time) {
	due, refusing := l.graves.next(now)
	if refusing {
		end := l.patienceEnds(p.Delivery)
		if !now.Before(end) {
			l.lose(p, reasonDeadLetterFailed)
			return
		}
		if end.Before(due) {
			due = end
		}
	}
	// Never later than a fresh one: see graves.refused.
	p.Delivery.Due = now.Add(min(due.Sub(now), l.d.opts.DeadLetterDelay))
	l.d.deadLetters.put(p.Delivery, p.Claim)
}

// patienceEnds is when a dead letter is dropped that its store refuses. Patience
// begins with the first due time, but never before this process started: the
// time a server was down is not the store's fault.
func (l *lane) patienceEnds(d eventlog.Delivery) time.Time {
	since := d.LastAttempt
	if since.IsZero() {
		since = l.sub.Load().lifetime(d.Published)
	}
	if since = since.Add(l.d.opts.DeadLetterDelay); since.Before(l.d.started) {
		since = l.d.started
	}
	end := since.Add(l.d.opts.DeadLetterPatience)
	if now := l.d.now(); !now.Before(end) && l.d.opts.Doubted() {
		return now.Add(l.d.opts.DeadLetterPatience)
	}
	return end
}

// write makes one blob of a batch. If the store refuses, every event of it goes
// back to the queue, or is dropped when the store has refused for too long.
func (l *lane) write(ctx context.Context, batch []eventlog.Transfer) {
	sub, now := l.sub.Load(), l.d.now()
	switch {
	case sub.DeadLetter == nil:
		l.graves.wrote()
		for _, p := range batch {
			l.lose(p, reason(p.Delivery.Reason))
		}
		return
	case l.graves.leftAlone(now): // it refused the blob before this one
		for _, p := range batch {
			l.later(p, now)
		}
		return
	}
	records := make([][]byte, 0, len(batch))
	recorded := batch[:0]
	for _, p := range batch {
		r, err := deadRecord(p.Delivery, sub.DeadLetter.Schema)
		if err != nil {
			l.logger().Error("dead letter cannot be written in its schema", slog.Any("error", err))
			l.lose(p, reasonDeadLetterFailed)
			continue
		}
		records, recorded = append(records, r), append(recorded, p)
	}
	if len(recorded) == 0 {
		l.graves.wrote()
		return
	}
	name := blob.Name(sub.Name, now, uuid.New())
	bounded, cancel := context.WithTimeout(ctx, l.d.opts.DeadLetterTimeout)
	err := sub.DeadLetter.Store.Put(bounded, sub.DeadLetter.Container, name, blob.Array(records...))
	cancel()
	switch {
	case err == nil:
		l.graves.wrote()
		for _, p := range recorded {
			l.written(sub, p, name)
		}
		return
	case ctx.Err() != nil:
		return // stopping; all of it stays in the dead-letter queue
	case errors.Is(err, blob.ErrName), errors.Is(err, blob.ErrMissing):
		// There is no such place, nor will time make one.
		l.graves.wrote()
		for _, p := range recorded {
			l.lose(p, reasonDeadLetterMissing)
		}
	default:
		now = l.d.now()
		l.graves.refused(now, l.d.opts.DeadLetterDelay)
		for _, p := range recorded {
			l.later(p, now)
		}
	}
	l.logger().Error("dead-letter blob not written",
		slog.Int("events", len(recorded)), slog.Any("error", fmt.Errorf("write %s: %w", name, err)))
}

func deadRecord(d eventlog.Delivery, as event.Schema) ([]byte, error) {
	r, err := blob.AppendRecord(nil, &d.Event, as, blob.Record{
		Reason: d.Reason, Attempts: d.Attempts,
		Outcome: destination.Outcome(d.LastOutcome), Status: d.LastStatus,
		Published: d.Published, LastAttempt: d.LastAttempt,
	})
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", uuid.UUID(d.ID), err)
	}
	return r, nil
}

func (l *lane) written(sub *Subscription, p eventlog.Transfer, name string) {
	l.metrics.deadLettered(reason(p.Delivery.Reason))
	l.d.logger.Info("event dead-lettered",
		slog.String("reason", p.Delivery.Reason),
		slog.String("topic", l.metrics.topic), slog.String("subscription", sub.Name),
		slog.String("eventId", p.Delivery.Event.ID), slog.String("systemId", uuid.UUID(p.Delivery.ID).String()),
		slog.Int("attempts", p.Delivery.Attempts), slog.String("blob", name),
	)
	l.undead()
	p.Claim.Release()
}
