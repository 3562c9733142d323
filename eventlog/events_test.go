package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/eventlog"
)

func TestAppendedEventsComeOutOnceAndInOrder(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	got := make(chan eventlog.Entry, 100)
	background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			for _, e := range b.Entries {
				got <- e
			}
			b.Done()
			b.Done() // harmless
		})
	})
	want := entries(0, 20)
	for i := 0; i < len(want); i += 4 {
		if err := n.Append(t.Context(), want[i:i+4]); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range want {
		if diff := cmp.Diff(w, within(t, got, "an event")); diff != "" {
			t.Fatal(diff)
		}
	}
	eventually(t, "the stream to shrink", func() bool { return records(t, n, "INTERTIE_EVENTS") == 0 })
	if len(got) > 0 {
		t.Errorf("%d events too many", len(got))
	}
}

func TestConcurrentAppendsShareRecordsAndStayWhole(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	const callers, calls, size = 32, 20, 3
	var g errgroup.Group
	for c := range callers {
		g.Go(func() error {
			for i := range calls {
				if err := n.Append(t.Context(), entries((c*calls+i)*size, size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if r := records(t, n, "INTERTIE_EVENTS"); r == 0 || r >= callers*calls {
		t.Errorf("%d calls made %d records", callers*calls, r)
	}
	seen := collectEvents(t, n, callers*calls*size, func(es []eventlog.Entry) {
		if len(es)%size != 0 {
			t.Errorf("a record of %d entries has part of a call", len(es))
			return
		}
		for i := 0; i < len(es); i += size {
			if first := number(es[i].ID); first%size != 0 || number(es[i+size-1].ID) != first+size-1 {
				t.Errorf("entries of a call are apart at %d", first)
			}
		}
	})
	for id, times := range seen {
		if times != 1 {
			t.Errorf("event %d came %d times", id, times)
		}
	}
}

// collectEvents consumes until want different events came, and counts each.
func collectEvents(t *testing.T, n *node, want int, look func([]eventlog.Entry)) map[int]int {
	t.Helper()
	seen := make(map[int]int)
	all := make(chan struct{})
	stop := background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			look(b.Entries)
			before := len(seen)
			for i := range b.Entries {
				seen[number(b.Entries[i].ID)]++
			}
			b.Done()
			if before < want && len(seen) >= want {
				close(all)
			}
		})
	})
	within(t, all, "every event")
	stop()
	return seen
}

func TestWhatIsNotDoneComesAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, dir, eventlog.Options{})
	for i := range 4 {
		if err := n.Append(t.Context(), entries(i, 1)); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan int, 100)
	stop := background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			id := number(b.Entries[0].ID)
			if id%2 == 0 {
				b.Done()
			}
			got <- id
		})
	})
	for range 4 {
		within(t, got, "an event")
	}
	// Held longer than AckWait, and not handed out twice meanwhile.
	timer := time.NewTimer(900 * time.Millisecond)
	select {
	case id := <-got:
		t.Errorf("event %d was handed out twice while it was worked on", id)
	case <-timer.C:
	}
	stop()
	n.close(t)

	n = start(t, dir, eventlog.Options{})
	seen := collectEvents(t, n, 2, func([]eventlog.Entry) {})
	if diff := cmp.Diff([]int{1, 3}, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Error(diff)
	}
}

func TestDoneAfterConsumeEndedCounts(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	if err := n.Append(t.Context(), entries(0, 1)); err != nil {
		t.Fatal(err)
	}
	batches := make(chan eventlog.EventBatch, 1)
	stop := background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) { batches <- b })
	})
	b := within(t, batches, "the batch")
	stop()
	b.Done()
	eventually(t, "the stream to shrink", func() bool { return records(t, n, "INTERTIE_EVENTS") == 0 })
}

func TestTooLargeACallIsRefusedWhole(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	es := entries(0, 2)
	es[1].Event.JSON = make([]byte, 4<<20)
	if err := n.Append(t.Context(), es); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	es[1].Event.JSON = make([]byte, 3<<20)
	if err := n.Append(t.Context(), es); err != nil {
		t.Fatal(err)
	}
	seen := collectEvents(t, n, 2, func(es []eventlog.Entry) {
		if len(es) != 2 || len(es[1].Event.JSON) != 3<<20 {
			t.Errorf("%d entries", len(es))
		}
	})
	if len(seen) != 2 || records(t, n, "INTERTIE_EVENTS") > 1 {
		t.Errorf("got %v", seen)
	}
}

func TestAnErrorReachesEveryCaller(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	if err := n.Engine.JetStream().DeleteStream(t.Context(), "INTERTIE_EVENTS"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		wg.Go(func() { errs <- n.Append(t.Context(), entries(0, 1)) })
	}
	wg.Wait()
	for range cap(errs) {
		if err := <-errs; err == nil {
			t.Error("a caller was told that its event is durable")
		}
	}
}

func TestAppendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Append(ctx, entries(0, 1)); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	n.Close()
	if err := n.Append(t.Context(), entries(0, 1)); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A record of a newer program must neither be misread nor lost.
func TestNewerRecordIsKept(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	js := n.Engine.JetStream()
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "intertie.events", Data: []byte{200, 'E', 0, 0}}); err != nil {
		t.Fatal(err)
	}
	if err := n.Append(t.Context(), entries(7, 1)); err != nil {
		t.Fatal(err)
	}
	seen := collectEvents(t, n, 1, func([]eventlog.Entry) {})
	if seen[7] != 1 {
		t.Errorf("got %v", seen)
	}
	s, err := js.Stream(t.Context(), "INTERTIE_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetMsg(t.Context(), 1); err != nil {
		t.Errorf("the record of the newer program: %v", err)
	}
}

func TestStreamsAreFew(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{Tiers: []time.Duration{time.Second}})
	var got []string
	names := n.Engine.JetStream().StreamNames(t.Context())
	for s := range names.Name() {
		got = append(got, s)
	}
	want := []string{"INTERTIE_BACKLOG", "INTERTIE_DEADLETTER", "INTERTIE_EVENTS", "INTERTIE_RETRY_0", "INTERTIE_RETRY_1000"}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
	s, err := n.Engine.JetStream().Stream(t.Context(), "INTERTIE_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if c := s.CachedInfo().Config; c.Storage != jetstream.FileStorage || c.Retention != jetstream.LimitsPolicy {
		t.Errorf("stored as %v", c)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	n := start(t, t.TempDir(), eventlog.Options{Registerer: reg})
	if err := n.Append(t.Context(), entries(0, 3)); err != nil {
		t.Fatal(err)
	}
	if err := n.Retry(t.Context(), deliveries(0, 2, time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	value := func(name, queue string) float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.Metric {
				if f.GetName() == name && m.Label[0].GetValue() == queue {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
		return -1
	}
	if v := value("intertie_eventlog_appended_entries_total", "events"); v != 3 {
		t.Errorf("%v entries", v)
	}
	eventually(t, "the waiting retry to be counted", func() bool {
		return value("intertie_eventlog_waiting_records", "retry_54m0s") == 1
	})
	n.Close()
	if fams, err := reg.Gather(); err != nil || len(fams) != 0 {
		t.Errorf("left in the registry: %v, %v", fams, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]eventlog.Options{
		"descending": {Tiers: []time.Duration{2 * time.Second, time.Second}},
		"too fine":   {Tiers: []time.Duration{time.Microsecond}},
		"ack wait":   {AckWait: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := eventlog.Open(t.Context(), nil, o); err == nil {
				t.Error(fmt.Sprintf("%+v", o), "was taken")
			}
		})
	}
}
