package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

const (
	// What one ReadSpilled may have out; one message is always allowed.
	spillMessagesOut = 256
	spillBytesOut    = 8 << 20
	// spillReadAhead is how many messages are in memory beside those handed out: one
	// whose subscription's endpoint hangs keeps them there.
	spillReadAhead = 2
	// spillIdle is how long the server keeps the consumer of a subscription that
	// nobody reads.
	spillIdle = 5 * time.Minute
	// spillPoll is how often a subscription with messages out is looked at again,
	// when nothing in this process says that it changed.
	spillPoll = 250 * time.Millisecond
)

// errDrained says that nothing is left of what a subscription has spilled.
var errDrained = errors.New("nothing is left")

// spills has the subscriptions that spilled something since the engine was opened.
type spills struct {
	engine *Engine

	// mu protects the fields below.
	mu   sync.Mutex
	subs map[resource.UID]*spill
}

// spill is one subscription's. It has a consumer only while it is being read.
type spill struct {
	*source
	sub     resource.UID
	changed chan struct{} // cap 1: something was written or settled

	// Protected by spills.mu.
	users   int    // ReadSpilled and DropSpilled under way
	writing int    // moves under way
	writes  uint64 // moves ever
}

// update changes what is known of sub, and returns it.
func (b *spills) update(sub resource.UID, change func(*spill)) *spill {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.subs[sub]
	if !ok {
		s = &spill{sub: sub, changed: make(chan struct{}, 1)}
		s.source = b.engine.newSource(b.engine.deliveries, spillSubject+sub.String(), deliveriesOut, func(int) { s.signal() })
		// Its state need not outlive its server: what is settled is cut off.
		s.config.MemoryStorage, s.config.Replicas, s.config.InactiveThreshold = true, 1, spillIdle
		b.subs[sub] = s
	}
	change(s)
	return s
}

func (b *spills) all() []*spill {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.subs))
}

func (s *spill) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// wait ends when something was settled or written, or after spillPoll.
func (s *spill) wait(ctx context.Context) {
	t := time.NewTimer(spillPoll)
	defer t.Stop()
	select {
	case <-s.changed:
	case <-t.C:
	case <-ctx.Done():
	}
}

// write says that something is being written; what it returns, that it is done.
func (b *spills) write(sub resource.UID) (*spill, func()) {
	s := b.update(sub, func(s *spill) { s.writing, s.writes = s.writing+1, s.writes+1 })
	return s, func() {
		b.update(sub, func(s *spill) { s.writing-- })
		s.signal()
	}
}

// use opens the consumer of sub, and says that it is used until done is called.
func (b *spills) use(ctx context.Context, sub resource.UID) (s *spill, done func(), err error) {
	s = b.update(sub, func(s *spill) { s.users++ })
	return s, func() { b.update(sub, func(s *spill) { s.users-- }); s.signal() }, s.open(ctx)
}

// tidy cuts off what is settled. It reports whether that was all: nothing is left to
// hand out, nothing is out here or at another node, and nothing was written since
// writes was read, which was before the stream was found empty. Then the consumer
// goes, if it has no more users than that.
func (b *spills) tidy(ctx context.Context, s *spill, users int, writes uint64) (empty bool, info *jetstream.ConsumerInfo, err error) {
	if err := s.confirm(ctx); err != nil {
		return false, nil, err
	}
	info, err = s.truncate(ctx)
	if err != nil || info.NumPending > 0 {
		return false, info, err
	}
	// A consumer learns of a new message a moment after its writer.
	switch last, err := s.stream.GetLastMsgForSubject(ctx, s.subject); {
	case err == nil && last.Sequence > info.Delivered.Stream:
		info.NumPending = 1
	case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
		return false, info, err
	}
	if info.NumPending > 0 || info.NumAckPending > 0 {
		return false, info, nil
	}
	alone := false
	b.update(s.sub, func(s *spill) { empty, alone = s.writing == 0 && s.writes == writes, s.users <= users })
	if !empty || !alone {
		return empty, info, nil
	}
	s.setReader(nil)
	if err := s.stream.DeleteConsumer(ctx, info.Name); err != nil && !isGone(err) { // it goes by itself after spillIdle
		b.engine.opts.Logger.Warn("the consumer of an emptied subscription stays for a while", "subscription", s.sub, "error", err)
	}
	return true, info, nil
}

func (b *spills) writesOf(s *spill) (n uint64) {
	b.update(s.sub, func(s *spill) { n = s.writes })
	return n
}

// ReadSpilled implements [engine.Deliveries].
func (e *Engine) ReadSpilled(ctx context.Context, sub resource.UID, handle func([]engine.Pending)) error {
	err := e.read(ctx, func(ctx context.Context) error {
		s, done, err := e.spills.use(ctx, sub)
		defer done()
		if err != nil {
			return err
		}
		return e.handOut(ctx, s.source, func(ctx context.Context) ([]arrival, error) {
			writes := e.spills.writesOf(s)
			messages, _, bytes := s.out()
			if room := spillMessagesOut - messages; room > 0 && (messages == 0 || bytes < spillBytesOut) {
				got, err := s.now(min(room, spillReadAhead))
				if err != nil || len(got) > 0 {
					return got, err
				}
				if messages == 0 {
					if empty, _, err := e.spills.tidy(ctx, s, 1, writes); err != nil || empty {
						return nil, cmp.Or(err, errDrained)
					}
				}
			}
			s.wait(ctx)
			return nil, nil
		}, func(a arrival) {
			if ps := e.unpack(a); len(ps) > 0 {
				handle(ps)
			}
		})
	})
	if errors.Is(err, errDrained) {
		return nil
	}
	return err
}

// unpack returns the deliveries of a message that are not settled.
func (e *Engine) unpack(a arrival) []engine.Pending {
	_, ds, err := decodeFrame(a.Data(), engine.Spilled)
	if err != nil {
		e.unreadable(a, err)
		return nil
	}
	a.held.divide(len(ds), e.notes.take(a.held))
	ps := make([]engine.Pending, 0, len(ds))
	for i, d := range ds {
		if !a.held.isSettled(i) {
			ps = append(ps, engine.Pending{Delivery: d, Ref: engine.Ref{Of: a.held, Index: i}})
		}
	}
	return ps
}

// SpilledBy implements [engine.Deliveries].
func (e *Engine) SpilledBy(ctx context.Context) ([]resource.UID, error) {
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	defer e.writing.Done()
	subjects, err := e.subjects(ctx, spillSubject+"*")
	if err != nil {
		return nil, err
	}
	var subs []resource.UID
	for subject := range subjects {
		sub, err := resource.ParseUID(strings.TrimPrefix(subject, spillSubject))
		if err != nil {
			return nil, fmt.Errorf("list what is spilled: subject %s: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

// DropSpilled implements [engine.Deliveries]. It reads beside a ReadSpilled, which
// then finds nothing more.
func (e *Engine) DropSpilled(ctx context.Context, sub resource.UID, each func(engine.Pending)) error {
	return e.read(ctx, func(ctx context.Context) error {
		s, done, err := e.spills.use(ctx, sub)
		defer done()
		// What a former process had in hand comes when AckWait is over; what another
		// node has in hand does not come.
		until := time.Now().Add(2 * e.opts.AckWait)
		for err == nil && ctx.Err() == nil {
			writes := e.spills.writesOf(s)
			var got []arrival
			got, err = s.now(readAhead)
			err = s.revive(ctx, err)
			for _, a := range got {
				for _, p := range e.unpack(a) {
					each(engine.Pending{Delivery: p.Delivery})
					e.Done(p.Ref)
				}
			}
			if err != nil || len(got) > 0 {
				continue
			}
			empty, info, tidyErr := e.spills.tidy(ctx, s, 1, writes)
			out, _, _ := s.out()
			switch {
			case tidyErr != nil:
				err = s.revive(ctx, tidyErr)
			case empty || info.NumPending == 0 && (info.NumAckPending <= out || time.Now().After(until)):
				return nil
			default:
				sleep(ctx, spillPoll)
			}
		}
		return cmp.Or(err, ctx.Err())
	})
}
