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
	Duration time.Duration `help:"About how long to take." placeholder:"DURATION"`
	List     bool          `help:"List the scenarios and stop."`
	JSON     bool          `name:"json" help:"Print JSON for scripts instead of a table."`
}

// Run measures; progress goes to stderr, the figures to stdout.
func (c *benchCmd) Run(ctx context.Context, s streams) error {
	if c.List {
		var rows [][]string
		for _, sc := range bench.Scenarios() {
			rows = append(rows, []string{sc.Name, sc.Summary})
		}
		return printTable(s.out, rows)
	}
	if c.Scenario != "" && !hasScenario(c.Scenario) {
		return usageError{fmt.Errorf("there is no scenario %q (see intertie bench --list)", c.Scenario)}
	}
	results, err := bench.Run(ctx, bench.Options{
		Scenario: c.Scenario,
		Duration: c.Duration,
		Setup:    setUpBench,
		Progress: s.err,
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
		Partner:      armclient.Party{Client: client, Subscription: creds.Subscription, Group: t.Name + "-partner"},
		Customer:     armclient.Party{Client: client, Subscription: creds.Subscription, Group: t.Name + "-customer"},
		Registration: t.Name,
		Namespace:    t.Name,
		PartnerTopic: t.Name,
		Source:       "/bench/" + t.Name,
	}
	if t.Subscribe {
		flow.Subscriptions = []armclient.EventSubscription{{Name: "everything", URL: t.WebhookURL}}
	}
	stream, err := flow.Run(ctx)
	if err != nil {
		return bench.Endpoint{}, err
	}
	endpoint, err := url.Parse(stream.Endpoint)
	if err != nil {
		return bench.Endpoint{}, fmt.Errorf("endpoint of the partner namespace: %w", err)
	}
	return bench.Endpoint{
		URL:    strings.TrimRight(t.HTTPURL, "/") + endpoint.EscapedPath(),
		Key:    stream.Key,
		Header: map[string]string{"aeg-channel-name": stream.Channel},
	}, nil
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
