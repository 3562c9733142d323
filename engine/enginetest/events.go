package enginetest

import (
	"context"
	"errors"
	"sync"

	"github.com/intertie/intertie/engine"
)

// reading tests what Events promises.
var reading = []check{
	{"FormerBeforeNew", bothEndings(func(s *site, end func()) {
		b := s.events()
		for i := range 6 {
			r := s.appendOne(b, name("r", i), 1)
			if i%3 == 0 {
				s.Done(r.ref(0))
			}
		}
		end()
		for i := 6; i < 9; i++ {
			s.append(name("r", i), 1)
		}
		var got []string
		for b := s.events(); len(got) == 0 || got[len(got)-1] != name("r", 8); {
			// A crash may bring back what was settled just before it.
			r := b.one()
			if r.data != name("r", 0) && r.data != name("r", 3) {
				got = append(got, r.data)
			}
			if r.ours != (r.data >= name("r", 6)) && s.Held() != nil {
				s.t.Errorf("%s is of this engine: %v", r.data, r.ours)
			}
		}
		s.equal(got, []string{name("r", 1), name("r", 2), name("r", 4), name("r", 5), name("r", 6), name("r", 7), name("r", 8)})
	})},
	{"EachOnce", func(s *site) {
		b := s.events()
		for i := range 10 {
			s.appendOne(b, name("r", i), 1)
		}
		b.quiet()
	}},
	{"ReaderEndsAndBeginsAgain", func(s *site) {
		// What is handed out stays with whoever has it: only an end hands it out again.
		b := s.events()
		first := s.appendOne(b, "first", 1)
		s.is(b.stop(), context.Canceled)
		s.append("second", 1)
		b = s.events()
		if got := b.one().data; got != "second" {
			s.t.Errorf("handed out %q", got)
		}
		b.quiet()
		s.Done(first.ref(0))
		s.counts(engine.Counts{Records: 1})
	}},
	{"StandsStillWith8192Out", standsStill},
	{"MoreFormerOnesThanMayBeOut", bothEndings(func(s *site, end func()) {
		const n = out + 500
		s.appendMany(n, n+1) // the last is missing yet
		end()
		b := s.events()
		var got []string
		for len(got) < n {
			b.next(1)
			b.taken--
			for _, r := range b.all() {
				got = append(got, r.data)
				s.Done(r.ref(0))
			}
		}
		s.append(name("r", n), 1)
		got = append(got, b.one().data)
		seen := map[string]bool{}
		for _, data := range got {
			seen[data] = true
		}
		if len(seen) != n+1 || got[n] != name("r", n) {
			s.t.Errorf("%d different records in %d, the last %s", len(seen), len(got), got[n])
		}
	})},
}

// out is how many records may be out.
const out = 8192

func standsStill(s *site) {
	s.appendMany(out+10, out+10)
	b := s.events()
	first := b.next(out)
	b.quiet()
	s.append("one more", 1)
	b.quiet()
	s.Done(first[17].ref(0))
	b.one()
	b.quiet()
	for _, r := range first[100:200] {
		s.Done(r.ref(0))
	}
	if got := b.next(10); got[9].data != "one more" {
		s.t.Errorf("the last is %q", got[9].data)
	}
	b.quiet()
}

// appendMany appends the first n of m records, many at a time and in no order.
func (s *site) appendMany(n, m int) {
	s.t.Helper()
	const callers = 64
	var calls sync.WaitGroup
	errs := make([]error, callers)
	for c := range callers {
		calls.Go(func() {
			for i := c; i < min(n, m); i += callers {
				errs[c] = errors.Join(errs[c], s.Append(s.ctx(), []byte(name("r", i)), 1))
			}
		})
	}
	calls.Wait()
	s.must(errors.Join(errs...))
}
