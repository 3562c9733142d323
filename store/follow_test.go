package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// script is an engine whose Follow and Commit the test plays.
type script struct {
	t     *testing.T
	shown chan engine.Transaction // what Follow is to show next
	seen  chan error              // what the store said to it
	end   chan error              // ends Follow

	during func()     // a commit; optional
	mu     sync.Mutex // protects commit
	commit func(position uint64, ws []engine.Write) (uint64, error)
}

func newScript(t *testing.T) *script {
	t.Helper()
	return &script{t: t, shown: make(chan engine.Transaction), seen: make(chan error), end: make(chan error, 1)}
}

func (p *script) Follow(ctx context.Context, apply func(engine.Transaction) error) error {
	for {
		select {
		case tr := <-p.shown:
			err := apply(tr)
			p.seen <- err
			if err != nil {
				return err
			}
		case err := <-p.end:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *script) Commit(ctx context.Context, position uint64, ws []engine.Write) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.during != nil {
		p.during()
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return p.commit(position, ws)
}

func (p *script) Fresh(context.Context) (bool, error) { panic("not asked") }

// show shows a transaction and returns when the store has it.
func (p *script) show(tr engine.Transaction) error {
	p.shown <- tr
	return <-p.seen
}

// opened returns a store that has seen tr.
func (p *script) opened(tr engine.Transaction) *Store {
	p.t.Helper()
	opened := make(chan *Store)
	go func() {
		s, err := Open(p.t.Context(), options(p.t, p))
		if err != nil {
			p.t.Error(err)
		}
		opened <- s
	}()
	if err := p.show(tr); err != nil {
		p.t.Fatal(err)
	}
	s := <-opened
	p.t.Cleanup(s.Close)
	return s
}

// write returns the write of a topic.
func write(t *testing.T, name, value string, revision uint64) engine.Write {
	t.Helper()
	o := options(t, nil)
	data, err := encode(topic("rg", name, value), o.Sealer)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Write{Key: topicID("rg", name).Key(), Value: data, Revision: revision}
}

// A follower that loses its place begins again with everything there is: the snapshot
// becomes that, also where it was ahead, and the observers are told the difference.
func TestFollowingBeginsAgain(t *testing.T) {
	p := newScript(t)
	s := p.opened(engine.Transaction{Position: 5, Snapshot: true, Writes: []engine.Write{
		write(t, "kept", "1", 2), write(t, "older", "2", 5), write(t, "lost", "1", 4), write(t, "newer", "1", 3),
	}})
	type change struct{ old, now string }
	var told [][]change
	s.Observe(func(cs []Change) {
		var all []change
		for _, c := range cs {
			var v change
			if c.Old != nil {
				v.old = c.Old.ID.Name() + "=" + valueOf(c.Old)
			}
			if c.New != nil {
				v.now = c.New.ID.Name() + "=" + valueOf(c.New)
			}
			all = append(all, v)
		}
		told = append(told, all)
	})
	again := engine.Transaction{Position: 4, Snapshot: true, Writes: []engine.Write{
		write(t, "kept", "1", 2), write(t, "newer", "2", 4), write(t, "older", "1", 1), write(t, "came", "1", 3),
	}}
	if err := p.show(again); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"kept": "1", "newer": "2", "older": "1", "came": "1"}
	if diff := cmp.Diff(want, values(s, resource.ID{})); diff != "" {
		t.Errorf("readers (-want +got):\n%s", diff)
	}
	wantTold := []change{{"lost=1", ""}, {"older=2", "older=1"}, {"", "came=1"}, {"newer=1", "newer=2"}}
	if diff := cmp.Diff(wantTold, told[1], cmp.AllowUnexported(change{})); len(told) != 2 || diff != "" {
		t.Errorf("observers, %d calls (-want +got):\n%s", len(told), diff)
	}
	if err := p.show(again); err != nil { // nothing is different
		t.Fatal(err)
	}
	if len(told) != 2 {
		t.Errorf("told of nothing: %v", told[2])
	}
	if n, err := s.position(); n != 4 || err != nil {
		t.Errorf("position %d, %v", n, err)
	}
	if types := s.Types(); len(types) != 1 {
		t.Errorf("types %v", types)
	}
}

// Whatever an engine says to a commit, the caller learns it, and the next commit
// decides on what is there.
func TestWhatACommitSays(t *testing.T) {
	other := errors.New("another")
	for _, row := range []struct {
		name  string
		err   error
		is    []error
		code  resource.Code // "" for one that the management API does not show
		there bool          // it is written nevertheless
	}{
		{name: "no space", err: fmt.Errorf("%w: 1 MB", engine.ErrNoSpace), is: []error{ErrNoSpace, engine.ErrNoSpace}, code: resource.Unavailable},
		{name: "too large", err: fmt.Errorf("5 MB: %w", engine.ErrTooLarge), is: []error{ErrTooLarge}, code: resource.RequestTooLarge},
		{name: "unconfirmed, not there", err: engine.ErrUnconfirmed, is: []error{engine.ErrUnconfirmed, ErrUnknown}, code: resource.OutcomeUnknown},
		{name: "unconfirmed, there", err: engine.ErrUnconfirmed, is: []error{engine.ErrUnconfirmed, ErrUnknown}, code: resource.OutcomeUnknown, there: true},
		{name: "closed", err: engine.ErrClosed, is: []error{engine.ErrClosed, ErrUnknown}, code: resource.OutcomeUnknown},
		{name: "something else", err: other, is: []error{other, ErrUnknown}, code: resource.OutcomeUnknown},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newScript(t)
			s := p.opened(engine.Transaction{Position: 1, Snapshot: true})
			p.commit = func(uint64, []engine.Write) (uint64, error) { return 0, row.err }
			err := s.Commit(t.Context(), func(tx resource.Tx) error {
				tx.Put(topic("rg", "a", "1"))
				return nil
			})
			for _, is := range row.is {
				if !errors.Is(err, is) {
					t.Errorf("got %v, want %v", err, is)
				}
			}
			e, ok := errors.AsType[*resource.Error](err)
			if ok != (row.code != "") || ok && e.Code != row.code {
				t.Errorf("the management API shows %v", e)
			}
			want := map[string]string{"next": "1"}
			if row.there {
				want["a"] = "1"
			}
			first := true
			p.commit = func(position uint64, ws []engine.Write) (uint64, error) {
				if first && row.there { // told before the next commit succeeds
					first = false
					go func() {
						if err := p.show(engine.Transaction{Position: 2, Writes: []engine.Write{write(t, "a", "1", 2)}}); err != nil {
							t.Error(err)
						}
					}()
					return 0, engine.ErrConflict
				}
				ws[0].Revision = position + 1
				return position + 1, p.show(engine.Transaction{Position: position + 1, Writes: ws})
			}
			var seen []map[string]string
			commit(t, s, func(tx resource.Tx) error {
				seen = append(seen, values(tx, resource.ID{}))
				tx.Put(topic("rg", "next", "1"))
				return nil
			})
			if diff := cmp.Diff(want, values(s, resource.ID{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if delete(want, "next"); !cmp.Equal(want, seen[len(seen)-1]) {
				t.Errorf("it was decided on %v", seen[len(seen)-1])
			}
		})
	}
}

func TestACommitWithoutWritesAsksNobody(t *testing.T) {
	p := newScript(t)
	s := p.opened(engine.Transaction{Position: 1, Snapshot: true})
	commit(t, s, func(tx resource.Tx) error {
		tx.Delete(topicID("rg", "a"))
		return nil
	})
}

// A commit returns when its writes are seen. That its caller goes meanwhile changes
// nothing: the writes are durable, and a caller who was told of a failure would have
// been told a lie.
func TestCommitWaitsUntilItsWritesAreSeen(t *testing.T) {
	p := newScript(t)
	s := p.opened(engine.Transaction{Position: 1, Snapshot: true})
	var ws []engine.Write
	committed := make(chan struct{}, 2)
	p.commit = func(_ uint64, writes []engine.Write) (uint64, error) {
		ws = writes
		committed <- struct{}{}
		return 3, nil
	}
	fn := func(tx resource.Tx) error {
		tx.Put(topic("rg", "a", "1"))
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Commit(ctx, fn) }()
	<-committed
	cancel()
	// Of another node, in front of it.
	if err := p.show(engine.Transaction{Position: 2, Writes: []engine.Write{write(t, "b", "1", 2)}}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-result:
		t.Fatalf("returned too early: %v", err)
	default:
	}
	// One that waits for its turn has not begun.
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Commit(soon, fn); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("behind another: %v", err)
	}
	ws[0].Revision = 3
	if err := p.show(engine.Transaction{Position: 3, Writes: ws}); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "1"}, values(s, resource.ID{})); diff != "" {
		t.Error(diff)
	}
	// One that has not begun is cancelled, and says so.
	if err := s.Commit(ctx, fn); !errors.Is(err, context.Canceled) || len(committed) > 0 {
		t.Errorf("got %v, %d commits", err, len(committed))
	}
}

// The engine is not asked to give up either: what it has begun to write it may have
// written.
func TestTheEngineIsNotToldThatTheCallerHasGone(t *testing.T) {
	p := newScript(t)
	s := p.opened(engine.Transaction{Position: 1, Snapshot: true})
	ctx, cancel := context.WithCancel(t.Context())
	p.during = cancel
	p.commit = func(position uint64, ws []engine.Write) (uint64, error) {
		ws[0].Revision = position + 1
		return position + 1, p.show(engine.Transaction{Position: position + 1, Writes: ws})
	}
	err := s.Commit(ctx, func(tx resource.Tx) error { tx.Put(topic("rg", "a", "1")); return nil })
	if err != nil || values(s, resource.ID{})["a"] != "1" {
		t.Errorf("got %v, there is %v", err, values(s, resource.ID{}))
	}
}

// What cannot be read stops the store: it would act on less than there is.
func TestWhatCannotBeReadStopsTheStore(t *testing.T) {
	good := write(t, "good", "1", 3)
	with := func(change func(string) string) engine.Write {
		return engine.Write{Key: "/x", Value: []byte(change(string(write(t, "x", "1", 2).Value))), Revision: 2}
	}
	for name, row := range map[string]struct {
		write engine.Write
		says  string
	}{
		"garbage":        {engine.Write{Key: "/x", Value: []byte("garbage"), Revision: 2}, "decode resource record"},
		"nothing":        {engine.Write{Key: "/x", Value: []byte{}, Revision: 2}, "decode resource record"},
		"a newer record": {with(func(s string) string { return strings.Replace(s, `"v":1`, `"v":99`, 1) }), "newer version of Intertie (record version 99"},
		"no id":          {with(func(s string) string { return strings.Replace(s, `/x","uid"`, `","uid"`, 1) }), "decode resource record"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check(row.write.Value, options(t, nil).Sealer); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("Check: %v", err)
			}
			p := newScript(t)
			s := p.opened(engine.Transaction{Position: 1, Snapshot: true})
			var log strings.Builder
			s.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			told := 0
			s.Observe(func(cs []Change) { told += len(cs) })
			if err := p.show(engine.Transaction{Position: 2, Writes: []engine.Write{good, row.write}}); err == nil {
				t.Fatal("it was taken")
			}
			<-s.done
			if _, ok := s.Get(topicID("rg", "good")); ok || told != 0 {
				t.Error("a part of the transaction is there")
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "restart needed") {
				t.Errorf("%d lines: %s", n, &log)
			}
			p.commit = func(uint64, []engine.Write) (uint64, error) { panic("committed") }
			fn := func(tx resource.Tx) error { tx.Put(topic("rg", "a", "1")); return nil }
			for what, err := range map[string]error{"Healthy": s.Healthy(), "Commit": s.Commit(t.Context(), fn)} {
				if err == nil || !strings.Contains(err.Error(), row.says) {
					t.Errorf("%s: %v", what, err)
				}
			}

			// And the next process does not start.
			p = newScript(t)
			failed := make(chan error)
			go func() {
				_, err := Open(t.Context(), options(t, p))
				failed <- err
			}()
			if err := p.show(engine.Transaction{Position: 2, Snapshot: true, Writes: []engine.Write{row.write, good}}); err == nil {
				t.Error("it was taken")
			}
			if err := <-failed; err == nil || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open: %v", err)
			}
		})
	}
	if err := Check(good.Value, options(t, nil).Sealer); err != nil {
		t.Errorf("what can be read: %v", err)
	}
}

func TestAnEngineThatEndsEndsTheStore(t *testing.T) {
	p := newScript(t)
	s := p.opened(engine.Transaction{Position: 1, Snapshot: true})
	p.commit = func(uint64, []engine.Write) (uint64, error) { return 0, engine.ErrConflict }
	result := make(chan error, 1)
	go func() {
		result <- s.Commit(t.Context(), func(tx resource.Tx) error { tx.Put(topic("rg", "a", "1")); return nil })
	}()
	p.end <- errors.New("the disk hangs")
	if err := <-result; err == nil || !strings.Contains(err.Error(), "the disk hangs") {
		t.Errorf("a commit that waits got %v", err)
	}
	if err := s.Healthy(); err == nil || !strings.Contains(err.Error(), "the disk hangs") {
		t.Errorf("Healthy: %v", err)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, options(t, newScript(t))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	// But an open store does not.
	e := openEngine(t, memory(t))
	ctx, cancel = context.WithCancel(t.Context())
	s, err := Open(ctx, options(t, e))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cancel()
	put(t, s, topic("rg", "a", "1"))
}
