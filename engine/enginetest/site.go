package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// moment is how long a test watches that nothing comes.
const moment = 50 * time.Millisecond

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Cleanup(f func())
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
}

// site is a place and the engine that is open on it.
type site struct {
	engine.Engine // what is open now

	t       tester
	h       Harness
	place   Place
	readers []interface{ halt() }
	closed  bool
	crashed bool // the former engine did
}

func newSite(t *testing.T, h Harness) *site {
	t.Helper()
	return openSite(t, h, h.New(t))
}

func openSite(t tester, h Harness, p Place) *site {
	t.Helper()
	s := &site{t: t, h: h, place: p, closed: true}
	s.open()
	t.Cleanup(func() {
		if !s.closed {
			s.close()
		}
	})
	return s
}

func (s *site) open() {
	s.t.Helper()
	e, err := s.place.Open(s.ctx())
	if err != nil {
		s.t.Fatalf("open: %v", err)
	}
	s.Engine, s.closed = e, false
}

// close ends the readers, as the contract demands, and then the engine.
func (s *site) close() {
	s.t.Helper()
	s.haltReaders()
	s.closed = true
	if err := s.Close(); err != nil {
		s.t.Errorf("close: %v", err)
	}
}

func (s *site) reopen() {
	s.t.Helper()
	s.close()
	s.crashed = false
	s.open()
}

func (s *site) crash() {
	s.t.Helper()
	s.closed, s.crashed = true, true
	s.place.Crash(s.Engine)
	s.haltReaders()
	s.open()
}

func (s *site) haltReaders() {
	for _, r := range s.readers {
		r.halt()
	}
	s.readers = nil
}

// ctx of a test that is ending is over, but what it cleans up still needs one.
func (s *site) ctx() context.Context { return context.WithoutCancel(s.t.Context()) }

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v", err)
	}
}

// is fails the test if err is not what was wanted.
func (s *site) is(err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Fatalf("got error %v, want %v", err, want)
	}
}

// soon waits until what holds.
func (s *site) soon(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(s.h.Patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout:
			s.t.Fatalf("after %v still not: %s", s.h.Patience, what)
		}
	}
}

// counts waits until that much is kept: Done does not wait.
func (s *site) counts(want engine.Counts) {
	s.t.Helper()
	var got engine.Counts
	defer func() {
		if got != want {
			s.t.Errorf("kept: %+v", got)
		}
	}()
	s.soon(fmt.Sprintf("kept: %+v", want), func() bool {
		got = s.Counts()
		return got == want
	})
}

// within runs what must not hang.
func within[T any](s *site, what string, f func() T) T {
	s.t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case v := <-done:
		return v
	case <-time.After(s.h.Patience):
		s.t.Fatalf("hangs: %s", what)
		panic("unreachable")
	}
}

// ending is a way to end an engine and to open the next.
type ending struct {
	name  string
	crash bool
}

// bothEndings runs a test once with a clean end and once with a crash, each on a
// new place.
func bothEndings(run func(s *site, end func())) func(*site) {
	return func(s *site) {
		t, ok := s.t.(*testing.T)
		if !ok {
			panic("a check runs in a *testing.T")
		}
		for _, e := range []ending{{"Close", false}, {"Crash", true}} {
			t.Run(e.name, func(t *testing.T) {
				s := newSite(t, s.h)
				if e.crash {
					run(s, s.crash)
				} else {
					run(s, s.reopen)
				}
			})
		}
	}
}

// sub returns the i-th subscription.
func sub(i int) resource.UID {
	return resource.UID{0: 0xA0, 15: byte(i)} //nolint:gosec // there are few
}

// queue returns the i-th queue.
func queue(i int) engine.Queue {
	return engine.Queue(i) //nolint:gosec // there are few
}

// seeded returns random numbers that are the same in each run.
func seeded(n int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(n), 0)) //nolint:gosec // nothing here is secret
}

// name is a text that no other number has.
func name(kind string, i int) string { return fmt.Sprintf("%s-%05d", kind, i) }
