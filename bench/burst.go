package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The scenario burst: far more than an endpoint can take, published within a
// minute. What counts is that publishing does not notice, that memory does not
// grow with what waits, that the endpoint gets as much as it can take, and that
// a crash in the middle changes none of it.
const (
	burstEvents = 300_000
	burstRate   = 5_000.0 // published a second
	slowRate    = 200.0   // requests a second that the endpoint takes

	// wantPublished is the goal for the rate of publishing beside the same to a
	// fast endpoint, wantPublishTail that for its 99th percentile.
	wantPublished   = 0.95
	wantPublishTail = 1.5
	wantBurstMemory = 300.0 // MB
	wantDrain       = 0.9   // of what the endpoint takes
	wantResume      = 5.0   // s
)

var (
	burst = part{weight: 1, run: func(ctx context.Context, l *lab, d time.Duration) ([]Result, error) {
		return runBurst(ctx, l, d, false)
	}}
	burstLong = part{weight: 1, run: func(ctx context.Context, l *lab, d time.Duration) ([]Result, error) { return runBurst(ctx, l, d, true) }}
)

// flood is a burst under way.
type flood struct {
	s          *server
	fast, slow *hook
	tally      *tally // of the slow one
	// peaks is the most memory of the server in each of the phases below, in
	// bytes, as far as the system tells.
	peaks []int64
}

// runBurst goes through the phases. At the end the endpoint is made fast, so
// that everything can be seen to arrive; with toTheEnd it stays slow.
func runBurst(ctx context.Context, l *lab, budget time.Duration, toTheEnd bool) ([]Result, error) {
	end := time.Now().Add(budget)
	events := l.sized(burstEvents, 100)
	lasts := time.Duration(float64(events) / burstRate * float64(time.Second))
	// What is left besides the burst itself is shared between the phases; the
	// last gets what they leave.
	spare := max(budget-lasts, time.Second)
	window := min(spare/8, 15*time.Second)

	f, fastEP, slowEP, err := newFlood(ctx, l)
	if err != nil {
		return nil, err
	}
	l.sayf("publish %.0f/s to an endpoint that takes all of it, %v", burstRate, seconds(window, 1))
	before, err := f.publish(ctx, l, fastEP, f.fast, window, maxTally)
	if err != nil {
		return nil, err
	}
	if err := before.tally.wait(ctx, before.events, secondChance); err != nil {
		return nil, f.s.asSide("Intertie, to the fast endpoint").check(ctx, err)
	}
	if err := f.note(); err != nil {
		return nil, err
	}
	f.slow.behave(takePaced(slowRate))
	l.sayf("publish %d events at %.0f/s to an endpoint that takes %.0f/s, %v", events, burstRate, slowRate, seconds(lasts, 1))
	m := newMeter(f.s.proc.pid())
	during, err := f.publish(ctx, l, slowEP, f.slow, lasts+time.Second, events)
	if err != nil {
		return nil, err
	}
	f.tally = during.tally
	rs := publishResults(before, during)
	rs[0].Note = m.String()

	l.sayf("watch it catch up, %v", seconds(window, 1))
	r, err := f.drain(ctx, "delivered to the slow endpoint, before the crash", window)
	if err != nil {
		return nil, err
	}
	rs = append(rs, r)
	if f.tally.count.Load() >= during.events {
		return nil, fmt.Errorf("all %d events were delivered before there was a crash: too small a size", during.events)
	}
	resumed, err := f.crash(ctx, l)
	if err != nil {
		return nil, err
	}
	rs = append(rs, resumed...)
	if r, err = f.drain(ctx, "delivered to the slow endpoint, after the crash", window); err != nil {
		return nil, err
	}
	rs = append(rs, r)
	last, err := f.finish(ctx, l, during.events, toTheEnd, time.Until(end))
	return append(rs, last...), err
}

func newFlood(ctx context.Context, l *lab) (f *flood, fast, slow Endpoint, err error) {
	f = &flood{}
	hooks, err := l.hooks(2)
	if err != nil {
		return nil, fast, slow, err
	}
	f.fast, f.slow = hooks[0], hooks[1]
	if fast, err = l.stream(ctx, "bench-fast", []Subscription{{Name: "everything", URL: f.fast.url}}); err != nil {
		return nil, fast, slow, err
	}
	slow, err = l.stream(ctx, "bench-slow", []Subscription{{Name: "everything", URL: f.slow.url}})
	f.s = l.servers[0]
	return f, fast, slow, err
}

// published is what publishing came to, and the account of what arrives.
type published struct {
	sent
	tally *tally
}

func (f *flood) publish(ctx context.Context, l *lab, e Endpoint, h *hook, lasts time.Duration, limit int) (published, error) {
	c, err := dial(ctx, plan{events: 1, endpoints: []Endpoint{e}})
	if err != nil {
		return published{}, err
	}
	defer c.close()
	p := published{tally: newTally(l.newRuns(1), limit, nil)}
	h.report(p.tally)
	p.sent, err = c.drive(ctx, load{
		run: p.tally.run, epoch: l.epoch, lasts: lasts, patience: lasts, rate: burstRate, limit: uint64(limit), //nolint:gosec // a count
	})
	return p, f.s.asSide("Intertie").check(ctx, err)
}

func publishResults(before, during published) []Result {
	rate := func(p published) float64 { return float64(p.events) / p.elapsed.Seconds() }
	rs := []Result{against("publish, endpoint slow beside fast", "events/s", Higher, new(wantPublished), rate(before), rate(during))}
	for _, q := range []struct {
		name  string
		share float64
		want  *float64
	}{{"p50", 0.5, nil}, {"p99", 0.99, new(wantPublishTail)}} {
		rs = append(rs, against("publish "+q.name+", endpoint slow beside fast", "ms", Lower, q.want,
			milliseconds(quantile(before.latencies, q.share)), milliseconds(quantile(during.latencies, q.share))))
	}
	return rs
}

// drain measures for a while how much the slow endpoint gets of what it can
// take.
func (f *flood) drain(ctx context.Context, metric string, window time.Duration) (Result, error) {
	began, had := time.Now(), f.slow.taken.Load()
	if !rest(ctx, window) {
		return Result{}, context.Cause(ctx)
	}
	got := float64(f.slow.taken.Load()-had) / time.Since(began).Seconds()
	r := against(metric, "requests/s", Higher, new(wantDrain), slowRate, got)
	r.Note = "bounded by the endpoint"
	return r, nil
}

// note keeps the most memory that the server has had since it was last noted,
// or since its start.
func (f *flood) note() error {
	pid := f.s.proc.pid()
	_, peak, err := memory(pid)
	if err == nil {
		f.peaks = append(f.peaks, peak)
		err = forgetPeak(pid)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// memory is the most since the burst began.
func (f *flood) memory() Result {
	r := Result{Metric: "memory, peak", Unit: "MB", Better: Lower, Want: new(wantBurstMemory)}
	if len(f.peaks) == 3 {
		mb := func(i int) float64 { return float64(f.peaks[i]) / megabyte }
		r.Value = new(max(mb(1), mb(2)))
		r.Note = fmt.Sprintf("%.0f MB until the crash, %.0f MB after it; %.0f MB while the endpoint was fast", mb(1), mb(2), mb(0))
	}
	return r
}

// crash kills the server, starts it again and waits until it delivers.
func (f *flood) crash(ctx context.Context, l *lab) ([]Result, error) {
	if err := f.note(); err != nil {
		return nil, err
	}
	took, err := f.restart(ctx, l)
	if err != nil {
		return nil, err
	}
	return []Result{
		{Metric: "from the crash to the next delivery", Unit: "s", Better: Lower, Want: new(wantResume), Value: new(took.Seconds())},
		{Metric: "of which the start", Unit: "s", Better: Lower, Value: new(f.s.took.Seconds())},
	}, nil
}

// restart kills the server, starts it again, and returns how long it took until it
// delivered something.
func (f *flood) restart(ctx context.Context, l *lab) (time.Duration, error) {
	l.sayf("kill the server with %d events arrived and start it again", f.tally.count.Load())
	began := time.Now()
	f.s.kill()
	// Whom it had asked and not heard of: they count for nothing.
	if err := f.slow.idle(ctx); err != nil {
		return 0, err
	}
	had := f.slow.taken.Load()
	if err := f.s.start(ctx, startTimeout); err != nil {
		return 0, err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for f.slow.taken.Load() == had {
		select {
		case <-tick.C:
		case <-f.s.proc.done:
			return 0, f.s.proc.died()
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return time.Since(began), nil
}

// finish waits until everything that was published has arrived.
func (f *flood) finish(ctx context.Context, l *lab, events uint64, toTheEnd bool, left time.Duration) ([]Result, error) {
	began, had := time.Now(), f.tally.count.Load()
	if toTheEnd {
		l.sayf("wait for the other %d events, about %v", events-had, time.Duration(float64(events-had)/slowRate*float64(time.Second)).Round(time.Second))
	} else {
		l.sayf("make the endpoint fast and wait for the other %d events", events-had)
		f.slow.behave(take)
	}
	m := newMeter(f.s.proc.pid())
	// A little may be left over when everything else is done: what was on its
	// way during the crash is handed out again some seconds later.
	if err := f.tally.wait(ctx, events, max(left, l.o.drain)); err != nil {
		return nil, f.s.asSide("Intertie, when the time was over").check(ctx, err)
	}
	took := time.Since(began).Seconds()
	if err := f.note(); err != nil {
		return nil, err
	}
	rs := []Result{{Metric: "published, all arrived", Unit: "events", Better: Higher, Value: new(float64(events))}}
	rate := float64(events-had) / took
	if toTheEnd {
		r := against("delivered to the slow endpoint, to the end", "events/s", Higher, new(wantDrain), slowRate, rate)
		r.Note = "bounded by the endpoint"
		rs = append(rs, r)
	} else {
		rs = append(rs, Result{
			Metric: "backlog delivered once the endpoint is fast", Unit: "events/s", Better: Higher, Value: new(rate), Note: m.String(),
		})
	}
	return append(rs, Result{
		Metric: "repeated deliveries after the crash", Unit: "events", Better: Lower, Value: new(float64(f.tally.repeats.Load())),
	}, f.memory()), nil
}
