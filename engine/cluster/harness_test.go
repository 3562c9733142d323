package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/cluster"
	"github.com/intertie/intertie/resource"
)

func TestMain(m *testing.M) {
	if runAsServer() {
		return
	}
	goleak.VerifyTestMain(m, // what nats-server leaves behind when it is shut down
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"))
}

// startServer runs a NATS server in this process, on a free loopback port. It ends
// with the test.
func startServer(t testing.TB, change ...func(*server.Options)) *server.Server {
	t.Helper()
	return startServerIn(t, t.TempDir(), change...)
}

func startServerIn(t testing.TB, dir string, change ...func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		ServerName: "n1", Host: "127.0.0.1", Port: server.RANDOM_PORT, MaxPayload: 8 << 20,
		JetStream: true, StoreDir: dir, SyncAlways: true, JetStreamMaxStore: 1 << 40,
		NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
	}
	for _, c := range change {
		c(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

// options are those of a test: what takes seconds takes a moment.
func options(s *server.Server) cluster.Options {
	return cluster.Options{
		URL: s.ClientURL(), AckWait: ackWait, TruncateEvery: 50 * time.Millisecond,
		Tiers: []time.Duration{time.Second, time.Minute, time.Hour},
	}
}

func open(t testing.TB, o cluster.Options) *cluster.Engine {
	t.Helper()
	e, err := cluster.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// peer is another client of the server, to look and to meddle.
func peer(t testing.TB, s *server.Server) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// messages counts those of a stream.
func messages(t testing.TB, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// background runs a reading method until stop is called, which waits for it.
func background(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the reader ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// within fails the test when nothing comes out of ch in good time.
func within[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
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

func waiting(head string, due time.Time) engine.Delivery {
	return engine.Delivery{Queue: engine.Waiting, Subscription: resource.UID{2}, Due: due, Head: []byte(head), Body: []byte("body")}
}

func spilled(sub resource.UID, head string) engine.Delivery {
	return engine.Delivery{Queue: engine.Spilled, Subscription: sub, Head: []byte(head), Body: []byte("body")}
}
