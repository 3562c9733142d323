package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/cluster"
)

func put(key, value string) engine.Write { return engine.Write{Key: key, Value: []byte(value)} }

func del(key string) engine.Write { return engine.Write{Key: key} }

// state returns all resources, and up to where that is.
func state(t *testing.T, e *cluster.Engine) (map[string]string, uint64) {
	t.Helper()
	enough := errors.New("enough")
	got, at := map[string]string{}, uint64(0)
	err := e.Follow(t.Context(), func(tx engine.Transaction) error {
		for _, w := range tx.Writes {
			got[w.Key] = string(w.Value)
		}
		at = tx.Position
		return enough
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return got, at
}

func same(t *testing.T, e *cluster.Engine, want map[string]string) {
	t.Helper()
	got, _ := state(t, e)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func commit(t *testing.T, e *cluster.Engine, writes ...engine.Write) uint64 {
	t.Helper()
	_, at := state(t, e)
	at, err := e.Commit(t.Context(), at, writes)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// publishRaw stores messages one by one: what a crash leaves of a batch.
func publishRaw(t *testing.T, s *server.Server, msgs ...*nats.Msg) {
	t.Helper()
	js := peer(t, s)
	for _, m := range msgs {
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// A crash of a server alone may leave any number of the messages of a transaction,
// in their order. None of them: nothing happened. One or more: all of it did.
func TestATransactionCutShortIsCompleted(t *testing.T) {
	s := startServer(t)
	for k := range 5 {
		t.Run(fmt.Sprintf("%d messages", k), func(t *testing.T) {
			e := open(t, options(s))
			before := map[string]string{"/changed": "old", "/deleted": "old"}
			all, _ := state(t, e)
			writes := []engine.Write{put("/changed", "old"), put("/deleted", "old")}
			for key := range all {
				if before[key] == "" {
					writes = append(writes, del(key))
				}
			}
			commit(t, e, writes...)
			msgs := e.MessagesOf(t, put("/created", "new"), put("/changed", "new"), del("/deleted"))
			publishRaw(t, s, msgs[:k]...)
			want := before
			if k > 0 {
				want = map[string]string{"/created": "new", "/changed": "new"}
			}
			for range 2 { // completing it twice is completing it once
				same(t, e, want)
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				e = open(t, options(s))
			}
			commit(t, e, put("/next", "1"))
		})
	}
}

// Those who follow see a transaction that others complete as one.
func TestACompletedTransactionIsOne(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	seen := make(chan engine.Transaction, 10)
	background(t, func(ctx context.Context) error {
		return e.Follow(ctx, func(tx engine.Transaction) error { seen <- tx; return nil })
	})
	first := within(t, seen, "what there is")
	publishRaw(t, s, e.MessagesOf(t, put("/a", "1"), put("/b", "1"), put("/c", "1"))[:2]...)
	// Whoever commits meets it, and completes it.
	if _, err := e.Commit(t.Context(), first.Position, []engine.Write{put("/d", "1")}); !errors.Is(err, engine.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	tx := within(t, seen, "the transaction")
	if len(tx.Writes) != 3 || tx.Snapshot {
		t.Errorf("got %+v", tx)
	}
	if _, err := e.Commit(t.Context(), tx.Position, []engine.Write{put("/d", "1")}); err != nil {
		t.Error(err)
	}
}

func TestCompletingDoesNotTouchWhatWasWrittenLater(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	commit(t, e, put("/a", "1"), put("/b", "1"))
	commit(t, e, put("/a", "2"))
	commit(t, e, del("/b"))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, open(t, options(s)), map[string]string{"/a": "2"})
}

// A write that is not answered is settled before the next one.
func TestAWriteThatWasNotAnsweredIsSettled(t *testing.T) {
	for k, want := range []map[string]string{
		{"/a": "old", "/next": "1"},
		{"/a": "new", "/b": "new"}, // the commit is decided on what is not the newest state
		{"/a": "new", "/b": "new"},
		{"/a": "new", "/b": "new"},
	} {
		s := startServer(t)
		e := open(t, options(s))
		at := commit(t, e, put("/a", "old"))
		publishRaw(t, s, e.MessagesOf(t, put("/a", "new"), put("/b", "new"))[:k]...)
		e.BeUnsure()
		_, err := e.Commit(t.Context(), at, []engine.Write{put("/next", "1")})
		if (k == 0) != (err == nil) || err != nil && !errors.Is(err, engine.ErrConflict) {
			t.Errorf("%d messages: got %v", k, err)
		}
		same(t, e, want)
	}
}

// A stream that has lost its end: the reader is ahead of it, and begins again.
func TestAReaderAheadOfTheStreamBeginsAgain(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	at := commit(t, e, put("/a", "1"))
	seen := make(chan engine.Transaction, 10)
	background(t, func(ctx context.Context) error {
		return e.Follow(ctx, func(tx engine.Transaction) error { seen <- tx; return nil })
	})
	within(t, seen, "what there is")
	if _, err := e.Commit(t.Context(), at+7, []engine.Write{put("/b", "1")}); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if tx := within(t, seen, "what there is, again"); !tx.Snapshot || tx.Position != at {
		t.Errorf("got %+v", tx)
	}
}

func TestNewerTransactionsAreRefused(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	failed := make(chan error, 1)
	go func() { failed <- e.Follow(context.Background(), func(engine.Transaction) error { return nil }) }()
	publishRaw(t, s, &nats.Msg{Subject: "intertie.transaction", Data: []byte{9}})
	err := within(t, failed, "Follow to end")
	if err == nil || !strings.Contains(err.Error(), "newer version of Intertie") {
		t.Errorf("got %v", err)
	}
	within(t, e.Failed(), "the engine to fail")
	if err := e.Err(); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("got %v", err)
	}
}

// What says that a key was deleted goes after a while, and the key does not rise.
func TestMarkersGo(t *testing.T) {
	s := startServer(t)
	o := options(s)
	o.KeepMarkers = time.Second
	e := open(t, o)
	commit(t, e, put("/a", "1"), put("/b", "1"), put("/c", "1"))
	commit(t, e, put("/c", "2"))
	commit(t, e, del("/b"))
	stream, err := peer(t, s).Stream(t.Context(), "INTERTIE_STATE")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the marker to go", func() bool {
		_, err := stream.GetLastMsgForSubject(t.Context(), "intertie.state.r.b")
		return err != nil
	})
	want := map[string]string{"/a": "1", "/c": "2"}
	same(t, e, want)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, o)
	same(t, e, want)
	commit(t, e, put("/b", "2"), del("/c")) // ends with what goes
	eventually(t, "the marker to go", func() bool {
		_, err := stream.GetLastMsgForSubject(t.Context(), "intertie.state.r.c")
		return err != nil
	})
	same(t, e, map[string]string{"/a": "1", "/b": "2"})
	commit(t, e, del("/a"), del("/b"))
	eventually(t, "all markers to go", func() bool { return messages(t, peer(t, s), "INTERTIE_STATE") == 1 })
	same(t, e, map[string]string{})
	if fresh, err := e.Fresh(t.Context()); fresh || err != nil {
		t.Errorf("fresh: %v, %v", fresh, err)
	}
	commit(t, e, put("/a", "3"))
	same(t, e, map[string]string{"/a": "3"})
}

func TestSubjectsOfKeys(t *testing.T) {
	for key, want := range map[string]string{
		"/subscriptions/s1":                    "intertie.state.r.subscriptions.s1",
		"/subscriptions/s1/resourcegroups/a.b": "intertie.state.r.subscriptions.s1.resourcegroups.a=2Eb",
		"/x/(*)":                               "intertie.state.r.x.=28=2A=29",
		"/x/>":                                 "intertie.state.r.x.=3E",
		"/x/ä b=":                              "intertie.state.r.x.=C3=A4=20b=3D",
		"/x//y/":                               "intertie.state.r.x.=2Fy=2F",
		"/":                                    "intertie.state.r.=",
		"":                                     "intertie.state.k.=",
		"x":                                    "intertie.state.k.x",
	} {
		if got := cluster.SubjectOf(key); got != want {
			t.Errorf("%q: got %s, want %s", key, got, want)
		}
	}
}

func TestSubjectsAreValidAndNeverCollide(t *testing.T) {
	key := rapid.OneOf(rapid.StringMatching(`/?([a-zA-Z0-9.()=*>/ \x{00e4}\x{1f600}_-]{0,12}/){0,3}[a-z0-9]{0,3}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		k := key.Draw(t, "key")
		subject := cluster.SubjectOf(k)
		if !server.IsValidLiteralSubject(subject) {
			t.Fatalf("%q → %s", k, subject)
		}
		if back, err := cluster.KeyOf(subject); err != nil || back != k {
			t.Fatalf("%q → %s → %q, %v", k, subject, back, err)
		}
	})
}

func TestLongKeysAreRefused(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	_, err := e.Commit(t.Context(), 0, []engine.Write{put("/"+strings.Repeat("x", 4000), "1")})
	if !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	commit(t, e, put("/a", "1"))
}
