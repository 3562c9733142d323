package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/resource"
)

// write is one message of the stream, decoded.
type write struct {
	key      string
	resource *resource.Resource // nil: deleted
	revision uint64
}

// watch applies the stream to the snapshot: first what is there, then, after it
// reported ready, each change. It returns when ctx ends or the stream fails.
func (s *Store) watch(ctx context.Context, ready chan<- error) {
	reported := false
	err := s.follow(ctx, func() {
		reported = true
		ready <- nil
	})
	if ctx.Err() != nil {
		err = errors.New("resource store is closed")
	}
	switch {
	case !reported:
		ready <- err // Open returns it
	case ctx.Err() == nil:
		s.opts.Logger.Error("resources are no longer followed; restart needed", "error", err)
	}
	s.watchMu.Lock()
	s.watchErr = err
	close(s.advanced)
	s.advanced = make(chan struct{})
	s.watchMu.Unlock()
}

func (s *Store) follow(ctx context.Context, ready func()) error {
	info, err := s.stream.Info(ctx)
	if err != nil {
		return err
	}
	target := info.State.LastSeq
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

	caughtUp := false
	catchUp := func() {
		caughtUp = true
		s.applyAll(nil, target) // also when the last messages were purged
		ready()
	}
	if info.State.Msgs == 0 {
		catchUp()
	}
	var group batch
	for {
		msg, err := messages.Next()
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if err := s.receive(msg, meta.Sequence.Stream, &group, caughtUp); err != nil {
			return err
		}
		if !caughtUp && (meta.Sequence.Stream >= target || meta.NumPending == 0) {
			catchUp()
		}
	}
}

// batch gathers the writes of one transaction, so that readers and observers
// see them at once.
type batch struct {
	id     string
	writes []write
}

func (s *Store) receive(msg jetstream.Msg, seq uint64, group *batch, live bool) error {
	w, err := s.decodeMessage(msg, seq)
	if err != nil {
		return err
	}
	id := msg.Headers().Get(headerBatchID)
	if id != group.id && len(group.writes) > 0 {
		// The rest of that batch was overwritten before it was read.
		s.applyAll(group.writes, seq-1)
		group.writes = nil
	}
	group.id = id
	if w.key != "" {
		group.writes = append(group.writes, w)
	}
	if live && id != "" && msg.Headers().Get(headerBatchCommit) == "" {
		return nil
	}
	s.applyAll(group.writes, seq)
	*group = batch{}
	return nil
}

// decodeMessage returns a write with an empty key for a message that is not one
// of a resource.
func (s *Store) decodeMessage(msg jetstream.Msg, seq uint64) (write, error) {
	if !strings.HasPrefix(msg.Subject(), subjectPrefix) {
		return write{}, nil
	}
	if msg.Headers().Get(headerDeleted) != "" {
		return write{key: string(msg.Data()), revision: seq}, nil
	}
	r, err := decode(msg.Data(), s.opts.Sealer)
	if err != nil {
		return write{}, fmt.Errorf("message %d: %w", seq, err)
	}
	r.Revision = seq
	return write{key: r.ID.Key(), resource: r, revision: seq}, nil
}

func (s *Store) applyAll(writes []write, seq uint64) {
	// Under the lock from the start: an observer that registers meanwhile gets
	// these writes either as present or as changes, not as both.
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	changes := s.state.apply(writes)
	if len(changes) > 0 {
		for _, fn := range s.observers {
			fn(changes)
		}
	}
	s.applied = max(s.applied, seq)
	close(s.advanced)
	s.advanced = make(chan struct{})
}
