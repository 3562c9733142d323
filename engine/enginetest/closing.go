package enginetest

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
)

// closing tests Close, and what an open engine says of itself.
var closing = []check{
	{"Twice", func(s *site) {
		s.must(s.Close())
		s.must(s.Close())
	}},
	{"ReadersReturn", func(s *site) {
		// They should be ended first; if not, they end all the same.
		s.spill(0, 0)
		spilled := s.spilled(sub(0))
		spilled.one()
		events, waiting, dead, follow := s.events(), s.due(engine.Waiting), s.due(engine.DeadLetters), s.follow()
		follow.one()
		s.appendOne(events, "r", 1)
		s.must(within(s, "Close beside readers", s.Close))
		s.is(events.wait(), engine.ErrClosed)
		s.is(waiting.wait(), engine.ErrClosed)
		s.is(dead.wait(), engine.ErrClosed)
		s.is(spilled.wait(), engine.ErrClosed)
		s.is(follow.wait(), engine.ErrClosed)
	}},
	{"ReadersReturnTheContextsError", func(s *site) {
		s.spill(0, 0)
		spilled := s.spilled(sub(0))
		spilled.one()
		s.is(spilled.stop(), context.Canceled)
		s.is(s.events().stop(), context.Canceled)
		s.is(s.due(engine.Waiting).stop(), context.Canceled)
		s.is(s.follow().stop(), context.Canceled)
	}},
	{"NothingIsTakenAfter", func(s *site) {
		s.spill(0, 0)
		position := s.position()
		s.close()
		never := func(...any) { s.t.Errorf("something was handed out after Close") }
		for what, call := range map[string]func(ctx context.Context) error{
			"Append": func(ctx context.Context) error { return s.Append(ctx, []byte("r"), 1) },
			"Move": func(ctx context.Context) error {
				return s.Move(ctx, []engine.Delivery{s.delivery(engine.Waiting, "w", engine.Ref{})})
			},
			"Commit": func(ctx context.Context) error {
				_, err := s.Commit(ctx, position, []engine.Write{put("k", "v")})
				return err
			},
			"Events": func(ctx context.Context) error { return s.Events(ctx, func(engine.Record) { never() }) },
			"Due": func(ctx context.Context) error {
				return s.Due(ctx, engine.Waiting, func([]engine.Pending) { never() })
			},
			"ReadSpilled": func(ctx context.Context) error {
				return s.ReadSpilled(ctx, sub(0), func([]engine.Pending) { never() })
			},
			"SpilledBy": func(ctx context.Context) error {
				_, err := s.SpilledBy(ctx)
				return err
			},
			"DropSpilled": func(ctx context.Context) error {
				return s.DropSpilled(ctx, sub(0), func(engine.Pending) { never() })
			},
			"Follow": func(ctx context.Context) error {
				return s.Follow(ctx, func(engine.Transaction) error { never(); return nil })
			},
			"Fresh": func(ctx context.Context) error {
				_, err := s.Fresh(ctx)
				return err
			},
		} {
			if err := within(s, what, func() error { return call(s.ctx()) }); !errors.Is(err, engine.ErrClosed) {
				s.t.Errorf("%s after Close: %v", what, err)
			}
		}
		_, _ = s.Room(), s.Counts() // do not panic
		s.open()
		s.counts(engine.Counts{Deliveries: [engine.Queues]int64{engine.Spilled: 1}})
		s.fresh(true)
	}},
	{"InTheMidstOfWrites", func(s *site) {
		// Whatever was acknowledged is there, and what was refused is not.
		for round := range 3 {
			e, ctx := s.Engine, s.ctx()
			var calls sync.WaitGroup
			var mu sync.Mutex
			stored, refused := map[string]bool{}, map[string]bool{}
			begun := make(chan struct{}, 1)
			for c := range 8 {
				calls.Go(func() {
					for i := 0; ; i++ {
						data := name(name("round", round), c*1_000_000+i)
						err := e.Append(ctx, []byte(data), 1)
						mu.Lock()
						if err == nil {
							stored[data] = true
						} else {
							refused[data] = true
						}
						if len(stored) == 100 {
							close(begun)
							stored["one more"] = true
						}
						mu.Unlock()
						if err != nil {
							if !errors.Is(err, engine.ErrClosed) {
								s.t.Errorf("append: %v", err)
							}
							return
						}
					}
				})
			}
			<-begun
			s.must(within(s, "Close beside Appends", s.Close))
			calls.Wait()
			s.open()
			s.append("one more", 1)
			b := s.events()
			for len(stored) > 0 {
				r := b.one()
				if refused[r.data] {
					s.t.Errorf("%s was refused and is there", r.data)
				}
				delete(stored, r.data)
				s.Done(r.ref(0))
			}
			s.close()
			s.open()
		}
	}},
	{"IsWell", func(s *site) {
		s.must(s.Room())
		s.must(s.Err())
		s.toEveryQueue()
		s.appendOne(s.events(), "r", 1)
		select {
		case <-s.Failed():
			s.t.Errorf("failed: %v", s.Err())
		default:
		}
		s.must(s.Room())
		s.must(s.Err())
	}},
	{"LeavesNothingRunning", func(s *site) {
		s.close()
		ignore := append([]goleak.Option{goleak.IgnoreCurrent()}, s.h.Leaks...)
		for range 3 {
			s.open()
			s.spill(0, 1)
			b := s.events()
			s.appendOne(b, "r", 1)
			s.follow().one()
			s.due(engine.Waiting).quiet()
			s.spilled(sub(0)).one()
			s.close()
		}
		if err := goleak.Find(ignore...); err != nil {
			s.t.Errorf("%v", err)
		}
	}},
}
