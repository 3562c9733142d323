package eventlog_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

func TestMain(m *testing.M) {
	if runAsVictim() {
		return
	}
	goleak.VerifyTestMain(m)
}

// node is a log with its engine, as one process would hold them.
type node struct {
	*eventlog.Log
	Engine *engine.Engine
}

// start opens a log in dir; close ends it early.
func start(t testing.TB, dir string, o eventlog.Options) *node {
	t.Helper()
	n, err := openNode(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.close(t) })
	return n
}

func openNode(ctx context.Context, dir string, o eventlog.Options) (*node, error) {
	log := slog.New(slog.DiscardHandler)
	e, err := engine.Open(ctx, engine.Options{Dir: dir, Logger: log})
	if err != nil {
		return nil, err
	}
	if o.AckWait == 0 {
		o.AckWait = 300 * time.Millisecond
	}
	if o.TruncateEvery == 0 {
		o.TruncateEvery = 50 * time.Millisecond
	}
	l, err := eventlog.Open(ctx, e.JetStream(), o)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &node{l, e}, nil
}

func (n *node) close(t testing.TB) {
	t.Helper()
	n.Close()
	if err := n.Engine.Close(); err != nil {
		t.Error(err)
	}
}

// entry returns the n-th event; its id says so.
func entry(n int) eventlog.Entry {
	e := eventlog.Entry{
		Topic:     resource.UID{1},
		Published: time.Unix(1_700_000_000, int64(n)).UTC(),
		Event: event.Event{
			JSON: fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/s","type":"t"}`, n),
			ID:   fmt.Sprint(n), Source: "/s", Type: "t", SpecVersion: "1.0",
		},
	}
	binary.BigEndian.PutUint64(e.ID[:], uint64(n))
	return e
}

func entries(from, n int) []eventlog.Entry {
	es := make([]eventlog.Entry, n)
	for i := range es {
		es[i] = entry(from + i)
	}
	return es
}

func delivery(n int, due time.Time) eventlog.Delivery {
	return eventlog.Delivery{Entry: entry(n), Subscription: resource.UID{2}, Attempts: 1, Due: due}
}

func deliveries(from, n int, due time.Time) []eventlog.Delivery {
	ds := make([]eventlog.Delivery, n)
	for i := range ds {
		ds[i] = delivery(from+i, due)
	}
	return ds
}

func number(id [16]byte) int { return int(binary.BigEndian.Uint64(id[:])) }

// background runs a Consume method until stop is called, which waits for it.
func background(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("consume ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// within fails the test when nothing comes out of ch in good time.
func within[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	select {
	case v := <-ch:
		return v
	case <-timeout.C:
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// eventually polls ok, for what has no channel to wait on.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func records(t testing.TB, n *node, stream string) uint64 {
	t.Helper()
	s, err := n.Engine.JetStream().Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
