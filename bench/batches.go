package bench

import (
	"context"
	"fmt"
	"time"
)

// batchEvents is the size of the batches that go in and come out.
const batchEvents = 1_000

const (
	// wantThrough is the goal for batches from publish to delivery beside a
	// program that parses the input and writes the output without storing.
	wantThrough = 0.4
	// batchConnections is how many publish such batches at a time: each is a
	// megabyte.
	batchConnections = 8
)

var (
	batchThrough = part{weight: 6, run: runBatchThrough}
	passedOn     = flow{
		path: pathBatch, stream: "bench-batches", conns: batchConnections, events: batchEvents, through: true, batch: batchEvents,
	}
)

func runBatchThrough(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	p, err := l.measure(ctx, fmt.Sprintf("batches of %d in and out", batchEvents), passedOn, budget, 0)
	if err != nil {
		return nil, err
	}
	deliveries := func(s sample) float64 { return float64(s.events+s.repeats) / float64(s.deliveries) }
	rate := p.rate("batches of 1,000 in and out, delivered", wantThrough)
	rate.Note = "the goal besides is 100,000 events/s; " + p.cores()
	size := p.compare("events in a delivery", "events", Higher, nil, deliveries)
	size.Note = "a delivery takes what waits and never waits for more"
	return []Result{rate, p.cpu("batches of 1,000 in and out, server CPU per event"), size}, nil
}
