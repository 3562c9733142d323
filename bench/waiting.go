package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The scenario waiting: retries that are due over the next hours. The real way
// there leads through hours of refused attempts, so they are written into the
// data folder of a server that does not run, by the same package in the same
// form. What is measured is the server that then starts: how long it takes, what
// it uses while nothing is due, and whether those that fall due within the run
// come in time. The baseline is the same server on the same folder before.
const (
	waitingRetries = 1_000_000
	dueRetries     = 2_000 // that fall due within the run

	wantWaitingMemory = 50.0 // MB above idle
	wantWaitingCPU    = 1.0  // % of a core
	wantWaitingStart  = 3.0  // s
	wantLate          = 10.0 // % of the delay
)

var waiting = part{weight: 1, run: runWaiting}

// rested is what a server uses while nothing happens.
type rested struct {
	start  time.Duration
	memory int64   // bytes, -1 where the system does not tell
	cpu    float64 // % of a core, -1 where the system does not tell
}

func runWaiting(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	hooks, err := l.hooks(1)
	if err != nil {
		return nil, err
	}
	ep, err := l.stream(ctx, "bench-waiting", []Subscription{{Name: "everything", URL: hooks[0].url}})
	if err != nil {
		return nil, err
	}
	s := l.servers[0]
	quiet := budget / 6
	s.stop()
	if err := s.start(ctx, startTimeout); err != nil {
		return nil, err
	}
	l.sayf("watch the server with nothing to wait for, %v", seconds(quiet, 1))
	before, err := watch(ctx, s, quiet)
	if err != nil {
		return nil, err
	}
	s.stop()

	w := &waiters{
		hook: hooks[0], far: newTally(l.newRuns(1), l.sized(waitingRetries, 1000), nil),
		near: newTally(l.newRuns(1), l.sized(dueRetries, 50), nil),
		// They must not come before the server has been watched again, and
		// all of them within the run.
		soonest: quiet * 2, latest: quiet * 7 / 2,
	}
	hooks[0].report(w)
	l.sayf("write %d retries due in %v to %v, and %d due in %v to %v", len(w.far.took), farSoonest, farLatest, len(w.near.took), seconds(w.soonest, 1), seconds(w.latest, 1))
	if err := w.fill(ctx, l, s.data, ep); err != nil {
		return nil, err
	}
	if err := s.start(ctx, startTimeout); err != nil {
		return nil, err
	}
	l.sayf("watch the server with %d retries waiting, %v", len(w.far.took), seconds(quiet, 1))
	after, err := watch(ctx, s, quiet)
	if err != nil {
		return nil, err
	}
	l.sayf("wait for those that are due")
	if err := w.wait(ctx, s); err != nil {
		return nil, err
	}
	rs := compareRest(before, after)
	rs[0].Note = fmt.Sprintf("%d retries, written into the data folder by package eventlog in %v: over the network it would take hours of refusals",
		len(w.far.took), w.filled.Round(100*time.Millisecond))
	return append(rs, w.timely()...), nil
}

// watch lets a server come to rest after its start and looks at it for a while.
func watch(ctx context.Context, s *server, lasts time.Duration) (rested, error) {
	r := rested{start: s.took, memory: -1, cpu: -1}
	if !rest(ctx, lasts/4) {
		return r, context.Cause(ctx)
	}
	m := newMeter(s.proc.pid())
	if !rest(ctx, lasts*3/4) {
		return r, context.Cause(ctx)
	}
	if cores, _, ok := m.read(); ok {
		r.cpu = 100 * cores
	}
	now, _, err := memory(s.proc.pid())
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		return r, err
	default:
		r.memory = now
	}
	return r, nil
}

func compareRest(before, after rested) []Result {
	above := Result{Metric: "memory above idle", Unit: "MB", Better: Lower, Want: new(wantWaitingMemory)}
	now := Result{Metric: "memory, beside none waiting", Unit: "MB", Better: Lower}
	if before.memory >= 0 && after.memory >= 0 {
		above.Value = new(max(0, float64(after.memory-before.memory)/megabyte))
		now = against(now.Metric, now.Unit, Lower, nil, float64(before.memory)/megabyte, float64(after.memory)/megabyte)
	}
	cpu := Result{Metric: "processor while nothing is due", Unit: "% of a core", Better: Lower, Want: new(wantWaitingCPU)}
	cpuBefore := Result{Metric: "processor with none waiting", Unit: "% of a core", Better: Lower}
	if before.cpu >= 0 && after.cpu >= 0 {
		cpu.Value, cpuBefore.Value = new(after.cpu), new(before.cpu)
	}
	return []Result{
		above, now, cpu, cpuBefore,
		{Metric: "start", Unit: "s", Better: Lower, Want: new(wantWaitingStart), Value: new(after.start.Seconds())},
		{Metric: "start with none waiting", Unit: "s", Better: Lower, Value: new(before.start.Seconds())},
	}
}

// How long the retries wait that are not to come within the run.
const (
	farSoonest = time.Hour
	farLatest  = 12 * time.Hour
)

// waiters accounts for the retries.
type waiters struct {
	hook            *hook
	far, near       *tally
	soonest, latest time.Duration // of near
	filled          time.Duration // the time it took to write far
}

func (w *waiters) book(hook int, m mark, now int64) {
	w.far.book(hook, m, now)
	w.near.book(hook, m, now)
}

// delay is how long the n-th of near waits.
func (w *waiters) delay(n int) time.Duration {
	return between(w.soonest, w.latest, n, len(w.near.took))
}

// between divides a stretch of time into count parts and returns where the n-th
// begins.
func between(from, to time.Duration, n, count int) time.Duration {
	return from + time.Duration(float64(to-from)*float64(n)/float64(count))
}

// fill writes all retries, near ones last because their time runs.
func (w *waiters) fill(ctx context.Context, l *lab, data string, ep Endpoint) (err error) {
	f, err := openFolder(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	topic, err := f.get(ep.Topic)
	if err != nil {
		return err
	}
	subs := f.subscriptions(topic.ID)
	if len(subs) != 1 {
		return fmt.Errorf("%s has %d event subscriptions in the data folder, not 1", ep.Topic, len(subs))
	}
	r, err := newRetries(f, l.epoch, topic.UID, subs[0].UID)
	if err != nil {
		return err
	}
	defer r.close()
	began := time.Now()
	count := len(w.far.took)
	err = r.write(ctx, wait{run: w.far.run, count: count, delay: func(n int) time.Duration {
		return between(farSoonest, farLatest, n, count)
	}})
	if err != nil {
		return err
	}
	w.filled = time.Since(began)
	return r.write(ctx, wait{run: w.near.run, count: len(w.near.took), delay: w.delay})
}

// wait returns when all near ones have arrived, and the server says that the
// others still wait.
func (w *waiters) wait(ctx context.Context, s *server) error {
	if err := w.near.wait(ctx, uint64(len(w.near.took)), w.latest+secondChance); err != nil {
		return s.asSide("Intertie").check(ctx, err)
	}
	counted, err := s.scrape(ctx)
	if err != nil {
		return err
	}
	if there, wrote := counted.sum("intertie_eventlog_waiting_records", `queue="retry"`), len(w.far.took); there < float64(wrote) {
		return fmt.Errorf("%w: %d retries were written, the server says that %.0f wait", errMissing, wrote, there)
	}
	if n := w.far.count.Load(); n > 0 {
		return fmt.Errorf("%d retries came hours early", n)
	}
	return nil
}

// clockDrift is how far the two clocks may be apart that a due time and its
// attempt are read from: one is adjusted to the world, the other only counts.
const clockDrift = 0.001

// timely compares when the near ones came with when they were due.
func (w *waiters) timely() []Result {
	early := 0
	var shares, times []float64
	for n := range w.near.took {
		delay := w.delay(n)
		late := time.Duration(w.near.took[n].Load()) - delay
		if late.Seconds() < -clockDrift*delay.Seconds() {
			early++
		}
		times = append(times, milliseconds(late))
		shares = append(shares, 100*late.Seconds()/delay.Seconds())
	}
	return []Result{
		{Metric: "the latest attempt, late by", Unit: "% of its delay", Better: Lower, Want: new(wantLate), Value: new(slices.Max(shares))},
		{Metric: "attempts, late by (median)", Unit: "ms", Better: Lower, Value: new(median(times))},
		{Metric: "attempts that came early", Unit: "attempts", Better: Lower, Want: new(0.0), Value: new(float64(early))},
		{Metric: "attempts that fell due", Unit: "attempts", Better: Higher, Value: new(float64(len(times)))},
		{Metric: "retries written", Unit: "retries/s", Better: Higher, Value: new(float64(len(w.far.took)) / w.filled.Seconds())},
	}
}
