package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// After a write that was not answered the next commit finds out what became of
// it, and the resources of a transaction are there together or not at all.
func TestAWriteThatWasNotAnsweredIsSettled(t *testing.T) {
	for k, want := range []map[string]string{
		{"a": "old", "next": ""},
		{"a": "new", "b": "new", "next": ""},
		{"a": "new", "b": "new", "next": ""},
		{"a": "new", "b": "new", "next": ""},
	} {
		e := openEngine(t, t.TempDir())
		s := openStore(t, e)
		put(t, s, topic("rg", "a", "old"))
		ms := messagesOf(t, s, func(tx resource.Tx) {
			tx.Put(topic("rg", "a", "new"))
			tx.Put(topic("rg", "b", "new"))
		})
		publishRaw(t, e, ms[:k]...)
		s.commitMu.Lock()
		s.unsure = true
		s.commitMu.Unlock()
		put(t, s, topic("rg", "next", ""))
		if diff := cmp.Diff(want, values(s, resource.ID{})); diff != "" {
			t.Errorf("%d messages (-want +got):\n%s", k, diff)
		}
	}
}

// What recovery writes is part of the transaction for those who follow.
func TestObserversSeeACompletedTransactionAtOnce(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := openStore(t, e)
	var mu sync.Mutex
	var calls []int
	s.Observe(func(cs []Change) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, len(cs))
	})
	ms := messagesOf(t, s, func(tx resource.Tx) {
		tx.Put(topic("rg", "a", "1"))
		tx.Put(topic("rg", "b", "1"))
		tx.Put(topic("rg", "c", "1"))
	})
	for _, m := range ms { // as if they had come in a batch
		m.Header.Set(headerCompletes, "batch")
	}
	publishRaw(t, e, ms[:2]...)
	last, err := s.stream.GetLastMsgForSubject(t.Context(), subjectTransaction)
	if err != nil {
		t.Fatal(err)
	}
	redo, err := decodeTransaction(last.Data)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.complete(t.Context(), redo, "batch", last.Sequence); err != nil {
		t.Fatal(err)
	}
	newest, err := s.lastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.reach(t.Context(), 0, newest); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]int{0, 3}, calls); diff != "" {
		t.Errorf("changes in each call (-want +got):\n%s", diff)
	}
}

// A disk that failed may have taken back what was shown already. The snapshot
// then follows the stream, and the observers are told.
func TestASnapshotAheadOfTheStreamIsReadAnew(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := openStore(t, e)
	put(t, s, topic("rg", "kept", "1"), topic("rg", "older", "1"))
	lost, older := topic("rg", "lost", "1"), topic("rg", "older", "2")
	lost.Revision, older.Revision = 1000, 1001
	s.applyAll([]write{
		{key: lost.ID.Key(), resource: lost, revision: 1000}, {key: older.ID.Key(), resource: older, revision: 1001},
	}, 1001, nil)
	got := map[string]string{}
	s.Observe(func(cs []Change) {
		for _, c := range cs {
			if c.New == nil {
				delete(got, c.Old.ID.Name())
			} else {
				got[c.New.ID.Name()] = valueOf(c.New)
			}
		}
	})
	put(t, s, topic("rg", "next", "1"))
	want := map[string]string{"kept": "1", "older": "1", "next": "1"}
	if diff := cmp.Diff(want, values(s, resource.ID{})); diff != "" {
		t.Errorf("readers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observers (-want +got):\n%s", diff)
	}
}

// scarce is a disk without room.
type scarce struct {
	full   atomic.Bool
	open   atomic.Int64
	failed chan struct{}
}

var errScarce = errors.New("nothing left")

func (s *scarce) Take(n int) error {
	if s.full.Load() {
		return errScarce
	}
	s.open.Add(int64(n))
	return nil
}
func (s *scarce) TakeToFree(n int) error  { return s.Take(n) }
func (s *scarce) Put(n int)               { s.open.Add(-int64(n)) }
func (s *scarce) Failed() <-chan struct{} { return s.failed }

func openScarce(t *testing.T, e *engine.Engine) (*Store, *scarce) {
	t.Helper()
	space := &scarce{failed: make(chan struct{})}
	o := options(t, e)
	o.Space = space
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, space
}

func TestCommitIsRefusedWithoutRoom(t *testing.T) {
	s, space := openScarce(t, openEngine(t, t.TempDir()))
	put(t, s, topic("rg", "a", "1"))
	space.full.Store(true)
	err := s.Commit(t.Context(), func(tx resource.Tx) error {
		tx.Put(topic("rg", "a", "2"))
		return nil
	})
	if e, ok := errors.AsType[*resource.Error](err); !ok || e.Code != resource.Unavailable || !errors.Is(err, ErrNoSpace) || !errors.Is(err, errScarce) {
		t.Errorf("got %v", err)
	}
	if err := s.Commit(t.Context(), func(resource.Tx) error { return nil }); err != nil {
		t.Errorf("a commit without writes: %v", err)
	}
	space.full.Store(false)
	put(t, s, topic("rg", "b", "1"), topic("rg", "c", "1"))
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "1", "c": "1"}, values(s, resource.ID{})); diff != "" {
		t.Error(diff)
	}
	if n := space.open.Load(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}

// Nobody answers any more when the disk fails; the caller is told so at once.
func TestCommitEndsWhenTheDiskFails(t *testing.T) {
	s, space := openScarce(t, openEngine(t, t.TempDir()))
	close(space.failed)
	began := time.Now()
	err := s.Commit(t.Context(), func(tx resource.Tx) error {
		tx.Put(topic("rg", "a", "1"))
		return nil
	})
	if err != nil && !errors.Is(err, ErrNoSpace) { // the answer may have been faster
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > publishTimeout/2 {
		t.Errorf("after %v", took)
	}
	if n := space.open.Load(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}
