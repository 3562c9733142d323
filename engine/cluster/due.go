package cluster

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/engine"
)

const (
	// nearWait is how soon a delivery must be due to wait in memory.
	nearWait = 10 * time.Second
	// dueBatch is the most deliveries from memory in one call.
	dueBatch = 512
	// readySoon is how much earlier than it is ready a message is taken.
	readySoon = time.Second
	// lookAgain is how often a sleeping reader looks at the clock, and at what
	// another process had in hand when it died.
	lookAgain = 5 * time.Second
	// clockSlack is how far apart the clocks of two nodes may be.
	clockSlack = 5 * time.Second
	// unreadableDelay is when a message that cannot be read is looked at again.
	unreadableDelay = time.Minute
	// movesWaiting bounds the groups that wait to be moved to another tier; when it
	// is reached nothing more is read.
	movesWaiting = 16
)

// tier is a subject for deliveries that wait at least one delay. Each message in
// it is ready that long after it was written, so the first is the next to be ready.
type tier struct {
	*source
	delay time.Duration
}

// line hands out the deliveries of Waiting or of DeadLetters.
//
// Each tier has a reader, which sleeps until its first message is ready. The
// dispatcher takes the ready messages of all of them: what is due goes to the
// handler, what is due soon waits in one heap, and the rest is moved to the tier
// that fits now.
type line struct {
	engine *Engine
	queue  engine.Queue
	// tiers begin with those that are written to, fits of them, ascending; the
	// first has no delay. Behind them are former ones that still hold something.
	tiers []tier
	fits  int
	near  near
}

// letters is a ready message.
type letters struct {
	held *held
	ds   []engine.Delivery
}

// tierFor returns the place of the longest tier whose delay fits in wait.
func (l *line) tierFor(wait time.Duration) int {
	n := 0
	for n+1 < l.fits && l.tiers[n+1].delay <= wait && wait <= engine.MaxWait {
		n++
	}
	return n
}

// Due implements [engine.Deliveries].
func (e *Engine) Due(ctx context.Context, q engine.Queue, handle func([]engine.Pending)) error {
	if int(q) >= len(e.lines) {
		return fmt.Errorf("nothing is due in queue %d", q)
	}
	return e.read(ctx, func(ctx context.Context) error { return e.lines[q].run(ctx, handle) })
}

func (l *line) run(ctx context.Context, handle func([]engine.Pending)) error {
	g, ctx := errgroup.WithContext(ctx)
	ready := make(chan letters)
	started := make(chan struct{})
	moves := make(chan []engine.Delivery, movesWaiting)
	for i := range l.tiers {
		g.Go(func() error { return l.follow(ctx, &l.tiers[i], ready, started) })
	}
	var unmoved []engine.Delivery
	g.Go(func() error {
		unmoved = l.move(ctx, moves)
		return ctx.Err()
	})
	g.Go(func() error { return l.dispatch(ctx, ready, started, moves, handle) })
	err := g.Wait()
	// What is in hand stays, for the next call.
	close(moves)
	l.keep(unmoved)
	for ds := range moves {
		l.keep(ds)
	}
	return err
}

func (l *line) keep(ds []engine.Delivery) {
	for _, d := range ds {
		l.near.push(d)
	}
}

// dispatch owns the heap and is the only caller of handle. It begins when each
// reader has taken what is ready already, so that the earliest comes first.
func (l *line) dispatch(ctx context.Context, ready <-chan letters, started <-chan struct{}, moves chan<- []engine.Delivery, handle func([]engine.Pending)) error {
	alarm := time.NewTimer(lookAgain)
	defer alarm.Stop()
	for starting := len(l.tiers); ctx.Err() == nil; {
		now, wait, in := l.engine.opts.Now(), lookAgain, ready
		if l.near.full() {
			starting, in = 0, nil // until some of it is due, at most nearWait from now
		}
		if starting <= 0 {
			if ps := l.near.due(now, dueBatch); len(ps) > 0 {
				handle(ps)
				continue
			}
			if next, ok := l.near.next(); ok {
				wait = min(wait, next.Sub(now))
			}
		}
		alarm.Reset(wait)
		select {
		case m := <-in:
			l.sort(ctx, m, moves)
		case <-started:
			starting--
		case <-alarm.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// sort deals with one ready message.
func (l *line) sort(ctx context.Context, m letters, moves chan<- []engine.Delivery) {
	now := l.engine.opts.Now()
	var later []engine.Delivery
	for i, d := range m.ds {
		d.From = engine.Ref{Of: m.held, Index: i}
		switch wait := d.Due.Sub(now); {
		case m.held.isSettled(i):
		case l.tierFor(wait) == 0 || wait <= nearWait && l.near.roomy():
			l.near.push(d)
		default:
			later = append(later, d)
		}
	}
	if len(later) == 0 {
		return
	}
	select {
	case moves <- later:
	case <-ctx.Done():
		l.keep(later)
	}
}

// move moves deliveries to where they fit, until ctx ends; then it returns what it
// has not moved.
func (l *line) move(ctx context.Context, moves <-chan []engine.Delivery) []engine.Delivery {
	for {
		select {
		case ds := <-moves:
			for l.engine.move(ctx, ds) != nil {
				if !sleep(ctx, recoverDelay) {
					return ds
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// follow feeds the messages of one tier to the dispatcher as they become ready. A
// message that is not goes back to the server, and the reader sleeps until then:
// nothing behind it is ready sooner. What another process had in hand when it died
// comes from elsewhere, so it looks again every few seconds.
func (l *line) follow(ctx context.Context, t *tier, ready chan<- letters, started chan<- struct{}) error {
	err := l.begin(ctx, t, ready)
	select {
	case started <- struct{}{}:
	case <-ctx.Done():
	}
	for n := readAhead; ctx.Err() == nil; {
		if isClosed(err) {
			return fmt.Errorf("read %s: %w", t.subject, err)
		}
		if t.revive(ctx, err) != nil {
			sleep(ctx, recoverDelay) // a leader moved, or the connection is lost
		}
		var got []arrival
		got, err = t.next(ctx, n)
		passed, wake := l.pass(ctx, t, got, ready)
		if n = readAhead; !passed && len(got) > 0 {
			sleep(ctx, min(wake-readySoon/2, lookAgain))
			n = 2 // most likely the same again, and nothing else
		}
	}
	return ctx.Err()
}

// begin takes what former processes had in hand, and what is ready already.
func (l *line) begin(ctx context.Context, t *tier, ready chan<- letters) error {
	if !t.ordered {
		got, err := t.former(ctx, l.engine.opts.AckWait)
		l.pass(ctx, t, got, ready)
		if err != nil {
			return err
		}
		t.ordered = true
	}
	for ctx.Err() == nil {
		got, err := t.now(readAhead)
		if passed, _ := l.pass(ctx, t, got, ready); err != nil || !passed {
			return err
		}
	}
	return ctx.Err()
}

// pass hands those of got that are ready to the dispatcher, and says whether there
// were any, or else how soon there will be.
func (l *line) pass(ctx context.Context, t *tier, got []arrival, out chan<- letters) (passed bool, wake time.Duration) {
	wake = lookAgain
	for _, a := range got {
		ready, ds, err := decodeFrame(a.Data(), l.queue)
		if err != nil {
			l.engine.unreadable(a, err)
			continue
		}
		wait := ready.Sub(l.engine.opts.Now())
		// One that is ready later than any can be was written under another clock.
		if wait > readySoon && wait <= t.delay+clockSlack || ctx.Err() != nil {
			wake = min(wake, wait)
			a.held.putBack(0)
			continue
		}
		passed = true
		a.held.divide(len(ds), l.engine.notes.take(a.held))
		select {
		case out <- letters{a.held, ds}:
		case <-ctx.Done():
			a.held.putBack(0)
		}
	}
	return passed, wake
}
