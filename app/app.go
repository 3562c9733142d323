package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/resource"
)

// App is one server. Its methods are safe for concurrent use, but Start is
// called once.
type App struct {
	opts   Options
	logger *slog.Logger
	clock  clock

	listener, plainListener net.Listener
	hosts                   *hosts
	directory               *directory
	settings                *settings
	admin                   armclient.Credentials

	ready, draining atomic.Bool

	mu    sync.Mutex // protects the fields below
	steps []step     // what Stop undoes, last one first
	err   error
	done  chan struct{}
	once  sync.Once // closes done

	stopOnce sync.Once
	stopErr  error
}

// step is one thing to undo when the server stops.
type step struct {
	name string
	// limit is how long it may take, so that the steps after it have time as well; 0
	// is as long as the whole stop.
	limit time.Duration
	undo  func(context.Context) error
}

// stepLimit is for a step that has little to do. One that takes longer waits for what
// does not come, such as room on a full disk.
const stepLimit = 5 * time.Second

// New checks the options. Nothing is opened or started.
func New(o Options) (*App, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Regions = slices.Clone(o.Regions)
	for i, r := range o.Regions {
		o.Regions[i] = resource.NormalLocation(r) // people know them by their display names
	}
	return &App{opts: o, logger: o.Logger, done: make(chan struct{})}, nil
}

// URL returns the base URL by which the server is known: PublicURL, or the
// address it listens on. It is empty before Start.
func (a *App) URL() string {
	if a.hosts == nil {
		return ""
	}
	return a.hosts.fallback
}

// HTTPURL returns the base URL of the plain HTTP listener, or "".
func (a *App) HTTPURL() string {
	if a.plainListener == nil {
		return ""
	}
	return "http://" + a.plainListener.Addr().String()
}

// Admin returns the Owner of this data folder and the first subscription.
func (a *App) Admin() (armclient.Credentials, string) { return a.admin, a.settings.Subscription }

// Done is closed when a running part has failed; Err says why.
func (a *App) Done() <-chan struct{} { return a.done }

// Err returns why Done was closed.
func (a *App) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// fail reports that a running part has ended by itself.
func (a *App) fail(part string, err error) {
	a.mu.Lock()
	if a.err == nil {
		a.err = fmt.Errorf("%s: %w", part, err)
	}
	a.mu.Unlock()
	a.once.Do(func() { close(a.done) })
}

// undo remembers what Stop has to do.
func (a *App) undo(name string, f func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps = append(a.steps, step{name, stepLimit, f})
}

// unhurried gives the step that was remembered last as long as the whole stop has.
func (a *App) unhurried() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps[len(a.steps)-1].limit = 0
}

// supervise runs a part until Stop cancels and waits for it; end, if given,
// makes it stop and is called first.
func (a *App) supervise(ctx context.Context, name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			a.fail(name, err)
		}
	}()
	a.undo(name, func(stop context.Context) error {
		cancel()
		select {
		case <-ended:
			return nil
		case <-stop.Done():
			return context.Cause(stop)
		}
	})
}

func (s step) run(ctx context.Context) error {
	if s.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("it did not end within %v", s.limit))
		defer cancel()
	}
	return s.undo(ctx)
}

// Stop ends the server: no new publishes, deliveries under way finish or go
// back to durable storage, then everything closes in the reverse order of
// Start. ctx bounds it. It may be called at any time, also again.
func (a *App) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() {
		a.draining.Store(true)
		a.mu.Lock()
		steps := a.steps
		a.steps = nil
		a.mu.Unlock()
		var errs []error
		for _, s := range slices.Backward(steps) {
			if err := s.run(ctx); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			}
		}
		a.stopErr = errors.Join(errs...)
	})
	return a.stopErr
}
