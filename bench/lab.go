package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// lab holds what the parts of a run share. Everything in it is made when it is
// first asked for and released by close. Used by one goroutine.
type lab struct {
	o     Options
	epoch time.Time // zero of all times inside events
	runs  uint64    // number of the last slice

	dir       string
	server    *child
	serverAt  ready
	baseline  *child
	baseAt    ready
	recv      *receiver
	endpoints map[bool]Endpoint // by whether it is subscribed

	// What earlier parts found the slower side to manage, in requests a
	// second; 0 is not known.
	publishRate, deliverRate float64
}

func newLab(o Options) *lab {
	return &lab{o: o, epoch: time.Now(), endpoints: map[bool]Endpoint{}}
}

// close ends the children and removes the data folder.
func (l *lab) close() error {
	for _, c := range []*child{l.server, l.baseline} {
		if c != nil {
			c.stop()
		}
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

func (l *lab) receiver() (*receiver, error) {
	if l.recv != nil {
		return l.recv, nil
	}
	r, err := newReceiver(l.epoch)
	if err != nil {
		return nil, err
	}
	l.recv = r
	return r, nil
}

// ours starts Intertie when it does not run yet.
func (l *lab) ours(ctx context.Context) (*child, error) {
	if l.server != nil {
		return l.server, nil
	}
	var err error
	if l.dir == "" {
		if l.dir, err = os.MkdirTemp(l.o.TempDir, "intertie-bench-"); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
		if inMemory(l.dir) {
			l.sayf("note: %s is in memory, so syncing costs nothing there and the figures flatter", filepath.Dir(l.dir))
		}
	}
	l.sayf("start Intertie in %s", l.dir)
	l.server, l.serverAt, err = startServer(ctx, l.o, filepath.Join(l.dir, "data"))
	return l.server, err
}

// theirs starts the baselines when they do not run yet.
func (l *lab) theirs(ctx context.Context) (*child, error) {
	if l.baseline != nil {
		return l.baseline, nil
	}
	recv, err := l.receiver()
	if err != nil {
		return nil, err
	}
	l.baseline, l.baseAt, err = startBaseline(ctx, l.o, recv.url)
	return l.baseline, err
}

// endpoint sets Intertie up, once for each kind of use.
func (l *lab) endpoint(ctx context.Context, subscribed bool) (Endpoint, error) {
	if e, ok := l.endpoints[subscribed]; ok {
		return e, nil
	}
	if _, err := l.ours(ctx); err != nil {
		return Endpoint{}, err
	}
	recv, err := l.receiver()
	if err != nil {
		return Endpoint{}, err
	}
	data := filepath.Join(l.dir, "data")
	t := Target{
		BaseURL: l.serverAt.URL, HTTPURL: l.serverAt.HTTP,
		CAFile: filepath.Join(data, "ca.pem"), AdminEnvFile: filepath.Join(data, "admin.env"),
		Name: "bench-publish", Subscribe: subscribed,
	}
	if subscribed {
		t.Name, t.WebhookURL = "bench-deliver", recv.url
	}
	e, err := l.o.Setup(ctx, t)
	if err != nil {
		return Endpoint{}, fmt.Errorf("set Intertie up: %w", err)
	}
	l.endpoints[subscribed] = e
	return e, nil
}

// side is one of the two that are compared: a process and open connections to
// it.
type side struct {
	name    string
	proc    *child
	c       *client
	through bool // its events arrive at the receiver
}

// sides connects to both, for requests of so many events: the baseline at path,
// and Intertie with or without a subscription. The caller releases both.
func (l *lab) sides(ctx context.Context, path string, events int) (base, own *side, release func(), err error) {
	through := path == pathForward
	ep, err := l.endpoint(ctx, through)
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := l.theirs(ctx); err != nil {
		return nil, nil, nil, err
	}
	base = &side{name: "baseline", proc: l.baseline, through: through}
	own = &side{name: "Intertie", proc: l.server, through: through}
	// The baseline gets the same headers, so that both read the same bytes.
	baseEP := Endpoint{URL: l.baseAt.HTTP + path, Key: ep.Key, Header: ep.Header}
	if base.c, err = dial(ctx, baseEP, events); err != nil {
		return nil, nil, nil, fmt.Errorf("connect to the baseline: %w", err)
	}
	if own.c, err = dial(ctx, ep, events); err != nil {
		base.c.close()
		return nil, nil, nil, fmt.Errorf("connect to Intertie: %w", err)
	}
	return base, own, func() { base.c.close(); own.c.close() }, nil
}

// check turns an error into one that says more when the child has ended, which
// shows a moment later than its connections break.
func (s *side) check(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.proc.done:
		return errors.Join(fmt.Errorf("%s: %w", s.name, err), s.proc.died())
	case <-time.After(250 * time.Millisecond):
		return fmt.Errorf("%s: %w", s.name, err)
	}
}
