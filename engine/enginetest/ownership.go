package enginetest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/intertie/intertie/engine"
)

// throughQueues moves one delivery from queue to queue, each way there is. It is
// in one at a time, with the body it had.
func throughQueues(s *site, end func()) {
	route := []engine.Queue{
		engine.Waiting, engine.Waiting, engine.Spilled, engine.Spilled, engine.DeadLetters,
		engine.DeadLetters, engine.Waiting, engine.DeadLetters, engine.Spilled, engine.Waiting,
	}
	from := s.appendOne(s.events(), "r", 1).ref(0)
	for i, q := range route {
		s.move(s.delivery(q, name("hop", i), from))
		counts := engine.Counts{}
		counts.Deliveries[q] = 1
		s.counts(counts)
		if i%2 == 0 {
			end()
		}
		var b *inbox[parcel]
		if q == engine.Spilled {
			b = s.spilled(sub(0))
		} else {
			b = s.due(q)
		}
		p := b.one()
		for p.head() != name("hop", i) { // what it moved from may come again
			if s.h.Atomic || !s.crashed {
				s.t.Fatalf("got %s of queue %d after hop %d", p.head(), q, i)
			}
			s.Done(p.Ref)
			p = b.one()
		}
		if string(p.Body) != "the body" {
			s.t.Fatalf("the body is %q after hop %d", p.Body, i)
		}
		from = p.Ref
		s.is(b.stop(), context.Canceled)
	}
	s.Done(from)
	s.counts(engine.Counts{})
}

// largestMoves: the largest delivery fits, a larger one is refused and changes no
// owner, and that many together are more than one write is no concern of the
// caller.
func largestMoves(s *site, end func()) {
	b := s.events()
	r := s.appendOne(b, "r", 4)
	sized := func(n int, head string, from engine.Ref) engine.Delivery {
		d := s.delivery(engine.Spilled, head, from)
		d.Body = []byte(strings.Repeat("b", n-len(head)))
		return d
	}
	s.is(s.Move(s.ctx(), []engine.Delivery{
		s.delivery(engine.DeadLetters, "beside", r.ref(1)), sized(engine.MaxRecord+1, "too large", r.ref(0)),
	}), engine.ErrTooLarge)
	if got := s.Counts().Records; got != 1 {
		s.t.Errorf("%d records after a Move was refused", got)
	}
	s.move(sized(engine.MaxRecord, "largest", r.ref(2)))
	s.move(sized(engine.MaxRecord-1, "large-1", r.ref(3)), sized(engine.MaxRecord, "large-2", engine.Ref{}), sized(engine.MaxRecord, "large-3", engine.Ref{}))
	end()
	if got := s.events().one(); got.settled != nil && (got.settled[0] || got.settled[1]) {
		s.t.Errorf("settled by a Move that was refused: %v", got.settled)
	}
	spilled := s.spilled(sub(0))
	for _, want := range []string{"largest", "large-1", "large-2", "large-3"} {
		p := spilled.one()
		if p.head() != want || strings.Trim(string(p.Body), "b") != "" || len(p.Body) < engine.MaxRecord-1-len(want) {
			s.t.Errorf("got %s with %d bytes, want %s", p.head(), len(p.Body), want)
		}
		s.Done(p.Ref)
	}
}

// eachEventOfARecord moves the events of one record at the same time, and ends in
// the midst of it: at every moment each event is the record's, or a delivery's.
func eachEventOfARecord(s *site, end func()) {
	const count = 60
	rng := seeded(3)
	for round := range 5 {
		events := make([]string, count)
		r := s.appendRecord(s.events(), name("round", round), count)
		var returned atomic.Int64
		var moves sync.WaitGroup
		stop, enough := int64(1+rng.IntN(count)), make(chan struct{})
		moved := make([]atomic.Bool, count)
		e, ctx := s.Engine, s.ctx()
		for i := range count {
			events[i] = name(r.data, i)
			d := s.delivery(queue(i%2), events[i], r.ref(i))
			moves.Go(func() {
				moved[i].Store(e.Move(ctx, []engine.Delivery{d}) == nil)
				if returned.Add(1) == stop {
					close(enough)
				}
			})
		}
		<-enough
		before := map[string]bool{}
		for i := range moved {
			before[events[i]] = moved[i].Load()
		}
		end()
		moves.Wait()
		s.eachHasAnOwner(r.data, events, before)
	}
}

// eachHasAnOwner reads what there is, and settles it.
func (s *site) eachHasAnOwner(record string, events []string, moved map[string]bool) {
	s.t.Helper()
	owners, deliveries := map[string]int{}, map[string]bool{}
	last := name("last-of-"+record, 0)
	s.append(last, 1)
	for b := s.events(); ; {
		r := b.one()
		s.Done(r.refs()...)
		if r.data == last {
			break
		}
		if r.data != record {
			continue
		}
		for i, event := range events {
			if r.settled == nil || !r.settled[i] {
				owners[event]++
			}
		}
	}
	for q := range engine.Spilled {
		d := s.delivery(q, last, engine.Ref{})
		d.Due = s.now()
		s.move(d)
		b := s.due(q)
		for p := b.one(); p.head() != last; p = b.one() {
			owners[p.head()]++
			deliveries[p.head()] = true
			s.Done(p.Ref)
		}
	}
	for _, event := range events {
		switch {
		case owners[event] == 0:
			s.t.Errorf("%s belongs to nobody", event)
		case moved[event] && !deliveries[event]:
			s.t.Errorf("%s was moved and is no delivery", event)
		case !s.crashed && owners[event] > 1:
			s.t.Errorf("%s has %d owners after a clean end", event, owners[event])
		}
	}
	s.haltReaders()
}

// appendRecord appends a record and waits for it, whatever else a reader has.
func (s *site) appendRecord(b *inbox[record], data string, count int) record {
	s.t.Helper()
	s.append(data, count)
	for {
		if r := b.one(); r.data == data {
			return r
		}
	}
}
