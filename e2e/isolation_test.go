package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestSlowCustomerCostsOthersNothing has two customers of one partner. The
// endpoint of one hangs while events for it keep coming; the other's all
// arrive, as quickly as before.
func TestSlowCustomerCostsOthersNothing(t *testing.T) {
	s := serve(t)
	hook := receive(t)
	partner, quick := pair(t, s)
	stuck := newSide(t, s, "stuck", "Contributor")
	registered := must(partner.NewPartnerRegistrationsClient().Get(t.Context(), partner.group, registration, nil))(t)
	stuck.authorize(t, *registered.Properties.PartnerRegistrationImmutableID)
	connect(t, partner, quick, "quick", hook.URL+"/quick")
	connect(t, partner, stuck, "stuck", hook.URL+"/stuck")
	toQuick, toStuck := publisherOf(t, partner, "quick"), publisherOf(t, partner, "stuck")

	alone := latencies(t, hook, toQuick, "alone")
	hook.hang("/stuck")
	flooding, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	flooded := 0
	flood.Go(func() {
		for n := 0; flooding.Err() == nil; n++ {
			batch := make([]string, 20)
			for i := range batch {
				batch[i] = fmt.Sprintf("flood-%d-%d", n, i)
			}
			if ok, _ := toStuck.publish(flooding, batch...); ok {
				flooded += len(batch)
			}
			after(flooding, 10*time.Millisecond)
		}
	})
	beside := latencies(t, hook, toQuick, "beside")
	stop()
	flood.Wait()
	t.Logf("median latency alone %s, beside an endpoint that hangs with %d events %s", alone, flooded, beside)
	if flooded < 100 {
		t.Errorf("only %d events for the endpoint that hangs: this proves nothing", flooded)
	}
	if limit := 5*alone + 50*time.Millisecond; beside > limit {
		t.Errorf("the other customer waits %s, at most %s are fine", beside, limit)
	}
	if n := len(hook.deliveries("/stuck")); n != 0 {
		t.Errorf("the endpoint that hangs took %d events", n)
	}
}

// latencies publishes at a steady pace and returns the median time from the
// publish to the arrival; every event must arrive.
func latencies(t *testing.T, hook *receiver, p *publisher, prefix string) time.Duration {
	t.Helper()
	sent := map[string]time.Time{}
	var ids []string
	for i := range 300 {
		id := fmt.Sprintf("%s-%d", prefix, i)
		sent[id] = time.Now()
		if ok, err := p.publish(t.Context(), id); !ok {
			t.Fatalf("%s was refused: %v", id, err)
		}
		ids = append(ids, id)
		after(t.Context(), 5*time.Millisecond)
	}
	until(t, 20*time.Second, "all events arrive "+prefix, func() bool { return hook.hasAll("/"+p.channel, ids) })
	var took []time.Duration
	for id, d := range hook.byID("/" + p.channel) {
		if at, ok := sent[id]; ok {
			took = append(took, d.at.Sub(at))
		}
	}
	slices.Sort(took)
	return took[len(took)/2]
}
