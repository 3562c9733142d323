package enginetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// moving tests what Move promises.
var moving = []check{
	{"FromEvents", bothEndings(func(s *site, end func()) {
		r := s.appendOne(s.events(), "r", 4)
		s.move(
			s.delivery(engine.Waiting, "w", r.ref(0)),
			s.delivery(engine.DeadLetters, "d", r.ref(1)),
			s.delivery(engine.Spilled, "s", r.ref(2)),
		)
		s.counts(engine.Counts{Records: 1, Deliveries: [engine.Queues]int64{1, 1, 1}})
		s.move(s.delivery(engine.Spilled, "s2", r.ref(3)))
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{1, 1, 2}})
		end()
		s.heads(map[engine.Queue][]string{engine.Waiting: {"w"}, engine.DeadLetters: {"d"}, engine.Spilled: {"s", "s2"}})
		s.append("last", 1)
		if got := s.events().one(); got.data != "last" && (s.h.Atomic || !s.crashed) {
			s.t.Errorf("%q comes again although others own all of it", got.data)
		}
	})},
	{"FromDeliveries", bothEndings(throughQueues)},
	{"SeveralOfOneEvent", bothEndings(func(s *site, end func()) {
		// One event that three subscriptions could not take: by one write, or by
		// several of which the last settles it.
		b := s.events()
		r := s.appendOne(b, "one write", 1)
		var ds []engine.Delivery
		for i := range 3 {
			d := s.delivery(engine.Waiting, name("one", i), r.ref(0))
			d.Subscription = sub(i)
			ds = append(ds, d)
		}
		s.move(ds...)
		r = s.appendOne(b, "three writes", 1)
		for i, from := range []engine.Ref{{}, {}, r.ref(0)} {
			s.counts(engine.Counts{Records: 1, Deliveries: [engine.Queues]int64{int64(3 + i)}})
			s.move(s.delivery(engine.Waiting, name("three", i), from))
		}
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{6}})
		end()
		s.heads(map[engine.Queue][]string{engine.Waiting: {
			name("one", 0), name("one", 1), name("one", 2), name("three", 0), name("three", 1), name("three", 2),
		}})
	})},
	{"Held", bothEndings(func(s *site, end func()) {
		r := s.appendOne(s.events(), "r", 4)
		ds := []engine.Delivery{
			s.delivery(engine.Waiting, "w", r.ref(0)), s.delivery(engine.DeadLetters, "d", r.ref(1)),
			s.delivery(engine.Spilled, "s", r.ref(2)), s.delivery(engine.Waiting, "w2", r.ref(3)),
		}
		want := map[resource.UID]engine.Held{}
		for i := range ds {
			ds[i].Subscription, ds[i].Body = sub(i/2), []byte(strings.Repeat("b", 10*(i+1)))
			h := want[sub(i/2)]
			want[sub(i/2)] = engine.Held{Deliveries: h.Deliveries + 1, Bytes: h.Bytes + int64(len(ds[i].Head)+len(ds[i].Body))}
		}
		s.move(ds...)
		end()
		if got := s.Held(); got != nil && !maps.Equal(got, want) {
			s.t.Errorf("held %v, want %v", got, want)
		}
		// One that moves keeps its body, and is counted where it went.
		p := s.due(engine.DeadLetters).one()
		to := engine.Delivery{Queue: engine.Waiting, Subscription: p.Subscription, Due: s.now().Add(time.Hour), Head: []byte("longer"), Body: p.Body, From: p.Ref}
		s.move(to)
		h := want[p.Subscription]
		h.Bytes += int64(len(to.Head) - len(p.Head))
		want[p.Subscription] = h
		end()
		if got := s.Held(); got != nil && !maps.Equal(got, want) {
			s.t.Errorf("after a move held %v, want %v", got, want)
		}
	})},
	{"OfNothing", func(s *site) {
		s.move()
		s.move(s.delivery(engine.Waiting, "w", engine.Ref{}))
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{1, 0, 0}})
		s.reopen()
		s.heads(map[engine.Queue][]string{engine.Waiting: {"w"}})
	}},
	{"Fields", bothEndings(func(s *site, end func()) {
		want := map[string]engine.Delivery{}
		for i, d := range []engine.Delivery{
			{Queue: engine.Waiting, Due: s.now().Add(-time.Nanosecond), Head: []byte("nanoseconds"), Body: []byte("b")},
			{Queue: engine.Waiting, Due: s.now().Add(-48 * time.Hour), Head: []byte("two days ago"), Body: []byte{0}},
			{Queue: engine.DeadLetters, Due: time.Unix(0, 1), Head: []byte("1970"), Body: []byte(strings.Repeat("b", 100_000))},
			{Queue: engine.DeadLetters, Due: time.Unix(0, 999_999_999), Head: []byte(strings.Repeat("h", 10_000)), Body: []byte("b")},
			{Queue: engine.Spilled, Head: []byte("no body")},
			{Queue: engine.Spilled, Body: []byte("no head")},
			{Queue: engine.Spilled, Head: []byte{0xff, 0, '\n', 0xfe}, Body: []byte{0xff, 0xff}},
		} {
			d.Subscription = sub(i)
			want[string(d.Head)] = d
			s.move(d)
		}
		end()
		n := 0
		check := func(p parcel) {
			n++
			d := want[p.head()]
			if p.Queue != d.Queue || p.Subscription != d.Subscription || string(p.Body) != string(d.Body) {
				s.t.Errorf("got %s, want %s", describe(p.Delivery), describe(d))
			}
			if late := p.Due.Sub(d.Due); d.Queue != engine.Spilled && (late < 0 || late > time.Millisecond) {
				s.t.Errorf("%.20s is due %v, not %v", d.Head, p.Due, d.Due)
			}
		}
		for _, q := range []engine.Queue{engine.Waiting, engine.DeadLetters} {
			for _, p := range s.due(q).next(2) {
				check(p)
			}
		}
		for i := 4; i < 7; i++ {
			check(s.spilled(sub(i)).one())
		}
		s.equal(n, len(want))
	})},
	{"KeepsNothingOfTheSlices", bothEndings(func(s *site, end func()) {
		head, body := []byte("head"), []byte("body")
		ds := []engine.Delivery{{Queue: engine.Waiting, Subscription: sub(1), Head: head, Body: body}}
		s.move(ds...)
		copy(head, "xxxx")
		copy(body, "xxxx")
		ds[0] = engine.Delivery{}
		for range 2 {
			if p := s.due(engine.Waiting).one(); p.head() != "head" || string(p.Body) != "body" || p.Subscription != sub(1) {
				s.t.Errorf("got %+v", p.Delivery)
			}
			end()
		}
	})},
	{"Largest", bothEndings(largestMoves)},
	{"ContextEnds", bothEndings(func(s *site, end func()) {
		ctx, cancel := context.WithCancel(s.ctx())
		cancel()
		r := s.appendOne(s.events(), "r", 1)
		err := s.Move(ctx, []engine.Delivery{s.delivery(engine.Waiting, "w", r.ref(0))})
		if err != nil && !errors.Is(err, context.Canceled) {
			s.t.Errorf("got %v", err)
		}
		end()
		owners := s.Counts()
		if owners.Records+owners.Deliveries[engine.Waiting] == 0 || err == nil && owners.Deliveries[engine.Waiting] == 0 {
			s.t.Errorf("after %v it belongs to nobody: %+v", err, owners)
		}
	})},
	{"EachEventOfARecord", bothEndings(eachEventOfARecord)},
}

// delivery makes one that is due now, of the first subscription. Its body is that
// of all.
func (s *site) delivery(q engine.Queue, head string, from engine.Ref) engine.Delivery {
	return engine.Delivery{
		Queue: q, Subscription: sub(0), Due: s.now().Add(-time.Second),
		Head: []byte(head), Body: []byte("the body"), From: from,
	}
}

// describe keeps a failure readable.
func describe(d engine.Delivery) string {
	return fmt.Sprintf("queue %d, subscription %v, due %v, %.20q with %.20q", d.Queue, d.Subscription, d.Due, d.Head, d.Body)
}

func (s *site) move(ds ...engine.Delivery) {
	s.t.Helper()
	if err := s.Move(s.ctx(), ds); err != nil {
		s.t.Fatalf("move: %v", err)
	}
}

// toEveryQueue moves one delivery to each.
func (s *site) toEveryQueue() {
	s.t.Helper()
	for q := range engine.Queue(engine.Queues) {
		s.move(s.delivery(q, name("head", int(q)), engine.Ref{}))
	}
}

// everyQueue reads each, Spilled of the first subscription.
func (s *site) everyQueue() []*inbox[parcel] {
	return []*inbox[parcel]{s.due(engine.Waiting), s.due(engine.DeadLetters), s.spilled(sub(0))}
}

// heads reads the queues from their beginning, and wants exactly these, which may
// come again after a crash where Move is not one write.
func (s *site) heads(want map[engine.Queue][]string) {
	s.t.Helper()
	const last = "the last"
	for q := range engine.Queue(engine.Queues) {
		d := s.delivery(q, last, engine.Ref{})
		d.Due = s.now()
		s.move(d)
	}
	for q, b := range s.everyQueue() {
		missing := map[string]bool{}
		for _, head := range want[queue(q)] {
			missing[head] = true
		}
		for p := b.one(); p.head() != last; p = b.one() {
			if !missing[p.head()] && (s.h.Atomic || !s.crashed) {
				s.t.Errorf("queue %d hands out %q", q, p.head())
			}
			delete(missing, p.head())
			if string(p.Body) != "the body" {
				s.t.Errorf("%s has the body %q", p.head(), p.Body)
			}
		}
		for head := range missing {
			s.t.Errorf("queue %d has no %q", q, head)
		}
	}
}
