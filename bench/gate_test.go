package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// TestGateNeverOverflows: whatever many do at a time, no more is under way than
// fits, and everybody gets through.
func TestGateNeverOverflows(t *testing.T) {
	const (
		limit   = 10
		senders = 8
		each    = 500
	)
	g := newGate(limit)
	var under, most, through atomic.Int64
	var wg sync.WaitGroup
	for s := range senders {
		n := int64(s%3 + 1)
		wg.Go(func() {
			for range each {
				if !g.enter(t.Context(), n) {
					t.Error("the gate refused although nobody cancelled")
					return
				}
				now := under.Add(n)
				for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				}
				through.Add(1)
				under.Add(-n)
				g.leave(n)
			}
		})
	}
	wg.Wait()
	if through.Load() != senders*each || most.Load() > limit {
		t.Errorf("%d of %d came through, at most %d at a time where %d fit", through.Load(), senders*each, most.Load(), limit)
	}
}

func TestGateTakesWhatNeverFits(t *testing.T) {
	g := newGate(10)
	if !g.enter(t.Context(), 50) {
		t.Error("a request larger than the gate never gets through")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if g.enter(ctx, 1) {
		t.Error("the gate is full, and one more got through")
	}
	g.leave(50)
	if !g.enter(t.Context(), 1) {
		t.Error("the gate is empty and lets nobody in")
	}
}

func TestGateEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var none *gate
	if !none.enter(ctx, 1000) {
		t.Error("no gate stops somebody")
	}
	none.leave(1000)
	cancel()
	if none.enter(ctx, 1) || newGate(10).enter(ctx, 1) {
		t.Error("somebody got in after the end")
	}
}
