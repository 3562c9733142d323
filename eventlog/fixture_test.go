package eventlog_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine/local"
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
	engine *local.Engine
	closed bool
}

// memory is a file system in memory with an empty data folder.
func memory(t testing.TB) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll(dataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	return fs
}

const dataDir = "/data"

// start opens a log on what is in fs; close ends it early.
func start(t testing.TB, fs vfs.FS, o eventlog.Options) *node {
	t.Helper()
	return startWith(t, local.Options{Dir: dataDir, FS: fs}, o)
}

func startWith(t testing.TB, e local.Options, o eventlog.Options) *node {
	t.Helper()
	n, err := openNode(t.Context(), e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.close(t) })
	return n
}

func openNode(ctx context.Context, eo local.Options, o eventlog.Options) (*node, error) {
	e, err := local.Open(ctx, eo)
	if err != nil {
		return nil, err
	}
	l, err := eventlog.Open(e, o)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &node{Log: l, engine: e}, nil
}

func (n *node) close(t testing.TB) {
	t.Helper()
	if n.closed {
		return
	}
	n.closed = true
	n.Close()
	if err := n.engine.Close(); err != nil {
		t.Error(err)
	}
}

// kept counts everything that is not settled.
func (n *node) kept() (total int64) {
	c := n.engine.Counts()
	for _, m := range c.Deliveries {
		total += m
	}
	return total + c.Records
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

// transfers returns n deliveries that nobody owned before.
func transfers(from, n int, due time.Time) []eventlog.Transfer {
	ts := make([]eventlog.Transfer, n)
	for i := range ts {
		ts[i].Delivery = delivery(from+i, due)
	}
	return ts
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
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
