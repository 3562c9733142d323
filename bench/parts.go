package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// wantIdle is the memory an idle server may use, in MB.
const wantIdle = 80.0

const megabyte = 1e6

var (
	idle           = part{weight: 0.5, run: runIdle}
	publish        = part{weight: 5, run: runPublish}
	batch          = part{weight: 4, run: runBatch}
	deliver        = part{weight: 6, run: runDeliver}
	publishLatency = part{weight: 3.5, run: runPublishLatency}
	deliverLatency = part{weight: 4, run: runDeliverLatency}
	peak           = part{weight: 0, run: runPeak}
)

// What the parts send through, one event a request but in batches. Publishing is
// measured on a stream that nobody listens to.
var (
	singles = flow{path: pathRead, stream: "bench-publish", events: 1}
	batches = flow{path: pathParse, stream: "bench-publish", events: 100}
	through = flow{path: pathForward, stream: "bench-deliver", events: 1, through: true}
)

// wantHalf is the goal for throughput beside a program that does the transport
// work alone.
const wantHalf = 0.5

// runIdle must come first: it is about a server that nobody has used yet.
func runIdle(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	s, err := l.ours(ctx)
	if err != nil {
		return nil, err
	}
	rest(ctx, min(budget, 500*time.Millisecond))
	now, _, err := memory(s.proc.pid())
	return memoryResult("memory, idle", new(wantIdle), now, err)
}

// runPeak must come last: it is about all that went before.
func runPeak(ctx context.Context, l *lab, _ time.Duration) ([]Result, error) {
	s, err := l.ours(ctx)
	if err != nil {
		return nil, err
	}
	_, most, err := memory(s.proc.pid())
	return memoryResult("memory, peak", nil, most, err)
}

func memoryResult(metric string, want *float64, bytes int64, err error) ([]Result, error) {
	r := Result{Metric: metric, Unit: "MB", Better: Lower, Want: want}
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		return nil, err
	default:
		r.Value = new(float64(bytes) / megabyte)
	}
	return []Result{r}, nil
}

func runPublish(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	p, err := l.measure(ctx, "single publishes", singles, budget, 0)
	if err != nil {
		return nil, err
	}
	l.publishRate = p.slower()
	return []Result{p.rate("publish, 64 connections", wantHalf), p.cpu("publish, server CPU per event")}, nil
}

func runBatch(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	p, err := l.measure(ctx, "batches of 100", batches, budget, 0)
	if err != nil {
		return nil, err
	}
	return []Result{p.rate("publish, batches of 100", wantHalf), p.cpu("batches, server CPU per event")}, nil
}

func runDeliver(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	p, err := l.measure(ctx, "publish to webhook", through, budget, 0)
	if err != nil {
		return nil, err
	}
	l.deliverRate = p.slower()
	var repeats uint64
	for _, s := range p.own {
		repeats += s.repeats
	}
	return []Result{
		p.rate("publish to webhook, delivered", wantHalf),
		p.cpu("publish to webhook, server CPU per event"),
		{Metric: "publish to webhook, repeated deliveries", Value: new(float64(repeats)), Unit: "events", Better: Lower},
	}, nil
}

func runPublishLatency(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	rate, budget, err := l.half(ctx, &l.publishRate, singles, budget)
	if err != nil {
		return nil, err
	}
	p, err := l.measure(ctx, "latency of publishing", singles, budget, rate)
	if err != nil {
		return nil, err
	}
	return p.latency("publish", rate, func(s sample) []time.Duration { return s.published }), nil
}

func runDeliverLatency(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	rate, budget, err := l.half(ctx, &l.deliverRate, through, budget)
	if err != nil {
		return nil, err
	}
	p, err := l.measure(ctx, "latency from publish to receive", through, budget, rate)
	if err != nil {
		return nil, err
	}
	return p.latency("publish to receive", rate, func(s sample) []time.Duration { return s.received }), nil
}

// half returns half of what the slower side manages, finding that out first
// when no earlier part did, and the time that is left.
func (l *lab) half(ctx context.Context, known *float64, f flow, budget time.Duration) (float64, time.Duration, error) {
	if *known == 0 {
		probe := budget / 3
		p, err := l.measure(ctx, "what is possible", f, probe, 0)
		if err != nil {
			return 0, 0, err
		}
		*known, budget = p.slower(), budget-probe
	}
	return *known / 2, budget, nil
}

// measure connects to both sides and compares them.
func (l *lab) measure(ctx context.Context, what string, f flow, budget time.Duration, rate float64) (pairs, error) {
	begin := time.Now()
	base, own, release, err := l.sides(ctx, f)
	if err != nil {
		return pairs{}, fmt.Errorf("%s: %w", what, err)
	}
	defer release()
	budget -= time.Since(begin) // starting and setting up came out of it
	at := ""
	if rate > 0 {
		at = fmt.Sprintf(" at %.0f/s", rate)
	}
	l.sayf("%s%s, %v", what, at, max(budget, 0).Round(100*time.Millisecond))
	p, err := l.alternate(ctx, base, own, budget, rate)
	if err != nil {
		return pairs{}, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

// latency gives median and 99th percentile of one of the latencies, in
// milliseconds.
func (p pairs) latency(what string, rate float64, of func(sample) []time.Duration) []Result {
	var rs []Result
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		metric := fmt.Sprintf("%s %s at half load", what, q.name)
		rs = append(rs, p.compare(metric, "ms", Lower, nil, func(s sample) float64 {
			return quantile(of(s), q.share).Seconds() * 1000
		}))
	}
	return append(rs, Result{Metric: what + ", half load is", Value: new(rate), Unit: "events/s", Better: Higher})
}
