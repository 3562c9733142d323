package eventlog

import (
	"context"
	"fmt"
	"time"
)

func (l *Log) openDeadLetters(ctx context.Context) error {
	q, err := l.add(ctx, "deadletter", deadLetterStream, deadLetterSubject, deliveryAppender(recordsInFlight), deliveriesInHand)
	if err != nil {
		return err
	}
	l.deadLetters = newLine(l, l.DeadLetter)
	l.deadLetters.sources = []*queue{q}
	return nil
}

// DeadLetter makes deliveries durable in the dead-letter queue and returns when
// they are. Errors and bounds are those of [Log.Retry].
func (l *Log) DeadLetter(ctx context.Context, ds []Delivery) error {
	if len(ds) == 0 {
		return nil
	}
	// The queue is first in, first out: a record is ready with its earliest
	// delivery, and holds up those behind it until then.
	var ready time.Time
	of := make([]*Delivery, len(ds))
	for i := range ds {
		of[i] = &ds[i]
		if i == 0 || ds[i].Due.Before(ready) {
			ready = ds[i].Due
		}
	}
	q := l.deadLetters.sources[0]
	if err := q.appendDeliveries(ctx, q.subject, of, ready); err != nil {
		return fmt.Errorf("store %d dead letters: %w", len(ds), err)
	}
	return nil
}

// ConsumeDeadLetters hands out dead letters when they are Due, in the order
// they were appended: one that is due before those in front of it waits for
// them. Otherwise it is as [Log.ConsumeRetries].
func (l *Log) ConsumeDeadLetters(ctx context.Context, handle func(DeliveryBatch)) error {
	return l.deadLetters.run(ctx, handle)
}
