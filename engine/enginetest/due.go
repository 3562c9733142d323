package enginetest

import (
	"slices"
	"time"

	"github.com/intertie/intertie/engine"
)

// due tests what Due promises.
var due = []check{
	{"NeverEarlyAndInOrder", bothEndings(neverEarly)},
	{"WhileReading", func(s *site) {
		// What is due before something that was handed out already comes all the same,
		// and what is due before the next one does not wait behind it.
		for _, q := range []engine.Queue{engine.Waiting, engine.DeadLetters} {
			b := s.due(q)
			start := s.now()
			for i, at := range []time.Duration{-time.Minute, -time.Hour, 0, -24 * time.Hour, -25 * time.Hour} {
				s.moveDue(q, name("past", i), start.Add(at))
				if got := b.one().head(); got != name("past", i) {
					s.t.Errorf("got %s, want %d", got, i)
				}
			}
			s.moveDue(q, "in an hour", start.Add(time.Hour))
			soon := s.now().Add(moment)
			s.moveDue(q, "in a moment", soon)
			s.moveDue(q, "now", s.now())
			late := !s.now().Before(soon) // a slow disk: the moment is over
			for _, want := range []string{"now", "in a moment"} {
				p := b.one()
				if p.head() != want && !late || p.at.Before(p.Due) {
					s.t.Errorf("got %s %v after its time, want %s", p.head(), p.at.Sub(p.Due), want)
				}
			}
			b.quiet()
		}
	}},
	{"QueuesAreApart", bothEndings(func(s *site, end func()) {
		s.moveDue(engine.Waiting, "w", s.now())
		s.moveDue(engine.DeadLetters, "d", s.now())
		end()
		waiting := s.due(engine.Waiting)
		w := waiting.one()
		waiting.quiet()
		dead := s.due(engine.DeadLetters)
		d := dead.one()
		dead.quiet()
		if w.head() != "w" || w.Queue != engine.Waiting || d.head() != "d" || d.Queue != engine.DeadLetters {
			s.t.Errorf("got %s and %s", w.head(), d.head())
		}
	})},
	{"FarAhead", func(s *site) {
		// Nothing waits for more than MaxWait: another clock wrote it.
		s.moveDue(engine.Waiting, "beyond", s.now().Add(engine.MaxWait+time.Hour))
		s.moveDue(engine.Waiting, "in 2100", time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
		s.moveDue(engine.Waiting, "tomorrow", s.now().Add(engine.MaxWait-time.Hour))
		s.reopen()
		b := s.due(engine.Waiting)
		got := []string{b.one().head(), b.one().head()}
		slices.Sort(got)
		s.equal(got, []string{"beyond", "in 2100"})
		s.moveDue(engine.Waiting, "beyond", s.now().Add(engine.MaxWait+time.Hour))
		if got := b.one().head(); got != "beyond" {
			s.t.Errorf("got %s", got)
		}
		b.quiet()
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{4}})
	}},
	{"FarAheadOfMany", func(s *site) {
		// Nor while something falls due all the time.
		b := s.due(engine.Waiting)
		for i := range 3 {
			s.moveDue(engine.Waiting, "soon", s.now().Add(time.Duration(100*i)*time.Millisecond))
		}
		s.moveDue(engine.Waiting, "beyond", s.now().Add(engine.MaxWait+time.Hour))
		for end := time.Now().Add(s.h.Patience); ; {
			s.moveDue(engine.Waiting, "soon", s.now().Add(300*time.Millisecond))
			p := b.one()
			if p.head() == "beyond" {
				break
			}
			s.Done(p.Ref)
			if time.Now().After(end) {
				s.t.Fatalf("what another clock wrote is not handed out")
			}
		}
	}},
	{"ClockIsSet", func(s *site) {
		clock, ok := s.place.(Clock)
		if !ok {
			s.t.Skipf("this engine's clock cannot be set")
		}
		b := s.due(engine.Waiting)
		s.moveDue(engine.Waiting, "in an hour", s.now().Add(time.Hour))
		s.moveDue(engine.Waiting, "in two", s.now().Add(2*time.Hour))
		b.quiet()
		clock.Shift(time.Hour)
		if got := b.one().head(); got != "in an hour" {
			s.t.Errorf("got %s", got)
		}
		clock.Shift(-10 * time.Hour)
		s.moveDue(engine.Waiting, "now", s.now())
		if got := b.one().head(); got != "now" {
			s.t.Errorf("got %s", got)
		}
		b.quiet()
		clock.Shift(11 * time.Hour)
		if got := b.one().head(); got != "in two" {
			s.t.Errorf("got %s", got)
		}
	}},
	{"ReaderEndsAndBeginsAgain", func(s *site) {
		b := s.due(engine.Waiting)
		s.moveDue(engine.Waiting, "first", s.now())
		first := b.one()
		_ = b.stop()
		s.moveDue(engine.Waiting, "second", s.now())
		b = s.due(engine.Waiting)
		if got := b.one().head(); got != "second" {
			s.t.Errorf("got %s", got)
		}
		b.quiet()
		s.Done(first.Ref)
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{1}})
	}},
	{"Many", bothEndings(func(s *site, end func()) {
		const n, at = 5000, 500
		start := s.now().Add(-time.Hour)
		for i := 0; i < n; i += at {
			var ds []engine.Delivery
			for j := range at {
				d := s.delivery(engine.Waiting, name("d", i+j), engine.Ref{})
				d.Due = start.Add(time.Duration((i+j)*7919%n) * time.Second / 2) // every one at another time
				ds = append(ds, d)
			}
			s.move(ds...)
		}
		end()
		s.inOrder(s.due(engine.Waiting).next(n))
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{n}})
	})},
}

func (s *site) moveDue(q engine.Queue, head string, at time.Time) {
	s.t.Helper()
	d := s.delivery(q, head, engine.Ref{})
	d.Due = at
	s.move(d)
}

// neverEarly: due times with parts of a millisecond, in the past and soon.
func neverEarly(s *site, end func()) {
	const n = 200
	rng := seeded(2)
	start := s.now()
	at := map[string]time.Time{}
	var ds []engine.Delivery
	for i := range n {
		d := s.delivery(queue(i%2), name("d", i), engine.Ref{})
		d.Due = start.Add(time.Duration(rng.Int64N(int64(600*time.Millisecond))) - 200*time.Millisecond)
		at[string(d.Head)] = d.Due
		ds = append(ds, d)
	}
	s.move(ds[:n/2]...)
	end()
	waiting, dead := s.due(engine.Waiting), s.due(engine.DeadLetters)
	for _, d := range ds[n/2:] {
		s.move(d)
	}
	for _, b := range []*inbox[parcel]{waiting, dead} {
		for _, p := range b.next(n / 2) {
			if due := at[p.head()]; p.at.Before(due) {
				s.t.Errorf("%s came %v before its time", p.head(), due.Sub(p.at))
			}
			delete(at, p.head())
		}
		b.quiet()
	}
	s.equal(len(at), 0)
	// What is handed out again is due in the past, and comes in order.
	end()
	s.inOrder(s.due(engine.Waiting).next(n / 2))
}

// inOrder wants the earliest first.
func (s *site) inOrder(ps []parcel) {
	s.t.Helper()
	for i := range ps[1:] {
		if ps[i+1].Due.Before(ps[i].Due) {
			s.t.Fatalf("%s, due %v, came after %s, due %v", ps[i+1].head(), ps[i+1].Due, ps[i].head(), ps[i].Due)
		}
	}
}
