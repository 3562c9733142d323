package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/resource"
)

// followPause is the pause before the stream is read again after an error.
const followPause = 250 * time.Millisecond

// errUnreadable is wrapped for a message that this program cannot read. It would
// act on less than is stored, so it stops.
var errUnreadable = errors.New("a resource cannot be read")

// write is one message of the stream, decoded.
type write struct {
	key      string
	resource *resource.Resource // nil: deleted
	revision uint64
	at       time.Time
}

// watch applies the stream to the snapshot: first what is there, then, after it
// reported ready, each change. When reading fails it begins anew, until ctx ends
// or a message cannot be read.
func (s *Store) watch(ctx context.Context, ready chan<- error) {
	reported := false
	for {
		round, cancel := context.WithCancel(ctx)
		s.watchMu.Lock()
		s.readAgain = cancel
		s.watchMu.Unlock()
		err := s.follow(round, func() {
			if !reported {
				reported = true
				ready <- nil
			}
		})
		wanted := round.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			s.watchEnded(errors.New("resource store is closed"))
			if !reported {
				ready <- ctx.Err()
			}
			return
		case !reported:
			s.watchEnded(err)
			ready <- err // Open returns it
			return
		case errors.Is(err, errUnreadable):
			s.opts.Logger.Error("resources are no longer followed; restart needed", "error", err)
			s.watchEnded(err)
			return
		case wanted:
			continue
		}
		s.opts.Logger.Warn("resources cannot be followed, reading them again", "error", err)
		s.watchEnded(err)
		pause := time.NewTimer(followPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// watchEnded says why the snapshot is not current any more.
func (s *Store) watchEnded(err error) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	s.watchErr = err
	s.wake()
}

// wake tells those who wait for a sequence that something changed. s.watchMu is
// held.
func (s *Store) wake() {
	close(s.advanced)
	s.advanced = make(chan struct{})
}

// reader is one reading of the stream, from its beginning.
type reader struct {
	store  *Store
	target uint64 // the last sequence when it was last asked for
	fresh  *snapshot
	live   bool // fresh has become the store's snapshot

	// What is gathered of one transaction, so that readers and observers see
	// its writes at once.
	batch  string
	writes []write
}

func (s *Store) follow(ctx context.Context, ready func()) error {
	info, err := s.stream.Info(ctx)
	if err != nil {
		return err
	}
	consumer, err := s.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	defer messages.Stop()

	r := &reader{store: s, target: info.State.LastSeq, fresh: newSnapshot()}
	if c := consumer.CachedInfo(); info.State.Msgs == 0 || c != nil && c.NumPending == 0 && c.Delivered.Stream == 0 {
		r.caughtUp()
		ready()
	}
	for {
		msg, err := messages.Next()
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if err := r.receive(msg, meta); err != nil {
			return err
		}
		if r.live {
			continue
		}
		end, err := r.atEnd(ctx, meta)
		if err != nil {
			return err
		}
		if end {
			r.caughtUp()
			ready()
		}
	}
}

// atEnd reports whether nothing comes after a message. Not before that is what
// was read complete: a resource that is written again while the stream is being
// read is missing from it until its new message comes, at the end.
func (r *reader) atEnd(ctx context.Context, meta *jetstream.MsgMetadata) (bool, error) {
	seq := meta.Sequence.Stream
	if meta.NumPending == 0 || seq < r.target {
		return meta.NumPending == 0, nil
	}
	// The number is the server's estimate while messages are replaced.
	newest, err := r.store.lastSequence(ctx)
	r.target = newest
	return seq >= newest, err
}

func (r *reader) receive(msg jetstream.Msg, meta *jetstream.MsgMetadata) error {
	w, keys, err := r.store.decodeMessage(msg, meta)
	if err != nil {
		return fmt.Errorf("%w: message %d: %w", errUnreadable, meta.Sequence.Stream, err)
	}
	seq := meta.Sequence.Stream
	if !r.live {
		r.fresh.apply(w, keys)
		r.target = max(r.target, seq)
		return nil
	}
	id := batchOf(msg)
	if id != r.batch && len(r.writes) > 0 {
		// The rest of that batch was overwritten before it was read.
		r.store.applyAll(r.writes, seq-1, nil)
		r.writes = nil
	}
	r.batch = id
	r.writes = append(r.writes, w...)
	if id != "" && !endsBatch(msg) {
		if keys != nil {
			r.store.state.setRedo(keys)
		}
		return nil
	}
	r.store.applyAll(r.writes, seq, keys)
	r.batch, r.writes = "", nil
	return nil
}

// caughtUp makes what was read the store's snapshot. Observers are told how it
// differs from the one before, which is nothing unless reading had to begin anew.
func (r *reader) caughtUp() {
	s := r.store
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	r.live = true
	s.tell(s.state.replace(r.fresh))
	s.applied, s.watchErr = r.target, nil
	s.readings++
	s.wake()
}

// batchOf returns the id of the transaction that a message is part of, or "".
func batchOf(msg jetstream.Msg) string {
	if id := msg.Headers().Get(headerBatchID); id != "" {
		return id
	}
	return msg.Headers().Get(headerCompletes)
}

// endsBatch reports whether a message of a transaction is its last.
func endsBatch(msg jetstream.Msg) bool {
	return msg.Headers().Get(headerBatchCommit) != "" || msg.Headers().Get(headerCompleted) != ""
}

// decodeMessage returns the write that a message is, or the keys of the
// transaction whose redo record it is.
func (s *Store) decodeMessage(msg jetstream.Msg, meta *jetstream.MsgMetadata) ([]write, map[string]bool, error) {
	seq := meta.Sequence.Stream
	if !strings.HasPrefix(msg.Subject(), subjectPrefix) {
		redo, err := decodeTransaction(msg.Data())
		return nil, redo.keys(), err
	}
	if msg.Headers().Get(headerDeleted) != "" {
		return []write{{key: string(msg.Data()), revision: seq, at: meta.Timestamp}}, nil, nil
	}
	r, err := decode(msg.Data(), s.opts.Sealer)
	if err != nil {
		return nil, nil, err
	}
	r.Revision = seq
	return []write{{key: r.ID.Key(), resource: r, revision: seq, at: meta.Timestamp}}, nil, nil
}

// applyAll makes writes visible, and the stream current up to seq. redo, unless
// nil, are the keys of the newest transaction.
func (s *Store) applyAll(writes []write, seq uint64, redo map[string]bool) {
	// Under the lock from the start: an observer that registers meanwhile gets
	// these writes either as present or as changes, not as both.
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	s.tell(s.state.apply(writes, redo))
	s.applied = max(s.applied, seq)
	s.wake()
}

// tell hands changes to the observers. s.watchMu is held.
func (s *Store) tell(changes []Change) {
	if len(changes) == 0 {
		return
	}
	for _, fn := range s.observers {
		fn(changes)
	}
}
