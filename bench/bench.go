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

// DefaultDuration is how long a run takes when nothing else is asked for.
const DefaultDuration = 38 * time.Second

const (
	minDuration = 2 * time.Second
	// overrun is by how much a run may exceed its duration, on a machine that is
	// too slow for its schedule, before it is ended with an error.
	overrun = 11 * time.Second
)

// Options configures [Run].
type Options struct {
	// Scenario is one of [Scenarios]; empty is "main".
	Scenario string
	// Duration is about how long the whole run takes; 0 is DefaultDuration,
	// and less than 2 s is refused. The slices are cut to fit.
	Duration time.Duration
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

	drain, grace time.Duration // drainTimeout and overrun, others in tests
}

// Target is a running Intertie that is to be set up: a partner namespace, a
// channel, an activated partner topic and, if asked for, an event subscription.
type Target struct {
	BaseURL      string // HTTPS: management
	HTTPURL      string // plain HTTP: publishing
	CAFile       string // what to trust
	AdminEnvFile string // credentials of an owner of everything
	// Name is a short name, unique in this run, to name resources with.
	Name string
	// Subscribe asks for a subscription of all events to WebhookURL, with
	// CloudEvents in structured mode.
	Subscribe  bool
	WebhookURL string
}

// Endpoint is where and how to publish.
type Endpoint struct {
	URL    string            // plain HTTP on a loopback address
	Key    string            // sent as aeg-sas-key; empty: not sent
	Header map[string]string // further headers, such as aeg-channel-name
}

// Scenario is something that can be measured.
type Scenario struct {
	Name    string
	Summary string
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
		Scenario{"main", "everything below, one after the other (the default)"},
		[]part{idle, match, publish, batch, deliver, publishLatency, deliverLatency, peak},
	},
	{Scenario{"publish", "single durable publishes against a handler that only reads the body"}, []part{publish}},
	{Scenario{"batch", "batches of 100 against a handler that reads and parses them"}, []part{batch}},
	{Scenario{"deliver", "publish to webhook, one event a request, against a plain forwarder"}, []part{deliver}},
	{Scenario{"latency", "publish and publish to receive at half of the possible load"}, []part{publishLatency, deliverLatency}},
	{Scenario{"memory", "memory when idle, and the most under all kinds of load"}, []part{idle, publish, batch, deliver, peak}},
	{Scenario{"match", "one event against 10,000 filters, in this process"}, []part{match}},
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
	if o.Duration == 0 {
		o.Duration = DefaultDuration
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.drain == 0 {
		o.drain = drainTimeout
	}
	if o.grace == 0 {
		o.grace = overrun
	}
	at := slices.IndexFunc(Scenarios(), func(s Scenario) bool { return s.Name == o.Scenario })
	switch {
	case at < 0:
		return nil, fmt.Errorf("no scenario %q; there are %s", o.Scenario, names())
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
	ctx, cancel := context.WithDeadlineCause(ctx, end.Add(o.grace),
		fmt.Errorf("not finished %v after the %v it should take", o.grace, o.Duration))
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
