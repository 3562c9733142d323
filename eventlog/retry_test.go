package eventlog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/eventlog"
)

var tinyTiers = []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond}

// outcome is a delivery and when it came out.
type outcome struct {
	eventlog.Delivery
	at time.Time
}

// consumeRetries sends what comes out on a channel, done at once.
func consumeRetries(t *testing.T, n *node) (<-chan outcome, func()) {
	t.Helper()
	out := make(chan outcome, 10_000)
	stop := background(t, func(ctx context.Context) error {
		return n.ConsumeRetries(ctx, func(b eventlog.DeliveryBatch) {
			at := time.Now()
			for _, d := range b.Deliveries {
				out <- outcome{d, at}
			}
			b.Done()
		})
	})
	return out, stop
}

func TestRetriesComeOutWhenDueAndNeverBefore(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{Tiers: tinyTiers})
	out, _ := consumeRetries(t, n)
	const many = 400
	began := time.Now()
	var ds []eventlog.Delivery
	for i := range many {
		// Up to twice the longest tier, and some that are due already.
		ds = append(ds, delivery(i, began.Add(time.Duration(rand.Int64N(1100)-50)*time.Millisecond)))
	}
	var slowest time.Duration // what one write costs on this machine now
	for some := range slices.Chunk(ds, 37) {
		before := time.Now()
		if err := n.Retry(t.Context(), some); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(before))
	}
	seen := make(map[int]bool)
	var late time.Duration
	for range many {
		o := within(t, out, "a retry")
		id := number(o.ID)
		if seen[id] {
			t.Fatalf("retry %d came twice", id)
		}
		seen[id] = true
		if o.at.Before(o.Due) {
			t.Fatalf("retry %d came %v early", id, o.Due.Sub(o.at))
		}
		late = max(late, o.at.Sub(o.Due))
		if diff := cmp.Diff(ds[id].Due.UnixNano(), o.Due.UnixNano()); diff != "" {
			t.Fatal(diff)
		}
	}
	t.Logf("the latest was %v late, the slowest write took %v", late, slowest)
	// What is out of its tier early is written again, up to three times.
	if late > 200*time.Millisecond+10*slowest {
		t.Errorf("late by %v where a write takes %v", late, slowest)
	}
	for _, tier := range []string{"0", "20", "100", "500"} {
		eventually(t, "tier "+tier+" to be empty", func() bool { return records(t, n, "INTERTIE_RETRY_"+tier) == 0 })
	}
}

func TestTierFitsTheWait(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{Tiers: []time.Duration{time.Minute, time.Hour}})
	now := time.Now()
	for _, c := range []struct {
		wait   time.Duration
		stream string
	}{
		{-time.Hour, "INTERTIE_RETRY_0"},
		{30 * time.Second, "INTERTIE_RETRY_0"},
		{90 * time.Second, "INTERTIE_RETRY_60000"},
		{59 * time.Minute, "INTERTIE_RETRY_60000"},
		{61 * time.Minute, "INTERTIE_RETRY_3600000"},
		{100 * time.Hour, "INTERTIE_RETRY_3600000"},
	} {
		before := records(t, n, c.stream)
		if err := n.Retry(t.Context(), deliveries(0, 1, now.Add(c.wait))); err != nil {
			t.Fatal(err)
		}
		if records(t, n, c.stream) != before+1 {
			t.Errorf("a wait of %v is not in %s", c.wait, c.stream)
		}
	}
}

// Event Grid's delays with their jitter land in their own tier by default.
func TestDefaultTiersFitTheSchedule(t *testing.T) {
	t.Parallel()
	schedule := []time.Duration{
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
		30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	}
	tiers := eventlog.DefaultTiers()
	for i, d := range schedule {
		own := tiers[len(tiers)-len(schedule)+i]
		if lowest := d * 9 / 10; own != lowest {
			t.Errorf("delay %v: tier %v", d, own)
		}
	}
}

func TestRetriesOfARecordMayBeFarApart(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{Tiers: []time.Duration{20 * time.Millisecond}})
	out, _ := consumeRetries(t, n)
	now := time.Now()
	ds := []eventlog.Delivery{
		delivery(3, now.Add(400*time.Millisecond)), delivery(1, now.Add(100*time.Millisecond)),
		delivery(2, now.Add(200*time.Millisecond)), delivery(4, now.Add(24*time.Hour)),
	}
	if err := n.Retry(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 3 {
		o := within(t, out, "a retry")
		got = append(got, number(o.ID))
	}
	if diff := cmp.Diff([]int{1, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWaitingRetriesSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := eventlog.Options{Tiers: tinyTiers}
	n := start(t, dir, o)
	_, stop := consumeRetries(t, n) // a reader has the first record in hand
	due := time.Now().Add(700 * time.Millisecond)
	if err := n.Retry(t.Context(), deliveries(0, 5, due)); err != nil {
		t.Fatal(err)
	}
	stop()
	n.close(t)
	// The tiers are others now; what waits in the old ones still comes.
	n = start(t, dir, eventlog.Options{Tiers: []time.Duration{50 * time.Millisecond}})
	out, _ := consumeRetries(t, n)
	for range 5 {
		if o := within(t, out, "a retry"); o.at.Before(due) {
			t.Errorf("%v early", due.Sub(o.at))
		}
	}
}

func TestRetryWithoutDoneComesAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, dir, eventlog.Options{Tiers: tinyTiers})
	if err := n.Retry(t.Context(), deliveries(0, 3, time.Now())); err != nil {
		t.Fatal(err)
	}
	got := make(chan eventlog.DeliveryBatch, 1)
	stop := background(t, func(ctx context.Context) error {
		return n.ConsumeRetries(ctx, func(b eventlog.DeliveryBatch) { got <- b })
	})
	within(t, got, "the retries")
	stop()
	n.close(t)
	n = start(t, dir, eventlog.Options{Tiers: tinyTiers})
	out, _ := consumeRetries(t, n)
	for range 3 {
		within(t, out, "a retry again")
	}
}

func TestLastStateOfADeliveryIsKept(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{Tiers: tinyTiers})
	out, _ := consumeRetries(t, n)
	want := delivery(9, time.Now().Add(30*time.Millisecond).UTC().Round(0))
	want.Attempts, want.LastOutcome, want.LastStatus, want.LastAttempt = 4, "Busy", 503, time.Unix(1_700_000_123, 5).UTC()
	if err := n.Retry(t.Context(), []eventlog.Delivery{want}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, within(t, out, "the retry").Delivery); diff != "" {
		t.Error(diff)
	}
}

func TestDeadLettersComeInOrderWhenDue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, dir, eventlog.Options{})
	due := time.Now().Add(300 * time.Millisecond)
	first := delivery(0, due)
	first.Reason = "MaxDeliveryAttemptsExceeded"
	for i := range 5 {
		d := first
		d.Entry = entry(i)
		if err := n.DeadLetter(t.Context(), []eventlog.Delivery{d}); err != nil {
			t.Fatal(err)
		}
	}
	n.close(t)
	n = start(t, dir, eventlog.Options{})
	out := make(chan outcome, 10)
	background(t, func(ctx context.Context) error {
		return n.ConsumeDeadLetters(ctx, func(b eventlog.DeliveryBatch) {
			for _, d := range b.Deliveries {
				out <- outcome{d, time.Now()}
			}
			b.Done()
		})
	})
	for i := range 5 {
		o := within(t, out, "a dead letter")
		if o.at.Before(due) || number(o.ID) != i || o.Reason != first.Reason {
			t.Errorf("at place %d: %v, %v early", i, fmt.Sprint(number(o.ID), o.Reason), due.Sub(o.at))
		}
	}
	eventually(t, "the queue to shrink", func() bool { return records(t, n, "INTERTIE_DEADLETTER") == 0 })
}

// A reader that sleeps on its first record must wake up for it, and must not be
// led to sleep longer by one behind it.
func TestParkedRetriesComeInTime(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), eventlog.Options{Tiers: []time.Duration{400 * time.Millisecond, time.Hour}})
	out, _ := consumeRetries(t, n)
	for i := range 3 {
		due := time.Now().Add(450 * time.Millisecond)
		if err := n.Retry(t.Context(), deliveries(2*i, 1, due)); err != nil {
			t.Fatal(err)
		}
		if err := n.Retry(t.Context(), deliveries(2*i+1, 1, due.Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
		if o := within(t, out, "a parked retry"); number(o.ID) != 2*i || o.at.Before(due) {
			t.Fatalf("retry %d came, %v early", number(o.ID), due.Sub(o.at))
		}
	}
}
