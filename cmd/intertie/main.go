// Command intertie is the server and the tools around it: flags, signals and
// exit codes. What the commands do is in the packages.
//
// It exits with 0 when all went well (also after a drain on SIGTERM), 1 when
// something failed, and 2 when it was called wrongly. Every failure is one line
// on stderr that begins with "intertie: ".
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/intertie/intertie/app"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// A second signal this soon is the echo of the first: timeout(1) and some
// supervisors signal the process and then its group.
const echo = 100 * time.Millisecond

type cli struct {
	Serve        serveCmd        `cmd:"" help:"Run the server."`
	Demo         demoCmd         `cmd:"" help:"Play a partner, two customers and a stream of events, then count."`
	Listen       listenCmd       `cmd:"" help:"Receive events as a webhook and print them."`
	Env          envCmd          `cmd:"" help:"Print what Azure SDKs and az need to use a server."`
	Principal    principalCmd    `cmd:"" help:"Create and list service principals."`
	Subscription subscriptionCmd `cmd:"" help:"Create and list Azure subscriptions."`
	Bench        benchCmd        `cmd:"" help:"Measure Intertie against a plain baseline on this machine."`
	Check        checkCmd        `cmd:"" help:"Read all of a data folder and say what is wrong with it."`
	Version      versionCmd      `cmd:"" help:"Print the version."`

	BenchBaseline baselineCmd `cmd:"" hidden:"" help:"Run the baseline that bench compares with."`
}

// streams are where commands write to.
type streams struct {
	out, err io.Writer
}

// usageError is an error of the caller: it ends the program with exitUsage.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // lives as long as the process
		<-signals
		first := time.Now()
		cancel()
		for range signals {
			if time.Since(first) < echo {
				continue
			}
			fmt.Fprintln(os.Stderr, "intertie: stopped at once by a second signal")
			os.Exit(exitFailed)
		}
	}()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}

func run(ctx context.Context, args []string, s streams) int {
	parser, err := newParser(new(cli), s)
	if err != nil {
		return report(s, err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return report(s, usageError{err})
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(s)
	return report(s, command.Run())
}

// newParser makes the command line; defaults come from the packages.
func newParser(c *cli, s streams) (*kong.Kong, error) {
	vars := serveDefaults(app.DefaultOptions())
	maps.Copy(vars, demoDefaults())
	return kong.New(c,
		kong.Name("intertie"),
		kong.Description("A self-hosted server that speaks the protocols of Azure Event Grid."),
		kong.Writers(s.out, s.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		vars,
	)
}

// report prints an error and picks the exit code.
func report(s streams, err error) int {
	var usage usageError
	var parse *kong.ParseError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &parse):
		hint := ""
		if parse.Context != nil {
			hint = " (see intertie"
			if node := parse.Context.Selected(); node != nil {
				hint += " " + node.Path()
			}
			hint += " --help)"
		}
		fmt.Fprintf(s.err, "intertie: %v%s\n", err, hint)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "intertie: %v\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(s.err, "intertie: interrupted")
		return exitFailed
	}
	fmt.Fprintf(s.err, "intertie: %v\n", oneLine(err)) // several reasons come as several lines
	return exitFailed
}
