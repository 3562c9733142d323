package deliver

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/destination"
)

func TestStatusTellsWhatHappened(t *testing.T) {
	var verdict atomic.Pointer[destination.Verdict]
	answer := func(v destination.Verdict) { verdict.Store(&v) }
	answer(delivered)
	store := &blobs{refuse: func() error { return errors.New("down") }}
	inBubble(t, func(r *rig) []*Subscription {
		r.random = func() float64 { return 0 }
		s := sub(t, 1, batchFunc(func(_ context.Context, _ *destination.Notification) destination.Verdict { return *verdict.Load() }))
		s.DeadLetter = &DeadLetter{Store: store, Container: "dead"}
		return []*Subscription{s}
	}, func(r *rig) {
		start := time.Now()
		check := func(when string, want Status) {
			t.Helper()
			pass(0)
			got, ok := r.Status(sub(t, 1, nil).UID)
			if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(time.Second)); !ok || diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		check("before the first attempt", Status{Circuit: Closed, Concurrency: 8})
		r.disk.publish(entry(0))
		check("delivered", Status{
			Circuit: Closed, Concurrency: 8, Outcome: destination.Delivered, Status: 200, Succeeded: start,
		})
		pass(time.Hour)
		answer(destination.Verdict{
			Outcome: destination.Busy, Status: 503, After: 30 * time.Second, Err: errors.New("POST /: 503"),
		})
		r.disk.publish(entry(1))
		check("busy", Status{
			Circuit: Open, Until: start.Add(time.Hour + 10*time.Second), Failures: 1,
			Outcome: destination.Busy, Status: 503, Error: "POST /: 503",
			Succeeded: start, Failed: start.Add(time.Hour), Again: start.Add(time.Hour + 10*time.Second),
		})
		pass(15 * time.Second)
		check("busy, probation over", Status{
			Circuit: HalfOpen, Until: start.Add(time.Hour + 10*time.Second), Failures: 1, Concurrency: 1,
			Outcome: destination.Busy, Status: 503, Error: "POST /: 503",
			Succeeded: start, Failed: start.Add(time.Hour), Again: start.Add(time.Hour + 30*time.Second),
		})
		answer(destination.Verdict{Outcome: destination.BadRequest, Status: 400, Err: errors.New("POST /: 400")})
		pass(20 * time.Second)
		check("given up", Status{
			Circuit: HalfOpen, Until: start.Add(time.Hour + 10*time.Second), Failures: 1, Concurrency: 1,
			Outcome: destination.BadRequest, Status: 400, Error: "POST /: 400",
			Succeeded: start, Failed: start.Add(time.Hour + 30*time.Second), DeadLetters: 1,
		})
		pass(10 * time.Hour)
		if s, _ := r.Status(sub(t, 1, nil).UID); s.DeadLetters != 0 {
			t.Errorf("%d dead letters wait after they were dropped", s.DeadLetters)
		}
	})
}

func TestStatusCountsTheBacklog(t *testing.T) {
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, hang(10*time.Second, delivered))}
	}, func(r *rig) {
		r.disk.publish(entries(0, 1000)...)
		pass(500 * time.Millisecond)
		s, _ := r.Status(sub(t, 1, nil).UID)
		if !s.Backlogged || s.Backlog+s.Queued+s.UnderWay != 1000 || s.Backlog == 0 {
			t.Errorf("status: %+v, want 1000 events", s)
		}
		for name, want := range map[string]float64{
			"eventgrid_delivery_attempts_under_way": 8, "eventgrid_delivery_queued_events": float64(s.Queued),
			"eventgrid_delivery_backlogged": 1, "eventgrid_delivery_circuit_state": 0,
		} {
			if got := r.gauge(t, name, topicID, "sub1"); got != want {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
		}
		pass(time.Hour)
		if s, _ := r.Status(sub(t, 1, nil).UID); s.Backlogged || s.Backlog != 0 {
			t.Errorf("status: %+v", s)
		}
	})
}

// gauge returns the one series of a gauge that carries the label values.
func (r *rig) gauge(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && hasValues(m, labels) {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Errorf("no series %s %v", name, labels)
	return 0
}

func TestTheCircuitIsShownPerSubscription(t *testing.T) {
	inBubble(t, func(*rig) []*Subscription {
		return []*Subscription{sub(t, 1, always(busy)), sub(t, 2, always(delivered)), sub(t, 3, always(delivered))}
	}, func(r *rig) {
		idle := sub(t, 9, always(delivered))
		r.SetTopic(domainUID, domainID, []*Subscription{idle})
		r.disk.publish(entry(0))
		pass(time.Second)
		const name = "eventgrid_delivery_circuit_state"
		if got := []float64{r.gauge(t, name, "sub1"), r.gauge(t, name, "sub2")}; got[0] != 2 || got[1] != 0 {
			t.Errorf("states %v, want 2, 0", got)
		}
		pass(10 * time.Second)
		families, err := r.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if strings.HasPrefix(f.GetName(), "eventgrid_") && hasValues(m, []string{idle.Name}) {
					t.Errorf("%s has a series of a subscription that never had an event", f.GetName())
				}
			}
		}
		// Two of the same name for a moment must not fail the scrape.
		twin := sub(t, 1, always(delivered))
		twin.UID[2] = 1
		r.SetTopic(domainUID, topicID, []*Subscription{twin})
		e := entry(1)
		e.Topic = domainUID
		r.disk.publish(e)
		pass(time.Second)
		if _, err := r.registry.Gather(); err != nil {
			t.Error(err)
		}
		r.RemoveTopic(topicUID)
		r.RemoveTopic(domainUID)
		left, err := r.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range left {
			if f.GetName() == name {
				t.Errorf("%d series of removed subscriptions are left", len(f.GetMetric()))
			}
		}
	})
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	o := DefaultOptions()
	o.Log, o.Registerer = newDisk().open(-1), prometheus.NewRegistry()
	if _, err := New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := New(o); err == nil {
		t.Error("two dispatchers share a registry")
	}
}
