package main

import (
	"context"
	"os"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/intertie/intertie/app"
	"github.com/intertie/intertie/demo"
	"github.com/intertie/intertie/telemetry"
)

type demoCmd struct {
	Events int     `help:"Number of events to publish. Default ${default}." default:"${demo_events}" placeholder:"N"`
	Rate   float64 `help:"Events per second; 0 means as fast as possible. Default ${default}." default:"${demo_rate}" placeholder:"R"`
}

func demoDefaults() kong.Vars {
	o := demo.DefaultOptions()
	return kong.Vars{
		"demo_events": strconv.Itoa(o.Events),
		"demo_rate":   strconv.FormatFloat(o.Rate, 'g', -1, 64),
	}
}

// Run plays the demo against a server in this process.
func (c *demoCmd) Run(ctx context.Context, s streams) error {
	o := demo.DefaultOptions()
	o.Events, o.Rate, o.Out, o.Start = c.Events, c.Rate, s.out, startDemoServer
	o.Color = telemetry.IsTerminal(s.out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	_, err := demo.Run(ctx, o)
	return err
}

func startDemoServer(ctx context.Context, dir string) (demo.Server, error) {
	o := app.DefaultOptions()
	o.Data, o.Listen, o.AllowPrivateWebhooks = dir, "127.0.0.1:0", true
	server, err := app.New(o)
	if err != nil {
		return nil, err
	}
	if err := server.Start(ctx); err != nil {
		// What Start leaves behind must not outlive us; its reason is the one to tell.
		_ = server.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return server, nil
}
