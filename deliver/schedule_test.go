package deliver

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
)

// checkGap fails unless an attempt came delay after the previous one, not early
// and at most a tenth late.
func checkGap(t *testing.T, what string, got, delay time.Duration) {
	t.Helper()
	if got < delay || got > delay+delay/10 {
		t.Errorf("%s came after %s; want %s to %s", what, got, delay, delay+delay/10)
	}
}

func TestSixAttemptsFitInThirtyMinutes(t *testing.T) {
	rec := newRecorder()
	store := new(blobs)
	inBubble(t, func(*rig) []*Subscription {
		rec.start = time.Now()
		s := sub(t, 1, rec.around(always(erred)))
		s.TTL = 30 * time.Minute
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(29 * time.Minute)
		if n := r.disk.count(queueDead); n != 0 {
			t.Errorf("%d dead letters before the time to live", n)
		}
		pass(time.Hour)
		want := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute}
		visits := rec.visits()
		if len(visits) != len(want)+1 {
			t.Fatalf("%d attempts, want %d: %v", len(visits), len(want)+1, visits)
		}
		for i, delay := range want {
			checkGap(t, fmt.Sprintf("attempt %d", i+2), visits[i+1].at-visits[i].at, delay)
			if visits[i+1].attempt != i+1 {
				t.Errorf("attempt %d was told %d attempts before", i+2, visits[i+1].attempt)
			}
		}
		dead := store.records(t)
		for i := range dead {
			dead[i].LastAttempt = ""
		}
		if diff := cmp.Diff([]deadRecordJSON{
			{ID: "e0", Reason: "TimeToLiveExceeded", Attempts: 6, Outcome: "GenericError"},
		}, dead); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
	})
}

// All eleven attempts that Azure documents fit into a day, however unlucky the
// random part and however long the endpoint takes to say no.
func TestTheWholeScheduleOfADay(t *testing.T) {
	for _, row := range []struct {
		name   string
		takes  time.Duration
		random float64
	}{
		{"on time", 0, 0},
		{"late", 0, 0.999999},
		{"late, slow endpoint", 29 * time.Second, 0.999999},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			inBubble(t, func(r *rig) []*Subscription {
				rec.start = time.Now()
				r.random = func() float64 { return row.random }
				return []*Subscription{sub(t, 1, rec.around(hang(row.takes, erred)))}
			}, func(r *rig) {
				r.disk.publish(entry(0))
				pass(48 * time.Hour)
				visits := rec.visits()
				if len(visits) != 11 {
					t.Fatalf("%d attempts in 24 h, want 11: %v", len(visits), visits)
				}
				var due time.Duration
				for i, v := range visits {
					if v.attempt != i {
						t.Errorf("attempt %d was told %d attempts before", i+1, v.attempt)
					}
					if i > 0 {
						delay := DefaultOptions().Schedule[i-1]
						due += delay
						checkGap(t, fmt.Sprintf("attempt %d", i+1), v.at-visits[i-1].at-row.takes, delay)
					}
					if row.random == 0 && v.at != due {
						t.Errorf("attempt %d came %s after the first, want %s", i+1, v.at, due)
					}
				}
				if got := r.value(t, "eventgrid_dropped_total", "TimeToLiveExceeded", topicID, "sub1"); got != 1 {
					t.Errorf("dropped_total = %v, want 1", got)
				}
				if lines := r.lines.with("event dropped", "eventId=e0", "TimeToLiveExceeded"); len(lines) != 1 {
					t.Errorf("log lines: %q", lines)
				}
			})
		})
	}
}

func TestScale(t *testing.T) {
	after := func(o destination.Outcome, status int, d time.Duration) destination.Verdict {
		return destination.Verdict{Outcome: o, Status: status, After: d}
	}
	asked := func(status int, d time.Duration) destination.Verdict {
		_, fixed := destination.FromStatus(status)
		return destination.Verdict{Outcome: destination.Busy, Status: status, After: fixed, Asked: d}
	}
	for _, row := range []struct {
		name    string
		verdict destination.Verdict
		want    time.Duration
	}{
		{"the schedule is not scaled", erred, 2 * time.Second},
		{"probation", after(destination.SocketError, 0, 0), 3 * time.Second},
		{"long probation", after(destination.ResolutionError, 0, 0), 30 * time.Second},
		{"Azure's wait for a status", after(destination.Busy, 503, 30*time.Second), 3 * time.Second},
		{"another one", after(destination.TimedOut, 408, 2*time.Minute), 12 * time.Second},
		{"Retry-After", asked(503, 40*time.Second), 40 * time.Second},
		{"Retry-After of a 429", asked(429, 7*time.Second), 7 * time.Second},
		{"Retry-After below Azure's wait", asked(503, 6*time.Second), 6 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			inBubble(t, func(*rig) []*Subscription {
				rec.start = time.Now()
				return []*Subscription{sub(t, 1, rec.around(func(_ context.Context, _ string, attempt int) destination.Verdict {
					if attempt == 0 {
						return row.verdict
					}
					return delivered
				}))}
			}, func(r *rig) {
				r.disk.publish(entry(0))
				pass(time.Minute)
				visits := rec.visits()
				if len(visits) != 2 {
					t.Fatalf("attempts: %v, want two", visits)
				}
				checkGap(t, "the retry", visits[1].at-visits[0].at, row.want)
			}, func(o *Options) { o.Schedule, o.Scale = []time.Duration{2 * time.Second, 4 * time.Second}, 0.1 })
		})
	}
}

func TestTheBoundOfProbationIsScaled(t *testing.T) {
	rec := newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		rec.start = time.Now()
		return []*Subscription{sub(t, 1, rec.around(always(busy)))}
	}, func(r *rig) {
		for i := range 30 {
			r.disk.publish(entry(i))
			pass(time.Second)
		}
		pass(3 * time.Minute)
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Failures < patience+3 {
			t.Errorf("%d failures in a row in 3 min: probation is not bounded by 3.6 s", s.Failures)
		}
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Until.Sub(s.Failed) > 3600*time.Millisecond {
			t.Errorf("probation of %s", s.Until.Sub(s.Failed))
		}
	}, func(o *Options) { o.Schedule, o.Scale = []time.Duration{10 * time.Millisecond}, 0.001 })
}

func TestFirstRetryWaitsForTheLongestOfAll(t *testing.T) {
	for _, row := range []struct {
		name    string
		kind    destination.Kind
		verdict destination.Verdict
		want    time.Duration
	}{
		{"500", destination.WebHook, erred, 10 * time.Second},
		{"429", destination.WebHook, busy, 10 * time.Second},
		{
			"429 Retry-After", destination.WebHook,
			destination.Verdict{Outcome: destination.Busy, Status: 429, Asked: 77 * time.Second},
			77 * time.Second,
		},
		{
			"503", destination.WebHook,
			destination.Verdict{Outcome: destination.Busy, Status: 503, After: 30 * time.Second},
			30 * time.Second,
		},
		{
			"408", destination.WebHook,
			destination.Verdict{Outcome: destination.TimedOut, Status: 408, After: 2 * time.Minute},
			2 * time.Minute,
		},
		{"no answer", destination.WebHook, destination.Verdict{Outcome: destination.TimedOut}, 10 * time.Second},
		{"socket", destination.WebHook, destination.Verdict{Outcome: destination.SocketError}, 30 * time.Second},
		{"DNS", destination.WebHook, destination.Verdict{Outcome: destination.ResolutionError}, 5 * time.Minute},
		{
			"resource 401", destination.StorageQueue,
			destination.Verdict{Outcome: destination.Unauthorized, Status: 401},
			5 * time.Minute,
		},
		{
			"resource 404", destination.EventHub,
			destination.Verdict{Outcome: destination.NotFound, Status: 404},
			5 * time.Minute,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			inBubble(t, func(*rig) []*Subscription {
				rec.start = time.Now()
				s := sub(t, 1, rec.around(func(_ context.Context, _ string, attempt int) destination.Verdict {
					if attempt == 0 {
						return row.verdict
					}
					return delivered
				}))
				s.Kind = row.kind
				return []*Subscription{s}
			}, func(r *rig) {
				r.disk.publish(entry(0))
				pass(10 * time.Minute)
				visits := rec.visits()
				if len(visits) != 2 {
					t.Fatalf("attempts: %v, want two", visits)
				}
				checkGap(t, "the retry", visits[1].at-visits[0].at, row.want)
				if r.disk.count(queueRetries)+r.disk.count(queueEvents) != 0 {
					t.Error("a record is left of a delivered event")
				}
				if got := r.value(t, "eventgrid_delivery_attempt_fail_total", string(row.verdict.Outcome)); got != 1 {
					t.Errorf("delivery_attempt_fail_total = %v, want 1", got)
				}
			})
		})
	}
}

func TestRetryIsNeverDueAfterTheTimeToLive(t *testing.T) {
	store := new(blobs)
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, always(destination.Verdict{Outcome: destination.Busy, Asked: 10 * time.Hour}))
		s.TTL = time.Hour
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Hour - time.Second)
		if r.disk.count(queueRetries) != 1 {
			t.Error("the event does not wait for its retry")
		}
		pass(10 * time.Second)
		if dead := store.records(t); len(dead) != 1 || dead[0].Reason != "TimeToLiveExceeded" || dead[0].Attempts != 1 {
			t.Errorf("dead letters: %+v", dead)
		}
	})
}

func TestAttemptsAreExhausted(t *testing.T) {
	store := new(blobs)
	rec := newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		rec.start = time.Now()
		s := sub(t, 1, rec.around(always(erred)))
		s.MaxAttempts = 3
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Hour)
		visits := rec.visits()
		if len(visits) != 3 {
			t.Fatalf("%d attempts, want 3", len(visits))
		}
		dead := store.records(t)
		if len(dead) != 1 || dead[0].Reason != "MaxDeliveryAttemptsExceeded" || dead[0].Attempts != 3 {
			t.Errorf("dead letters: %+v", dead)
		}
		wait := store.tries()[0].Sub(rec.start.Add(visits[2].at))
		if wait < 5*time.Minute || wait > 5*time.Minute+2*time.Second {
			t.Errorf("blob written %s after the last attempt, want 5 min", wait)
		}
		if got := r.value(t, "eventgrid_dead_lettered_total", "MaxDeliveryAttemptsExceeded"); got != 1 {
			t.Errorf("dead_lettered_total = %v, want 1", got)
		}
		if r.disk.count(queueDead) != 0 {
			t.Error("the dead-letter queue is not empty")
		}
	})
}

func TestOutcomesWithoutRetry(t *testing.T) {
	for _, row := range []struct {
		outcome destination.Outcome
		reason  string
	}{
		{destination.BadRequest, "UndeliverableDueToHttpBadRequest"},
		{destination.Unauthorized, "UndeliverableDueToHttpUnauthorized"},
		{destination.Forbidden, "UndeliverableDueToHttpForbidden"},
		{destination.NotFound, "UndeliverableDueToHttpNotFound"},
		{destination.PayloadTooLarge, "UndeliverableDueToHttpRequestEntityTooLarge"},
	} {
		for _, kept := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/dead letters %v", row.outcome, kept), func(t *testing.T) {
				store := new(blobs)
				rec := newRecorder()
				inBubble(t, func(*rig) []*Subscription {
					s := sub(t, 1, rec.around(always(destination.Verdict{Outcome: row.outcome})))
					if kept {
						s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
					}
					return []*Subscription{s}
				}, func(r *rig) {
					r.disk.publish(entry(0))
					pass(time.Second)
					if len(store.tries()) != 0 {
						t.Error("a blob was written before the delay")
					}
					pass(6 * time.Minute)
					if n := len(rec.visits()); n != 1 {
						t.Errorf("%d attempts, want 1", n)
					}
					dropped, dead := 1.0, 0
					if kept {
						dropped, dead = 0, 1
					}
					if got := r.value(t, "eventgrid_dropped_total", row.reason); got != dropped {
						t.Errorf("dropped_total = %v, want %v", got, dropped)
					}
					records := store.records(t)
					if len(records) != dead || dead == 1 && records[0].Reason != row.reason {
						t.Errorf("dead letters: %+v", records)
					}
					if lines := r.lines.with("eventId=e0", row.reason); len(lines) != 1 {
						t.Errorf("log lines: %q", lines)
					}
				})
			})
		}
	}
}

func TestExpiredSubscriptionGetsNothing(t *testing.T) {
	rec := newRecorder()
	inBubble(t, func(*rig) []*Subscription {
		s := sub(t, 1, rec.around(always(delivered)))
		s.Expires = time.Now().Add(time.Minute)
		return []*Subscription{s}
	}, func(r *rig) {
		r.disk.publish(entry(0))
		pass(time.Minute)
		r.disk.publish(entry(1))
		pass(time.Second)
		if n := len(rec.visits()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
		if got := r.value(t, "eventgrid_dropped_total", "SubscriptionExpired"); got != 1 {
			t.Errorf("dropped_total = %v, want 1", got)
		}
	})
}
