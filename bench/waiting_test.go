package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

func TestTimely(t *testing.T) {
	const second = int64(time.Second)
	w := &waiters{near: newTally(1, 4, nil), far: newTally(2, 100, nil), soonest: 10 * time.Second, latest: 50 * time.Second, filled: time.Second}
	for n, want := range []int{10, 20, 30, 40} {
		if got := w.delay(n); got != time.Duration(want)*time.Second {
			t.Fatalf("delay %d is %v, want %v s", n, got, want)
		}
	}
	// On time, a tenth late, a little early within the clocks' drift, early.
	for n, took := range []int64{10 * second, 22 * second, 30*second - 2e6, 39 * second} {
		w.book(0, mark{run: 1, seq: uint64(n)}, took)
	}
	w.book(0, mark{run: 2, seq: 5}, 1)
	if w.far.count.Load() != 1 {
		t.Error("a retry that came hours early is not noticed")
	}
	for _, r := range w.timely() {
		want, ok := map[string]float64{
			"the latest attempt, late by": 10, "attempts, late by (median)": -1, "attempts that came early": 1,
			"attempts that fell due": 4, "retries written": 100,
		}[r.Metric]
		if !ok || *r.Value != want {
			t.Errorf("%s: %v, want %v", r.Metric, *r.Value, want)
		}
		if met := r.Met(); met != (r.Metric != "attempts that came early") {
			t.Errorf("%s: met %v", r.Metric, met)
		}
	}
}

// TestRetriesAreReal: what is written is what a server reads when it is due.
func TestRetriesAreReal(t *testing.T) {
	e, err := local.Open(t.Context(), local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	epoch := time.Now()
	topic, sub := resource.NewUID(), resource.NewUID()
	r, err := newRetries(&folder{engine: e}, epoch, topic, sub)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	const count = 30
	err = r.write(t.Context(), wait{run: 4, count: count, delay: func(n int) time.Duration { return time.Duration(n) * time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	account := newTally(4, count, nil)
	hook := &hook{}
	hook.report(account)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	err = r.log.ConsumeRetries(ctx, func(b eventlog.DeliveryBatch) {
		now := time.Now()
		for _, d := range b.Deliveries {
			if d.Topic != topic || d.Subscription != sub || d.Attempts != 6 || now.Before(d.Due) || d.Event.Type != eventType(0) {
				t.Errorf("read %+v", d)
			}
			hook.count(d.Event.JSON, int64(now.Sub(epoch)))
		}
		for i := range b.Claims {
			b.Claims[i].Release()
		}
		if account.count.Load() == count {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || account.count.Load() != count || account.repeats.Load() != 0 {
		t.Errorf("%d of %d came, %d of them again: %v", account.count.Load(), count, account.repeats.Load(), err)
	}
}

func TestCompareRest(t *testing.T) {
	before := rested{start: time.Second, memory: 40e6, cpu: 0.2}
	after := rested{start: 2 * time.Second, memory: 100e6, cpu: 0.4}
	got := map[string]Result{}
	for _, r := range compareRest(before, after) {
		got[r.Metric] = r
	}
	if r := got["memory above idle"]; *r.Value != 60 || r.Met() {
		t.Errorf("60 MB more: %+v", r)
	}
	if r := got["memory, beside none waiting"]; *r.Ratio != 2.5 {
		t.Errorf("100 MB beside 40 MB: %+v", r)
	}
	if r := got["processor while nothing is due"]; *r.Value != 0.4 || !r.Met() {
		t.Errorf("0.4 %% of a core: %+v", r)
	}
	if r := got["start"]; *r.Value != 2 || !r.Met() {
		t.Errorf("a start in 2 s: %+v", r)
	}
	for _, r := range compareRest(rested{memory: -1, cpu: -1}, after) {
		if r.Unit != "s" && r.Value != nil {
			t.Errorf("a system that does not tell: %+v", r)
		}
	}
}
