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

// ErrNoSpace is returned by [Store.Commit] when there is no room on disk, or the
// disk does not take writes at present. Unless it failed meanwhile, nothing of
// the transaction is written; if it did, the transaction is or is not there as a
// whole when writing works again.
var ErrNoSpace error = resource.Errorf(resource.Unavailable,
	"The server cannot store anything at present, since its disk is full. Try again later.")

// Space admits what is to be written. Its methods must not block, and are called
// from any goroutine.
type Space interface {
	// Take admits n bytes or says why there is no room.
	Take(n int) error
	// TakeToFree is Take for what frees more than it writes: refused last.
	TakeToFree(n int) error
	// Put is called once for each n that was admitted, when it is written or
	// never will be.
	Put(n int)
	// Failed returns a channel that is closed once the disk has failed, so that
	// what is under way will not be answered. It is another one when the disk
	// works again.
	Failed() <-chan struct{}
}

// Options configures a [Store]. Conn, JS, Sealer and Logger are required.
type Options struct {
	Conn     *nats.Conn
	JS       jetstream.JetStream
	Replicas int // 1 when 0
	Sealer   *Sealer
	Logger   *slog.Logger
	// Space guards the disk; nil guards nothing.
	Space Space
	// KeepMarkers is for how long the stream says of a deleted resource that it
	// was deleted, at least: a node that was cut off for longer has to read
	// everything again. 0 means a day.
	KeepMarkers time.Duration
}

// boundless is the Space of a store that was given none.
type boundless struct{}

func (boundless) Take(int) error          { return nil }
func (boundless) TakeToFree(int) error    { return nil }
func (boundless) Put(int)                 {}
func (boundless) Failed() <-chan struct{} { return nil }

// Store keeps resources. It is safe for concurrent use.
type Store struct {
	opts   Options
	stream jetstream.Stream
	state  *snapshot

	commitMu sync.Mutex // one commit of this process at a time; protects the field below
	unsure   bool       // the last write was not answered: see settle

	watchMu   sync.Mutex // protects the fields below
	applied   uint64     // stream sequence up to which state and observers are current
	readings  int        // how often the stream was read from its beginning
	advanced  chan struct{}
	observers []func([]Change)
	watchErr  error
	readAgain context.CancelFunc // makes the watch read the stream from its beginning

	stop   context.CancelFunc
	done   chan struct{} // closed when the watch has ended
	upkeep sync.WaitGroup
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
	if opts.Space == nil {
		opts.Space = boundless{}
	}
	if opts.KeepMarkers == 0 {
		opts.KeepMarkers = 24 * time.Hour
	}
	s := &Store{opts: opts, state: newSnapshot(), advanced: make(chan struct{}), done: make(chan struct{})}
	var err error
	if s.stream, err = openStream(ctx, opts.JS, max(opts.Replicas, 1)); err != nil {
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
	s.upkeep.Go(func() { s.dropMarkers(watchCtx) })
	return s, nil
}

// openStream creates the stream or brings it up to date. It only asks when there
// is nothing to do, so that a store can be opened on a full disk.
func openStream(ctx context.Context, js jetstream.JetStream, replicas int) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, streamName)
	switch {
	case err == nil && s.CachedInfo().Config.Replicas == replicas:
		return s, nil
	case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, err
	}
	return js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:               streamName,
		Description:        "Intertie resources: the latest version of each",
		Subjects:           []string{subjectPrefix + ">", subjectTransaction},
		MaxMsgsPerSubject:  1,
		Storage:            jetstream.FileStorage,
		Replicas:           replicas,
		AllowAtomicPublish: true,
		AllowDirect:        true,
	})
}

// Close stops following changes. Commits fail afterwards.
func (s *Store) Close() {
	s.stop()
	s.upkeep.Wait()
	<-s.done
}

// Get returns a resource, which must not be modified.
func (s *Store) Get(id resource.ID) (*resource.Resource, bool) {
	r := s.state.get(id.Key())
	return r, r != nil
}

// List returns the resources of one type (any type when empty) at or below a
// scope, ordered by id.
func (s *Store) List(typ string, scope resource.ID) []*resource.Resource {
	return s.state.list(typ, scope)
}

// Types returns the types, in lower case, of which there is a resource.
func (s *Store) Types() []string { return s.state.types() }

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
//
// [ErrNoSpace] comes at once when the disk is close to full, and soon when it
// fails meanwhile.
func (s *Store) Commit(ctx context.Context, fn func(resource.Tx) error) error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if err := s.settle(ctx); err != nil {
		return fmt.Errorf("write resources: %w", err)
	}
	for {
		base, err := s.current(ctx)
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
			if err := s.reach(ctx, base, seq); err != nil {
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

// current is position once the snapshot is current again, if it is not.
func (s *Store) current(ctx context.Context) (uint64, error) {
	if err := s.waitUntil(ctx, func() bool { return true }); err != nil {
		return 0, err
	}
	return s.position()
}

// waitFor blocks until the stream is applied up to seq.
func (s *Store) waitFor(ctx context.Context, seq uint64) error {
	return s.waitUntil(ctx, func() bool { return s.applied >= seq })
}

// waitUntil blocks until ok, which is called under watchMu.
func (s *Store) waitUntil(ctx context.Context, ok func() bool) error {
	for {
		s.watchMu.Lock()
		reached, advanced, err := s.watchErr == nil && ok(), s.advanced, s.watchErr
		s.watchMu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return fmt.Errorf("follow resources: %w", err)
		}
	}
}

// reach blocks until the snapshot is what the stream holds up to its newest
// sequence, which was asked for when the snapshot was at position. A snapshot that
// was ahead of the stream is read anew: the disk failed under what it showed.
func (s *Store) reach(ctx context.Context, position, newest uint64) error {
	if position <= newest {
		return s.waitFor(ctx, newest)
	}
	s.watchMu.Lock()
	readings := s.readings
	s.readAgain()
	s.watchMu.Unlock()
	return s.waitUntil(ctx, func() bool { return s.readings > readings })
}

// settle finds out what became of a write that was not answered: all of it is
// made to be there, or none. commitMu is held.
func (s *Store) settle(ctx context.Context) error {
	if !s.unsure {
		return nil
	}
	// Without room asking would be in vain.
	if err := s.opts.Space.Take(0); err != nil {
		return fmt.Errorf("%w (%w)", ErrNoSpace, err)
	}
	s.opts.Space.Put(0)
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.recoverTransaction(ctx); err != nil {
		return fmt.Errorf("settle the write before: %w", err)
	}
	position, err := s.current(ctx)
	if err != nil {
		return fmt.Errorf("settle the write before: %w", err)
	}
	newest, err := s.lastSequence(ctx)
	if err != nil {
		return fmt.Errorf("settle the write before: %w", err)
	}
	if err := s.reach(ctx, position, newest); err != nil {
		return fmt.Errorf("settle the write before: %w", err)
	}
	s.unsure = false
	return nil
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
