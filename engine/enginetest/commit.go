package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/intertie/intertie/engine"
)

// committing tests Commit and Fresh.
var committing = []check{
	{"Survives", bothEndings(func(s *site, end func()) {
		position := s.position()
		want := map[string]string{}
		for i := range 10 {
			position = s.commit(position, put(name("k", i), name("v", i)), put("/shared", name("v", i)))
			want[name("k", i)], want["/shared"] = name("v", i), name("v", i)
		}
		for range 2 {
			end()
			got, at := s.state()
			s.equal(got, want)
			s.equal(at, position)
		}
	})},
	{"Conflict", bothEndings(func(s *site, end func()) {
		first := s.position()
		second := s.commit(first, put("a", "1"), put("b", "1"))
		for _, wrong := range []uint64{0, first, second + 1, 1 << 62} {
			_, err := s.Commit(s.ctx(), wrong, []engine.Write{put("a", "2"), put("c", "2")})
			s.is(err, engine.ErrConflict)
		}
		end()
		got, at := s.state()
		s.equal(got, map[string]string{"a": "1", "b": "1"})
		s.equal(at, second)
		_, err := s.Commit(s.ctx(), first, []engine.Write{put("a", "2")})
		s.is(err, engine.ErrConflict)
		s.commit(second, put("a", "3"))
	})},
	{"Delete", bothEndings(func(s *site, end func()) {
		position := s.commit(s.position(), put("a", "1"), put("b", "1"), put("c", "1"))
		position = s.commit(position, del("a"), put("b", "2"))
		position = s.commit(position, del("never"), del("b"))
		end()
		got, _ := s.state()
		s.equal(got, map[string]string{"c": "1"})
		s.commit(position, put("a", "again"))
		end()
		got, _ = s.state()
		s.equal(got, map[string]string{"a": "again", "c": "1"})
	})},
	{"Keys", bothEndings(func(s *site, end func()) {
		want := map[string]string{}
		var ws []engine.Write
		for i, key := range []string{
			"/subscriptions/0b/resourcegroups/rg 1/providers/microsoft.eventgrid/topics/t",
			"/subscriptions/0b/resourcegroups/rg 1/providers/microsoft.eventgrid/topics/t/", "/subscriptions/0b",
			"a", "a.b", "a*", ">", "ü/ß ö", "tab\tand\nline", "\x00", "\xff\xfe", strings.Repeat("long/", 400),
		} {
			want[key] = name("v", i)
			ws = append(ws, put(key, want[key]))
		}
		s.commit(s.position(), ws...)
		end()
		got, _ := s.state()
		s.equal(got, want)
	})},
	{"Values", bothEndings(func(s *site, end func()) {
		zeros := string(make([]byte, 1000))
		s.commit(s.position(), put("zeros", zeros), put("one", "\x00"), put("large", strings.Repeat("v", 1<<20)))
		end()
		got, _ := s.state()
		if got["zeros"] != zeros || got["one"] != "\x00" || len(got["large"]) != 1<<20 || len(got) != 3 {
			s.t.Errorf("got %d keys", len(got))
		}
	})},
	{"ManyWrites", bothEndings(func(s *site, end func()) {
		want := map[string]string{}
		var ws []engine.Write
		for i := range 2000 {
			want[name("k", i)] = strings.Repeat("v", i%500+1)
			ws = append(ws, put(name("k", i), want[name("k", i)]))
		}
		s.commit(s.position(), ws...)
		end()
		got, _ := s.state()
		s.equal(len(got), len(want))
		if !maps.Equal(got, want) {
			s.t.Errorf("not what was written")
		}
	})},
	{"TooLarge", bothEndings(func(s *site, end func()) {
		// Nobody says how large a transaction may be. It is there, or refused as a whole.
		position := s.commit(s.position(), put("before", "1"))
		var ws []engine.Write
		for i := range 40 {
			ws = append(ws, engine.Write{Key: name("k", i), Value: bytes.Repeat([]byte{'v'}, 1<<20)})
		}
		next, err := s.Commit(s.ctx(), position, ws)
		if err != nil {
			s.is(err, engine.ErrTooLarge)
		}
		end()
		got, at := s.state()
		switch {
		case err == nil && (len(got) != 41 || at != next), err != nil && (len(got) != 1 || at != position):
			s.t.Errorf("after %v: %d keys at %d", err, len(got), at)
		}
		s.commit(at, put("after", "1"))
	})},
	{"KeepsNothingOfTheWrites", func(s *site) {
		value := []byte("as it was")
		ws := []engine.Write{{Key: "k", Value: value}}
		b := s.follow()
		s.commit(b.one().Position, ws...)
		copy(value, "rewritten")
		ws[0].Key = "other"
		s.equal(contents(b.one()), map[string]string{"k": "as it was"})
		s.reopen()
		got, _ := s.state()
		s.equal(got, map[string]string{"k": "as it was"})
	}},
	{"Concurrent", bothEndings(concurrentCommits)},
	{"ContextEnds", bothEndings(func(s *site, end func()) {
		position := s.commit(s.position(), put("k", "before"))
		ctx, cancel := context.WithCancel(s.ctx())
		cancel()
		next, err := s.Commit(ctx, position, []engine.Write{put("k", "after"), put("beside", "after")})
		if err != nil {
			s.is(err, context.Canceled)
		}
		end()
		switch got, at := s.state(); {
		case maps.Equal(got, map[string]string{"k": "after", "beside": "after"}) && (err != nil || at == next):
		case maps.Equal(got, map[string]string{"k": "before"}) && err != nil && at == position:
		default:
			s.t.Errorf("after %v: %v at %d", err, got, at)
		}
	})},
	{"Fresh", bothEndings(func(s *site, end func()) {
		s.fresh(true)
		s.append("an event is no resource", 1)
		s.toEveryQueue()
		end()
		s.fresh(true)
		position := s.commit(s.position(), put("k", "v"))
		s.fresh(false)
		end()
		s.fresh(false)
		s.commit(position, del("k"))
		s.fresh(false)
		end()
		s.fresh(false)
	})},
}

func put(key, value string) engine.Write { return engine.Write{Key: key, Value: []byte(value)} }

func del(key string) engine.Write { return engine.Write{Key: key} }

func (s *site) fresh(want bool) {
	s.t.Helper()
	got, err := s.Fresh(s.ctx())
	s.must(err)
	if got != want {
		s.t.Errorf("Fresh is %v", got)
	}
}

func (s *site) commit(position uint64, ws ...engine.Write) uint64 {
	s.t.Helper()
	next, err := s.Commit(s.ctx(), position, ws)
	if err != nil {
		s.t.Fatalf("commit at %d: %v", position, err)
	}
	if next <= position {
		s.t.Fatalf("the position after %d is %d", position, next)
	}
	return next
}

// state is everything there is, as a new follower learns it.
func (s *site) state() (map[string]string, uint64) {
	s.t.Helper()
	var got map[string]string
	var at uint64
	s.must(within(s, "Follow", func() (err error) {
		got, at, err = snapshot(s.ctx(), s.Engine)
		return err
	}))
	return got, at
}

// snapshot is the first that Follow gives.
func snapshot(ctx context.Context, e engine.Engine) (map[string]string, uint64, error) {
	enough := errors.New("enough")
	var first engine.Transaction
	var got map[string]string
	err := e.Follow(ctx, func(t engine.Transaction) error {
		first, got = t, contents(t)
		return enough
	})
	switch {
	case !errors.Is(err, enough):
		return nil, 0, fmt.Errorf("follow: %w", err)
	case !first.Snapshot:
		return nil, 0, fmt.Errorf("Follow begins with the transaction at %d", first.Position) //nolint:staticcheck // a method's name
	}
	return got, first.Position, nil
}

func (s *site) position() uint64 {
	s.t.Helper()
	_, at := s.state()
	return at
}

func contents(t engine.Transaction) map[string]string {
	m := map[string]string{}
	apply(m, t)
	return m
}

// apply does to m what t says.
func apply(m map[string]string, t engine.Transaction) {
	if t.Snapshot {
		clear(m)
	}
	for _, w := range t.Writes {
		if w.Value == nil {
			delete(m, w.Key)
		} else {
			m[w.Key] = string(w.Value)
		}
	}
}

// concurrentCommits: of those decided on one state, one succeeds.
func concurrentCommits(s *site, end func()) {
	const callers, each = 6, 20
	start := s.commit(s.position(), put("n", "0"))
	var newest atomic.Pointer[engine.Transaction]
	newest.Store(&engine.Transaction{Position: start, Writes: []engine.Write{put("n", "0")}})
	e, ctx := s.Engine, s.ctx()
	var calls sync.WaitGroup
	for c := range callers {
		calls.Go(func() {
			for i := 0; i < each; {
				was := newest.Load()
				n, _ := strconv.Atoi(string(was.Writes[0].Value))
				ws := []engine.Write{put("n", strconv.Itoa(n+1)), put(fmt.Sprint(c, "-", i), "there")}
				at, err := e.Commit(ctx, was.Position, ws)
				switch {
				case err == nil:
					newest.Store(&engine.Transaction{Position: at, Writes: ws})
					i++
				case !errors.Is(err, engine.ErrConflict):
					s.t.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	calls.Wait()
	end()
	got, _ := s.state()
	s.equal(got["n"], strconv.Itoa(callers*each))
	s.equal(len(got), 1+callers*each)
}
