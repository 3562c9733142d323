package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// A message takes deliveries until it has messageBytes or messageParts; a larger
// delivery has one to itself.
const (
	messageBytes = 256 << 10
	messageParts = 512
)

// address is where deliveries go: a tier of a queue, or what a subscription has
// spilled.
type address struct {
	queue engine.Queue
	tier  int
	sub   resource.UID
}

// Move implements [engine.Deliveries]. Each address gets messages of its own, so it
// is not one write: after a crash in the midst of it a delivery may be in its queue
// and what it is from be handed out again.
func (e *Engine) Move(ctx context.Context, ds []engine.Delivery) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.writing.Done()
	return e.move(ctx, ds)
}

func (e *Engine) move(ctx context.Context, ds []engine.Delivery) error {
	now := e.opts.Now()
	parcels := make(map[address][]*engine.Delivery)
	for i := range ds {
		d := &ds[i]
		to := address{queue: d.Queue}
		switch {
		case len(d.Head)+len(d.Body) > engine.MaxRecord:
			return fmt.Errorf("move a delivery of %d bytes: %w", len(d.Head)+len(d.Body), engine.ErrTooLarge)
		case d.Queue == engine.Spilled:
			to.sub = d.Subscription
		default:
			to.tier = e.lines[d.Queue].tierFor(d.Due.Sub(now))
		}
		parcels[to] = append(parcels[to], d)
	}
	g, within := errgroup.WithContext(ctx)
	for to, some := range parcels {
		g.Go(func() error {
			if to.queue == engine.Spilled {
				s, done := e.spills.write(to.sub)
				defer done()
				return e.send(within, s.source, time.Time{}, some)
			}
			t := e.lines[to.queue].tiers[to.tier]
			return e.send(within, t.source, now.Add(t.delay), some)
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("move %d deliveries: %w", len(ds), err)
	}
	for i := range ds {
		e.Done(ds[i].From)
	}
	return nil
}

// send stores ds, in their order. A message waits for the one before, so an error
// leaves the first ones stored.
func (e *Engine) send(ctx context.Context, to *source, ready time.Time, ds []*engine.Delivery) error {
	for len(ds) > 0 {
		n, size := 0, frameHead
		for n < len(ds) && n < messageParts && (n == 0 || size+frameSize(ds[n]) <= messageBytes) {
			size += frameSize(ds[n])
			n++
		}
		m := &nats.Msg{Subject: to.subject, Header: nats.Header{}, Data: appendFrame(make([]byte, 0, size), ready, ds[:n])}
		if err := e.publish(ctx, m); err != nil {
			return err
		}
		to.wrote(n)
		ds = ds[n:]
	}
	return nil
}
