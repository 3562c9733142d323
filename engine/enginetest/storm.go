package enginetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/engine"
)

// ledger is what a storm has seen. What was acknowledged after a crash has begun
// counts for nothing: it may be on neither side.
type ledger struct {
	mu       sync.Mutex
	frozen   bool
	tried    map[string]bool // events
	finished map[string]bool // Done was called, or they were dropped
	open     map[string]bool // accepted and not finished
	pairs    [2]string       // the newest values of two keys that change together
	position uint64
	enough   chan struct{}
	goal     int
}

// storm does everything at once, as the program does it: events are matched,
// settled, moved, given up and dropped, while others are appended and resources
// change. It crashes in the middle of it, several times; at last it goes on until
// nothing is left. Each accepted event has then been finished.
func storm(s *site) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	rng := seeded(4)
	l := &ledger{tried: map[string]bool{}, finished: map[string]bool{}, open: map[string]bool{}}
	for round := range rounds {
		l.frozen, l.enough = false, make(chan struct{})
		l.goal = len(l.finished) + 50 + rng.IntN(1500)
		w := s.startWeather(l, round, true)
		select {
		case <-l.enough:
		case <-time.After(s.h.Patience):
			s.t.Fatalf("round %d: after %v too little was finished", round, s.h.Patience)
		}
		l.mu.Lock()
		l.frozen = true
		l.mu.Unlock()
		if s.closed = true; round%3 == 2 {
			w.stop()
			s.must(w.err)
			s.must(s.Close())
		} else {
			s.place.Crash(s.Engine)
			w.stop()
		}
		s.open()
		s.sameResources(l)
	}
	l.frozen = false
	w := s.startWeather(l, rounds, false)
	s.soon("every accepted event is finished", func() bool { return l.left() == 0 })
	s.counts(engine.Counts{})
	w.stop()
	s.must(w.err)
	s.reopen()
	s.counts(engine.Counts{})
}

// sameResources wants the newest transaction that was acknowledged, or the one
// that was under way.
func (s *site) sameResources(l *ledger) {
	s.t.Helper()
	state, at := s.state()
	if state["left"] != state["right"] {
		s.t.Errorf("half a transaction: %v", state)
	}
	if at < l.position || at == l.position && state["left"] != l.pairs[0] {
		s.t.Errorf("at %d %v, acknowledged was %d with %s", at, state, l.position, l.pairs[0])
	}
}

// accept notes that events were acknowledged.
func (l *ledger) accept(events []string) {
	l.note(func() {
		for _, e := range events {
			if !l.finished[e] {
				l.open[e] = true
			}
		}
	})
}

// finish notes that nothing is owed any more, before the engine is told.
func (l *ledger) finish(event string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finished[event] = true
	delete(l.open, event)
	if l.enough != nil && len(l.finished) >= l.goal {
		close(l.enough)
		l.enough = nil
	}
}

// left is how many accepted events are not finished.
func (l *ledger) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// note takes note of what was acknowledged, unless the ledger is frozen.
func (l *ledger) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.frozen {
		change()
	}
}

// weather is what runs on one engine of a storm.
type weather struct {
	engine.Engine
	s      *site
	l      *ledger
	work   chan task
	cancel context.CancelFunc
	group  *errgroup.Group
	err    error // of the first that failed, once stopped

	mu      sync.Mutex
	reading map[int]bool // subscriptions whose spilled deliveries are being read
	spilled map[int]int  // how often something was spilled
}

// task is one event, or a delivery of it, to be done with.
type task struct {
	event string
	from  engine.Ref
}

func (s *site) startWeather(l *ledger, round int, publish bool) *weather {
	ctx, cancel := context.WithCancel(s.ctx())
	group, ctx := errgroup.WithContext(ctx)
	w := &weather{
		Engine: s.Engine, s: s, l: l, work: make(chan task), cancel: cancel, group: group,
		reading: map[int]bool{}, spilled: map[int]int{},
	}
	group.Go(func() error { return w.Events(ctx, func(r engine.Record) { w.take(ctx, r) }) })
	for _, q := range []engine.Queue{engine.Waiting, engine.DeadLetters} {
		group.Go(func() error { return w.Due(ctx, q, func(ps []engine.Pending) { w.takeAll(ctx, ps) }) })
	}
	for i := range 8 {
		group.Go(func() error { return w.worker(ctx, seeded(100*round+i)) })
	}
	group.Go(func() error { return w.dropper(ctx) })
	for i := range subs {
		group.Go(func() error { w.read(ctx, i); return nil })
	}
	if publish {
		for i := range 4 {
			group.Go(func() error { return w.publisher(ctx, name("round", round*10+i)) })
		}
		group.Go(func() error { return w.committer(ctx, round) })
	}
	return w
}

// stop ends it all. Errors are what a crash makes of what is under way; without
// one there is none but that of the context.
func (w *weather) stop() {
	w.cancel()
	err := within(w.s, "the end of a storm", w.group.Wait)
	if err != nil && !errors.Is(err, context.Canceled) {
		w.err = err
	}
}
