package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

const (
	// inFlight bounds the events that are published and not delivered while
	// throughput from publish to delivery is measured, and requestsInFlight the
	// requests that they come in when those are large.
	inFlight         = 4096
	requestsInFlight = 16
	// warmUp is how long each side runs before anything counts.
	warmUp = 150 * time.Millisecond
	// settleMost bounds the wait between slices for a side to come to rest.
	settleMost = 200 * time.Millisecond
)

// sample is what one slice came to.
type sample struct {
	rate    float64 // events a second: answered, or delivered if they go through
	events  uint64
	repeats uint64 // deliveries of an event that had arrived already
	// deliveries is the number of requests that the events arrived in, 0 if
	// they do not arrive.
	deliveries int64
	cpu        time.Duration // of the server, 0 where it is not known
	cores      float64       // that server, load generator and webhooks used; 0 is not known
	published  []time.Duration
	received   []time.Duration
}

// slice puts one load on one side, waits until everything has arrived and the
// server is at rest, and tells what it came to. rate is in requests a second; 0
// is as many as possible.
func (l *lab) slice(ctx context.Context, s *side, lasts time.Duration, rate float64) (sample, error) {
	ld := load{run: l.newRuns(1), epoch: l.epoch, lasts: lasts, rate: rate, limit: maxTally}
	if s.arrives != nil && rate == 0 {
		ld.gate = newGate(max(inFlight, requestsInFlight*int64(s.c.reqs[0][0].events()))) //nolint:gosec // some thousand
	}
	var t *tally
	if s.arrives != nil {
		t = newTally(ld.run, maxTally, ld.gate)
		s.arrives.report(t)
	} else {
		ld.limit = 1 << 40 // nobody counts them
	}
	var taken int64
	if t != nil {
		taken = s.arrives.taken.Load()
	}
	m := newMeter(s.proc.pid())
	before, cpuErr := cpuTime(s.proc.pid())
	got, err := s.c.drive(ctx, ld)
	if err != nil {
		return sample{}, s.check(ctx, err)
	}
	out := sample{events: got.events, published: got.latencies}
	elapsed := got.elapsed
	if t != nil {
		if err := t.wait(ctx, got.events, l.o.drain); err != nil {
			return sample{}, s.check(ctx, err)
		}
		elapsed = time.Duration(t.lastSeen.Load()) - got.start.Sub(l.epoch)
		if rate > 0 {
			out.received = t.latencies(got.events)
		}
	}
	out.rate = float64(out.events) / elapsed.Seconds()
	if server, self, ok := m.read(); ok {
		out.cores = server + self
	}
	after := settle(ctx, s.proc.pid())
	if cpuErr == nil {
		out.cpu = after - before
	}
	if t != nil {
		out.repeats, out.deliveries = t.repeats.Load(), s.arrives.taken.Load()-taken
	}
	if out.events == 0 {
		return sample{}, s.check(ctx, errors.New("not one request was answered within a slice"))
	}
	return out, nil
}

// settle waits until a process hardly uses the processor any more, so that what
// it still had to do neither disturbs the next slice nor is missing from its
// own account, and returns the processor time it has used.
func settle(ctx context.Context, pid int) time.Duration {
	const step = 30 * time.Millisecond
	end := time.Now().Add(settleMost)
	used, err := cpuTime(pid)
	for time.Now().Before(end) && rest(ctx, step) {
		now, e := cpuTime(pid)
		if quiet := now-used <= step/3; err == nil && e == nil && quiet {
			return now
		}
		used, err = now, e
	}
	return used
}

// rest waits for d and reports whether ctx still lives.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pairs are samples taken in turns: base[i] and own[i] are neighbours in time.
type pairs struct{ base, own []sample }

// alternate measures both sides in turns for about budget in all, each slice of
// the same length, the order turning from pair to pair.
func (l *lab) alternate(ctx context.Context, base, own *side, budget time.Duration, rate float64) (pairs, error) {
	const target = 800 * time.Millisecond
	pause := settleMost / 2 // what a slice takes besides
	budget -= 2 * (warmUp + pause)
	n := min(max(int(budget/(2*(target+pause)))|1, 3), 9) // odd: the median is a slice
	lasts := max(budget/time.Duration(2*n)-pause, 50*time.Millisecond)

	for _, s := range []*side{base, own} {
		if _, err := l.slice(ctx, s, warmUp, rate); err != nil {
			return pairs{}, err
		}
	}
	var p pairs
	for i := range n {
		order := [2]*side{base, own}
		if i%2 == 1 {
			order = [2]*side{own, base}
		}
		for _, s := range order {
			got, err := l.slice(ctx, s, lasts, rate)
			if err != nil {
				return pairs{}, err
			}
			if s == base {
				p.base = append(p.base, got)
			} else {
				p.own = append(p.own, got)
			}
		}
	}
	return p, nil
}

// each applies f to all samples.
func each(ss []sample, f func(sample) float64) []float64 {
	vs := make([]float64, len(ss))
	for i, s := range ss {
		vs[i] = f(s)
	}
	return vs
}

// compare makes a result of one figure of all samples.
func (p pairs) compare(metric, unit string, better Better, want *float64, f func(sample) float64) Result {
	return compare(metric, unit, better, want, each(p.base, f), each(p.own, f))
}

// rate is the throughput in events a second, with a goal for the ratio.
func (p pairs) rate(metric string, want float64) Result {
	return p.compare(metric, "events/s", Higher, new(want), func(s sample) float64 { return s.rate })
}

// slower returns the throughput of the slower side, in events a second.
func (p pairs) slower() float64 {
	rate := func(s sample) float64 { return s.rate }
	return min(median(each(p.base, rate)), median(each(p.own, rate)))
}

// cpu is the processor time per event: over all slices together, because the
// system counts it in hundredths of a second.
func (p pairs) cpu(metric string) Result {
	per := func(ss []sample) float64 {
		var used time.Duration
		var events uint64
		for _, s := range ss {
			used += s.cpu
			events += s.events
		}
		return float64(used.Microseconds()) / float64(events)
	}
	r := Result{Metric: metric, Unit: "µs", Better: Lower}
	if base, own := per(p.base), per(p.own); base > 0 && own > 0 {
		r.Value, r.Baseline, r.Ratio = new(own), new(base), new(own/base)
	}
	return r
}

// cores says how much of the machine was used while Intertie was under load.
func (p pairs) cores() string {
	used := median(each(p.own, func(s sample) float64 { return s.cores }))
	return fmt.Sprintf("server, load generator and webhooks used %.2f of %d cores", used, runtime.NumCPU())
}
