package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// The scenario fanout, first part: one topic with many subscriptions, and events
// that match one, some or all of them. What an event costs must follow its
// matches: as many deliveries a second, whatever number of them an event makes,
// and with one match as many events as on a topic with one subscription.
const (
	fanSubscriptions = 500
	fanSome          = 10 // the subscriptions that an event of the middle class matches

	// wantFan is the goal for deliveries a second beside those of one match, and
	// for one match of many subscriptions beside one of one.
	wantFan = 0.8
)

// The kinds of events: those of class one match a subscription each, those of
// class some fanSome in a row.
const (
	kindOne  = 10_000
	kindSome = 20_000
	kindAll  = 30_000
)

var fanOut = part{weight: 1, run: runFanOut}

// class is a load of events of which each matches equally many subscriptions.
type class struct {
	name    string
	side    *side
	hooks   []*hook
	matches int
	// kind of an event, and whether a subscription wants it, by its number.
	kind  func(seq uint64) uint64
	wants func(seq uint64, hook int) bool
	// done are the slices so far.
	done []fanned
}

// fanned is what one slice came to.
type fanned struct {
	deliveries, events float64 // a second
	cpu                time.Duration
	count              uint64 // events
	repeats            uint64
}

// fan divides n subscriptions into classes.
type fan struct{ n, some int }

func (f fan) types(i int) []string {
	return []string{
		eventType(kindOne + uint64(i)), eventType(kindSome + uint64(i/f.some)), eventType(kindAll), //nolint:gosec // an index
	}
}

func (f fan) subscriptions(hooks []*hook) []Subscription {
	subs := make([]Subscription, f.n)
	for i := range subs {
		subs[i] = Subscription{Name: fmt.Sprintf("sub-%04d", i), URL: hooks[i].url, EventTypes: f.types(i)}
	}
	return subs
}

// turn returns the number of the event's turn among n.
func turn(seq uint64, n int) int { return int(seq % uint64(n)) } //nolint:gosec // less than n

// classes of events that match one, some and all subscriptions. Hooks have
// numbers of their own, from first on.
func (f fan) classes(s *side, hooks []*hook) []*class {
	first := hooks[0].number
	groups := f.n / f.some
	return []*class{
		{
			name: "one", side: s, hooks: hooks, matches: 1,
			kind:  func(seq uint64) uint64 { return kindOne + uint64(turn(seq, f.n)) }, //nolint:gosec // an index
			wants: func(seq uint64, hook int) bool { return hook-first == turn(seq, f.n) },
		},
		{
			name: "some", side: s, hooks: hooks, matches: f.some,
			kind:  func(seq uint64) uint64 { return kindSome + uint64(turn(seq, groups)) }, //nolint:gosec // an index
			wants: func(seq uint64, hook int) bool { return (hook-first)/f.some == turn(seq, groups) },
		},
		{
			name: "all", side: s, hooks: hooks, matches: f.n,
			kind:  func(uint64) uint64 { return kindAll },
			wants: func(uint64, int) bool { return true },
		},
	}
}

func runFanOut(ctx context.Context, l *lab, budget time.Duration) ([]Result, error) {
	end := time.Now().Add(budget)
	f := fan{n: l.sized(fanSubscriptions, 20), some: fanSome}
	f.n -= f.n % f.some
	hooks, err := l.hooks(f.n + 1)
	if err != nil {
		return nil, err
	}
	alone, hooks := hooks[:1], hooks[1:]
	l.sayf("set up a topic with %d subscriptions and one with one", f.n)
	many, err := l.stream(ctx, "bench-fan", f.subscriptions(hooks))
	if err != nil {
		return nil, err
	}
	lone, err := l.stream(ctx, "bench-lone", fan{n: 1, some: 1}.subscriptions(alone))
	if err != nil {
		return nil, err
	}
	s := l.servers[0]
	crowded, close1, err := s.side(ctx, "the topic with many", many)
	if err != nil {
		return nil, err
	}
	defer close1()
	single, close2, err := s.side(ctx, "the topic with one", lone)
	if err != nil {
		return nil, err
	}
	defer close2()

	one := fan{n: 1, some: 1}.classes(single, alone)[0]
	classes := append(f.classes(crowded, hooks), one)
	l.sayf("events that match 1, %d and %d of %d, %v", f.some, f.n, f.n, max(0, time.Until(end)).Round(100*time.Millisecond))
	if err := l.rounds(ctx, classes, time.Until(end)); err != nil {
		return nil, err
	}
	return fanResults(classes), nil
}

// side connects to a stream.
func (s *server) side(ctx context.Context, name string, e Endpoint) (*side, func(), error) {
	c, err := dial(ctx, plan{events: 1, endpoints: []Endpoint{e}})
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", name, err)
	}
	sd := s.asSide(name)
	sd.c = c
	return sd, c.close, nil
}

// rounds measures all classes in turns for about budget, the order turning from
// round to round.
func (l *lab) rounds(ctx context.Context, classes []*class, budget time.Duration) error {
	const (
		most   = 7
		target = 1200 * time.Millisecond
	)
	pause := settleMost / 2
	each := budget / time.Duration(len(classes))
	n := min(max(int(each/(target+pause)), 1), most)
	lasts := max(each/time.Duration(n+1)-pause, 50*time.Millisecond)
	for round := range n + 1 {
		for i := range classes {
			c := classes[i]
			if round%2 == 1 {
				c = classes[len(classes)-1-i]
			}
			got, err := l.fanSlice(ctx, c, lasts)
			if err != nil {
				return fmt.Errorf("events that match %s: %w", c.name, err)
			}
			if round > 0 { // the first only warms up
				c.done = append(c.done, got)
			}
		}
	}
	return nil
}

// fanEvents bounds the events of one slice of a class, and with them the memory
// of its account.
func (c *class) fanEvents() int { return max(100_000/c.matches, 200) }

// fanSlice puts the load of a class on its side as long as lasts, or as its
// account allows, and waits until every event has arrived wherever it must.
func (l *lab) fanSlice(ctx context.Context, c *class, lasts time.Duration) (fanned, error) {
	limit := c.fanEvents()
	g := newGate(inFlight)
	r := newRollCall(l.newRuns(1), limit, c.hooks[0].number, len(c.hooks), g, c.wants)
	for _, h := range c.hooks {
		h.report(r)
	}
	before, cpuErr := cpuTime(c.side.proc.pid())
	got, err := c.side.c.drive(ctx, load{
		run: r.run, epoch: l.epoch, lasts: lasts, gate: g, arrivals: uint64(c.matches), //nolint:gosec // a count
		limit: uint64(limit), kind: c.kind, //nolint:gosec // a count
	})
	if err != nil {
		return fanned{}, c.side.check(ctx, err)
	}
	if got.events == 0 {
		return fanned{}, c.side.check(ctx, errors.New("not one request was answered within a slice"))
	}
	deliveries := got.events * uint64(c.matches) //nolint:gosec // a count
	if err := r.wait(ctx, deliveries, secondChance); err != nil {
		return fanned{}, c.side.check(ctx, err)
	}
	took := (time.Duration(r.lastSeen.Load()) - got.start.Sub(l.epoch)).Seconds()
	out := fanned{
		deliveries: float64(deliveries) / took, events: float64(got.events) / took,
		count: got.events, repeats: r.repeats.Load(),
	}
	if after := settle(ctx, c.side.proc.pid()); cpuErr == nil {
		out.cpu = after - before
	}
	return out, nil
}

func (c *class) each(f func(fanned) float64) []float64 {
	vs := make([]float64, len(c.done))
	for i, d := range c.done {
		vs[i] = f(d)
	}
	return vs
}

// perEvent is the server's processor time per event, over all slices, in µs; 0
// where the system does not tell.
func (c *class) perEvent() float64 {
	var used time.Duration
	var events uint64
	for _, d := range c.done {
		used, events = used+d.cpu, events+d.count
	}
	return float64(used.Microseconds()) / float64(events)
}

func perSecond(f fanned) float64 { return f.deliveries }

// fanResults compares the classes one, some and all of a topic with many, and
// one of a topic with one.
func fanResults(classes []*class) []Result {
	one, lone := classes[0], classes[3]
	n := len(one.hooks)
	alone := compare(fmt.Sprintf("matches 1 of %d, beside 1 of 1", n), "events/s", Higher, new(wantFan), lone.each(perSecond), one.each(perSecond))
	alone.Note = fmt.Sprintf("bounded by the processor: %d cores for server, load generator and webhooks", runtime.NumCPU())
	cost := Result{Metric: fmt.Sprintf("server CPU per event, 1 of %d beside 1 of 1", n), Unit: "µs", Better: Lower}
	if b, o := lone.perEvent(), one.perEvent(); b > 0 && o > 0 {
		cost = against(cost.Metric, cost.Unit, Lower, nil, b, o)
	}
	rs := []Result{alone, cost}
	var repeats uint64
	for _, c := range classes[:3] {
		rs = append(rs, Result{
			Metric: fmt.Sprintf("matches %d of %d, events", c.matches, n), Unit: "events/s", Better: Higher,
			Value: new(median(c.each(func(f fanned) float64 { return f.events }))),
		})
	}
	for _, c := range classes[1:3] {
		rs = append(rs, compare(fmt.Sprintf("matches %d of %d, beside 1, deliveries", c.matches, n), "deliveries/s", Higher, new(wantFan),
			one.each(perSecond), c.each(perSecond)))
	}
	for _, c := range classes {
		for _, d := range c.done {
			repeats += d.repeats
		}
	}
	return append(rs, Result{Metric: "fan-out, repeated deliveries", Unit: "deliveries", Better: Lower, Value: new(float64(repeats))})
}
