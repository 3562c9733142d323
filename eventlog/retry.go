package eventlog

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// tier is the stream of the deliveries that wait at least one delay. Every
// record in it is ready that long after it was written, so the first record is
// the next to be ready, and one sleeping reader serves any number of them.
type tier struct {
	delay time.Duration
	queue *queue
}

func (l *Log) openRetries(ctx context.Context) error {
	l.retries = newLine(l, l.placeRetries)
	if len(l.opts.Tiers) > 0 {
		l.retries.shortest = l.opts.Tiers[0]
	}
	known := map[time.Duration]bool{0: true}
	delays := []time.Duration{0}
	for _, d := range l.opts.Tiers {
		known[d] = true
		delays = append(delays, d)
	}
	for _, d := range delays {
		t, err := l.openTier(ctx, d)
		if err != nil {
			return err
		}
		l.tiers = append(l.tiers, t)
		l.retries.sources = append(l.retries.sources, t.queue)
	}
	orphans, err := l.orphanTiers(ctx, known)
	if err != nil {
		return err
	}
	for _, d := range orphans {
		t, err := l.openTier(ctx, d)
		if err != nil {
			return err
		}
		l.retries.sources = append(l.retries.sources, t.queue) // read, never written
	}
	return nil
}

func (l *Log) openTier(ctx context.Context, delay time.Duration) (*tier, error) {
	ms := strconv.FormatInt(delay.Milliseconds(), 10)
	q, err := l.add(ctx, "retry_"+delay.String(), retryStream+ms, retrySubject+ms, deliveryAppender(recordsInFlight), deliveriesInHand)
	return &tier{delay: delay, queue: q}, err
}

func deliveryAppender(inFlight int) appenderOptions {
	return appenderOptions{
		kind:        deliveryRecord,
		recordBytes: recordBytes, recordEntries: recordEntries,
		waitingBytes: waitingBytes, inFlight: inFlight,
	}
}

// Retry makes deliveries durable until they are Due, and returns when they are.
// After an error some of them may be durable and will be handed out, so the
// caller must not call Done on what owned them before. At most 16 MiB per tier
// are under way; a call beyond that blocks until there is room or ctx ends. With
// [ErrNoSpace] the disk has no room even for this: try again later.
func (l *Log) Retry(ctx context.Context, ds []Delivery) error {
	return l.placeRetries(ctx, ds)
}

// placeRetries appends each delivery to the tier with the longest delay that is
// not past its due time.
func (l *Log) placeRetries(ctx context.Context, ds []Delivery) error {
	now := l.opts.Now()
	byTier := make([][]*Delivery, len(l.tiers))
	for i := range ds {
		n := l.tierFor(ds[i].Due.Sub(now))
		byTier[n] = append(byTier[n], &ds[i])
	}
	g, ctx := errgroup.WithContext(ctx)
	for n, of := range byTier {
		if len(of) == 0 {
			continue
		}
		t := l.tiers[n]
		ready := time.Time{} // in the first tier: read at once
		if t.delay > 0 {
			ready = now.Add(t.delay)
		}
		g.Go(func() error {
			if err := t.queue.appendDeliveries(ctx, t.queue.subject, of, ready); err != nil {
				return fmt.Errorf("store %d retries: %w", len(of), err)
			}
			return nil
		})
	}
	return g.Wait()
}

// tierFor returns the index of the longest tier whose delay fits in wait.
func (l *Log) tierFor(wait time.Duration) int {
	n := 0
	for n+1 < len(l.tiers) && l.tiers[n+1].delay <= wait {
		n++
	}
	return n
}

// appendDeliveries appends ds in their order, in calls that fit a record. The
// next call waits for the one before, so an error leaves a prefix durable.
func (q *queue) appendDeliveries(ctx context.Context, subject string, ds []*Delivery, ready time.Time) error {
	for len(ds) > 0 {
		n, size := 0, 0
		for n < len(ds) && n < recordEntries {
			s := deliverySize(ds[n])
			if n > 0 && size+s > recordBytes {
				break
			}
			size += s
			n++
		}
		call := ds[:n]
		err := q.appender.append(ctx, subject, n, size, ready, func(b []byte) []byte {
			for _, d := range call {
				b = appendDelivery(b, d)
			}
			return b
		})
		if err != nil {
			return err
		}
		ds = ds[n:]
	}
	return nil
}

// ConsumeRetries hands out the deliveries that are due: never before, and late
// by no more than the work in front of them takes. A batch may gather deliveries
// of many subscriptions. It calls handle from one goroutine at a time and blocks
// until ctx ends, whose error it returns, or the connection is closed.
//
// At most 1024 records per tier can be out without Done; then that tier stands
// still. A batch that is out stays out when ConsumeRetries returns, until Done
// or [Log.Close].
func (l *Log) ConsumeRetries(ctx context.Context, handle func(DeliveryBatch)) error {
	return l.retries.run(ctx, handle)
}
