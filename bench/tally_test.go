package bench

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTallyCountsEachOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 20
		ty := newTally(7, size, nil)
		seen := map[uint64]bool{}
		var repeats uint64
		for _, seq := range rapid.SliceOf(rapid.Uint64Range(0, size+2)).Draw(t, "arrivals") {
			run := rapid.Uint64Range(6, 8).Draw(t, "run")
			ty.book(0, mark{run: run, seq: seq, sent: 5}, 9)
			switch {
			case run != 7 || seq >= size:
			case seen[seq]:
				repeats++
			default:
				seen[seq] = true
			}
		}
		if ty.count.Load() != uint64(len(seen)) || ty.repeats.Load() != repeats {
			t.Fatalf("%d events and %d repeats; want %d and %d", ty.count.Load(), ty.repeats.Load(), len(seen), repeats)
		}
		if got := ty.latencies(size); len(got) != len(seen) || len(got) > 0 && got[0] != 4 {
			t.Fatalf("latencies %v of %d events", got, len(seen))
		}
	})
}

// TestRollCall: 3 events to webhooks 100 to 199, of which each wants every
// second one.
func TestRollCall(t *testing.T) {
	g := newGate(1000)
	if !g.enter(t.Context(), 150) {
		t.Fatal("the gate is full")
	}
	r := newRollCall(1, 3, 100, 100, g, func(seq uint64, hook int) bool { return (hook+int(seq))%2 == 0 })
	expected := uint64(0)
	for seq := range uint64(3) {
		for hook := 100; hook < 200; hook++ {
			if (hook+int(seq))%2 == 0 {
				r.book(hook, mark{run: 1, seq: seq}, int64(hook))
				expected++
			}
		}
	}
	if err := r.wait(t.Context(), expected, time.Second); err != nil {
		t.Fatalf("everything is there, yet: %v", err)
	}
	if r.lastSeen.Load() != 199 || g.under.Load() != 0 {
		t.Errorf("the last came at %d, %d are under way", r.lastSeen.Load(), g.under.Load())
	}
	r.book(100, mark{run: 1, seq: 0}, 0)
	r.book(100, mark{run: 2, seq: 0}, 0) // another's
	if r.repeats.Load() != 1 || r.count.Load() != expected {
		t.Errorf("%d repeats, %d counted", r.repeats.Load(), r.count.Load())
	}
	if err := r.wait(t.Context(), expected+1, 5*time.Millisecond); !errors.Is(err, errMissing) {
		t.Errorf("one is missing, yet: %v", err)
	}
	for name, stray := range map[string]struct {
		hook int
		seq  uint64
	}{
		"a webhook that does not want it": {101, 0},
		"a webhook below":                 {99, 1},
		"a webhook above":                 {200, 0},
		"an event that was not sent":      {100, 3},
	} {
		before := r.strays.Load()
		r.book(stray.hook, mark{run: 1, seq: stray.seq}, 0)
		if r.strays.Load() != before+1 {
			t.Errorf("%s: not noticed", name)
		}
	}
	if err := r.wait(t.Context(), expected, time.Second); !errors.Is(err, errStray) {
		t.Errorf("events went astray, yet: %v", err)
	}
}
