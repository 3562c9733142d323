package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/intertie/intertie/engine/disktest"
)

func openOn(t *testing.T, d *disktest.Disk, o Options) *Engine {
	t.Helper()
	o.Dir, o.CheckSpaceEvery = d.Dir, 20*time.Millisecond
	e, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, errHangs) {
			t.Error(err)
		}
	})
	return e
}

func stream(t *testing.T, e *Engine) jetstream.Stream {
	t.Helper()
	s, err := e.JetStream().CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// publish sends a message of n bytes and waits at most for patience.
func publish(t *testing.T, e *Engine, n int, patience time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := e.JetStream().Publish(ctx, "a", make([]byte, n))
	return err
}

func mustPublish(t *testing.T, e *Engine, times, n int) {
	t.Helper()
	for range times {
		if err := publish(t, e, n, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// until polls ok.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func messages(t *testing.T, e *Engine) int {
	t.Helper()
	s, err := e.JetStream().Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	n := s.CachedInfo().State.Msgs
	return int(n)
}

// readable checks that each message of a range is there.
func readable(t *testing.T, e *Engine, from, to uint64) {
	t.Helper()
	s, err := e.JetStream().Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	for seq := from; seq <= to; seq++ {
		if _, err := s.GetMsg(t.Context(), seq); err != nil {
			t.Errorf("message %d: %v", seq, err)
		}
	}
}

func TestServerGoesOnWhenThereIsSpaceAgain(t *testing.T) {
	d := disktest.New(t, 64*mb)
	registry := prometheus.NewRegistry()
	e := openOn(t, d, Options{Registerer: registry})
	stream(t, e)
	acknowledged := 0
	for round := range 3 {
		mustPublish(t, e, 20, 10_000)
		acknowledged += 20
		d.Fill(t, 0)
		failed := e.Space().Failed()
		if err := publish(t, e, 100_000, 300*time.Millisecond); err == nil {
			t.Fatalf("round %d: stored on a full disk", round)
		}
		until(t, "the failure to be noticed", func() bool {
			select {
			case <-failed:
				return true
			default:
				return false
			}
		})
		if err := e.Room(); !errors.Is(err, ErrNoSpace) {
			t.Errorf("room: %v", err)
		}
		if err := e.Space().Take(1); !errors.Is(err, ErrNoSpace) {
			t.Errorf("took: %v", err)
		}
		readable(t, e, 1, uint64(acknowledged))
		if got := messages(t, e); got != acknowledged { // while it is full, too
			t.Errorf("round %d: %d messages, %d were acknowledged", round, got, acknowledged)
		}
		d.Release(t)
		until(t, "room", func() bool { return e.Room() == nil })
		if got := messages(t, e); got != acknowledged {
			t.Errorf("round %d: %d messages, %d were acknowledged", round, got, acknowledged)
		}
	}
	mustPublish(t, e, 1, 10_000)
	if got := gauge(t, registry, "intertie_disk_free_bytes"); got < 50*mb || got > 64*mb {
		t.Errorf("free: %v", got)
	}
	if got := gauge(t, registry, "intertie_disk_refused_writes_total"); got != 3 {
		t.Errorf("refused: %v", got)
	}
}

// gauge returns the sum of a family.
func gauge(t *testing.T, g prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if f.GetType() == dto.MetricType_COUNTER {
				sum += m.GetCounter().GetValue()
			} else {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// A server that has no room can still be started: what it holds is delivered,
// which makes room.
func TestAFullFolderOpens(t *testing.T) {
	d := disktest.New(t, 64*mb)
	e := openOn(t, d, Options{})
	stream(t, e)
	mustPublish(t, e, 20, 10_000)
	d.Fill(t, 0)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openOn(t, d, Options{})
	if got := messages(t, e); got != 20 {
		t.Errorf("%d messages", got)
	}
	if e.Room() == nil {
		t.Error("a full disk has room")
	}
	d.Release(t)
	until(t, "room", func() bool { return e.Room() == nil })
	mustPublish(t, e, 1, 10_000)
}

// A purge that cannot write hangs nats-server for good. The program leaves that
// server behind, and nothing is lost.
func TestAServerThatHangsIsLeftBehind(t *testing.T) {
	const child = "INTERTIE_TEST_HANGS"
	if os.Getenv(child) == "" {
		// In a process of its own, since goroutines stay behind with that server.
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), child+"=1")
		out, err := again.CombinedOutput()
		switch {
		case err != nil:
			t.Errorf("%v:\n%s", err, out)
		case bytes.Contains(out, []byte("--- SKIP")):
			t.Skipf("%s", out)
		}
		return
	}
	d := disktest.New(t, 64*mb)
	var log strings.Builder
	e := openOn(t, d, Options{
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		patience: patience{check: 50 * time.Millisecond, answer: 2 * time.Second, stop: time.Second},
	})
	s := stream(t, e)
	mustPublish(t, e, 1000, 500)
	d.Fill(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(900)); err == nil {
		t.Fatal("purged on a full disk")
	}
	until(t, "the hanging server to be noticed", func() bool { return e.Space().hasFailed() })
	d.Release(t)
	until(t, "room", func() bool { return e.Room() == nil })
	mustPublish(t, e, 10, 500)
	after := messages(t, e)
	if after < 111 || after > 1010 { // the purge may have happened, not or in part
		t.Errorf("%d messages", after)
	}
	readable(t, e, 900, 1010)
	if !strings.Contains(log.String(), "left behind") {
		t.Errorf("not logged:\n%s", log.String())
	}
	if _, err := os.Stat(filepath.Join(d.Dir, "moved-1", "jetstream")); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	// The next process finds everything at its place.
	e = openOn(t, d, Options{})
	if got := messages(t, e); got != after {
		t.Errorf("%d messages, %d before", got, after)
	}
	if left, err := filepath.Glob(filepath.Join(d.Dir, "moved-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
