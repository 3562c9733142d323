package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// The scenario crash: the server is killed while it delivers to an endpoint that
// refuses some of what it gets, several times. Everything that was answered 200
// arrives; what counts is how much of it arrives twice.
const (
	crashRounds   = 4
	crashPublish  = 3 * time.Second
	crashRate     = 4_000.0
	crashRefuses  = 0.13
	crashAnswer   = 5 * time.Millisecond
	wantRepeats   = 75.0 // events after a crash
	wantRecovered = 1.0  // s from the crash to the next delivery
)

var crash = part{weight: 1, run: runCrash}

// refuseSome takes a while for each request, and refuses a share of them.
func refuseSome(share float64, after time.Duration) manner {
	later := takeAfter(after)
	return func(w http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
		if !later(w, r, over) {
			return false
		}
		if rand.Float64() < share { //nolint:gosec // an endpoint's mood
			w.WriteHeader(http.StatusInternalServerError) // a 503 would put it on probation
			return false
		}
		return true
	}
}

func runCrash(ctx context.Context, l *lab, _ time.Duration) ([]Result, error) {
	hooks, err := l.hooks(1)
	if err != nil {
		return nil, err
	}
	f := &flood{slow: hooks[0]}
	ep, err := l.stream(ctx, "bench-crash", []Subscription{{Name: "everything", URL: f.slow.url}})
	if err != nil {
		return nil, err
	}
	f.s = l.servers[0]
	var repeats, back, starts []float64
	var events uint64
	for round := range crashRounds {
		l.sayf("publish %.0f/s for %v to an endpoint that refuses %.0f %%, and kill the server (%d of %d)", crashRate, crashPublish, 100*crashRefuses, round+1, crashRounds)
		here, err := f.s.here(ep)
		if err != nil {
			return nil, err
		}
		f.slow.behave(refuseSome(crashRefuses, crashAnswer))
		p, err := f.publish(ctx, l, here, f.slow, crashPublish, l.sized(int(crashRate*crashPublish.Seconds()), 100))
		if err != nil {
			return nil, err
		}
		f.tally = p.tally
		took, err := f.restart(ctx, l)
		if err != nil {
			return nil, err
		}
		f.slow.behave(take)
		if err := p.tally.wait(ctx, p.events, secondChance); err != nil {
			return nil, f.s.asSide("Intertie").check(ctx, err)
		}
		events += p.events
		repeats, back, starts = append(repeats, float64(p.tally.repeats.Load())), append(back, took.Seconds()), append(starts, f.s.took.Seconds())
	}
	return []Result{
		{Metric: "repeated deliveries after a crash (median)", Unit: "events", Better: Lower, Want: new(wantRepeats), Value: new(median(repeats)), Note: fmt.Sprintf("in each: %.0f", repeats)},
		{Metric: "from the crash to the next delivery (median)", Unit: "s", Better: Lower, Want: new(wantRecovered), Value: new(median(back))},
		{Metric: "of which the start (median)", Unit: "s", Better: Lower, Value: new(median(starts))},
		{Metric: "published, all arrived", Unit: "events", Better: Higher, Value: new(float64(events))},
	}, nil
}
