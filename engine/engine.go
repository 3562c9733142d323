package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// MinPayload is the largest message that the rest of the program may send, and
// so the least max_payload that an external server must have.
const MinPayload = 4 << 20

const (
	requestTimeout = 10 * time.Second // one JetStream API request
	startTimeout   = 60 * time.Second // recovery of a large folder after a crash
	drainTimeout   = 10 * time.Second
)

// Options says where everything durable lives.
type Options struct {
	// Dir is the data folder. The embedded server keeps its files in it; with
	// an external server it is only locked and checked, and may be empty to do
	// neither.
	Dir string
	// URL of an external NATS server or cluster (a comma-separated list);
	// empty embeds the server in this process.
	URL string
	// Replicas of every stream and bucket; 0 means 1. More than 1 needs an
	// external cluster.
	Replicas int
	// Logger receives what the server and the connection have to say; nil
	// discards it.
	Logger *slog.Logger
	// Registerer takes the metrics of an embedded server's disk; nil keeps none.
	Registerer prometheus.Registerer

	// Reserve is how many bytes of the data folder's file system are kept free:
	// see [Space]. 0 means an eighth of it, at least 16 MiB and at most 256 MiB.
	// More than half of it is taken as half.
	Reserve int64
	// CheckSpaceEvery is how often the free space is measured; 0 means 500 ms.
	CheckSpaceEvery time.Duration

	// For tests.
	disk     func(dir string) (free, total int64, err error) // diskSpace
	patience patience                                        // defaultPatience
}

// Validate reports the first option that cannot work.
func (o Options) Validate() error {
	switch {
	case o.URL == "" && o.Dir == "":
		return errors.New("engine: a data folder is needed when no NATS URL is given")
	case o.Replicas < 0 || o.Replicas > 5:
		return fmt.Errorf("engine: %d replicas: JetStream allows 1 to 5", o.Replicas)
	case o.URL == "" && o.Replicas > 1:
		return fmt.Errorf("engine: %d replicas need an external NATS cluster (--nats)", o.Replicas)
	case o.Reserve < 0 || o.CheckSpaceEvery < 0:
		return fmt.Errorf("engine: a reserve of %d bytes, checked every %v: neither can be negative", o.Reserve, o.CheckSpaceEvery)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CheckSpaceEvery == 0 {
		o.CheckSpaceEvery = 500 * time.Millisecond
	}
	if o.disk == nil {
		o.disk = diskSpace
	}
	if o.patience == (patience{}) {
		o.patience = defaultPatience()
	}
	return o
}

// Engine is an open JetStream. Its methods are safe for concurrent use.
type Engine struct {
	folder   *folder     // nil without a data folder
	embedded *supervisor // nil with an external server
	space    *Space
	metrics  *metrics
	conn     *nats.Conn
	js       jetstream.JetStream
	replicas int
	closed   chan struct{} // closed when conn is

	stopWatch context.CancelFunc
	watching  sync.WaitGroup

	closing  sync.Once
	closeErr error
}

// Open starts the embedded server, or connects to an external one. It returns
// when JetStream answers. Every error is one line that says what to do about
// it; a folder of a newer format, or one in use by another process, is left
// exactly as it was. [ErrInUse] and [ErrNewerFormat] can be told apart.
func Open(ctx context.Context, o Options) (_ *Engine, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	e := &Engine{
		replicas: max(o.Replicas, 1), closed: make(chan struct{}), stopWatch: func() {},
		space: &Space{outside: true, failed: make(chan struct{})},
	}
	defer func() {
		if err != nil {
			_ = e.Close() // err already says what went wrong first
		}
	}()
	if o.Dir != "" {
		if e.folder, err = openFolder(o.Dir); err != nil {
			return nil, err
		}
	}
	target := o.URL
	connect := e.connectOptions(o.Logger)
	if o.URL == "" {
		target = "embedded NATS"
		e.embedded = newSupervisor(o)
		e.space = e.embedded.space
		if err = e.embedded.start(ctx); err != nil {
			return nil, err
		}
		// Nothing is asked of a network while there is no server.
		connect = append(connect, nats.InProcessServer(e.embedded),
			nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	}
	if e.conn, err = nats.Connect(o.URL, connect...); err != nil {
		return nil, fmt.Errorf("cannot reach NATS at %s: %w", redact(target), err)
	}
	if got := e.conn.MaxPayload(); got < MinPayload {
		return nil, fmt.Errorf("NATS at %s allows messages of %d bytes, %d are needed: set max_payload: 8MB in its configuration",
			redact(target), got, MinPayload)
	}
	if e.js, err = jetstream.New(e.conn, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		return nil, fmt.Errorf("use JetStream at %s: %w", redact(target), err)
	}
	if _, err = e.js.AccountInfo(ctx); err != nil {
		return nil, fmt.Errorf("JetStream does not answer at %s (is it enabled there?): %w", redact(target), err)
	}
	if e.embedded != nil {
		if e.metrics, err = register(o.Registerer, e.space); err != nil {
			return nil, err
		}
		e.supervise()
	}
	return e, nil
}

// supervise starts what looks after the embedded server.
func (e *Engine) supervise() {
	e.embedded.answers = e.answers
	ctx, stop := context.WithCancel(context.Background())
	e.stopWatch = stop
	e.watching.Go(func() { e.embedded.run(ctx) })
}

// answers waits until JetStream answers after the server was replaced. What was
// asked while the connection had not noticed yet is lost, so it asks again.
func (e *Engine) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for patience := 50 * time.Millisecond; ; patience = min(2*patience, 2*time.Second) {
		ask, stop := context.WithTimeout(ctx, patience)
		_, err := e.js.AccountInfo(ask)
		stop()
		if err == nil || ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed) {
			return err
		}
		pause := time.NewTimer(20 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// JetStream returns the JetStream of this engine; valid until Close.
func (e *Engine) JetStream() jetstream.JetStream { return e.js }

// Conn returns the connection under [Engine.JetStream]; valid until Close.
func (e *Engine) Conn() *nats.Conn { return e.conn }

// Replicas says how many copies every stream and bucket must have, at least 1.
func (e *Engine) Replicas() int { return e.replicas }

// Space admits what is to be written; never nil. With an external server it
// refuses nothing: that server answers when it has no room.
func (e *Engine) Space() *Space { return e.space }

// Room returns why nothing new can be stored at present, or nil. The error wraps
// [ErrNoSpace] and says how much is free.
func (e *Engine) Room() error { return e.space.Room() }

// Close lets everything that is under way on the connection finish, shuts the
// embedded server down, waits for it and releases the data folder. Further
// calls do nothing and return the result of the first.
func (e *Engine) Close() error {
	e.closing.Do(func() { e.closeErr = e.close() })
	return e.closeErr
}

func (e *Engine) close() error {
	var errs []error
	e.stopWatch()
	e.watching.Wait()
	e.metrics.unregister()
	if e.conn != nil {
		if err := e.conn.Drain(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			e.conn.Close()
			if !errors.Is(err, nats.ErrConnectionReconnecting) {
				errs = append(errs, fmt.Errorf("drain the NATS connection: %w", err))
			}
		}
		<-e.closed // Drain itself is bounded by drainTimeout
	}
	if e.embedded != nil {
		errs = append(errs, e.embedded.stop())
	}
	if e.folder != nil {
		errs = append(errs, e.folder.close())
	}
	return errors.Join(errs...)
}

func (e *Engine) connectOptions(log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("intertie"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.DrainTimeout(drainTimeout),
		nats.ClosedHandler(func(*nats.Conn) { close(e.closed) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("connection to NATS lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("connected to NATS again") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reports an error", "error", err)
		}),
	}
}
