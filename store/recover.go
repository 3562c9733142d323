package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// recoverTransaction completes the last transaction when only its first
// messages had reached the disk before a crash.
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
	var redo transaction
	if err := json.Unmarshal(last.Data, &redo); err != nil {
		return fmt.Errorf("decode transaction: %w", err)
	}
	if redo.Version > recordVersion {
		return fmt.Errorf("written by a newer version of Intertie (version %d)", redo.Version)
	}
	for _, w := range redo.Writes {
		subject := subjectOf(w.Key)
		present, err := s.stream.GetLastMsgForSubject(ctx, subject)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		before := uint64(0)
		if err == nil {
			before = present.Sequence
		}
		if before > last.Sequence {
			continue
		}
		msg := nats.NewMsg(subject)
		if w.Data != nil {
			msg.Data = w.Data
		} else {
			msg.Data = []byte(w.Key)
			msg.Header.Set(headerDeleted, "1")
		}
		// The look above may have been at a replica that lags behind; the leader
		// takes the message only if nothing newer is there.
		_, err = s.opts.JS.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(before))
		if isWrongSequence(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", w.Key, err)
		}
		s.opts.Logger.Warn("completed a transaction that a crash had cut short", "resource", w.Key)
	}
	return nil
}

func isWrongSequence(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == wrongLastSequence || e.ErrorCode == wrongLastSequenceNow)
}
