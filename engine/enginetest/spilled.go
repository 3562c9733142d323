package enginetest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// spilling tests what is kept for subscriptions that had no room, and ReadSpilled.
var spilling = []check{
	{"InOrder", bothEndings(func(s *site, end func()) {
		for i := range 30 {
			s.spill(i%3, i)
		}
		end()
		for i := 30; i < 60; i++ {
			s.spill(i%3, i)
		}
		for i := range 3 {
			for n, p := range s.spilled(sub(i)).next(20) {
				if want := name("s", 3*n+i); p.head() != want || p.Subscription != sub(i) {
					s.t.Fatalf("got %s of %v, want %s", p.head(), p.Subscription, want)
				}
			}
		}
	})},
	{"Nothing", bothEndings(func(s *site, end func()) {
		s.spill(1, 0)
		end()
		s.must(s.spilled(sub(0)).wait())
		s.must(s.spilled(resource.UID{}).wait())
		s.must(s.DropSpilled(s.ctx(), sub(0), func(p engine.Pending) { s.t.Errorf("dropped %s", p.Head) }))
		s.spilledBy(1)
	})},
	{"NilWhenAllIsSettled", bothEndings(func(s *site, end func()) {
		s.spill(0, 0)
		s.spill(0, 1)
		end()
		b := s.spilled(sub(0))
		ps := b.next(2)
		s.Done(ps[1].Ref)
		s.notEnded(b)
		s.spill(0, 2) // what is moved there meanwhile
		third := b.one()
		s.Done(ps[0].Ref)
		s.notEnded(b)
		s.move(s.delivery(engine.Waiting, "w", third.Ref)) // a Move settles, too
		s.must(b.wait())
		s.soon("nobody has spilled anything", func() bool { return len(s.subscriptions()) == 0 })
		s.spill(0, 3)
		b = s.spilled(sub(0))
		s.Done(b.one().Ref)
		s.must(b.wait())
	})},
	{"MoveWithin", func(s *site) {
		// To the end of the same queue: the reader goes on with it.
		s.spill(0, 0)
		s.spill(0, 1)
		b := s.spilled(sub(0))
		ps := b.next(2)
		s.move(s.delivery(engine.Spilled, "again", ps[0].Ref))
		s.Done(ps[1].Ref)
		p := b.one()
		if p.head() != "again" {
			s.t.Errorf("got %s", p.head())
		}
		s.notEnded(b)
		s.Done(p.Ref)
		s.must(b.wait())
	}},
	{"EightMiBOut", bothEndings(func(s *site, end func()) {
		const n, size = 40, 512 << 10
		body := []byte(strings.Repeat("x", size))
		for i := range n {
			d := s.delivery(engine.Spilled, name("s", i), engine.Ref{})
			d.Body = body
			s.move(d)
		}
		end()
		b := s.spilled(sub(0))
		ps := b.next(4 << 20 / size)
		b.awaitQuiet()
		ps = append(ps, b.all()...)
		if len(ps) > 16<<20/size {
			s.t.Errorf("%d MiB are out", len(ps)*size>>20)
		}
		for i := range n {
			if i == len(ps) {
				ps = append(ps, b.one())
			}
			if ps[i].head() != name("s", i) {
				s.t.Fatalf("got %s, want %d", ps[i].head(), i)
			}
			s.Done(ps[i].Ref)
		}
		s.must(b.wait())
	})},
	{"ReaderEndsAndBeginsAgain", func(s *site) {
		for i := range 3 {
			s.spill(0, i)
		}
		b := s.spilled(sub(0))
		ps := b.next(3)
		s.is(b.stop(), context.Canceled)
		s.spill(0, 3)
		b = s.spilled(sub(0))
		p := b.one()
		if p.head() != name("s", 3) {
			s.t.Errorf("got %s, which is out already", p.head())
		}
		s.Done(p.Ref)
		s.notEnded(b) // what the first reader handed out is not settled
		s.Done(ps[0].Ref, ps[1].Ref, ps[2].Ref)
		s.must(b.wait())
	}},
	{"NobodyWaitsForAHandler", func(s *site) {
		hold, e := make(chan struct{}), s.Engine
		s.spill(0, 0)
		slow := read(s, func(ctx context.Context, put func(...parcel)) error {
			return e.ReadSpilled(ctx, sub(0), func(ps []engine.Pending) {
				put(s.parcels(ps)...)
				<-hold
			})
		})
		p := slow.one()
		s.spill(0, 1)
		s.spill(1, 2)
		other := s.spilled(sub(1))
		s.Done(other.one().Ref)
		s.must(other.wait())
		s.appendOne(s.events(), "r", 1)
		close(hold)
		s.Done(p.Ref, slow.one().Ref)
		s.must(slow.wait())
	}},
	{"NotBeforeMovesAreDone", notBeforeMoves},
}

// spill moves the n-th delivery to a subscription's.
func (s *site) spill(of, n int) {
	s.t.Helper()
	s.must(s.trySpill(of, n))
}

func (s *site) trySpill(of, n int) error {
	d := s.delivery(engine.Spilled, name("s", n), engine.Ref{})
	d.Subscription = sub(of)
	return s.Move(s.ctx(), []engine.Delivery{d})
}

// notEnded watches that a reader neither ends nor hands anything out.
func (s *site) notEnded(b *inbox[parcel]) {
	s.t.Helper()
	b.quiet()
	select {
	case <-b.ended:
		s.t.Fatalf("the reader has ended (%v) although something is out", b.err)
	default:
	}
}

// awaitQuiet waits until nothing has come for a moment.
func (b *inbox[T]) awaitQuiet() {
	for {
		select {
		case <-b.wake:
		case <-time.After(moment):
			return
		}
	}
}

func (s *site) subscriptions() []resource.UID {
	s.t.Helper()
	subs, err := s.SpilledBy(s.ctx())
	s.must(err)
	return subs
}

func (s *site) spilledBy(want ...int) {
	s.t.Helper()
	got := s.subscriptions()
	slices.SortFunc(got, func(a, b resource.UID) int { return slices.Compare(a[:], b[:]) })
	var uids []resource.UID
	for _, i := range want {
		uids = append(uids, sub(i))
	}
	s.equal(got, uids)
}

// notBeforeMoves reads while others move: each comes once, in the order of its
// mover, and a reader that returned nil is needed again only by what came later.
func notBeforeMoves(s *site) {
	const movers, each = 4, 60
	var moves sync.WaitGroup
	for m := range movers {
		moves.Go(func() {
			for i := range each {
				if err := s.trySpill(0, m*each+i); err != nil {
					s.t.Errorf("move: %v", err)
				}
			}
		})
	}
	next := make([]int, movers)
	give := time.Now().Add(s.h.Patience)
	for seen := 0; seen < movers*each && time.Now().Before(give); {
		e := s.Engine
		b := read(s, func(ctx context.Context, put func(...parcel)) error {
			return e.ReadSpilled(ctx, sub(0), func(ps []engine.Pending) {
				put(s.parcels(ps)...)
				for _, p := range ps {
					e.Done(p.Ref)
				}
			})
		})
		s.must(b.wait())
		for _, p := range b.all() {
			for m := range movers {
				if p.head() == name("s", m*each+next[m]) && next[m] < each {
					next[m]++
					seen++
				}
			}
		}
	}
	moves.Wait()
	s.equal(next, []int{each, each, each, each})
	s.counts(engine.Counts{})
}
