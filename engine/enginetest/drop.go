package enginetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/intertie/intertie/engine"
)

// dropping tests DropSpilled.
var dropping = []check{
	{"NamesEachOnce", bothEndings(func(s *site, end func()) {
		const n = 100
		for i := 0; i < n; i += 10 {
			var ds []engine.Delivery
			for j := range 10 {
				ds = append(ds, s.delivery(engine.Spilled, name("s", i+j), engine.Ref{}))
			}
			s.move(ds...)
		}
		end()
		named := s.drop(0, nil)
		for i := range n {
			if named[name("s", i)] != 1 {
				s.t.Errorf("%d was named %d times", i, named[name("s", i)])
			}
		}
		s.equal(len(named), n)
		for range 2 {
			s.spilledBy()
			s.counts(engine.Counts{})
			s.equal(len(s.drop(0, nil)), 0)
			s.must(s.spilled(sub(0)).wait())
			end()
		}
	})},
	{"IsOfOneSubscription", bothEndings(func(s *site, end func()) {
		for i := range 9 {
			s.spill(i%3, i)
		}
		s.toEveryQueue()
		s.drop(1, nil)
		end()
		s.spilledBy(0, 2)
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{1, 1, 7}})
		s.must(s.spilled(sub(1)).wait())
		s.spilled(sub(0)).next(4)
		s.spilled(sub(2)).next(3)
	})},
	{"WhatIsOutStays", bothEndings(whatIsOutStays)},
	{"ContextEnds", bothEndings(func(s *site, end func()) {
		// What was named is gone, and nothing else.
		const n = 40
		for i := range n {
			d := s.delivery(engine.Spilled, name("s", i), engine.Ref{})
			d.Body = []byte(strings.Repeat("x", 10_000))
			s.move(d)
		}
		ctx, cancel := context.WithCancel(s.ctx())
		named := map[string]int{}
		err := s.DropSpilled(ctx, sub(0), func(p engine.Pending) {
			named[string(p.Head)]++
			cancel()
		})
		if err != nil {
			s.is(err, context.Canceled)
		}
		end()
		for _, p := range s.spilled(sub(0)).next(n - len(named)) {
			named[p.head()]++
		}
		for head, times := range named {
			if times != 1 {
				s.t.Errorf("%s was dropped and is there", head)
			}
		}
		s.equal(len(named), n)
	})},
	{"TwoAtOnce", func(s *site) {
		const n = 200
		for i := range n {
			s.spill(0, i)
		}
		var drops sync.WaitGroup
		named := make([]map[string]int, 2)
		for i := range named {
			drops.Go(func() { named[i] = s.drop(0, nil) })
		}
		drops.Wait()
		maps.Copy(named[0], named[1])
		s.equal(len(named[0]), n)
		s.counts(engine.Counts{})
	}},
	{"BesideMoves", func(s *site) {
		// Whatever a Move stored is named by one of the drops, or still there.
		const n = 200
		named, done := map[string]int{}, atomic.Bool{}
		var moves sync.WaitGroup
		moves.Go(func() {
			defer done.Store(true)
			for i := range n {
				if err := s.trySpill(0, i); err != nil {
					s.t.Errorf("move: %v", err)
				}
			}
		})
		for !done.Load() {
			s.drop(0, named)
		}
		moves.Wait()
		s.drop(0, named)
		s.equal(len(named), n)
		for head, times := range named {
			if times != 1 {
				s.t.Errorf("%s was named %d times", head, times)
			}
		}
		s.counts(engine.Counts{})
	}},
}

// drop says how often each was named.
func (s *site) drop(of int, named map[string]int) map[string]int {
	s.t.Helper()
	if named == nil {
		named = map[string]int{}
	}
	err := s.DropSpilled(s.ctx(), sub(of), func(p engine.Pending) {
		named[string(p.Head)]++
		if p.Queue != engine.Spilled || p.Subscription != sub(of) || len(p.Body) == 0 {
			s.t.Errorf("dropped %s", describe(p.Delivery))
		}
	})
	if err != nil {
		s.t.Errorf("drop: %v", err)
	}
	return named
}

// whatIsOutStays drops beside a reader: what it has handed out is not dropped, and
// can be moved and settled as if nothing had happened.
func whatIsOutStays(s *site, end func()) {
	const n, size = 40, 512 << 10
	for i := range n {
		d := s.delivery(engine.Spilled, name("s", i), engine.Ref{})
		d.Body = []byte(strings.Repeat("x", size))
		s.move(d)
	}
	b := s.spilled(sub(0))
	ps := b.next(2)
	b.awaitQuiet()
	named := s.drop(0, nil)
	ps = append(ps, b.next(n-len(named)-len(ps))...) // what it was about to hand out
	for _, p := range ps {
		named[p.head()]++
	}
	s.equal(len(named), n)
	for head, times := range named {
		if times != 1 {
			s.t.Errorf("%s was handed out and dropped", head)
		}
	}
	s.notEnded(b)
	s.counts(engine.Counts{Deliveries: [engine.Queues]int64{engine.Spilled: int64(len(ps))}})
	again := s.delivery(engine.Waiting, "again", ps[0].Ref)
	again.Body = slices.Clone(ps[0].Body)
	s.move(again)
	for _, p := range ps[1 : len(ps)-1] {
		s.Done(p.Ref)
	}
	s.notEnded(b)
	s.spill(0, n)
	next := b.one()
	s.Done(next.Ref, ps[len(ps)-1].Ref)
	s.must(b.wait())
	end()
	if p := s.due(engine.Waiting).one(); p.head() != "again" || len(p.Body) != size {
		s.t.Errorf("got %s with %d bytes", p.head(), len(p.Body))
	}
	if !s.crashed {
		s.must(s.spilled(sub(0)).wait())
	}
}
