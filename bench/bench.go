package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	minDuration = 2 * time.Second
	overrun     = 11 * time.Second // see Options.Grace
	maxSize     = 100
)

// Options configures [Run].
type Options struct {
	// Scenario is one of [Scenarios]; empty is "main".
	Scenario string
	// Duration is about how long the whole run takes; 0 is the scenario's own,
	// and less than 2 s is refused. The slices are cut to fit.
	Duration time.Duration
	// Size multiplies the numbers of events, resources and so on that a
	// scenario is about; 0 is 1. The goals are those for 1. Scenarios that
	// measure by time alone have no size.
	Size float64
	// Setup prepares Intertie for a scenario; it must return within the run's
	// time. Required.
	Setup func(context.Context, Target) (Endpoint, error)
	// Executable is the program to start as `serve` and `bench-baseline`;
	// empty is the running one.
	Executable string
	// Env is added to the children's environment.
	Env []string
	// TempDir is where the data folder is made; empty is the system's folder.
	// Every published event is written there: some GB in the main scenario.
	TempDir string
	// Progress receives a line per step, for a person who waits. Nil: nobody.
	Progress io.Writer

	// Grace is by how much the run may exceed its duration, on a machine that is
	// too slow for its schedule, before it is ended with an error; 0 is 11 s, or
	// a sixth of the duration if that is more.
	Grace time.Duration

	drain time.Duration // drainTimeout, another in tests
}

// Target is a running Intertie in which a stream is to be set up: a channel of a
// partner, and a customer's activated partner topic with event subscriptions.
type Target struct {
	BaseURL      string // HTTPS: management
	HTTPURL      string // plain HTTP: publishing
	CAFile       string // what to trust
	AdminEnvFile string // credentials of an owner of everything
	// Partner is a short name for the partner's side, Name one for the
	// customer's, unique in this run. Targets with the same Partner share a
	// partner namespace.
	Partner, Name string
	Subscriptions []Subscription
}

// Subscription is an event subscription to a webhook, with CloudEvents.
type Subscription struct {
	Name, URL  string
	EventTypes []string // nil: all
	// MaxEvents is the most events in a delivery; 0 is 1.
	MaxEvents int
}

// Endpoint is where and how to publish.
type Endpoint struct {
	URL    string            // plain HTTP on a loopback address
	Key    string            // sent as aeg-sas-key; empty: not sent
	Header map[string]string // further headers, such as aeg-channel-name
	// Topic and Channel are the ARM ids of the partner topic and the channel.
	Topic, Channel string
}

// Scenario is something that can be measured.
type Scenario struct {
	Name    string
	Summary string
	// Duration is about how long it takes.
	Duration time.Duration
}

// part is a piece of a scenario.
type part struct {
	// weight is the part's share of the time, relative to the other parts'.
	weight float64
	run    func(context.Context, *lab, time.Duration) ([]Result, error)
}

// scenarios is the table of what there is; parts run in order.
var scenarios = []struct {
	Scenario
	parts []part
}{
	{
		Scenario{"main", "everything that a single stream shows, one after the other (the default)", 38 * time.Second},
		[]part{idle, match, publish, batch, deliver, publishLatency, deliverLatency, peak},
	},
	{
		Scenario{"publish", "single durable publishes against a handler that only reads the body", 38 * time.Second},
		[]part{publish},
	},
	{
		Scenario{"batch", "batches of 100 in against a handler that parses them; batches of 1,000 in and out against one that passes them on", 60 * time.Second},
		[]part{batch, batchThrough},
	},
	{
		Scenario{"deliver", "publish to webhook, one event a request, against a plain forwarder", 38 * time.Second},
		[]part{deliver},
	},
	{
		Scenario{"latency", "publish and publish to receive at half of the possible load", 38 * time.Second},
		[]part{publishLatency, deliverLatency},
	},
	{
		Scenario{"memory", "memory when idle, and the most under all kinds of load", 38 * time.Second},
		[]part{idle, publish, batch, deliver, peak},
	},
	{
		Scenario{"match", "one event against 10,000 filters, in this process", 38 * time.Second},
		[]part{match},
	},
	{
		Scenario{"neighbour", "20 customers at 50 events/s each, before and while the endpoints of four are in trouble", 110 * time.Second},
		[]part{neighbour},
	},
	{
		Scenario{"burst", "300,000 events in a minute to an endpoint that takes 200/s, with a crash while it catches up", 145 * time.Second},
		[]part{burst},
	},
	{
		Scenario{"burst-long", "the same, at that endpoint's pace to the very end", 32 * time.Minute},
		[]part{burstLong},
	},
	{
		Scenario{"crash", "kill -9 while an endpoint refuses 13 % of what it gets: how much arrives twice", 100 * time.Second},
		[]part{crash},
	},
	{
		Scenario{"waiting", "1,000,000 retries that are due over the next hours", 110 * time.Second},
		[]part{waiting},
	},
	{
		Scenario{"fanout", "one topic with 500 subscriptions; then 100,000 subscriptions over 1,000 topics", 130 * time.Second},
		[]part{fanOut, crowd},
	},
}

// Scenarios lists what [Options.Scenario] can name.
func Scenarios() []Scenario {
	list := make([]Scenario, len(scenarios))
	for i, s := range scenarios {
		list[i] = s.Scenario
	}
	return list
}

// Run measures one scenario. It returns an error when a request is refused, an
// event is lost, a child ends or the time is over; results are complete or nil.
// When it returns, its children have ended and its folders are removed, also
// when ctx was cancelled.
func Run(ctx context.Context, o Options) (results []Result, err error) {
	if o.Scenario == "" {
		o.Scenario = "main"
	}
	at := slices.IndexFunc(Scenarios(), func(s Scenario) bool { return s.Name == o.Scenario })
	if at < 0 {
		return nil, fmt.Errorf("no scenario %q; there are %s", o.Scenario, names())
	}
	if o.Duration == 0 {
		o.Duration = scenarios[at].Duration
	}
	if o.Size == 0 {
		o.Size = 1
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.drain == 0 {
		o.drain = drainTimeout
	}
	if o.Grace == 0 {
		o.Grace = max(overrun, o.Duration/6)
	}
	switch {
	case o.Size < 0 || o.Size > maxSize:
		return nil, fmt.Errorf("a size of %v is not between 0 and %d", o.Size, maxSize)
	case o.Duration < minDuration:
		return nil, fmt.Errorf("a duration of %v is too short to measure anything; at least %v", o.Duration, minDuration)
	case o.Setup == nil:
		return nil, errors.New("bench: Options.Setup is nil")
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the running program: %w", err)
		}
	}
	end := time.Now().Add(o.Duration)
	ctx, cancel := context.WithDeadlineCause(ctx, end.Add(o.Grace),
		fmt.Errorf("not finished %v after the %v it should take", o.Grace, o.Duration))
	defer cancel()

	l := newLab(o)
	defer func() {
		if e := l.close(); err == nil && e != nil {
			results, err = nil, e
		}
	}()
	parts := scenarios[at].parts
	for i, p := range parts {
		got, err := p.run(ctx, l, share(parts[i:], time.Until(end)))
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err) // what it was at says less than why it ended
		}
		if err != nil {
			return nil, err
		}
		results = append(results, got...)
	}
	for i := range results {
		results[i].Scenario = o.Scenario
	}
	return results, nil
}

// share returns the first part's share of the time that is left: a part that
// took longer than planned shortens all that follow.
func share(parts []part, left time.Duration) time.Duration {
	total := 0.0
	for _, p := range parts {
		total += p.weight
	}
	if total == 0 {
		return 0
	}
	const forTheEnd = 500 * time.Millisecond // stopping the children
	return max(0, time.Duration(float64(left-forTheEnd)*parts[0].weight/total))
}

func names() string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.Name)
	}
	return strings.Join(all, ", ")
}
