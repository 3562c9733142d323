package bench

import (
	"context"
	"fmt"
	"time"
)

// The scenario neighbour: customers of one partner, each with an endpoint of
// its own, at a steady rate. After a quiet phase some endpoints fall into
// trouble, each in its own way; what counts is what the others notice.
const (
	customers    = 20
	customerRate = 50.0 // events a second, each

	// wantKept is the least share of its rate that any of the others keeps;
	// wantTail how many times its quiet value their 99th percentile may reach.
	wantKept = 0.95
	wantTail = 1.5
	// quietShare is the quiet phase's part of the time. The trouble lasts longer
	// than an attempt may hang.
	quietShare = 0.36
)

// troubles are the manners of the first customers' endpoints.
var troubles = []struct {
	name string
	manner
}{
	{"hangs", hang},
	{"answers 503", answer(503)},
	{"takes 1 s", takeAfter(time.Second)},
	{"resets", reset},
}

var neighbour = part{weight: 1, run: runNeighbour}

// street is the customers.
type street struct {
	s         *server
	hooks     []*hook
	endpoints []Endpoint
	client    *client
	// published so far, by customer.
	published [customers]uint64
}

// phase is what a time under load came to, by customer.
type phase struct {
	sent
	tallies []*tally
	// arrived is what had arrived when the last event was answered.
	arrived [customers]uint64
}

func runNeighbour(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	began := time.Now()
	st, err := newStreet(ctx, l)
	if err != nil {
		return nil, err
	}
	defer st.client.close()
	rate := customerRate * l.o.Size
	if _, err := st.phase(ctx, l, rate, budget/50, 0); err != nil { // warm up
		return nil, err
	}
	const forTheEnd = 2 * time.Second
	budget -= time.Since(began) + min(forTheEnd, budget/8)

	l.sayf("%d customers at %.4g events/s each, all endpoints well, %v", customers, rate, seconds(budget, quietShare))
	quiet, err := st.phase(ctx, l, rate, seconds(budget, quietShare), 0)
	if err != nil {
		return nil, err
	}
	for i, t := range troubles {
		l.sayf("the endpoint of customer %d now: %s", i+1, t.name)
		st.hooks[i].behave(t.manner)
	}
	m := newMeter(st.s.proc.pid())
	trouble, err := st.phase(ctx, l, rate, seconds(budget, 1-quietShare), len(troubles))
	if err != nil {
		return nil, err
	}
	bound := m.String()
	rs := compareStreet(&quiet, &trouble)
	rs[0].Note = "the load is fixed and far from what the machine can do; " + bound
	owed, err := st.account(ctx, &trouble)
	return append(rs, owed...), err
}

// seconds is a share of a time, rounded to what people read.
func seconds(d time.Duration, share float64) time.Duration {
	return max(time.Duration(float64(d)*share).Round(100*time.Millisecond), 200*time.Millisecond)
}

func newStreet(ctx context.Context, l *lab) (*street, error) {
	s, err := l.ours(ctx)
	if err != nil {
		return nil, err
	}
	st := &street{s: s}
	if st.hooks, err = l.hooks(customers); err != nil {
		return nil, err
	}
	for i, h := range st.hooks {
		e, err := l.setUp(ctx, s, "bench-partner", fmt.Sprintf("bench-customer-%02d", i), []Subscription{{Name: "everything", URL: h.url}})
		if err != nil {
			return nil, err
		}
		st.endpoints = append(st.endpoints, e)
	}
	st.client, err = dial(ctx, plan{events: 1, endpoints: st.endpoints})
	return st, err
}

// phase puts all customers under load for a while and waits until everything has
// arrived, but for what is meant for the first few, whose endpoints are in
// trouble.
func (st *street) phase(ctx context.Context, l *lab, rate float64, lasts time.Duration, inTrouble int) (phase, error) {
	limit := int(rate*lasts.Seconds()) + 1
	p := phase{}
	first := l.newRuns(customers)
	for i, h := range st.hooks {
		t := newTally(first+uint64(i), limit, nil)
		h.report(t)
		p.tallies = append(p.tallies, t)
	}
	var err error
	p.sent, err = st.client.drive(ctx, load{
		run: first, epoch: l.epoch, lasts: lasts, rate: rate * customers, limit: uint64(limit), //nolint:gosec // a count
	})
	if err != nil {
		return p, st.s.asSide("Intertie").check(ctx, err)
	}
	for i, t := range p.tallies {
		p.arrived[i] = t.count.Load()
		st.published[i] += p.of(i)
	}
	for i, t := range p.tallies[inTrouble:] {
		if err := t.wait(ctx, p.of(inTrouble+i), secondChance); err != nil {
			return p, st.s.asSide(fmt.Sprintf("customer %d", inTrouble+i+1)).check(ctx, err)
		}
	}
	return p, nil
}

// of returns how many events customer i was sent: they take turns.
func (p *phase) of(i int) uint64 {
	n := p.events / customers
	if uint64(i) < p.events%customers { //nolint:gosec // an index
		n++
	}
	return n
}

// compareStreet holds what the well ones got in trouble against what they got
// before.
func compareStreet(quiet, trouble *phase) []Result {
	rate := func(p *phase, i int) float64 { return float64(p.arrived[i]) / p.elapsed.Seconds() }
	worst := Result{Metric: "rate of the other 16, the worst of them", Unit: "events/s", Better: Higher, Want: new(wantKept)}
	var before, during float64
	var waitedBefore, waitedDuring []time.Duration
	for i := len(troubles); i < customers; i++ {
		b, d := rate(quiet, i), rate(trouble, i)
		before, during = before+b, during+d
		if kept := d / b; worst.Ratio == nil || kept < *worst.Ratio {
			worst.Value, worst.Baseline, worst.Ratio = new(d), new(b), new(kept)
		}
		waitedBefore = append(waitedBefore, quiet.tallies[i].latencies(quiet.of(i))...)
		waitedDuring = append(waitedDuring, trouble.tallies[i].latencies(trouble.of(i))...)
	}
	rs := []Result{worst, against("rate of the other 16, together", "events/s", Higher, new(wantKept), before, during)}
	for _, q := range []struct {
		name  string
		share float64
		want  *float64
	}{{"p50", 0.5, nil}, {"p99", 0.99, new(wantTail)}, {"the slowest", 1, nil}} {
		rs = append(rs, against("publish to receive, the other 16, "+q.name, "ms", Lower, q.want,
			milliseconds(quantile(waitedBefore, q.share)), milliseconds(quantile(waitedDuring, q.share))))
	}
	published := func(p *phase) float64 { return milliseconds(quantile(p.latencies, 0.99)) }
	return append(rs, against("publish p99, all customers", "ms", Lower, nil, published(quiet), published(trouble)))
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// against makes a result of one figure before and one during something.
func against(metric, unit string, better Better, want *float64, before, during float64) Result {
	return compare(metric, unit, better, want, []float64{before}, []float64{during})
}

// account proves that nothing of the four in trouble was lost, by what arrived
// and what the server says to still owe.
func (st *street) account(ctx context.Context, trouble *phase) ([]Result, error) {
	counted, err := st.s.scrape(ctx)
	if err != nil {
		return nil, err
	}
	rs := []Result{{Metric: "published in trouble, arrived or owed", Unit: "events", Better: Higher, Value: new(float64(trouble.events))}}
	for i, t := range troubles {
		// The server counts from its start on, and until then all had arrived.
		before := st.published[i] - trouble.of(i)
		arrived := trouble.tallies[i].count.Load()
		waiting, err := counted.owed(st.endpoints[i].Topic).check(st.published[i], before+arrived)
		if err != nil {
			return nil, fmt.Errorf("customer %d, whose endpoint %s: %w", i+1, t.name, err)
		}
		rs = append(rs, Result{
			Metric: "still owed to the endpoint that " + t.name, Unit: "events", Better: Lower, Value: new(float64(waiting)),
			Note: fmt.Sprintf("of %d events published in trouble %d have arrived", trouble.of(i), arrived),
		})
	}
	return rs, nil
}
