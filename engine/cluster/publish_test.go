package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/cluster"
)

// silent replaces the stream of events by somebody who answers as he likes.
func silent(t *testing.T, answer func(m *nats.Msg)) (*cluster.Engine, cluster.Options) {
	t.Helper()
	s := startServer(t)
	o := options(s)
	o.CommitTimeout = 3500 * time.Millisecond
	e := open(t, o)
	js := peer(t, s)
	if err := js.DeleteStream(t.Context(), "INTERTIE_EVENTS"); err != nil {
		t.Fatal(err)
	}
	if answer != nil {
		if _, err := js.Conn().Subscribe("intertie.events", answer); err != nil {
			t.Fatal(err)
		}
		if err := js.Conn().Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return e, o
}

// A leader that is gone does not answer; the next one knows the message again.
func TestAMessageWithoutAnAnswerIsSentAgain(t *testing.T) {
	t.Parallel()
	var times atomic.Int32
	ids := make(chan string, 10)
	e, _ := silent(t, func(m *nats.Msg) {
		ids <- m.Header.Get(nats.MsgIdHdr)
		switch times.Add(1) {
		case 1: // nothing
		case 2:
			_ = m.Respond([]byte(`{"error":{"code":400,"err_code":10158,"description":"duplicate message id is in process"}}`))
		case 3:
			_ = m.Respond([]byte(`{"stream":"INTERTIE_EVENTS","seq":1,"duplicate":true}`))
		}
	})
	if err := e.Append(t.Context(), []byte("r"), 1); err != nil {
		t.Fatal(err)
	}
	first := <-ids
	for range 2 {
		if id := <-ids; id != first || id == "" {
			t.Errorf("sent as %q, then as %q", first, id)
		}
	}
}

func TestAnswersOfAppend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer               func(*nats.Msg)
		noSpace, unconfirmed bool
	}{
		"none":               {func(*nats.Msg) {}, false, true},
		"nobody there":       {nil, false, false},
		"no room":            {refuse(10047), true, false},
		"another":            {refuse(10059), false, false},
		"no leader, no room": {inTurn(refuse(10008), refuse(10077)), true, false},
		"none, then no room": {inTurn(func(*nats.Msg) {}, refuse(10023)), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := silent(t, c.answer)
			err := e.Append(t.Context(), []byte("r"), 1)
			if err == nil || errors.Is(err, engine.ErrNoSpace) != c.noSpace || errors.Is(err, engine.ErrUnconfirmed) != c.unconfirmed {
				t.Errorf("got %v", err)
			}
			if room := e.Room(); (room != nil) != c.noSpace || c.noSpace && !errors.Is(room, engine.ErrNoSpace) {
				t.Errorf("room: %v", room)
			}
		})
	}
}

func refuse(code int) func(*nats.Msg) {
	return func(m *nats.Msg) {
		_ = m.Respond(fmt.Appendf(nil, `{"error":{"code":503,"err_code":%d,"description":"no"}}`, code))
	}
}

func inTurn(answers ...func(*nats.Msg)) func(*nats.Msg) {
	var n atomic.Int32
	return func(m *nats.Msg) { answers[min(int(n.Add(1)), len(answers))-1](m) }
}

func TestAppendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	e, _ := silent(t, func(*nats.Msg) {})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Append(ctx, []byte("r"), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A limit of the account is a disk that is full.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := open(t, options(s))
	if err := e.Append(t.Context(), []byte("r"), 1); err != nil || e.Room() != nil {
		t.Errorf("append: %v, room: %v", err, e.Room())
	}
	limit(t, s, 1)
	err := e.Append(t.Context(), []byte("r"), 1)
	if !errors.Is(err, engine.ErrNoSpace) || errors.Is(err, engine.ErrUnconfirmed) || !errors.Is(e.Room(), engine.ErrNoSpace) {
		t.Errorf("append: %v, room: %v", err, e.Room())
	}
	if err := e.Move(t.Context(), []engine.Delivery{waiting("w", time.Now())}); !errors.Is(err, engine.ErrNoSpace) {
		t.Errorf("move: %v", err)
	}
	for _, ws := range [][]engine.Write{{{Key: "/a", Value: []byte("1")}}, {{Key: "/a", Value: []byte("1")}, {Key: "/b", Value: []byte("1")}}} {
		if _, err := e.Commit(t.Context(), 0, ws); !errors.Is(err, engine.ErrNoSpace) {
			t.Errorf("commit of %d: %v", len(ws), err)
		}
	}
	limit(t, s, -1)
	if err := e.Append(t.Context(), []byte("r"), 1); err != nil || e.Room() != nil {
		t.Errorf("append: %v, room: %v", err, e.Room())
	}
	if _, err := e.Commit(t.Context(), 0, []engine.Write{{Key: "/a", Value: []byte("1")}, {Key: "/b", Value: []byte("1")}}); err != nil {
		t.Error(err)
	}
}

// limit is how many bytes the account may store.
func limit(t testing.TB, s *server.Server, bytes int64) {
	t.Helper()
	err := s.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{
		"": {MaxMemory: -1, MaxStore: bytes, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
}
