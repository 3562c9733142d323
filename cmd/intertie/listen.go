package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/intertie/intertie/listen"
)

type listenCmd struct {
	Listen string        `help:"Address to receive on. Default ${default}." default:"127.0.0.1:9090" placeholder:"ADDR"`
	Fail   int           `help:"Answer events with this status instead of 200." placeholder:"STATUS"`
	Delay  time.Duration `help:"Wait this long before each answer." placeholder:"DURATION"`
}

// Run receives until a signal; that is how it is meant to end.
func (c *listenCmd) Run(ctx context.Context, s streams) error {
	switch {
	case c.Fail != 0 && (c.Fail < 200 || c.Fail > 599):
		return usageError{errors.New("--fail must be a status from 200 to 599")}
	case c.Delay < 0:
		return usageError{errors.New("--delay must not be negative")}
	}
	server := &listen.Server{
		Addr: c.Listen, Out: s.out, Fail: c.Fail, Delay: c.Delay,
		Started: func(a net.Addr) { fmt.Fprintf(s.out, "receiving at http://%s, any path; Ctrl-C ends it\n", a) },
	}
	if err := server.Run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
