package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/intertie/intertie/armclient"
)

// Server is a running Intertie, as far as the demo must know it.
type Server interface {
	URL() string
	// Admin is a principal that owns everything, and its subscription.
	Admin() (armclient.Credentials, string)
	// Done is closed when the server failed; Err says why.
	Done() <-chan struct{}
	Err() error
	Stop(ctx context.Context) error
}

// Options of [Run]. Start is needed; [DefaultOptions] sets the rest.
type Options struct {
	Events int     // number of events to publish
	Rate   float64 // events per second; 0 means as fast as possible
	Out    io.Writer
	Color  bool // ANSI colours in Out

	// Start starts a server that keeps its data in dir, listens on free
	// loopback ports and may deliver to loopback addresses. It returns when
	// the server is ready.
	Start func(ctx context.Context, dir string) (Server, error)

	// Stall is the longest wait for the next delivery once everything is
	// published. It is longer than the first step of the retry schedule (10 s).
	Stall time.Duration
}

// DefaultOptions is a demo of about five seconds.
func DefaultOptions() Options {
	return Options{Events: 200, Rate: 50, Out: io.Discard, Stall: 20 * time.Second}
}

// Validate reports the first option that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Events < 1:
		return fmt.Errorf("events: %d is not at least 1", o.Events)
	case o.Rate < 0 || o.Rate != o.Rate:
		return fmt.Errorf("rate: %v is not 0 or more", o.Rate)
	case o.Start == nil:
		return errors.New("start: no server to start")
	}
	return nil
}

// Result is the count at the end.
type Result struct {
	Published  int // events answered 200
	Delivered  int // distinct deliveries that arrived, of those the filters ask for
	Lost       int // those that did not
	Duplicates int // further arrivals of the same event at the same webhook
	Misrouted  int // arrivals that no filter asked for

	DelayMedian, Delay99 time.Duration // from sending to arrival
}

// Complete says that everything arrived, and nothing anywhere else.
func (r Result) Complete() bool { return r.Lost == 0 && r.Misrouted == 0 }

// How long putting things away may take, also after an interrupt.
const cleanupTime = 15 * time.Second

// Run plays the demo and removes every trace of it. Its last line of output is
// the count; it is written as soon as publishing has begun, also when the run
// is cut short. The error says why the demo is no success: a step that failed,
// ctx's end, or events that are missing.
func Run(ctx context.Context, o Options) (res Result, err error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tell := story{out: o.Out, color: o.Color}

	var closers []func(context.Context) error
	published := false
	defer func() {
		// The context may have ended already; cleaning up has its own time.
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer done()
		for _, closer := range slices.Backward(closers) {
			if cerr := closer(ctx); cerr != nil && err == nil {
				err = fmt.Errorf("putting things away: %w", cerr)
			}
		}
		if published {
			tell.ending(res)
		}
	}()

	dir, err := os.MkdirTemp("", "intertie-demo-")
	if err != nil {
		return Result{}, fmt.Errorf("creating a temporary folder: %w", err)
	}
	closers = append(closers, func(context.Context) error { return os.RemoveAll(dir) })

	tell.linef("A partner publishes once, each customer receives a stream of its own.")
	tell.linef("")
	server, err := o.Start(ctx, dir)
	if err != nil {
		return Result{}, fmt.Errorf("starting the server: %w", err)
	}
	closers = append(closers, server.Stop)
	tell.sayf("operator", "starts Intertie at %s, with its data in a temporary folder", server.URL())

	// A server that fails must not leave us waiting for events.
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-server.Done():
			cancel(fmt.Errorf("the server stopped: %w", server.Err()))
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(nil); <-watched }()

	book := newLedger(time.Now)
	play := cast{tell: tell, ledger: book, closers: &closers}
	channels, err := play.setUp(ctx, server)
	if err != nil {
		return Result{}, cause(ctx, err)
	}
	creds, _ := server.Admin()
	tlsConfig, err := creds.TLSConfig()
	if err != nil {
		return Result{}, err
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig}
	defer transport.CloseIdleConnections()

	published = true
	p := &publisher{
		http:     &http.Client{Transport: transport, Timeout: 30 * time.Second},
		channels: channels,
		ledger:   book,
		now:      time.Now,
	}
	return stream(ctx, o, tell, p)
}

// stream publishes, shows how it goes, and waits for what is under way.
func stream(ctx context.Context, o Options, tell story, p *publisher) (Result, error) {
	pace := fmt.Sprintf("%g a second", o.Rate)
	if o.Rate == 0 {
		pace = "as fast as it goes"
	}
	var places []place
	for _, c := range p.channels {
		for _, box := range c.customer.boxes {
			places = append(places, place{c.customer.name, box.name})
		}
	}
	tell.linef("")
	tell.linef("%d events, %s, single and in batches, routed by aeg-channel-name", o.Events, pace)
	tell.linef("")
	tell.header(places)

	start := time.Now()
	row := func() {
		counts, last := p.ledger.snapshot(places)
		tell.row(time.Since(start), p.sent.Load(), counts, last)
	}
	publishing, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		defer close(done)
		done <- p.run(publishing, o.Events, o.Rate)
	}()
	err := follow(ctx, done, p.ledger, o.Stall, row)
	stop()
	for range done { // closed once the publisher is gone
	}
	row()

	sum := p.ledger.tally()
	res := Result{
		Published: int(p.sent.Load()), Delivered: sum.delivered, Lost: sum.lost(),
		Duplicates: sum.duplicates, Misrouted: sum.misrouted,
		DelayMedian: p.ledger.delay(0.5), Delay99: p.ledger.delay(0.99),
	}
	switch {
	case err != nil:
		return res, err
	case res.Lost > 0:
		return res, fmt.Errorf("%d of %d deliveries did not arrive", res.Lost, sum.expected)
	case res.Misrouted > 0:
		return res, fmt.Errorf("%d deliveries arrived where no filter asked for them", res.Misrouted)
	}
	return res, nil
}

// follow shows a row now and then until everything published has arrived,
// publishing failed, ctx ended, or nothing has arrived for the time stall.
func follow(ctx context.Context, done <-chan error, book *ledger, stall time.Duration, row func()) error {
	const often, seldom = time.Second, 5 * time.Second
	tick := time.NewTicker(often)
	defer tick.Stop()
	quiet := time.NewTimer(stall)
	defer quiet.Stop()
	for rows := 0; ; {
		select {
		case err := <-done:
			if err != nil {
				return cause(ctx, err)
			}
			done = nil
			quiet.Reset(stall)
		case <-book.changed:
			quiet.Reset(stall)
		case <-quiet.C:
			if done == nil {
				return nil // the caller counts what is missing
			}
			quiet.Reset(stall)
		case <-tick.C:
			row()
			if rows++; rows == 10 {
				tick.Reset(seldom)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if done == nil && book.tally().lost() == 0 {
			return nil
		}
	}
}

// cause prefers the reason why ctx ended over what broke because of it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
