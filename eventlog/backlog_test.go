package eventlog_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

var subA, subB = resource.UID{0xa}, resource.UID{0xb}

func TestBacklogComesOutInOrderAndIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, dir, eventlog.Options{})
	for i := 0; i < 30; i += 3 {
		for _, sub := range []resource.UID{subA, subB} {
			if err := n.Overflow(t.Context(), sub, deliveries(i, 3, time.Time{})); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.close(t)
	n = start(t, dir, eventlog.Options{})
	subs, err := n.Backlogs(t.Context())
	if err != nil || len(subs) != 2 || !n.HasBacklog(subA) || !n.HasBacklog(subB) {
		t.Fatalf("backlogs of %v, %v", subs, err)
	}
	var got, want []int
	for i := range 30 {
		want = append(want, i)
	}
	err = n.ConsumeBacklog(t.Context(), subA, func(b eventlog.DeliveryBatch) {
		for i := range b.Deliveries {
			got = append(got, number(b.Deliveries[i].ID))
		}
		b.Done()
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if n.HasBacklog(subA) || !n.HasBacklog(subB) {
		t.Error("the wrong backlog is gone")
	}
	if r := records(t, n, "INTERTIE_BACKLOG"); r != 10 {
		t.Errorf("%d records left where the other subscription has 10", r)
	}
	if err := n.DropBacklog(t.Context(), subB); err != nil {
		t.Fatal(err)
	}
	if r := records(t, n, "INTERTIE_BACKLOG"); r != 0 || n.HasBacklog(subB) {
		t.Errorf("%d records left", r)
	}
	s, err := n.Engine.JetStream().Stream(t.Context(), "INTERTIE_BACKLOG")
	if err != nil {
		t.Fatal(err)
	}
	if c := s.CachedInfo().State.Consumers; c != 0 {
		t.Errorf("%d consumers left", c)
	}
}

func TestEmptyBacklogIsDrained(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	err := n.ConsumeBacklog(t.Context(), subA, func(eventlog.DeliveryBatch) { t.Error("something came") })
	if err != nil || n.HasBacklog(subA) {
		t.Error(err, n.HasBacklog(subA))
	}
}

func TestBacklogInHandIsBounded(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	d := delivery(0, time.Time{})
	d.Event.JSON = make([]byte, 1<<20)
	for range 20 {
		if err := n.Overflow(t.Context(), subA, []eventlog.Delivery{d}); err != nil {
			t.Fatal(err)
		}
	}
	batches := make(chan eventlog.DeliveryBatch, 100)
	drained := make(chan error, 1)
	go func() {
		drained <- n.ConsumeBacklog(t.Context(), subA, func(b eventlog.DeliveryBatch) { batches <- b })
	}()
	most := 0
	for range 20 {
		b := within(t, batches, "a batch")
		most = max(most, len(batches)+1)
		b.Done()
	}
	if err := within(t, drained, "the end"); err != nil {
		t.Fatal(err)
	}
	if most > 8+16 { // what one read brings may go past the bound
		t.Errorf("%d MB were out", most)
	}
}

func TestBacklogIsNotDrainedBeforeDone(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	if err := n.Overflow(t.Context(), subA, deliveries(0, 1, time.Time{})); err != nil {
		t.Fatal(err)
	}
	batches := make(chan eventlog.DeliveryBatch, 2)
	drained := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		drained <- n.ConsumeBacklog(ctx, subA, func(b eventlog.DeliveryBatch) { batches <- b })
	}()
	first := within(t, batches, "the first")
	if err := n.Overflow(t.Context(), subA, deliveries(1, 1, time.Time{})); err != nil {
		t.Fatal(err)
	}
	second := within(t, batches, "what came while it was read")
	second.Done()
	cancel()
	if err := within(t, drained, "the end"); !errors.Is(err, context.Canceled) {
		t.Fatalf("ended with %v while a batch was out", err)
	}
	if !n.HasBacklog(subA) {
		t.Error("forgotten while a batch was out")
	}
	first.Done() // still counts
	if err := n.ConsumeBacklog(t.Context(), subA, func(eventlog.DeliveryBatch) { t.Error("came again") }); err != nil {
		t.Fatal(err)
	}
}

func TestBacklogNotDoneComesAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, dir, eventlog.Options{})
	for i := range 3 {
		if err := n.Overflow(t.Context(), subA, deliveries(i, 1, time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := n.ConsumeBacklog(ctx, subA, func(b eventlog.DeliveryBatch) {
		switch number(b.Deliveries[0].ID) {
		case 0:
			b.Done()
		case 2:
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	n.close(t)
	n = start(t, dir, eventlog.Options{})
	var got []int
	if err := n.ConsumeBacklog(t.Context(), subA, func(b eventlog.DeliveryBatch) {
		got = append(got, number(b.Deliveries[0].ID))
		b.Done()
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2}, got); diff != "" {
		t.Error(diff)
	}
}

// The protocol in ConsumeBacklog's comment leaves nothing behind, however
// writers and the reader's end meet.
func TestBacklogDrainRace(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{})
	var (
		mu      sync.Mutex
		running bool
		readers sync.WaitGroup
		seen    = make(map[int]bool) // the reader's; one at a time
		ends    int
	)
	read := func() {
		for {
			err := n.ConsumeBacklog(t.Context(), subA, func(b eventlog.DeliveryBatch) {
				for i := range b.Deliveries {
					seen[number(b.Deliveries[i].ID)] = true
				}
				b.Done()
			})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			ends++
			if err != nil || !n.HasBacklog(subA) {
				running = false
				mu.Unlock()
				return
			}
			mu.Unlock()
		}
	}
	const writers, each = 2, 100
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := n.Overflow(t.Context(), subA, deliveries(w*each+i, 1, time.Time{})); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if !running {
					running = true
					readers.Go(read)
				}
				mu.Unlock()
				if i%5 == 0 { // let it drain now and then
					eventually(t, "a drained backlog", func() bool { return !n.HasBacklog(subA) || w == 1 })
				}
			}
		})
	}
	wg.Wait()
	readers.Wait()
	if len(seen) != writers*each {
		t.Errorf("%d of %d came out", len(seen), writers*each)
	}
	if r := records(t, n, "INTERTIE_BACKLOG"); r != 0 {
		t.Errorf("%d records left", r)
	}
	t.Logf("drained %d times", ends)
}
