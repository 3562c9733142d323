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
	err := s.follow(ctx, ready)
	if ctx.Err() != nil {
		err = errors.New("resource store is closed")
	} else {
		s.opts.Logger.Error("resources are no longer followed; restart needed", "error", err)
	}
	s.watchMu.Lock()
	s.watchErr = err
	close(s.advanced)
	s.advanced = make(chan struct{})
	s.watchMu.Unlock()
	select {
	case ready <- err:
	default:
	}
}

func (s *Store) follow(ctx context.Context, ready chan<- error) error {
	target, err := s.lastSequence(ctx)
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

	caughtUp := target == 0
	if caughtUp {
		ready <- nil
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
		if !caughtUp && meta.Sequence.Stream >= target {
			caughtUp = true
			ready <- nil
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
	changes := s.state.apply(writes)
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if len(changes) > 0 {
		for _, fn := range s.observers {
			fn(changes)
		}
	}
	s.applied = max(s.applied, seq)
	close(s.advanced)
	s.advanced = make(chan struct{})
}
