package enginetest

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/intertie/intertie/engine"
)

// following tests what Follow promises.
var following = []check{
	{"SnapshotThenEach", bothEndings(func(s *site, end func()) {
		b := s.follow()
		first := b.one()
		if !first.Snapshot || len(first.Writes) > 0 {
			s.t.Fatalf("nothing at all is %+v", first)
		}
		position := first.Position
		for i := range 10 {
			ws := []engine.Write{put("shared", name("v", i)), put(name("k", i), "v"), del(name("k", i-1))}
			position = s.commit(position, ws...)
			got := b.one()
			if got.Snapshot || got.Position != position || got.Position == 0 {
				s.t.Errorf("got %v at %d, want %d", got.Snapshot, got.Position, position)
			}
			s.equal(plain(got.Writes), plain(ws))
		}
		b.quiet()
		end()
		b = s.follow()
		got := b.one()
		s.equal(contents(got), map[string]string{"shared": name("v", 9), name("k", 9): "v"})
		s.equal(got.Position, position)
		s.commit(position, del("shared"))
		s.equal(plain(b.one().Writes), plain([]engine.Write{del("shared")}))
	})},
	{"RevisionsGrow", bothEndings(func(s *site, end func()) {
		// Also from a value to the one after a deletion, and what a snapshot says is
		// what the transaction said.
		b := s.follow()
		position := b.one().Position
		revisions := map[string]uint64{}
		next := func(ws ...engine.Write) {
			position = s.commit(position, ws...)
			for _, w := range b.one().Writes {
				if w.Revision <= revisions[w.Key] {
					s.t.Errorf("%s has revision %d after %d", w.Key, w.Revision, revisions[w.Key])
				}
				revisions[w.Key] = w.Revision
			}
		}
		next(put("a", "1"), put("b", "1"))
		next(put("b", "2"))
		next(del("a"), put("c", "1"))
		end()
		b = s.follow()
		for _, w := range b.one().Writes {
			if w.Value != nil && w.Revision != revisions[w.Key] {
				s.t.Errorf("%s has revision %d in the snapshot, and had %d", w.Key, w.Revision, revisions[w.Key])
			}
		}
		next(put("a", "2"), put("b", "3"), del("c"))
		next(put("b", "4"))
	})},
	{"TwoFollowers", func(s *site) {
		one := s.follow()
		position := one.one().Position
		position = s.commit(position, put("a", "1"))
		two := s.follow()
		if t := two.one(); t.Position != position {
			s.t.Errorf("the second begins at %d of %d", t.Position, position)
		}
		position = s.commit(position, put("a", "2"))
		s.equal(two.one(), one.next(2)[1])
		s.is(one.stop(), context.Canceled)
		position = s.commit(position, put("a", "3"))
		s.equal(two.one().Position, position)
		one = s.follow()
		s.equal(contents(one.one()), map[string]string{"a": "3"})
	}},
	{"ReachesCommit", func(s *site) {
		// Every position that Commit returned is reached, and by nothing less than all
		// that was written up to there.
		b := s.follow()
		position := b.one().Position
		for i := range 100 {
			position = s.commit(position, put(name("k", i), "v"))
		}
		at := uint64(0)
		n := 0
		for at < position {
			t := b.one()
			if t.Position <= at {
				s.t.Fatalf("%d comes after %d", t.Position, at)
			}
			at = t.Position
			n += len(t.Writes)
		}
		s.equal(n, 100)
	}},
	{"ErrorOfItsOwn", func(s *site) {
		mine := errors.New("mine")
		for _, bad := range []int{1, 3} {
			calls := 0
			got := make(chan error, 1)
			seen := make(chan uint64, 10)
			e, ctx := s.Engine, s.ctx()
			go func() {
				got <- e.Follow(ctx, func(t engine.Transaction) error {
					calls++
					seen <- t.Position
					if calls == bad {
						return mine
					}
					return nil
				})
			}()
			s.is(within(s, "Follow after an error of apply", func() error {
				// One that is slow may see two transactions at once, so there is always another
				// when all were seen.
				position := uint64(0)
				for {
					select {
					case err := <-got:
						return err
					case at := <-seen:
						if at >= position {
							position = s.commit(s.position(), put("k", "v"))
						}
					}
				}
			}), mine)
		}
		s.commit(s.position(), put("k", "after"))
	}},
	{"UnderLoad", bothEndings(followUnderLoad)},
	{"SlowFollower", func(s *site) {
		// It may come late or begin again, but misses nothing.
		hold, e := make(chan struct{}), s.Engine
		slow := read(s, func(ctx context.Context, put func(...engine.Transaction)) error {
			return e.Follow(ctx, func(t engine.Transaction) error {
				put(t)
				if !t.Snapshot {
					<-hold
				}
				return nil
			})
		})
		position := slow.one().Position
		var commits sync.WaitGroup
		ctx := s.ctx()
		commits.Go(func() {
			for i := range 50 {
				next, err := e.Commit(ctx, position, []engine.Write{put(name("k", i), "v")})
				if err != nil {
					s.t.Errorf("commit: %v", err)
					return
				}
				position = next
			}
		})
		slow.one()
		close(hold)
		commits.Wait()
		m := map[string]string{name("k", 0): "v"}
		for len(m) < 50 {
			apply(m, slow.one())
		}
	}},
}

// plain is what a write says without what the engine sets.
func plain(ws []engine.Write) map[string]string {
	m := map[string]string{}
	for _, w := range ws {
		m[w.Key] = "= " + string(w.Value)
		if w.Value == nil {
			m[w.Key] = "deleted"
		}
	}
	return m
}

// followUnderLoad: followers that begin at any time end with the same state, and
// see each transaction as a whole: both keys of it, always equal.
func followUnderLoad(s *site, end func()) {
	const followers, commits = 6, 120
	e, ctx := s.Engine, s.ctx()
	position := s.position()
	last := make(chan uint64, 1)
	begin := make(chan struct{}, followers)
	go func() {
		defer close(begin)
		at := position
		for i := range commits {
			next, err := e.Commit(ctx, at, []engine.Write{put("left", name("v", i)), put(name("k", i%7), name("v", i)), put("right", name("v", i))})
			if err != nil {
				s.t.Errorf("commit: %v", err)
				break
			}
			at = next
			if i%(commits/followers) == 0 {
				begin <- struct{}{}
			}
		}
		last <- at
	}()
	var all []*inbox[engine.Transaction]
	for range begin {
		all = append(all, s.follow())
	}
	final := <-last
	var states []map[string]string
	for i, b := range all {
		m, at := map[string]string{}, uint64(0)
		for at < final {
			t := b.one()
			if t.Position <= at || t.Snapshot != (at == 0) && !t.Snapshot {
				s.t.Fatalf("follower %d is given %d (snapshot: %v) after %d", i, t.Position, t.Snapshot, at)
			}
			at = t.Position
			apply(m, t)
			if m["left"] != m["right"] {
				s.t.Fatalf("follower %d has seen half a transaction: %v", i, m)
			}
		}
		states = append(states, m)
	}
	end()
	now, at := s.state()
	s.equal(at, final)
	for i, m := range states {
		if !maps.Equal(m, now) {
			s.t.Errorf("follower %d ended with %v, and there is %v", i, m, now)
		}
	}
}
