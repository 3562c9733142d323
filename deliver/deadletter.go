package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/blob"
	"github.com/intertie/intertie/eventlog"
)

const (
	// blobItems and blobBytes bound the events of one blob.
	blobItems = 1000
	blobBytes = 4 << 20
	// gravesBytes bounds what all subscriptions have in memory of dead letters.
	gravesBytes = 64 << 20
	// blobLinger is how long a due dead letter waits for company.
	blobLinger = time.Second
	// shortestBlobRetry is how long a store that refused is left alone at least.
	shortestBlobRetry = 30 * time.Second
)

// graves are the due dead letters of one subscription. One goroutine writes
// them, while there are any.
type graves struct {
	full chan struct{}
	// mu protects the fields below.
	mu      sync.Mutex
	waiting []parcel
	bytes   int
	digging bool
}

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
		h := newHold(len(b.Deliveries)+1, b.Done)
		for _, dl := range b.Deliveries {
			if d.deadLetters.room(ctx) != nil {
				return
			}
			l := d.lane(dl.Subscription)
			switch {
			case l == nil:
				d.drop(nil, dl, reasonSubscriptionDeleted)
				h.release()
			case l.sub.Load().DeadLetter == nil:
				d.drop(l, dl, reason(dl.Reason))
				h.release()
			case !l.bury(parcel{dl, h}):
				dl.Due = d.now().Add(shortestBlobRetry)
				d.deadLetters.put(dl, h)
			}
		}
		h.release()
	}
}

// bury takes over a due dead letter, unless two blobs of this subscription are
// waiting already.
func (l *lane) bury(p parcel) bool {
	size := len(p.delivery.Event.JSON) + itemOverhead
	g := &l.graves
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) >= 2*blobItems || g.bytes >= 2*blobBytes || l.d.buried.Load() >= gravesBytes {
		return false
	}
	g.waiting = append(g.waiting, p)
	g.bytes += size
	l.d.buried.Add(int64(size))
	if !g.digging {
		g.digging = true
		l.d.tasks.Go(l.dig)
	}
	if len(g.waiting) >= blobItems || g.bytes >= blobBytes {
		select {
		case g.full <- struct{}{}:
		default:
		}
	}
	return true
}

// dig writes blobs until nothing is waiting.
func (l *lane) dig() {
	stopped := l.d.phases.intake.Done()
	for {
		linger := time.NewTimer(blobLinger)
		select {
		case <-linger.C:
		case <-l.graves.full:
		case <-stopped:
			linger.Stop()
			return // what waits stays in the dead-letter queue
		}
		linger.Stop()
		batch, size := l.graves.take()
		if len(batch) == 0 {
			return
		}
		l.write(l.d.phases.attempts, batch)
		l.d.buried.Add(-int64(size))
	}
}

// take returns the dead letters of the next blob; none means that the digging
// ended.
func (g *graves) take() (batch []parcel, size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for n < len(g.waiting) && n < blobItems && (n == 0 || size < blobBytes) {
		size += len(g.waiting[n].delivery.Event.JSON) + itemOverhead
		n++
	}
	batch = g.waiting[:n:n]
	g.waiting = append([]parcel(nil), g.waiting[n:]...)
	g.bytes -= size
	g.digging = n > 0
	return batch, size
}

// write makes one blob of a batch. If the store refuses, every event of it goes
// back to the queue, or is dropped when the store has refused for too long.
func (l *lane) write(ctx context.Context, batch []parcel) {
	sub := l.sub.Load()
	if sub.DeadLetter == nil {
		for _, p := range batch {
			l.d.drop(l, p.delivery, reason(p.delivery.Reason))
			p.hold.release()
		}
		return
	}
	records := make([][]byte, 0, len(batch))
	recorded := batch[:0]
	for _, p := range batch {
		r, err := deadRecord(p.delivery)
		if err != nil {
			l.logger().Error("dead letter is not an event", slog.Any("error", err))
			l.d.drop(l, p.delivery, reasonDeadLetterFailed)
			p.hold.release()
			continue
		}
		records, recorded = append(records, r), append(recorded, p)
	}
	if len(recorded) == 0 {
		return
	}
	name := blob.Name(sub.Name, l.d.now(), uuid.New())
	bounded, cancel := context.WithTimeout(ctx, l.d.opts.DeadLetterTimeout)
	err := sub.DeadLetter.Store.Put(bounded, sub.DeadLetter.Container, name, blob.Array(records...))
	cancel()
	if err != nil && ctx.Err() != nil {
		return // stopping; all of it stays in the dead-letter queue
	}
	for _, p := range recorded {
		if err == nil {
			l.written(sub, p, name)
		} else {
			l.refused(p, err)
		}
	}
	if err != nil {
		l.logger().Error("dead-letter blob not written", slog.Any("error", fmt.Errorf("write %s: %w", name, err)))
	}
}

func deadRecord(d eventlog.Delivery) ([]byte, error) {
	r, err := blob.AppendRecord(nil, d.Event.JSON, blob.Record{
		Reason: d.Reason, Attempts: d.Attempts,
		Outcome: destination.Outcome(d.LastOutcome), Status: d.LastStatus,
		Published: d.Published, LastAttempt: d.LastAttempt,
	})
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", uuid.UUID(d.ID), err)
	}
	return r, nil
}

func (l *lane) written(sub *Subscription, p parcel, name string) {
	l.metrics.deadLettered(reason(p.delivery.Reason))
	l.d.logger.Info("event dead-lettered",
		slog.String("reason", p.delivery.Reason),
		slog.String("topic", l.metrics.topic), slog.String("subscription", sub.Name),
		slog.String("eventId", p.delivery.Event.ID), slog.String("systemId", uuid.UUID(p.delivery.ID).String()),
		slog.Int("attempts", p.delivery.Attempts), slog.String("blob", name),
	)
	p.hold.release()
}

// refused decides about a dead letter that the store did not take. Patience
// counts from the first due time, but never from before this process started:
// the time a server was down is not the store's fault.
func (l *lane) refused(p parcel, err error) {
	now := l.d.now()
	since := p.delivery.LastAttempt
	if since.IsZero() {
		since = l.sub.Load().lifetime(p.delivery.Published)
	}
	if since = since.Add(l.d.opts.DeadLetterDelay); since.Before(l.d.started) {
		since = l.d.started
	}
	down := now.Sub(since)
	if down >= l.d.opts.DeadLetterPatience || errors.Is(err, blob.ErrName) {
		l.d.drop(l, p.delivery, reasonDeadLetterFailed)
		p.hold.release()
		return
	}
	// The store is left alone for as long as it has been down, but not longer
	// than a fresh dead letter waits: the queue is read in the order written, so
	// a later one would hold up those of others behind it.
	wait := min(max(down, shortestBlobRetry), l.d.opts.DeadLetterDelay, l.d.opts.DeadLetterPatience-down)
	p.delivery.Due = now.Add(wait)
	l.d.deadLetters.put(p.delivery, p.hold)
}
