package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
)

// lab holds what the parts of a run share. Everything in it is made when it is
// first asked for and released by close. Used by one goroutine.
type lab struct {
	o     Options
	epoch time.Time // zero of all times inside events
	runs  uint64    // number of the last run, see mark

	dir      string
	servers  []*server // all that were made; the first is the one that parts share
	baseline *child
	baseAt   ready
	recv     *receiver
	main     *hook               // where the parts that share everything deliver to
	streams  map[string]Endpoint // by name, of the first server

	// What earlier parts found the slower side to manage, in requests a
	// second; 0 is not known.
	publishRate, deliverRate float64
}

func newLab(o Options) *lab {
	return &lab{o: o, epoch: time.Now(), streams: map[string]Endpoint{}}
}

// close ends the children and removes the data folders.
func (l *lab) close() error {
	if l.recv != nil {
		l.recv.ease() // nobody has to wait for an endpoint that hangs
	}
	for _, s := range l.servers {
		s.stop()
	}
	if l.baseline != nil {
		l.baseline.stop()
	}
	if l.recv != nil {
		l.recv.close()
	}
	if l.dir == "" {
		return nil
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("remove the data folder: %w", err)
	}
	return nil
}

func (l *lab) sayf(format string, args ...any) {
	// Progress is a courtesy; nothing depends on whether it can be written.
	_, _ = fmt.Fprintf(l.o.Progress, format+"\n", args...)
}

// sized returns a count of the scenario at the size that was asked for, at least
// least.
func (l *lab) sized(n, least int) int {
	return max(least, int(math.Round(float64(n)*l.o.Size)))
}

// newRuns takes n run numbers and returns the first of them.
func (l *lab) newRuns(n int) uint64 {
	first := l.runs + 1
	l.runs += uint64(n) //nolint:gosec // a count
	return first
}

func (l *lab) receiver() (*receiver, error) {
	if l.recv != nil {
		return l.recv, nil
	}
	r, err := newReceiver(l.epoch)
	if err != nil {
		return nil, err
	}
	l.recv, l.main = r, r.hook()
	return r, nil
}

// hooks adds n webhooks.
func (l *lab) hooks(n int) ([]*hook, error) {
	recv, err := l.receiver()
	if err != nil {
		return nil, err
	}
	hooks := make([]*hook, n)
	for i := range hooks {
		hooks[i] = recv.hook()
	}
	return hooks, nil
}

// server starts another Intertie in a folder of its own.
func (l *lab) server(ctx context.Context) (*server, error) {
	if l.dir == "" {
		dir, err := os.MkdirTemp(l.o.TempDir, "intertie-bench-")
		if err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
		l.dir = dir
		if inMemory(l.dir) {
			l.sayf("note: %s is in memory, so syncing costs nothing there and the figures flatter", filepath.Dir(l.dir))
		}
	}
	s := &server{o: l.o, data: filepath.Join(l.dir, fmt.Sprintf("data-%d", len(l.servers)))}
	l.sayf("start Intertie in %s", s.data)
	if err := s.start(ctx, startTimeout); err != nil {
		return nil, err
	}
	l.servers = append(l.servers, s)
	return s, nil
}

// ours starts the Intertie that parts share when it does not run yet.
func (l *lab) ours(ctx context.Context) (*server, error) {
	if len(l.servers) > 0 {
		return l.servers[0], nil
	}
	return l.server(ctx)
}

// theirs starts the baselines when they do not run yet.
func (l *lab) theirs(ctx context.Context) (*child, error) {
	if l.baseline != nil {
		return l.baseline, nil
	}
	if _, err := l.receiver(); err != nil {
		return nil, err
	}
	var err error
	l.baseline, l.baseAt, err = startBaseline(ctx, l.o, l.main.url)
	return l.baseline, err
}

// stream sets a stream up in the Intertie that parts share, once for each name.
func (l *lab) stream(ctx context.Context, name string, subs []Subscription) (Endpoint, error) {
	if e, ok := l.streams[name]; ok {
		return e, nil
	}
	s, err := l.ours(ctx)
	if err != nil {
		return Endpoint{}, err
	}
	e, err := l.setUp(ctx, s, name, name, subs)
	if err == nil {
		l.streams[name] = e
	}
	return e, err
}

// setUp sets a stream up.
func (l *lab) setUp(ctx context.Context, s *server, partner, name string, subs []Subscription) (Endpoint, error) {
	t := s.target()
	t.Partner, t.Name, t.Subscriptions = partner, name, subs
	e, err := l.o.Setup(ctx, t)
	if err != nil {
		return Endpoint{}, fmt.Errorf("set Intertie up: %w", err)
	}
	return e, nil
}

// side is one of those that are compared: a process and open connections to it.
type side struct {
	name   string
	proc   *child
	server *server // nil for a baseline
	c      *client
	// arrives is the hook where its events arrive, nil if they do not.
	arrives *hook
}

// flow is what a comparison with a baseline sends through.
type flow struct {
	path   string // of the baseline
	stream string // name of Intertie's
	conns  int    // 0 is [connections]
	events int    // in a request
	// through tells that events arrive at the receiver, in deliveries of up to
	// batch events; 0 is one.
	through bool
	batch   int
}

// sides connects to both. The caller releases both.
func (l *lab) sides(ctx context.Context, f flow) (base, own *side, release func(), err error) {
	if _, err := l.theirs(ctx); err != nil {
		return nil, nil, nil, err
	}
	var subs []Subscription
	var arrives *hook
	if f.through {
		arrives = l.main
		subs = []Subscription{{Name: "everything", URL: l.main.url, MaxEvents: f.batch}}
	}
	ep, err := l.stream(ctx, f.stream, subs)
	if err != nil {
		return nil, nil, nil, err
	}
	base = &side{name: "baseline", proc: l.baseline, arrives: arrives}
	own = l.servers[0].asSide("Intertie")
	own.arrives = arrives
	// The baseline gets the same headers, so that both read the same bytes.
	baseEP := Endpoint{URL: l.baseAt.HTTP + f.path, Key: ep.Key, Header: ep.Header}
	if base.c, err = dial(ctx, plan{f.conns, f.events, []Endpoint{baseEP}}); err != nil {
		return nil, nil, nil, fmt.Errorf("connect to the baseline: %w", err)
	}
	if own.c, err = dial(ctx, plan{f.conns, f.events, []Endpoint{ep}}); err != nil {
		base.c.close()
		return nil, nil, nil, fmt.Errorf("connect to Intertie: %w", err)
	}
	return base, own, func() { base.c.close(); own.c.close() }, nil
}

// check turns an error into one that says more: what the server says of events
// that are missing, and how the child has ended, which shows a moment later than
// its connections break.
func (s *side) check(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errMissing) && s.server != nil {
		err = fmt.Errorf("%w; %s", err, s.server.account(ctx))
	}
	select {
	case <-s.proc.done:
		return errors.Join(fmt.Errorf("%s: %w", s.name, err), s.proc.died())
	case <-time.After(250 * time.Millisecond):
		return fmt.Errorf("%s: %w", s.name, err)
	}
}
