package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// ErrTooLarge is returned by [Store.Commit] for a transaction of more than the
// engine can write as a unit. Nothing of it is written.
var ErrTooLarge error = resource.Errorf(resource.RequestTooLarge,
	"The request changes more at once than can be stored as a unit.")

// ErrNoSpace is returned by [Store.Commit] when there is no room on disk. Nothing
// of the transaction is written.
var ErrNoSpace error = resource.Errorf(resource.Unavailable,
	"The server cannot store anything at present, since its disk is full. Try again later.")

// ErrUnknown is returned by [Store.Commit] when it is not known whether the
// transaction was written: it is there as a whole or not at all, and a later read
// tells.
var ErrUnknown error = resource.Errorf(resource.OutcomeUnknown,
	"The server was not told in time whether the change is stored. It is, as a whole, or it is not; read the resource to see, or send the request again.")

// visibleWithin bounds how long a commit waits until its own writes are seen here.
const visibleWithin = 30 * time.Second

// Options configures a [Store]. All are required.
type Options struct {
	Engine engine.Resources
	Sealer *Sealer
	Logger *slog.Logger
}

// Store keeps resources. It is safe for concurrent use.
type Store struct {
	opts  Options
	state *snapshot

	committing chan struct{} // cap 1: one commit of this process at a time

	watchMu   sync.Mutex // protects the fields below
	applied   uint64     // position up to which state and observers are current; 0 before the first
	advanced  chan struct{}
	observers []func([]Change)
	watchErr  error

	stop context.CancelFunc
	done chan struct{} // closed when following has ended
}

// Open reads all resources and follows their changes until Close.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := &Store{opts: opts, state: newSnapshot(), committing: make(chan struct{}, 1), advanced: make(chan struct{}), done: make(chan struct{})}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() {
		defer close(s.done)
		s.followEnded(opts.Engine.Follow(following, s.apply))
	}()
	if err := s.waitUntil(ctx, func() bool { return s.applied > 0 }); err != nil {
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
// Once it is being written a transaction is not cancelled by its caller, so that ctx
// ends only what has not begun; then its error is returned, and nothing is written.
// [ErrNoSpace] comes at once when the disk is close to full. After [ErrUnknown] the
// transaction is there as a whole or not at all; after any other error it is not.
func (s *Store) Commit(ctx context.Context, fn func(resource.Tx) error) error {
	select {
	case s.committing <- struct{}{}:
		defer func() { <-s.committing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		base, err := s.position()
		if err != nil {
			return fmt.Errorf("write resources: %w", err)
		}
		tx := &Tx{store: s, writes: make(map[string]*pending)}
		if err := fn(tx); err != nil {
			return err
		}
		if len(tx.order) == 0 {
			return nil
		}
		writes, err := s.encode(tx)
		if err != nil {
			return fmt.Errorf("write resources: %w", err)
		}
		position, err := s.opts.Engine.Commit(context.WithoutCancel(ctx), base, writes)
		switch {
		case err == nil:
			return s.seen(position)
		case errors.Is(err, engine.ErrConflict):
			// Another node was faster: its write must be visible before fn decides again.
			if err := s.waitUntil(ctx, func() bool { return s.applied != base }); err != nil {
				return err
			}
		case errors.Is(err, engine.ErrTooLarge):
			return ErrTooLarge
		case errors.Is(err, engine.ErrNoSpace):
			return fmt.Errorf("write resources: %w (%w)", ErrNoSpace, err)
		default:
			// The engine may have written it before it failed.
			return fmt.Errorf("write resources: %w (%w)", ErrUnknown, err)
		}
	}
}

// seen waits until what was written is visible. It is durable by now, so the caller
// who has gone does not end that.
func (s *Store) seen(position uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), visibleWithin)
	defer cancel()
	if err := s.waitUntil(ctx, func() bool { return s.applied >= position }); err != nil {
		return fmt.Errorf("write resources: %w (written, and not seen: %w)", ErrUnknown, err)
	}
	return nil
}

// encode returns what a transaction writes.
func (s *Store) encode(tx *Tx) ([]engine.Write, error) {
	writes := make([]engine.Write, len(tx.order))
	for i, key := range tx.order {
		writes[i].Key = key
		if r := tx.writes[key].resource; r != nil {
			value, err := encode(r, s.opts.Sealer)
			if err != nil {
				return nil, err
			}
			writes[i].Value = value
		}
	}
	return writes, nil
}

// apply makes a transaction visible. Its error ends following: this program would
// act on less than is stored.
func (s *Store) apply(t engine.Transaction) error {
	changes := make([]change, len(t.Writes))
	for i, w := range t.Writes {
		changes[i].key = w.Key
		if w.Value == nil {
			continue
		}
		r, err := decode(w.Value, s.opts.Sealer)
		if err != nil {
			return fmt.Errorf("a resource cannot be read: %w", err)
		}
		r.Revision = w.Revision
		changes[i].resource = r
	}
	// Under the lock from the start: an observer that registers meanwhile gets
	// these writes either as present or as changes, not as both.
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if t.Snapshot {
		fresh := newSnapshot()
		fresh.apply(changes)
		s.tell(s.state.replace(fresh))
	} else {
		s.tell(s.state.apply(changes))
	}
	s.applied = t.Position
	s.wake()
	return nil
}

// tell hands changes to the observers. watchMu is held.
func (s *Store) tell(changes []Change) {
	if len(changes) == 0 {
		return
	}
	for _, fn := range s.observers {
		fn(changes)
	}
}

// wake tells those who wait that something changed. watchMu is held.
func (s *Store) wake() {
	close(s.advanced)
	s.advanced = make(chan struct{})
}

// followEnded says why the snapshot is not current any more.
func (s *Store) followEnded(err error) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if errors.Is(err, context.Canceled) {
		err = errors.New("resource store is closed")
	} else if s.applied > 0 { // until then Open returns it
		s.opts.Logger.Error("resources are no longer followed; restart needed", "error", err)
	}
	s.watchErr = err
	s.wake()
}

// position returns up to where the snapshot is current, or why it is not any more.
func (s *Store) position() (uint64, error) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	return s.applied, s.watchErr
}

// waitUntil blocks until ok, which is called under watchMu.
func (s *Store) waitUntil(ctx context.Context, ok func() bool) error {
	for {
		s.watchMu.Lock()
		reached, advanced, err := ok(), s.advanced, s.watchErr
		s.watchMu.Unlock()
		switch {
		case err != nil:
			return fmt.Errorf("follow resources: %w", err)
		case reached:
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Healthy returns an error when changes are no longer followed.
func (s *Store) Healthy() error {
	_, err := s.position()
	return err
}

func equalType(a, b string) bool { return strings.EqualFold(a, b) }
