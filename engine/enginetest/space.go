package enginetest

import (
	"github.com/intertie/intertie/engine"
)

// filling tests what happens when the disk is full, where a test can fill it.
var filling = []check{
	{"ComesAndGoes", func(s *site) {
		disk, ok := s.place.(Disk)
		if !ok {
			s.t.Skipf("this engine's disk cannot be filled")
		}
		b := s.events()
		r := s.appendOne(b, "before", 1)
		s.must(s.Room())
		disk.Fill(s.Engine, true)
		s.soon("there is no room", func() bool { return s.Room() != nil })
		s.is(s.Room(), engine.ErrNoSpace)
		for range 3 {
			s.is(within(s, "Append without room", func() error {
				return s.Append(s.ctx(), []byte("without room"), 1)
			}), engine.ErrNoSpace)
		}
		// What is taken already goes on.
		s.Done(r.ref(0))
		s.counts(engine.Counts{})
		disk.Fill(s.Engine, false)
		s.soon("there is room again", func() bool { return s.Room() == nil })
		s.appendOne(b, "after", 1)
		s.reopen()
		if got := s.events().one().data; got != "after" {
			s.t.Errorf("got %q", got)
		}
	}},
}
