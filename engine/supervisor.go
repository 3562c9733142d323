package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// A restart that does not help is repeated, with growing pauses, as is one
	// after a failure that had nothing to do with space.
	firstRestartPause = time.Second
	lastRestartPause  = 30 * time.Second
	// steady is how long a server must have worked for the pauses to begin anew.
	steady = time.Minute
)

var errHangs = errors.New("the embedded NATS server hangs")

// patience is what the supervisor has with its server.
type patience struct {
	// check is how often the server is asked for its faults although it logged no
	// error.
	check time.Duration
	// answer is for how long it may owe the answer. It needs the locks of each
	// stream, and the longest work under them takes a second or so.
	answer time.Duration
	// stop is how long it may take to shut down.
	stop time.Duration
}

func defaultPatience() patience {
	return patience{check: 5 * time.Second, answer: 30 * time.Second, stop: 10 * time.Second}
}

// supervisor owns the embedded server. It measures the free space, finds out
// when the server cannot write any more, and replaces it by a new one once there
// is room again, under the same connection.
//
// nats-server gives up on a stream whose write failed: it truncates what it wrote
// of the message, sends its publisher no answer, and refuses every later write to
// the stream, also when there is space again. All it had acknowledged is on disk;
// a new server on the same folder reads it and goes on. So a full disk costs what
// was not acknowledged, and a few hundred milliseconds. Until there is room the
// old server stays: what it has can still be read, so delivery goes on.
//
// Worse is a purge that cannot write: nats-server 2.15 then waits for a lock that
// it holds itself, and with it everything that touches the stream. Space keeps
// purges off a full disk, but another program can fill it at just that moment. A
// server that hangs is left behind, fenced off from the files: see fence.go.
type supervisor struct {
	dir    string // the data folder
	logger *slog.Logger
	space  *Space
	disk   func(dir string) (free, total int64, err error)
	every  time.Duration
	waits  patience
	// answers reports whether JetStream answers over the connection; set before run.
	answers func(context.Context) error

	hurry   chan struct{} // cap 1: look now
	suspect atomic.Bool   // the server logged an error since the last look
	blind   atomic.Bool   // the free space could not be read, which is logged

	// mu protects the fields below.
	mu     sync.Mutex
	server *server.Server // nil while there is none
	conns  []net.Conn     // our ends of the connections to it

	// The rest is run's alone.
	storeDir  string          // that the server was given: dir until a move
	moves     int             // of its files
	known     map[string]bool // what the server found wrong at the start already
	asked     *question       // what the server owes an answer to
	doubt     string          // the fault that it named last, unless it is beyond doubt
	checked   time.Time       // when it was asked last
	restarted time.Time       // when it was restarted last
	pause     time.Duration   // before the next restart
	retryAt   time.Time
}

// question is one look at a server's faults. The goroutine behind it is lost if
// the server hangs.
type question struct {
	since  time.Time
	answer chan error // cap 1
}

func newSupervisor(o Options) *supervisor {
	v := &supervisor{
		dir: o.Dir, storeDir: o.Dir, logger: o.Logger, disk: o.disk, every: o.CheckSpaceEvery, waits: o.patience,
		hurry: make(chan struct{}, 1), known: make(map[string]bool),
	}
	v.space = newSpace(o.Reserve, o.Logger, v.measure, v.lookSoon)
	return v
}

// start opens the folder with a first server.
func (v *supervisor) start(ctx context.Context) error {
	if err := unfence(v.dir); err != nil {
		return err
	}
	v.measure()
	if err := v.startServer(ctx); err != nil {
		return err
	}
	for _, fault := range faults(v.get()) {
		v.known[fault] = true
	}
	return nil
}

func (v *supervisor) startServer(ctx context.Context) error {
	s, err := startServer(ctx, v.storeDir, &serverLog{log: v.logger.With("component", "nats"), failed: v.complain})
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.server = s
	return nil
}

// InProcessConn connects to the present server; the client asks again until
// there is one.
func (v *supervisor) InProcessConn() (net.Conn, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.server == nil {
		return nil, errors.New("the embedded NATS server is being restarted")
	}
	c, err := v.server.InProcessConn()
	if err == nil {
		v.conns = append(v.conns, c)
	}
	return c, err
}

// run looks after the server until ctx ends.
func (v *supervisor) run(ctx context.Context) {
	tick := time.NewTicker(v.every)
	defer tick.Stop()
	for ctx.Err() == nil {
		v.look(ctx)
		select {
		case <-tick.C:
		case <-v.hurry:
		case <-ctx.Done():
		}
	}
	if v.asked != nil {
		select {
		case fault := <-v.asked.answer:
			if fault != nil {
				v.logger.Warn("the storage did not take writes any more when the server was stopped", "error", fault)
			}
		case <-time.After(time.Second): // it hangs
		}
	}
}

// look is one round of run.
func (v *supervisor) look(ctx context.Context) {
	v.measure()
	if !v.space.hasFailed() {
		if fault := v.check(); fault != nil {
			v.space.fail(fault)
		}
	}
	switch {
	case !v.space.hasFailed():
		return
	case !v.space.enough():
		v.pause, v.retryAt = 0, time.Time{} // space is what it needs, so begin as soon as there is some
		return
	case time.Now().Before(v.retryAt):
		return
	}
	if time.Since(v.restarted) > steady {
		v.pause = 0
	}
	if err := v.restart(ctx); err != nil {
		if ctx.Err() == nil {
			v.logger.Error("the embedded NATS server cannot be restarted, trying again", "error", err)
		}
	} else {
		v.space.recovered()
		v.measure()
	}
	v.restarted = time.Now()
	v.pause = min(max(2*v.pause, firstRestartPause), lastRestartPause)
	v.retryAt = v.restarted.Add(v.pause)
}

// check asks the server for its faults when there is cause, without waiting for
// the answer, and returns what is known to be wrong.
func (v *supervisor) check() error {
	if v.asked == nil {
		if !v.suspect.Swap(false) && time.Since(v.checked) < v.waits.check {
			return nil
		}
		q := &question{since: time.Now(), answer: make(chan error, 1)}
		v.asked, v.checked = q, q.since
		s := v.get()
		go func() {
			q.answer <- v.fault(s)
			v.lookSoon()
		}()
		return nil
	}
	select {
	case fault := <-v.asked.answer:
		v.asked = nil
		if v.suspect.Load() {
			v.lookSoon() // it complained after it was asked
		}
		return v.believe(fault)
	default:
	}
	if time.Since(v.asked.since) > v.waits.answer {
		return errHangs
	}
	return nil
}

// believe returns fault when it is certain: a write that failed, or what the
// server names twice. A stream that is just being created looks for a moment like
// one that could not be read.
func (v *supervisor) believe(fault error) error {
	if fault == nil {
		v.doubt = ""
		return nil
	}
	if strings.Contains(fault.Error(), "write error") || fault.Error() == v.doubt {
		v.doubt = ""
		return fault
	}
	v.doubt = fault.Error()
	return nil
}

// restart replaces the server. When it fails there may be none, which the next
// restart takes as it is.
func (v *supervisor) restart(ctx context.Context) error {
	began := time.Now()
	if err := v.stop(); err != nil {
		v.moves++
		to := movedFolder(v.dir, v.moves)
		v.logger.Error("the embedded NATS server does not stop; it is left behind and its files are moved", "to", to, "error", err)
		if err := fence(v.storeDir, to); err != nil {
			return err
		}
		v.storeDir = to
	}
	v.asked = nil
	if err := v.startServer(ctx); err != nil {
		return err
	}
	if err := v.answers(ctx); err != nil {
		return fmt.Errorf("reach JetStream after the restart: %w", err)
	}
	v.suspect.Store(false)
	if err := v.fault(v.get()); err != nil {
		return err
	}
	v.logger.Warn("the embedded NATS server was restarted and takes writes again", "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// stop shuts the server down and waits for it, but not for one that hangs: that
// is cut off from its clients. Without a server it does nothing.
func (v *supervisor) stop() error {
	v.mu.Lock()
	s, conns := v.server, v.conns
	v.server, v.conns = nil, nil
	v.mu.Unlock()
	if s == nil {
		return nil
	}
	ended := make(chan struct{})
	go func() {
		s.Shutdown()
		s.WaitForShutdown()
		close(ended)
	}()
	timeout := time.NewTimer(v.waits.stop)
	defer timeout.Stop()
	select {
	case <-ended:
		return nil
	case <-timeout.C:
	}
	for _, c := range conns {
		_ = c.Close() // nobody is there to read what was still written
	}
	return errHangs
}

func (v *supervisor) get() *server.Server {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.server
}

// measure is called from any goroutine.
func (v *supervisor) measure() {
	put := v.space.put.Load() // before: what is put meanwhile may not be in it
	free, total, err := v.disk(v.dir)
	if err != nil {
		if !v.blind.Swap(true) && !errors.Is(err, errors.ErrUnsupported) {
			v.logger.Warn("the free space cannot be watched", "error", err)
		}
		return
	}
	v.blind.Store(false)
	v.space.measure(free, total, put)
}

// complain is called for every error that the server logs, often under its
// locks. A failed write is always among them.
func (v *supervisor) complain() {
	v.suspect.Store(true)
	v.lookSoon()
}

func (v *supervisor) lookSoon() {
	select {
	case v.hurry <- struct{}{}:
	default:
	}
}

// fault returns what is wrong with s that was not wrong at the start.
func (v *supervisor) fault(s *server.Server) error {
	if s == nil {
		return errors.New("there is no server")
	}
	for _, fault := range faults(s) {
		if !v.known[fault] {
			return errors.New(fault)
		}
	}
	return nil
}

// faults returns what the server itself finds wrong with its streams: that they
// could not be read, or not be written to.
func faults(s *server.Server) []string {
	if !s.JetStreamEnabled() {
		return []string{"JetStream is disabled"}
	}
	var all []string
	for _, e := range s.Healthz(&server.HealthzOptions{Details: true}).Errors {
		all = append(all, e.Error)
	}
	return all
}
