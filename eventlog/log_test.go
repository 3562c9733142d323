package eventlog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

var subA, subB = resource.UID{0xa}, resource.UID{0xb}

// out is one thing that was handed out.
type out struct {
	eventlog.Delivery // of an event, its entry alone
	claim             *eventlog.Claim
}

// events sends what comes out on a channel.
func (n *node) events(t testing.TB) (<-chan out, func()) {
	t.Helper()
	ch := make(chan out, 10_000)
	stop := background(t, func(ctx context.Context) error { return n.ConsumeEvents(ctx, sendingEvents(ctx, ch)) })
	return ch, stop
}

func sendingEvents(ctx context.Context, ch chan<- out) func(eventlog.EventBatch) {
	return func(b eventlog.EventBatch) {
		for i := range b.Entries {
			select {
			case ch <- out{eventlog.Delivery{Entry: b.Entries[i]}, &b.Claims[i]}:
			case <-ctx.Done():
			}
		}
	}
}

// deliveries does the same for a queue of deliveries.
func deliveries(
	t testing.TB, consume func(context.Context, func(eventlog.DeliveryBatch)) error,
) (<-chan out, func()) {
	t.Helper()
	ch := make(chan out, 10_000)
	stop := background(t, func(ctx context.Context) error { return consume(ctx, sending(ctx, ch)) })
	return ch, stop
}

func sending(ctx context.Context, ch chan<- out) func(eventlog.DeliveryBatch) {
	return func(b eventlog.DeliveryBatch) {
		for i := range b.Deliveries {
			select {
			case ch <- out{b.Deliveries[i], &b.Claims[i]}:
			case <-ctx.Done():
			}
		}
	}
}

// to is a transfer of what was handed out.
func (o out) to(sub resource.UID, due time.Time) []eventlog.Transfer {
	d := o.Delivery
	d.Subscription, d.Due = sub, due
	return []eventlog.Transfer{{Delivery: d, Claim: o.claim}}
}

func TestAppendedEventsComeOutOnceAndInOrder(t *testing.T) {
	n := start(t, memory(t), eventlog.Options{})
	got, _ := n.events(t)
	want := entries(0, 20)
	for i := 0; i < len(want); i += 4 {
		must(t, n.Append(t.Context(), want[i:i+4]))
	}
	for _, w := range want {
		o := within(t, got, "an event")
		if diff := cmp.Diff(w, o.Entry); diff != "" {
			t.Fatal(diff)
		}
		o.claim.Release()
	}
	eventually(t, "nothing to be kept", func() bool { return n.kept() == 0 })
	if len(got) > 0 {
		t.Errorf("%d events too many", len(got))
	}
}

func TestConcurrentAppendsStayInOrder(t *testing.T) {
	n := start(t, memory(t), eventlog.Options{})
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
	must(t, g.Wait())
	got, _ := n.events(t)
	seen := make(map[int]bool)
	for range callers * calls * size {
		o := within(t, got, "an event")
		id := number(o.ID)
		if seen[id] || id%size != 0 && !seen[id-1] {
			t.Errorf("event %d came twice, or before what is in front of it", id)
		}
		seen[id] = true
	}
}

// What is not settled when a process ends comes again, and nothing else.
func TestWhatIsNotSettledComesAgain(t *testing.T) {
	fs := memory(t)
	n := start(t, fs, eventlog.Options{})
	must(t, n.Append(t.Context(), entries(0, 5)), n.Append(t.Context(), entries(5, 1)), n.Append(t.Context(), entries(6, 1)))
	got, stop := n.events(t)
	for i := range 7 {
		if o := within(t, got, "an event"); i%2 == 0 {
			o.claim.Release()
		}
	}
	stop()
	n.close(t)
	n = start(t, fs, eventlog.Options{})
	got, _ = n.events(t)
	for _, want := range []int{1, 3, 5} {
		o := within(t, got, "an event again")
		if diff := cmp.Diff(entry(want), o.Entry); diff != "" {
			t.Error(diff)
		}
		o.claim.Release()
	}
	eventually(t, "nothing to be kept", func() bool { return n.kept() == 0 })
}

func TestAClaimCountsAfterItsConsumerEnded(t *testing.T) {
	n := start(t, memory(t), eventlog.Options{})
	must(t, n.Append(t.Context(), entries(0, 1)))
	got, stop := n.events(t)
	o := within(t, got, "the event")
	stop()
	o.claim.Release()
	eventually(t, "nothing to be kept", func() bool { return n.kept() == 0 })
}

// An event goes from queue to queue, is in one of them at each moment, and is kept
// with what is known of it, also by the next process.
func TestADeliveryGoesFromQueueToQueue(t *testing.T) {
	fs := memory(t)
	n := start(t, fs, eventlog.Options{})
	only := func(records, waiting, dead, spilled int64) {
		t.Helper()
		want := engine.Counts{Records: records, Deliveries: [engine.Queues]int64{waiting, dead, spilled}}
		if diff := cmp.Diff(want, n.engine.Counts()); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
	}
	again := func() {
		n.close(t)
		n = start(t, fs, eventlog.Options{})
	}
	want := delivery(9, time.Time{})
	want.Subscription = subA
	next := func(o out, stop func()) (ts []eventlog.Transfer) {
		t.Helper()
		if diff := cmp.Diff(want, o.Delivery); diff != "" {
			t.Fatal(diff)
		}
		stop()
		want.Attempts++
		want.LastOutcome, want.LastStatus, want.LastAttempt = "Busy", 503, time.Unix(1_700_000_123, 5).UTC()
		want.Due = time.Now().Add(20 * time.Millisecond).UTC().Round(0)
		return []eventlog.Transfer{{Delivery: want, Claim: o.claim}}
	}
	must(t, n.Append(t.Context(), entries(9, 1)))
	only(1, 0, 0, 0)
	ch, stop := n.events(t)
	o := within(t, ch, "the event")
	o.Delivery = want
	must(t, n.Retry(t.Context(), next(o, stop)))
	only(0, 1, 0, 0)
	again()

	ch, stop = deliveries(t, n.ConsumeRetries)
	o = within(t, ch, "the retry")
	if now := time.Now(); now.Before(want.Due) {
		t.Errorf("%v early", want.Due.Sub(now))
	}
	must(t, n.Overflow(t.Context(), subA, next(o, stop)))
	only(0, 0, 0, 1)
	want.Due = time.Time{} // a backlog has none
	again()

	ctx, cancel := context.WithCancel(t.Context())
	var moved []eventlog.Transfer
	err := n.ConsumeBacklog(ctx, subA, func(b eventlog.DeliveryBatch) {
		moved = next(out{b.Deliveries[0], &b.Claims[0]}, cancel)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	want.Reason = "MaxDeliveryAttemptsExceeded"
	moved[0].Delivery = want
	must(t, n.DeadLetter(t.Context(), moved))
	only(0, 0, 1, 0)
	again()

	ch, stop = deliveries(t, n.ConsumeDeadLetters)
	o = within(t, ch, "the dead letter")
	next(o, stop)
	o.claim.Release()
	eventually(t, "nothing to be kept", func() bool { return n.kept() == 0 })
}

// An event that two subscriptions are owed stays until both of them have another
// owner for it.
func TestAnEventStaysWhileSomebodyIsOwedIt(t *testing.T) {
	fs := memory(t)
	n := start(t, fs, eventlog.Options{})
	must(t, n.Append(t.Context(), entries(0, 1)))
	got, stop := n.events(t)
	o := within(t, got, "the event")
	o.claim.Add(1)
	must(t, n.Retry(t.Context(), o.to(subA, time.Now().Add(time.Hour))))
	stop()
	n.close(t) // the other share is nobody's

	n = start(t, fs, eventlog.Options{})
	if c := n.engine.Counts(); c.Records != 1 || c.Deliveries[engine.Waiting] != 1 {
		t.Errorf("kept: %+v", c)
	}
	got, _ = n.events(t)
	o = within(t, got, "the event again")
	o.claim.Add(1)
	must(t, n.Overflow(t.Context(), subB, o.to(subB, time.Time{})))
	o.claim.Release()
	eventually(t, "the event to be gone", func() bool { return n.engine.Counts().Records == 0 })
}

func TestBacklogsComeOutInOrderAndAreDropped(t *testing.T) {
	fs := memory(t)
	n := start(t, fs, eventlog.Options{})
	to := func(sub resource.UID, from, many int) []eventlog.Transfer {
		ts := transfers(from, many, time.Time{})
		for i := range ts {
			ts[i].Delivery.Subscription = sub
		}
		return ts
	}
	for i := 0; i < 30; i += 3 {
		must(t, n.Overflow(t.Context(), subA, to(subA, i, 3)), n.Overflow(t.Context(), subB, to(subB, i, 3)))
	}
	n.close(t)
	n = start(t, fs, eventlog.Options{})
	subs, err := n.Backlogs(t.Context())
	must(t, err)
	slices.SortFunc(subs, func(a, b resource.UID) int { return strings.Compare(a.String(), b.String()) })
	if diff := cmp.Diff([]resource.UID{subA, subB}, subs); diff != "" {
		t.Error(diff)
	}
	var want, got []int
	for i := range 30 {
		want = append(want, i)
	}
	must(t, n.ConsumeBacklog(t.Context(), subA, func(b eventlog.DeliveryBatch) {
		for i := range b.Deliveries {
			got = append(got, number(b.Deliveries[i].ID))
			b.Claims[i].Release()
		}
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var dropped []int
	drop := func() {
		t.Helper()
		must(t, n.DropBacklog(t.Context(), subB, func(d eventlog.Delivery) {
			if d.Subscription != subB || d.Event.ID == "" {
				t.Errorf("dropped %+v", d)
			}
			dropped = append(dropped, number(d.ID))
		}))
	}
	drop()
	slices.Sort(dropped)
	if diff := cmp.Diff(want, dropped); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	drop() // there is none
	if subs, err := n.Backlogs(t.Context()); err != nil || len(subs) != 0 || len(dropped) != 30 {
		t.Errorf("backlogs of %v, %d dropped: %v", subs, len(dropped), err)
	}
	if n.kept() != 0 {
		t.Error("something is kept")
	}
}

func TestTooLargeCallsAreRefusedWhole(t *testing.T) {
	n := start(t, memory(t), eventlog.Options{})
	es := entries(0, 2)
	es[1].Event.JSON = make([]byte, 4<<20)
	if err := n.Append(t.Context(), es); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	ts := transfers(0, 2, time.Time{})
	ts[1].Delivery.Event.JSON = es[1].Event.JSON
	if err := n.Retry(t.Context(), ts); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if n.kept() != 0 {
		t.Error("something is kept")
	}
	es[1].Event.JSON = make([]byte, 3<<20)
	must(t, n.Append(t.Context(), es))
	got, _ := n.events(t)
	within(t, got, "the first")
	if o := within(t, got, "the second"); len(o.Event.JSON) != 3<<20 {
		t.Errorf("an event of %d bytes", len(o.Event.JSON))
	}
}

// The largest event that is taken can be moved too, whatever became of it.
func TestWhatIsTakenCanBeMoved(t *testing.T) {
	n := start(t, memory(t), eventlog.Options{})
	e := entry(0)
	e.Domain = resource.UID{3}
	low, high := 3<<20, 4<<20
	for high-low > 1 { // the largest that is taken
		e.Event.JSON = make([]byte, (low+high)/2)
		if err := n.Append(t.Context(), []eventlog.Entry{e}); errors.Is(err, eventlog.ErrTooLarge) {
			high = len(e.Event.JSON)
		} else {
			must(t, err)
			low = len(e.Event.JSON)
		}
	}
	e.Event.JSON = make([]byte, low)
	d := eventlog.Delivery{Entry: e, Subscription: subA, Due: time.Now().Add(time.Hour)}
	d.Attempts, d.LastStatus, d.LastAttempt = 1<<31-1, -1<<31, time.Now()
	d.LastOutcome, d.Reason = strings.Repeat("o", 100), strings.Repeat("r", 100)
	if err := n.DeadLetter(t.Context(), []eventlog.Transfer{{Delivery: d}}); err != nil {
		t.Errorf("an event of %d bytes was taken and cannot be moved: %v", low, err)
	}
}

func TestAfterClose(t *testing.T) {
	n := start(t, memory(t), eventlog.Options{})
	n.Close()
	if err := n.Append(t.Context(), entries(0, 1)); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Append: got %v", err)
	}
	n.close(t)
	for what, err := range map[string]error{
		"Retry":         n.Retry(t.Context(), transfers(0, 1, time.Now())),
		"ConsumeEvents": n.ConsumeEvents(t.Context(), func(eventlog.EventBatch) {}),
		"Backlog":       n.ConsumeBacklog(t.Context(), subA, func(eventlog.DeliveryBatch) {}),
		"DropBacklog":   n.DropBacklog(t.Context(), subA, func(eventlog.Delivery) {}),
	} {
		if !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}
