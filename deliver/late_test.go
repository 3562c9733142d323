package deliver

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/resource"
)

// lateAfter times out after 30 s and has its answer d after the beginning. The
// answer is delivered to Late while the dispatcher may do what it likes.
func lateAfter(d time.Duration) batchFunc {
	return func(ctx context.Context, n *destination.Notification) destination.Verdict {
		time.AfterFunc(d, n.Late)
		return slowly(30*time.Second, destination.Verdict{Outcome: destination.TimedOut})(ctx, n)
	}
}

func TestALateAnswerCancelsTheRetry(t *testing.T) {
	for _, row := range []struct {
		name     string
		late     time.Duration // since the attempt began
		second   batchFunc
		events   int
		change   func(*Subscription)
		attempts int
		dead     int // letters
	}{
		{name: "before the attempt is given up", late: 30 * time.Second, events: 1, attempts: 1},
		{name: "before the retry", late: 33 * time.Second, events: 1, attempts: 1},
		{name: "of a batch", late: 33 * time.Second, events: 5, attempts: 5},
		{
			name: "while the retry is under way", late: time.Minute, events: 1, attempts: 2,
			second: slowly(30*time.Second, destination.Verdict{Outcome: destination.TimedOut}),
		},
		{
			name: "after the retry was delivered", late: 2 * time.Minute, events: 1, attempts: 2, second: answers(delivered),
		},
		{
			name: "instead of a dead letter", late: 2 * time.Minute, events: 3, attempts: 3,
			change: func(s *Subscription) {
				s.MaxAttempts = 1
				s.DeadLetter = &DeadLetter{Store: new(blobs), Container: "dead"}
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p parcels
			var calls atomic.Int32
			inBubble(t, func(*rig) []*Subscription {
				s := batching(t, Batch{Events: 10}, p.around(
					func(ctx context.Context, n *destination.Notification) destination.Verdict {
						if calls.Add(1) == 1 {
							return lateAfter(row.late)(ctx, n)
						}
						if row.second == nil {
							return delivered
						}
						return row.second(ctx, n)
					}))
				if row.change != nil {
					row.change(s)
				}
				return []*Subscription{s}
			}, func(r *rig) {
				r.disk.publish(entries(0, row.events)...)
				pass(3 * time.Second)
				if r.disk.count(queueBacklog) == 0 {
					t.Error("the attempt is not insured")
				}
				pass(20 * time.Minute)
				if n := sum(p.sizes()); n != row.attempts {
					t.Errorf("%d attempts, want %d", n, row.attempts)
				}
				if n := r.value(t, "eventgrid_delivery_success_total"); n != float64(row.events) {
					t.Errorf("delivery_success_total = %v, want %d", n, row.events)
				}
				if n := r.value(t, "eventgrid_dead_lettered_total") + r.value(t, "eventgrid_dropped_total"); n != 0 {
					t.Errorf("%v dead-lettered or dropped", n)
				}
				if r.disk.left() != 0 {
					t.Errorf("%d records are left", r.disk.left())
				}
				s, _ := r.Status(sub(t, 1, nil).UID)
				if s.Circuit == Open || s.DeadLetters != 0 || s.Circuit != Closed && !s.Failed.After(s.Succeeded) {
					t.Errorf("status: %+v", s)
				}
			})
		})
	}
}

func TestWhatIsDroppedIsNotRememberedAsTakenLate(t *testing.T) {
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, lateAfter(time.Minute))
		s.MaxAttempts = 1
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(10 * time.Minute)
		if n := len(r.late.set); n != 0 {
			t.Errorf("%d events are remembered", n)
		}
	})
}

// A target that says both is believed the first thing it says, and its answer
// never counts for the events of another attempt.
func TestALateAnswerAfterASuccessCountsForNobody(t *testing.T) {
	var late func()
	var calls int
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, batchFunc(func(_ context.Context, n *destination.Notification) destination.Verdict {
			if calls++; calls == 1 {
				late = n.Late
				late()
				return delivered
			}
			late()
			if n.Items[0].Attempt > 0 {
				return delivered
			}
			return destination.Verdict{Outcome: destination.TimedOut}
		}))}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Second)
		r.disk.publish(entry(1))
		pass(time.Minute)
		if calls != 3 {
			t.Errorf("%d attempts, want 3", calls)
		}
	}, func(o *Options) { o.Concurrency, o.MaxConcurrency = 1, 1 })
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	var s lateSet
	lanes := make([]*lane, 8)
	for n := range lanes {
		lanes[n] = &lane{uid: resource.UID{byte(n)}}
	}
	id := func(i int) (b [16]byte) {
		copy(b[:], fmt.Sprintf("%016d", i))
		return b
	}
	check := func() {
		t.Helper()
		var total int64
		for _, l := range lanes {
			total += l.late.Load()
			if l.late.Load() > lateItemsOfOne {
				t.Fatalf("%d events of one subscription", l.late.Load())
			}
		}
		if int(total) != len(s.set) || len(s.set) > lateItems || len(s.order) > lateItems {
			t.Fatalf("%d events counted, %d remembered in %d places", total, len(s.set), len(s.order))
		}
	}
	for n := range lanes {
		for i := range 2 * lateItemsOfOne {
			s.add(lanes[n], [][16]byte{id(i), id(i)})
		}
		check()
	}
	if s.forget(lateItem{lanes[0].uid, id(0)}) {
		t.Error("the oldest is remembered")
	}
	last := lanes[len(lanes)-1]
	for i := range lateItemsOfOne {
		if !s.forget(lateItem{last.uid, id(i)}) {
			t.Fatalf("the newest are forgotten: %d", i)
		}
	}
	check()
	s.add(last, [][16]byte{id(1)})
	check()
}
