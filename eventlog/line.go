package eventlog

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// nearWait is how soon a delivery must be due to wait in memory.
	nearWait = 10 * time.Second
	// dueBatch is the most deliveries from memory in one batch.
	dueBatch = 512
	// rewritesWaiting bounds the groups that wait to be written to another
	// tier; when it is reached nothing more is read.
	rewritesWaiting = 16
)

// line hands out deliveries when they are due, from any number of queues.
//
// Each queue has a reader, which sleeps until its first record is ready. The
// dispatcher takes the ready records of all of them: what is due goes to the
// handler, what is due soon waits in one heap, and the rest is written again to
// where it fits. A record is done when every part of it is.
type line struct {
	log     *Log
	sources []*queue
	// place writes deliveries again.
	place func(context.Context, []Delivery) error
	// shortest is the least wait that place can take off memory; 0 means that
	// it takes any.
	shortest time.Duration
	bounds   nearBounds
}

// arrival is a ready record.
type arrival struct {
	held       *held
	deliveries []Delivery
}

// rewrite is what is left of a record and not due soon.
type rewrite struct {
	held       *held
	deliveries []Delivery
}

func newLine(l *Log, place func(context.Context, []Delivery) error) *line {
	return &line{log: l, place: place, bounds: nearBounds{items: 16384, bytes: 32 << 20}}
}

func (n *line) run(ctx context.Context, handle func(DeliveryBatch)) error {
	g, ctx := errgroup.WithContext(ctx)
	ready := make(chan arrival)
	rewrites := make(chan rewrite, rewritesWaiting)
	for _, q := range n.sources {
		r := newTierReader(n.log, q)
		g.Go(func() error { return r.run(ctx, ready) })
	}
	g.Go(func() error { return n.rewrite(ctx, rewrites) })
	g.Go(func() error { return n.dispatch(ctx, ready, rewrites, handle) })
	err := g.Wait()
	close(rewrites)
	for r := range rewrites {
		r.held.putBack(0)
	}
	return err
}

// dispatch owns the heap and is the only caller of handle.
func (n *line) dispatch(ctx context.Context, ready <-chan arrival, rewrites chan<- rewrite, handle func(DeliveryBatch)) error {
	near := nearHeap{bounds: n.bounds}
	defer near.giveBack()
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for ctx.Err() == nil {
		if batch, ok := near.due(n.log.opts.Now(), dueBatch); ok {
			handle(batch)
			continue
		}
		in := ready
		if near.full() {
			in = nil // until some of it is due, at most nearWait from now
		}
		wait := time.Hour
		if next, ok := near.next(); ok {
			wait = next.Sub(n.log.opts.Now())
		}
		alarm.Reset(wait)
		select {
		case a := <-in:
			n.sort(ctx, a, &near, rewrites, handle)
		case <-alarm.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// sort deals with one ready record.
func (n *line) sort(ctx context.Context, a arrival, near *nearHeap, rewrites chan<- rewrite, handle func(DeliveryBatch)) {
	defer a.held.release() // the reader's part
	now := n.log.opts.Now()
	var due, later []Delivery
	for _, d := range a.deliveries {
		switch wait := d.Due.Sub(now); {
		case wait <= 0:
			due = append(due, d)
		case wait < n.shortest || wait <= nearWait && near.roomy():
			a.held.add(1)
			near.push(d, a.held)
		default:
			later = append(later, d)
		}
	}
	if len(later) > 0 {
		a.held.add(1)
		select {
		case rewrites <- rewrite{a.held, later}:
		case <-ctx.Done():
			a.held.putBack(0)
			return
		}
	}
	if len(due) > 0 {
		a.held.add(1)
		handle(DeliveryBatch{Deliveries: due, Done: a.held.done()})
	}
}

// rewrite writes what is left of records to where it fits, until ctx ends. What
// it cannot write is still owned by its record.
func (n *line) rewrite(ctx context.Context, rewrites <-chan rewrite) error {
	for {
		select {
		case r := <-rewrites:
			for n.place(ctx, r.deliveries) != nil {
				if !sleep(ctx, recoverDelay) {
					r.held.putBack(0)
					return ctx.Err()
				}
			}
			r.held.release()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
