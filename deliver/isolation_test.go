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

// one retry record per event means that nobody was attempted out of turn.
func TestProbationHoldsBackEverything(t *testing.T) {
	rec := newRecorder()
	var healthy atomic.Bool
	inBubble(t, func(*rig) []*Subscription {
		rec.start = time.Now()
		return []*Subscription{sub(t, 1, rec.around(func(context.Context, string, int) destination.Verdict {
			if healthy.Load() {
				return delivered
			}
			return busy
		}))}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Second)
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Circuit != Open || s.Failures != 1 {
			t.Fatalf("status after a 429: %+v", s)
		}
		r.disk.publish(entries(1, 20)...)
		pass(8900 * time.Millisecond)
		if n := len(rec.visits()); n != 1 {
			t.Fatalf("%d attempts during probation", n-1)
		}
		healthy.Store(true)
		pass(2 * time.Second)
		visits := rec.visits()
		if len(visits) != 22 {
			t.Fatalf("%d attempts, want 22", len(visits))
		}
		for _, v := range visits[1:] {
			if want := 0; v.id != "e0" && v.attempt != want {
				t.Errorf("%s was told %d attempts: probation is none", v.id, v.attempt)
			}
			if v.at < 10*time.Second {
				t.Errorf("%s attempted after %s, within probation", v.id, v.at)
			}
		}
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Circuit != Closed || s.Failures != 0 {
			t.Errorf("status after a success: %+v", s)
		}
	})
}

func TestOneProbeWhenProbationEnds(t *testing.T) {
	var under, most atomic.Int32
	var calls atomic.Int32
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, targetFunc(func(ctx context.Context, id string, n int) destination.Verdict {
			if calls.Add(1) == 1 {
				return busy
			}
			most.Store(max(most.Load(), under.Add(1)))
			defer under.Add(-1)
			return hang(5*time.Second, busy)(ctx, id, n)
		}))}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Second)
		r.disk.publish(entries(1, 50)...)
		pass(10 * time.Minute)
		if calls.Load() < 10 || most.Load() != 1 {
			t.Errorf("%d attempts, at most %d at a time; want several, one at a time", calls.Load(), most.Load())
		}
	})
}

func TestProbationDoublesAfterTenFailures(t *testing.T) {
	start := time.Unix(0, 0)
	now := start
	var c circuit
	for n := 1; n <= 25; n++ {
		if !c.fail(c.round, 10*time.Second, now) {
			t.Fatalf("failure %d left the circuit closed", n)
		}
		want := 10 * time.Second
		for i := patience; i < n && want < time.Hour; i++ {
			want = min(2*want, time.Hour)
		}
		if got := c.until.Sub(now); got != want {
			t.Errorf("failure %d: probation %s, want %s", n, got, want)
		}
		now = c.until
		if c.state(now) != HalfOpen || c.state(now.Add(-1)) != Open {
			t.Errorf("failure %d: state %s at the end of probation", n, c.state(now))
		}
	}
	c.succeed()
	if c.state(now) != Closed {
		t.Error("a success did not close the circuit")
	}
	c.fail(c.round, 10*time.Second, now)
	if got := c.until.Sub(now); got != 10*time.Second {
		t.Errorf("probation after a success: %s", got)
	}
}

func TestABurstOfFailuresCountsOnce(t *testing.T) {
	now := time.Unix(0, 0)
	var c circuit
	for range 64 {
		c.fail(0, 10*time.Second, now)
	}
	if got := c.until.Sub(now); got != 10*time.Second {
		t.Errorf("probation after 64 attempts failed together: %s", got)
	}
	now = c.until
	c.fail(c.round, 10*time.Second, now)
	if got := c.until.Sub(now); got != 20*time.Second {
		t.Errorf("probation after the probe failed: %s, want it doubled", got)
	}
}

func TestFailuresWithoutProbationLeaveTheCircuitClosed(t *testing.T) {
	var c circuit
	now := time.Unix(0, 0)
	for range 20 {
		if c.fail(c.round, 0, now) {
			t.Fatal("opened without a probation time")
		}
	}
}

func TestConcurrencyAdapts(t *testing.T) {
	now := time.Unix(100, 0)
	c := concurrency{limit: 8, max: 64}
	for range 3000 {
		c.succeed(true)
	}
	if c.limit != 64 {
		t.Errorf("limit after successes: %d, want 64", c.limit)
	}
	for range 64 {
		c.fail(now, now.Add(time.Second))
	}
	if c.limit != 32 {
		t.Errorf("limit after attempts failed together: %d, want 32", c.limit)
	}
	for i := range 10 {
		at := now.Add(time.Duration(i+2) * time.Second)
		c.fail(at, at)
	}
	if c.limit != 1 {
		t.Errorf("limit after failures: %d, want 1", c.limit)
	}
	c.succeed(false)
	if c.limit != 1 {
		t.Error("grew with nothing waiting")
	}
}

func TestAHangingEndpointCostsOthersNothing(t *testing.T) {
	slow, quick := newRecorder(), newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		quick.start = time.Now()
		return []*Subscription{
			sub(t, 1, slow.around(hang(30*time.Second, destination.Verdict{Outcome: destination.TimedOut}))),
			sub(t, 2, quick.around(always(delivered))),
		}
	}, func(r *rig) {
		// Little memory: what the hanging one keeps would use it up at once.
		const rounds, each = 300, 20
		for i := range rounds {
			r.disk.publish(entries(i*each, each)...)
			pass(100 * time.Millisecond)
			if n := len(quick.visits()); n != (i+1)*each {
				t.Fatalf("round %d: %d events reached the healthy endpoint, want %d", i, n, (i+1)*each)
			}
			if n := r.disk.count(queueEvents); n > 14 {
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
		s.TTL = time.Hour
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entries(0, 3000)...)
		pass(2 * time.Second)
		sick.Store(true)
		pass(time.Hour + 10*time.Minute)
		dead := store.records(t)
		if left := r.disk.count(queueBacklog) + r.disk.count(queueRetries) + r.disk.count(queueDead); left != 0 {
			t.Errorf("%d records are left after the time to live", left)
		}
		if got := float64(len(dead)) + r.value(t, "eventgrid_delivery_success_total"); got != 3000 {
			t.Errorf("%v events delivered or dead-lettered, want 3000", got)
		}
	})
}
