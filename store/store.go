package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/resource"
)

// streamName is the stream that holds the resources.
const streamName = "INTERTIE_STATE"

// maxTransaction bounds the resources of one commit; JetStream takes 1,000
// messages in a batch and one of them carries the transaction itself.
const maxTransaction = 999

// ErrTooLarge is returned by [Store.Commit] for a transaction of more resources
// than one atomic batch can hold, or of more bytes than one message: the redo
// record holds all of it. Nothing of it is written.
var ErrTooLarge error = resource.Errorf(resource.RequestTooLarge,
	"The request changes more at once than can be stored as a unit: at most %d resources and about 4 MB.", maxTransaction)

// Options configures a [Store]. All fields but Replicas are required.
type Options struct {
	Conn     *nats.Conn
	JS       jetstream.JetStream
	Replicas int // 1 when 0
	Sealer   *Sealer
	Logger   *slog.Logger
}

// Store keeps resources. It is safe for concurrent use.
type Store struct {
	opts   Options
	stream jetstream.Stream
	state  *snapshot

	commitMu sync.Mutex // one commit of this process at a time

	watchMu   sync.Mutex // protects the fields below
	applied   uint64     // stream sequence up to which state and observers are current
	advanced  chan struct{}
	observers []func([]Change)
	watchErr  error

	stop context.CancelFunc
	done chan struct{}
}

// Exists reports whether there is a store to open, even an empty one.
func Exists(ctx context.Context, js jetstream.JetStream) (bool, error) {
	_, err := js.Stream(ctx, streamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the resource store: %w", err)
	}
	return true, nil
}

// Open reads all resources and follows their changes until Close. It completes
// a transaction that a crash cut short.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := &Store{opts: opts, state: newSnapshot(), advanced: make(chan struct{}), done: make(chan struct{})}
	var err error
	s.stream, err = opts.JS.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:               streamName,
		Description:        "Intertie resources: the latest version of each",
		Subjects:           []string{subjectPrefix + ">", subjectTransaction},
		MaxMsgsPerSubject:  1,
		Storage:            jetstream.FileStorage,
		Replicas:           max(opts.Replicas, 1),
		AllowAtomicPublish: true,
		AllowDirect:        true,
	})
	if err != nil {
		return nil, fmt.Errorf("open resource store: %w", err)
	}
	if err := s.recoverTransaction(ctx); err != nil {
		return nil, fmt.Errorf("complete the last transaction: %w", err)
	}
	watchCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	ready := make(chan error, 1)
	go func() {
		defer close(s.done)
		s.watch(watchCtx, ready)
	}()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("read resources: %w", err)
	}
	return s, nil
}

// Close stops following changes. Commits fail afterwards.
func (s *Store) Close() {
	s.stop()
	<-s.done
}

// Get returns a resource, which must not be modified.
func (s *Store) Get(id resource.ID) (*resource.Resource, bool) {
	r, _ := s.state.get(id.Key())
	return r, r != nil
}

// List returns the resources of one type (any type when empty) at or below a
// scope, ordered by id.
func (s *Store) List(typ string, scope resource.ID) []*resource.Resource {
	return s.state.list(typ, scope)
}

// Observe calls fn with all present resources as created, and from then on with
// each change, in order, from one goroutine. [Store.Commit] returns only after
// the observers have seen its changes, so fn must be quick and must not commit.
func (s *Store) Observe(fn func([]Change)) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	all := s.state.list("", resource.ID{})
	changes := make([]Change, len(all))
	for i, r := range all {
		changes[i] = Change{New: r}
	}
	fn(changes)
	s.observers = append(s.observers, fn)
}

// Commit runs fn and writes what it put and deleted as one unit: all or
// nothing, also across a crash. When Commit returns nil the writes are durable,
// readable here, and seen by the observers.
//
// fn may be called more than once: when another node wrote anything meanwhile,
// its writes are waited for and fn decides anew, so what fn read is still true
// when its writes take effect. Its error is returned as it is and nothing is
// written.
func (s *Store) Commit(ctx context.Context, fn func(resource.Tx) error) error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	for {
		base, err := s.position()
		if err != nil {
			return fmt.Errorf("write resources: %w", err)
		}
		tx := &Tx{store: s, base: base, writes: make(map[string]*pending)}
		if err := fn(tx); err != nil {
			return err
		}
		if len(tx.order) == 0 {
			return nil
		}
		if len(tx.order) > maxTransaction {
			return ErrTooLarge
		}
		seq, err := s.publish(ctx, tx)
		if errors.Is(err, errConflict) {
			// Another node was faster: wait until its write is visible here.
			if err := s.waitFor(ctx, seq); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("write resources: %w", err)
		}
		return s.waitFor(ctx, seq)
	}
}

// position returns the sequence up to which the snapshot is current, or why it
// is not any more.
func (s *Store) position() (uint64, error) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	return s.applied, s.watchErr
}

// waitFor blocks until the stream is applied up to seq.
func (s *Store) waitFor(ctx context.Context, seq uint64) error {
	for {
		s.watchMu.Lock()
		applied, advanced, err := s.applied, s.advanced, s.watchErr
		s.watchMu.Unlock()
		switch {
		case err != nil:
			return fmt.Errorf("follow resources: %w", err)
		case applied >= seq:
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return errors.New("resource store is closed")
		}
	}
}

// lastSequence returns the newest sequence of the stream.
func (s *Store) lastSequence(ctx context.Context) (uint64, error) {
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// Healthy returns an error when changes are no longer followed.
func (s *Store) Healthy() error {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	return s.watchErr
}

func equalType(a, b string) bool { return strings.EqualFold(a, b) }

// publishTimeout bounds one write to the stream.
const publishTimeout = 10 * time.Second
