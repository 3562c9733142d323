package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

const (
	// retriesPerCall is how many retries are written in one call, and
	// retryWriters how many calls are under way.
	retriesPerCall = 4096
	retryWriters   = 4
)

// wait is a kind of retries to be written: the n-th falls due so long after it
// was written.
type wait struct {
	run   uint64
	count int
	delay func(n int) time.Duration
}

// retries writes retries into the log of a server that does not run.
type retries struct {
	log    *eventlog.Log
	epoch  time.Time
	topic  resource.UID
	sub    resource.UID
	event  event.Event // the pattern of all
	idAt   int
	markAt int
}

func newRetries(f *folder, epoch time.Time, topic, sub resource.UID) (*retries, error) {
	r := &retries{epoch: epoch, topic: topic, sub: sub}
	pattern, err := newRequest(Endpoint{URL: "http://127.0.0.1:1/"}, 1)
	if err != nil {
		return nil, err
	}
	body := pattern.wire[len(pattern.wire)-eventSize:]
	events, err := event.Parse(event.Request{ContentType: "application/cloudevents+json", Body: body})
	if err != nil {
		return nil, fmt.Errorf("parse the event to write: %w", err)
	}
	r.event = events[0]
	r.idAt, r.markAt = pattern.ids[0]-len(pattern.wire)+eventSize, pattern.marks[0]-len(pattern.wire)+eventSize
	r.log, err = eventlog.Open(f.engine, eventlog.Options{})
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	return r, nil
}

func (r *retries) close() { r.log.Close() }

// write makes the retries of w durable and returns when they are.
func (r *retries) write(ctx context.Context, w wait) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(retryWriters)
	for from := 0; from < w.count && gctx.Err() == nil; from += retriesPerCall {
		g.Go(func() error {
			var ts []eventlog.Transfer
			for n := from; n < min(from+retriesPerCall, w.count); n++ {
				ts = append(ts, eventlog.Transfer{Delivery: r.delivery(w, n, time.Now())})
			}
			return r.log.Retry(gctx, ts)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("write %d retries: %w", w.count, err)
	}
	return ctx.Err()
}

// delivery is the n-th retry: its sixth attempt was refused now.
func (r *retries) delivery(w wait, n int, now time.Time) eventlog.Delivery {
	m := mark{run: w.run, seq: uint64(n), sent: int64(now.Sub(r.epoch))} //nolint:gosec // an index
	e := r.event
	e.JSON = append([]byte(nil), r.event.JSON...)
	putID(e.JSON[r.idAt:], m)
	putMark(e.JSON[r.markAt:], m)
	e.ID = string(e.JSON[r.idAt : r.idAt+runDigits+1+seqDigits])
	return eventlog.Delivery{
		Entry:        eventlog.Entry{ID: uuid.New(), Topic: r.topic, Published: now, Event: e},
		Subscription: r.sub, Attempts: 6, Due: now.Add(w.delay(n)),
		LastOutcome: "Busy", LastStatus: 503, LastAttempt: now,
	}
}
