package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The scenario fanout, second part: two servers with a topic of equally many
// subscriptions. One has a thousand such topics. What an event costs must not
// depend on what its topic has nothing to do with.
const (
	crowdTopics = 1_000
	perTopic    = 100

	// wantCrowd is the goal for throughput beside the server with one topic,
	// wantCrowdCost that for the processor time per event.
	wantCrowd     = 0.9
	wantCrowdCost = 1.15
	crowdStart    = 90 * time.Second // at most
)

var crowd = part{weight: 2.5, run: runCrowd}

func runCrowd(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	end := time.Now().Add(budget)
	topics := l.sized(crowdTopics, 2)
	hooks, err := l.hooks(perTopic)
	if err != nil {
		return nil, err
	}
	f := fan{n: perTopic, some: fanSome}
	var sides []*side
	var memories []float64
	var starts []time.Duration
	var filled time.Duration
	var endpoints []Endpoint
	for _, n := range []int{1, topics} {
		s, err := l.server(ctx)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("the server with %d subscriptions", n*perTopic)
		l.sayf("set up %s over %d topics", name, n)
		ep, err := l.setUp(ctx, s, "bench-partner", "bench-crowd", f.subscriptions(hooks))
		if err != nil {
			return nil, err
		}
		s.stop()
		began := time.Now()
		if err := multiply(ctx, s.data, ep, n-1); err != nil {
			return nil, err
		}
		filled = time.Since(began)
		if err := s.start(ctx, crowdStart); err != nil {
			return nil, err
		}
		if ep, err = s.here(ep); err != nil {
			return nil, err
		}
		endpoints = append(endpoints, ep)
		rest(ctx, min(time.Second, budget/20))
		now, _, err := memory(s.proc.pid())
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
		memories, starts = append(memories, float64(now)/megabyte), append(starts, s.took)
		sides = append(sides, s.asSide(name))
	}
	// Not before both are there: a server closes connections that are not used.
	var classes []*class
	for i, sd := range sides {
		if sd.c, err = dial(ctx, plan{events: 1, endpoints: endpoints[i : i+1]}); err != nil {
			return nil, fmt.Errorf("connect to %s: %w", sd.name, err)
		}
		defer sd.c.close()
		classes = append(classes, f.classes(sd, hooks)[0])
	}
	left := max(time.Until(end), budget/6)
	l.sayf("events that match one subscription, on both servers, %v", left.Round(100*time.Millisecond))
	if err := l.rounds(ctx, classes, left); err != nil {
		return nil, err
	}
	return crowdResults(classes, topics*perTopic, memories, starts, filled), nil
}

func crowdResults(classes []*class, subs int, memories []float64, starts []time.Duration, filled time.Duration) []Result {
	few, all := classes[0], classes[1]
	name := func(what string) string {
		return fmt.Sprintf("%s, %s subscriptions beside %d", what, thousands(float64(subs)), perTopic)
	}
	rate := compare(name("matches 1"), "events/s", Higher, new(wantCrowd), few.each(perSecond), all.each(perSecond))
	cost := Result{Metric: name("server CPU per event"), Unit: "µs", Better: Lower, Want: new(wantCrowdCost)}
	if b, o := few.perEvent(), all.perEvent(); b > 0 && o > 0 {
		cost = against(cost.Metric, cost.Unit, Lower, cost.Want, b, o)
	}
	start := against(name("start"), "s", Lower, nil, starts[0].Seconds(), starts[1].Seconds())
	start.Note = fmt.Sprintf("the other topics are copies of one that was made by the API, written into the data folder by package store in %v",
		filled.Round(100*time.Millisecond))
	mem := Result{Metric: name("memory"), Unit: "MB", Better: Lower}
	each := Result{Metric: "memory per subscription", Unit: "KB", Better: Lower}
	if memories[0] > 0 && memories[1] > 0 {
		mem = against(mem.Metric, mem.Unit, Lower, nil, memories[0], memories[1])
		each.Value = new((memories[1] - memories[0]) * 1000 / float64(subs-perTopic))
	}
	return []Result{rate, cost, start, mem, each}
}
