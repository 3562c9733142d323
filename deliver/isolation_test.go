package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
)

func TestAHangingEndpointCostsOthersNothing(t *testing.T) {
	slow, quick := newRecorder(), newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		quick.start = time.Now()
		return []*Subscription{
			sub(t, 1, slow.around(hang(30*time.Second, destination.Verdict{Outcome: destination.TimedOut}))),
			sub(t, 2, quick.around(always(delivered))),
		}
	}, func(r *rig) {
		// Little memory: what a hanging one kept for 30 s would use it up.
		const rounds, each = 300, 20
		for i := range rounds {
			r.disk.publish(entries(i*each, each)...)
			pass(100 * time.Millisecond)
			if n := len(quick.visits()); n != (i+1)*each {
				t.Fatalf("round %d: %d events reached the healthy endpoint, want %d", i, n, (i+1)*each)
			}
			// HoldLimit, the sweeper's pace and the overflow's linger are 14 rounds.
			// What is queued by then is gone as many rounds later, and the backlog
			// takes what comes within its linger.
			if n, most := r.disk.count(queueEvents), 14; n > most || i > 2*most && n > 3 {
				t.Fatalf("round %d: the hanging endpoint keeps %d batches of the log", i, n)
			}
		}
		for _, v := range quick.visits() {
			var n int
			if _, err := fmt.Sscanf(v.id, "e%d", &n); err != nil {
				t.Fatal(err)
			}
			if late := v.at - time.Duration(n/each)*100*time.Millisecond; late != 0 {
				t.Fatalf("%s was late by %s", v.id, late)
			}
		}
		if len(slow.visits()) < 8 {
			t.Errorf("the hanging endpoint saw %d attempts", len(slow.visits()))
		}
	}, func(o *Options) { o.Memory = 200 << 10 })
}

func TestAnInsuredAttemptIsSettledOnce(t *testing.T) {
	for _, row := range []struct {
		name    string
		first   destination.Verdict
		visits  int
		retries int
	}{
		{"delivered late", delivered, 1, 0},
		{"failed late", erred, 2, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			inBubble(t, func(*rig) []*Subscription {
				return []*Subscription{sub(t, 1, rec.around(func(ctx context.Context, id string, n int) destination.Verdict {
					if n > 0 {
						return delivered
					}
					return hang(20*time.Second, row.first)(ctx, id, n)
				}))}
			}, func(r *rig) {
				r.disk.publish(entry(0))
				pass(3 * time.Second)
				if r.disk.count(queueEvents) != 0 || r.disk.count(queueBacklog) != 1 {
					t.Fatal("the attempt keeps its batch")
				}
				pass(time.Minute)
				if n := len(rec.visits()); n != row.visits {
					t.Errorf("%d attempts, want %d", n, row.visits)
				}
				if n := r.disk.written(queueRetries); n != row.retries {
					t.Errorf("%d retry records, want %d", n, row.retries)
				}
				if n := r.disk.count(queueBacklog) + r.disk.count(queueRetries); n != 0 {
					t.Errorf("%d records are left", n)
				}
				if s, _ := r.Status(sub(t, 1, nil).UID); s.Backlogged {
					t.Error("still backlogged")
				}
				if l := r.lane(sub(t, 1, nil).UID); len(l.backlog.insured) != 0 {
					t.Error("an insurance is left")
				}
			})
		})
	}
}

func TestOverflowIsDrained(t *testing.T) {
	rec := newRecorder()
	const n = 5000
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, rec.around(hang(100*time.Millisecond, delivered)))}
	}, func(r *rig) {
		for i := range n / 50 {
			r.disk.publish(entries(i*50, 50)...)
		}
		pass(time.Second)
		s, _ := r.Status(sub(t, 1, nil).UID)
		if !s.Backlogged || s.Queued > DefaultOptions().QueueItems {
			t.Errorf("status under overload: %+v", s)
		}
		if r.disk.count(queueEvents) > 50 {
			t.Errorf("%d batches are held", r.disk.count(queueEvents))
		}
		pass(time.Minute)
		seen := make(map[string]int)
		for _, v := range rec.visits() {
			seen[v.id]++
		}
		if len(seen) != n || len(rec.visits()) != n {
			t.Errorf("%d attempts for %d events, want %d", len(rec.visits()), len(seen), n)
		}
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Backlogged || s.Queued != 0 || s.Concurrency != 64 {
			t.Errorf("status afterwards: %+v", s)
		}
		if left := r.disk.count(queueEvents) + r.disk.count(queueBacklog); left != 0 {
			t.Errorf("%d records are left", left)
		}
		before := r.disk.written(queueBacklog)
		r.disk.publish(entry(n))
		pass(time.Second)
		if r.disk.written(queueBacklog) != before || len(rec.visits()) != n+1 {
			t.Error("an event took the way through the backlog of an idle subscription")
		}
	})
}

func TestAPoisonedRecordDoesNotKeepOthersFromBeingWritten(t *testing.T) {
	inBubble(t, func(r *rig) []*Subscription {
		r.log.failing = func(queue string, ds []eventlog.Delivery) error {
			for _, d := range ds {
				if d.Event.ID == "e0" {
					return errors.New("no")
				}
			}
			return nil
		}
		return []*Subscription{sub(t, 1, always(erred))}
	}, func(r *rig) {
		r.disk.publish(entries(0, 1)...)
		r.disk.publish(entries(1, 99)...)
		pass(5 * time.Second)
		if n := r.disk.count(queueRetries); n != 99 {
			t.Errorf("%d retries written, want 99", n)
		}
		if n := r.disk.count(queueEvents); n != 1 {
			t.Errorf("%d batches are not Done, want the poisoned one", n)
		}
	})
}

func TestMemoryIsFreedByMovingTheWorstToDisk(t *testing.T) {
	quick := newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{
			sub(t, 1, hang(30*time.Second, destination.Verdict{Outcome: destination.TimedOut})),
			sub(t, 2, quick.around(always(delivered))),
		}
	}, func(r *rig) {
		// A batch fills the memory, so that the next one waits for the hanging
		// endpoint to let go: PressedHoldLimit, the sweeper's pace and the
		// overflow's linger, not 30 s.
		const batches = 20
		for i := range batches {
			r.disk.publish(entries(i*10, 10)...)
		}
		pass(2050 * time.Millisecond)
		if n := len(quick.visits()); n != batches*10 {
			t.Errorf("%d events reached the healthy endpoint, want %d", n, batches*10)
		}
		if n := r.disk.count(queueEvents); n != 0 {
			t.Errorf("%d batches are held", n)
		}
	}, func(o *Options) { o.Memory = 4 << 10 })
}

func TestAnUnhealthyBacklogExpiresOnTime(t *testing.T) {
	store := new(blobs)
	var sick atomic.Bool
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, targetFunc(func(ctx context.Context, id string, n int) destination.Verdict {
			if sick.Load() {
				return destination.Verdict{Outcome: destination.ResolutionError}
			}
			return hang(time.Second, delivered)(ctx, id, n)
		}))
		s.TTL = 57 * time.Minute
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entries(0, 3000)...)
		pass(2 * time.Second)
		sick.Store(true)
		pass(56 * time.Minute)
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Circuit != Open || !s.Backlogged {
			t.Fatalf("status before the time to live: %+v", s)
		}
		// The time to live passes in the middle of a probation.
		pass(time.Minute + 5*time.Second)
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Circuit != Open || s.Backlogged {
			t.Errorf("status after the time to live: %+v", s)
		}
		pass(6 * time.Minute)
		if left := r.disk.left(); left != 0 {
			t.Errorf("%d records are left after the time to live", left)
		}
		dead := store.records(t)
		if got := float64(len(dead)) + r.value(t, "eventgrid_delivery_success_total"); got != 3000 {
			t.Errorf("%v events delivered or dead-lettered, want 3000", got)
		}
	})
}
