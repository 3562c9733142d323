package bench

import (
	"testing"
	"time"
)

func TestTurnsOfCustomers(t *testing.T) {
	for _, events := range []uint64{0, 1, 19, 20, 21, 1003} {
		p := phase{sent: sent{events: events}}
		total := uint64(0)
		for i := range customers {
			total += p.of(i)
		}
		if total != events || p.of(0) < p.of(customers-1) || p.of(0) > p.of(customers-1)+1 {
			t.Errorf("%d events are shared to %d, the first customer has %d and the last %d", events, total, p.of(0), p.of(customers-1))
		}
	}
}

// TestCompareStreet: those in trouble count for nothing, and among the others
// the one that suffers most is not hidden by the rest.
func TestCompareStreet(t *testing.T) {
	made := func(latency time.Duration, slowest int) *phase {
		p := &phase{sent: sent{events: 100 * customers, elapsed: 10 * time.Second, latencies: []time.Duration{latency}}}
		for i := range customers {
			ty := newTally(uint64(i), 100, nil)
			for seq := range uint64(100) {
				took := latency
				if i < len(troubles) {
					took = time.Hour
				}
				ty.book(0, mark{run: uint64(i), seq: seq}, int64(took))
			}
			p.tallies = append(p.tallies, ty)
			p.arrived[i] = 100
		}
		p.arrived[0] = 0
		if slowest > 0 {
			p.arrived[slowest] = 90
		}
		return p
	}
	got := map[string]Result{}
	for _, r := range compareStreet(made(10*time.Millisecond, 0), made(12*time.Millisecond, 7)) {
		got[r.Metric] = r
	}
	for metric, want := range map[string]float64{
		"rate of the other 16, the worst of them":       0.9,
		"rate of the other 16, together":                15.9 / 16,
		"publish to receive, the other 16, p50":         1.2,
		"publish to receive, the other 16, p99":         1.2,
		"publish to receive, the other 16, the slowest": 1.2,
		"publish p99, all customers":                    1.2,
	} {
		r, ok := got[metric]
		if !ok {
			t.Errorf("no %q in %v", metric, got)
			continue
		}
		if ratio := *r.Ratio; ratio < want-1e-9 || ratio > want+1e-9 {
			t.Errorf("%s: ratio %v, want %v", metric, ratio, want)
		}
	}
	if r := got["rate of the other 16, the worst of them"]; r.Met() || *r.Want != 0.95 {
		t.Errorf("a customer that lost a tenth of its rate is fine: %+v", r)
	}
	if r := got["publish to receive, the other 16, p99"]; !r.Met() || *r.Want != 1.5 {
		t.Errorf("a tail that is 1.2 times as long: %+v", r)
	}
}
