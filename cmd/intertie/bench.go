package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/bench"
)

type benchCmd struct {
	Scenario string        `help:"What to measure; see --list." placeholder:"NAME"`
	Duration time.Duration `help:"About how long to take; by default as long as the scenario needs." placeholder:"DURATION"`
	Size     float64       `help:"Multiply the scenario's numbers of events, retries and subscriptions. Default ${default}." default:"1" placeholder:"FACTOR"`
	List     bool          `help:"List the scenarios and stop."`
	Program  string        `help:"Measure another build of intertie instead of this one." placeholder:"FILE"`
	JSON     bool          `name:"json" help:"Print JSON for scripts instead of a table."`
}

// Run measures; progress goes to stderr, the figures to stdout.
func (c *benchCmd) Run(ctx context.Context, s streams) error {
	if c.List {
		var rows [][]string
		for _, sc := range bench.Scenarios() {
			rows = append(rows, []string{sc.Name, sc.Duration.String(), sc.Summary})
		}
		return printTable(s.out, rows)
	}
	if c.Scenario != "" && !hasScenario(c.Scenario) {
		return usageError{fmt.Errorf("there is no scenario %q (see intertie bench --list)", c.Scenario)}
	}
	results, err := bench.Run(ctx, bench.Options{
		Scenario: c.Scenario,
		Duration: c.Duration,
		Size:     c.Size,
		Setup:    setUpBench,

		Executable: c.Program,
		Progress:   s.err,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return bench.WriteJSON(s.out, results)
	}
	return bench.WriteTable(s.out, results)
}

func hasScenario(name string) bool {
	for _, sc := range bench.Scenarios() {
		if sc.Name == name {
			return true
		}
	}
	return false
}

// setUpBench plays both sides of a partner's stream with the admin's rights.
func setUpBench(ctx context.Context, t bench.Target) (bench.Endpoint, error) {
	creds, err := armclient.FromEnvFile(t.AdminEnvFile)
	if err != nil {
		return bench.Endpoint{}, err
	}
	creds.BaseURL, creds.CAFile = t.BaseURL, t.CAFile
	client, err := armclient.New(creds)
	if err != nil {
		return bench.Endpoint{}, err
	}
	defer client.Close()
	flow := armclient.PartnerFlow{
		Partner:      armclient.Party{Client: client, Subscription: creds.Subscription, Group: t.Partner + "-partner"},
		Customer:     armclient.Party{Client: client, Subscription: creds.Subscription, Group: t.Name + "-customer"},
		Registration: t.Partner,
		Namespace:    t.Partner,
		PartnerTopic: t.Name,
		Source:       "/bench/" + t.Name,
	}
	stream, err := flow.Run(ctx)
	if err != nil {
		return bench.Endpoint{}, err
	}
	for _, s := range t.Subscriptions {
		id := stream.PartnerTopic + "/eventSubscriptions/" + s.Name
		if err := client.Put(ctx, id, armclient.VersionEventGrid, benchSubscription(s), nil); err != nil {
			return bench.Endpoint{}, fmt.Errorf("creating event subscription %s: %w", s.Name, err)
		}
	}
	endpoint, err := url.Parse(stream.Endpoint)
	if err != nil {
		return bench.Endpoint{}, fmt.Errorf("endpoint of the partner namespace: %w", err)
	}
	return bench.Endpoint{
		URL:    strings.TrimRight(t.HTTPURL, "/") + endpoint.EscapedPath(),
		Key:    stream.Key,
		Header: map[string]string{"aeg-channel-name": stream.Channel},
		Topic:  stream.PartnerTopic,
		Channel: armclient.EventGridID(creds.Subscription, t.Partner+"-partner",
			"partnerNamespaces", t.Partner, "channels", stream.Channel),
	}, nil
}

// benchSubscription is the body of an event subscription. Deliveries of several
// events may be as large as Event Grid allows.
func benchSubscription(s bench.Subscription) map[string]any {
	webhook := map[string]any{"endpointUrl": s.URL}
	if s.MaxEvents > 1 {
		webhook["maxEventsPerBatch"], webhook["preferredBatchSizeInKilobytes"] = s.MaxEvents, 1024
	}
	properties := map[string]any{
		"eventDeliverySchema": "CloudEventSchemaV1_0",
		"destination":         map[string]any{"endpointType": "WebHook", "properties": webhook},
	}
	if s.EventTypes != nil {
		properties["filter"] = map[string]any{"includedEventTypes": s.EventTypes}
	}
	return map[string]any{"properties": properties}
}

type baselineCmd struct {
	Addr    string `default:"127.0.0.1:0"`
	Forward string
}

// Run is the other side of the comparison, as a process of its own.
func (c *baselineCmd) Run(ctx context.Context, s streams) error {
	err := bench.RunBaseline(ctx, bench.BaselineOptions{Addr: c.Addr, Forward: c.Forward, Out: s.out})
	if err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
