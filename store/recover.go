package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// recoverTransaction completes the last transaction when only its first
// messages had reached the disk before a crash, or before the disk was full.
//
// The transaction message stands before its writes, so each of its resources
// must have a newer message: its own write or a later one. Whatever has none is
// written now. Doing so twice is harmless, so a crash in here is too.
func (s *Store) recoverTransaction(ctx context.Context) error {
	last, err := s.stream.GetLastMsgForSubject(ctx, subjectTransaction)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	redo, err := decodeTransaction(last.Data)
	if err != nil {
		return err
	}
	return s.complete(ctx, redo, last.Header.Get(headerBatchID), last.Sequence)
}

// complete writes what is missing of redo, which is at seq and was sent as batch.
func (s *Store) complete(ctx context.Context, redo transaction, batch string, seq uint64) error {
	missing, err := s.missing(ctx, redo, seq)
	if err != nil {
		return err
	}
	for i, m := range missing {
		// Those who follow the stream gather these with the messages that are there.
		m.msg.Header.Set(headerCompletes, batch)
		if i == len(missing)-1 {
			m.msg.Header.Set(headerCompleted, "1")
		}
		// The look may have been at a replica that lags behind; the leader takes
		// the message only if nothing newer is there.
		_, err = s.opts.JS.PublishMsg(ctx, m.msg, jetstream.WithExpectLastSequencePerSubject(m.before))
		if isWrongSequence(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", m.key, err)
		}
		s.opts.Logger.Warn("completed a transaction that had been cut short", "resource", m.key)
	}
	return nil
}

// missingWrite is a write of a transaction that is not in the stream.
type missingWrite struct {
	key    string
	msg    *nats.Msg
	before uint64 // the sequence of the resource's last message
}

// missing returns the writes of redo, which is at seq, that have no message.
func (s *Store) missing(ctx context.Context, redo transaction, seq uint64) ([]missingWrite, error) {
	var missing []missingWrite
	for _, w := range redo.Writes {
		m := missingWrite{key: w.Key, msg: nats.NewMsg(subjectOf(w.Key))}
		present, err := s.stream.GetLastMsgForSubject(ctx, m.msg.Subject)
		switch {
		case err == nil && present.Sequence > seq:
			continue
		case err == nil:
			m.before = present.Sequence
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, err
		}
		if w.Data != nil {
			m.msg.Data = w.Data
		} else {
			m.msg.Data = []byte(w.Key)
			m.msg.Header.Set(headerDeleted, "1")
		}
		missing = append(missing, m)
	}
	return missing, nil
}

func isWrongSequence(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == wrongLastSequence || e.ErrorCode == wrongLastSequenceNow)
}
