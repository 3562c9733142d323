package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/intertie/intertie/engine"
)

// headerCount says how many events a record holds.
const headerCount = "Intertie-Count"

// Append implements [engine.Log].
func (e *Engine) Append(ctx context.Context, data []byte, count int) error {
	if len(data) > engine.MaxRecord {
		return fmt.Errorf("append %d bytes: %w", len(data), engine.ErrTooLarge)
	}
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.writing.Done()
	m := &nats.Msg{Subject: eventSubject, Header: nats.Header{headerCount: {strconv.Itoa(count)}}, Data: data}
	if err := e.publish(ctx, m); err != nil {
		return err
	}
	e.events.wrote(count)
	return nil
}

// Events implements [engine.Log].
func (e *Engine) Events(ctx context.Context, handle func(engine.Record)) error {
	return e.read(ctx, func(ctx context.Context) error {
		return e.handOut(ctx, e.events, func(ctx context.Context) ([]arrival, error) {
			return e.events.next(ctx, readAhead)
		}, func(a arrival) {
			count, err := strconv.Atoi(a.Headers().Get(headerCount))
			if err != nil || count < 0 {
				e.unreadable(a, fmt.Errorf("a record without a number of events: %w", err))
				return
			}
			r := engine.Record{Data: a.Data(), Count: count, Of: a.held}
			settled := e.notes.take(a.held)
			a.held.divide(count, settled)
			if settled != nil {
				r.Settled = make([]bool, count)
				for i := range r.Settled {
					r.Settled[i] = a.held.isSettled(i)
				}
			}
			handle(r)
		})
	})
}

// handOut hands out what next returns until ctx ends or the connection is closed;
// at first what former processes had in hand.
func (e *Engine) handOut(ctx context.Context, s *source, next func(context.Context) ([]arrival, error), hand func(arrival)) error {
	for ctx.Err() == nil {
		take := next
		if !s.ordered {
			take = func(ctx context.Context) ([]arrival, error) { return s.former(ctx, e.opts.AckWait) }
		}
		got, err := take(ctx)
		s.ordered = s.ordered || err == nil && ctx.Err() == nil
		for i, a := range got {
			if ctx.Err() != nil {
				putBack(got[i:])
				break
			}
			hand(a)
		}
		if isClosed(err) || errors.Is(err, errDrained) {
			return err
		}
		if s.revive(ctx, err) != nil {
			sleep(ctx, recoverDelay) // a leader moved, or the connection is lost
		}
	}
	return ctx.Err()
}

// unreadable keeps a message that cannot be read, such as one of a newer program,
// and looks at it again later.
func (e *Engine) unreadable(a arrival, err error) {
	e.opts.Logger.Error("a message cannot be read and is kept", "subject", a.Subject(), "sequence", a.held.seq, "error", err)
	a.held.putBack(unreadableDelay)
}
