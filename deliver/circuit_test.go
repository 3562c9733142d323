package deliver

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
)

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

// What a receiver asks for holds for all events of the subscription, until then and
// not beyond their time to live.
func TestRetryAfterIsAboutTheEndpoint(t *testing.T) {
	rec := newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		rec.start = time.Now()
		s := sub(t, 1, rec.around(func(_ context.Context, id string, n int) destination.Verdict {
			if id == "e0" && n == 0 {
				return destination.Verdict{Outcome: destination.Busy, Status: 429, Asked: 10 * time.Minute}
			}
			return delivered
		}))
		s.TTL = time.Hour
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Second)
		r.disk.publish(entries(1, 20)...)
		pass(9*time.Minute + 50*time.Second)
		if n := len(rec.visits()); n != 1 {
			t.Fatalf("%d attempts within the 10 minutes that the endpoint asked for", n-1)
		}
		pass(2 * time.Minute)
		if n := len(rec.visits()); n != 22 {
			t.Errorf("%d attempts in all, want 22", n)
		}
	})
}

func TestASuccessFromBeforeDoesNotCloseTheCircuit(t *testing.T) {
	for _, row := range []struct {
		name string
		slow targetFunc
		late bool
	}{
		{"in time", hang(3*time.Second, delivered), false},
		{"late", hang(30*time.Second, destination.Verdict{Outcome: destination.TimedOut}), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(*rig) []*Subscription {
				return []*Subscription{sub(t, 1, batchFunc(func(ctx context.Context, n *destination.Notification) destination.Verdict {
					switch n.Items[0].Event.ID {
					case "e0":
						if row.late {
							time.AfterFunc(32*time.Second, n.Late)
						}
						return row.slow(ctx, "", 0)
					default:
						if row.late { // after the other one has timed out
							return hang(31*time.Second, destination.Verdict{Outcome: destination.ResolutionError})(ctx, "", 0)
						}
						return hang(time.Second, destination.Verdict{Outcome: destination.ResolutionError})(ctx, "", 0)
					}
				}))}
			}, func(r *rig) {
				r.disk.publish(entry(0))
				r.disk.publish(entry(1))
				pass(40 * time.Second)
				if s, _ := r.Status(sub(t, 1, nil).UID); s.Circuit != Open {
					t.Errorf("status: %+v, want an open circuit", s)
				}
			})
		})
	}
}

func TestProbationDoublesAfterTenFailures(t *testing.T) {
	start := time.Unix(0, 0)
	now := start
	c := circuit{longest: longestProbation}
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
	c := circuit{longest: longestProbation}
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
