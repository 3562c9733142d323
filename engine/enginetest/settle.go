package enginetest

import (
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine"
)

// settling tests what Done promises, and what a record tells of its events.
var settling = []check{
	{"NothingComesAgain", func(s *site) {
		b := s.events()
		for i := range 10 {
			s.Done(s.appendOne(b, name("r", i), 3).refs()...)
		}
		s.counts(engine.Counts{})
		s.reopen()
		if got := s.Counts(); got != (engine.Counts{}) {
			s.t.Errorf("kept: %+v", got)
		}
		s.events().quiet()
	}},
	{"EveryQueue", func(s *site) {
		s.toEveryQueue()
		for _, b := range s.everyQueue() {
			s.Done(b.one().Ref)
		}
		s.counts(engine.Counts{})
		s.reopen()
		if got := s.Counts(); got != (engine.Counts{}) {
			s.t.Errorf("kept: %+v", got)
		}
		s.due(engine.Waiting).quiet()
		s.due(engine.DeadLetters).quiet()
		s.must(s.spilled(sub(0)).wait())
	}},
	{"UnsettledComesAgain", bothEndings(func(s *site, end func()) {
		b := s.events()
		s.appendOne(b, "r", 2)
		s.toEveryQueue()
		for _, b := range s.everyQueue() {
			b.one()
		}
		for range 2 {
			end()
			if got := s.events().one(); got.data != "r" || got.count != 2 || slices.Contains(got.settled, true) {
				s.t.Errorf("got %+v", got)
			}
			for q, b := range s.everyQueue() {
				if got := b.one(); got.head() != name("head", q) {
					s.t.Errorf("got %s of queue %d", got.head(), q)
				}
			}
		}
	})},
	{"Partly", bothEndings(partly)},
	{"OneTwiceIsNotTwo", func(s *site) {
		b := s.events()
		r := s.appendOne(b, "r", 3)
		s.Done(r.ref(1), r.ref(1))
		s.Done(r.ref(1))
		s.Done(r.ref(1), r.ref(0))
		s.append("still alive", 1)
		b.one()
		s.reopen()
		got := s.events().next(2)[0]
		s.equal(got.settled, []bool{true, true, false})
	}},
	{"WhatIsGone", func(s *site) {
		// Refs of what is settled as a whole are of no effect, and cost others nothing.
		b := s.events()
		first, second := s.appendOne(b, "first", 1), s.appendOne(b, "second", 1)
		for range 3 {
			s.Done(first.ref(0))
		}
		s.Done()
		s.Done(engine.Ref{})
		s.counts(engine.Counts{Records: 1})
		s.must(s.Move(s.ctx(), []engine.Delivery{{Queue: engine.Spilled, Subscription: sub(0), Head: []byte("h"), Body: []byte("b"), From: second.ref(0)}}))
		p := s.spilled(sub(0)).one()
		for range 3 {
			s.Done(p.Ref, second.ref(0))
		}
		s.counts(engine.Counts{})
		s.reopen()
		s.events().quiet()
	}},
	{"AfterClose", func(s *site) {
		r := s.appendOne(s.events(), "r", 1)
		s.toEveryQueue()
		ps := s.everyQueue()
		refs := []engine.Ref{r.ref(0)}
		for _, b := range ps {
			refs = append(refs, b.one().Ref)
		}
		former := s.Engine
		s.close()
		former.Done(refs...)
		s.open()
		former.Done(refs...)
		s.events().one()
		for _, b := range s.everyQueue() {
			b.one()
		}
	}},
}

// partly settles some events of records, ends, and settles the rest.
func partly(s *site, end func()) {
	rng := seeded(1)
	counts := []int{1, 2, 7, 8, 9, 64, 65, 1000}
	want := make([][]bool, len(counts))
	b := s.events()
	for i, n := range counts {
		r := s.appendOne(b, name("r", i), n)
		want[i] = make([]bool, n)
		for _, j := range rng.Perm(n)[:n/2] {
			want[i][j] = true
			s.Done(r.ref(j))
		}
	}
	end()
	s.events().next(len(counts)) // looking changes nothing
	clean := !s.crashed
	end()
	for i, r := range s.events().next(len(counts)) {
		if r.data != name("r", i) || r.count != counts[i] || r.settled != nil && len(r.settled) != r.count {
			s.t.Fatalf("record %d is %q with %d events and %d marks", i, r.data, r.count, len(r.settled))
		}
		if clean && slices.Contains(want[i], true) {
			s.equal(r.settled, want[i])
		} else if clean && r.settled != nil {
			s.t.Errorf("record %d has marks although nothing of it was settled", i)
		}
		for j, settled := range r.settled {
			if settled && !want[i][j] {
				s.t.Errorf("event %d of %d was not settled", j, r.count)
			}
			if !settled {
				s.Done(r.ref(j))
			}
		}
		if r.settled == nil {
			s.Done(r.refs()...)
		}
	}
	s.counts(engine.Counts{})
	s.reopen()
	s.events().quiet()
}

// equal compares what was got with what was wanted.
func (s *site) equal(got, want any) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("got (+) is not what was wanted (-):\n%s", diff)
	}
}
