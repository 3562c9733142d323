package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Header names of JetStream, as its server documents them.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
	headerExpectedSeq   = "Nats-Expected-Last-Subject-Sequence"
	// headerDeleted marks a deletion, so that a resource can be told from its
	// absence when the stream is read again.
	headerDeleted = "Intertie-Deleted"
)

// errConflict says that a resource was changed by another node meanwhile.
var errConflict = errors.New("resource changed by another node")

const wrongLastSequence jetstream.ErrorCode = 10071

// transaction is the redo record that stands first in every batch.
type transaction struct {
	Version int       `json:"v"`
	Writes  []txWrite `json:"writes"`
}

type txWrite struct {
	Key  string          `json:"key"`
	Data json.RawMessage `json:"data,omitempty"` // absent: deleted
}

// publish writes the transaction and returns the sequence of its last message.
// On errConflict the sequence is one that must be applied before another try.
func (s *Store) publish(ctx context.Context, tx *Tx) (uint64, error) {
	msgs := make([]*nats.Msg, 0, len(tx.order)+1)
	redo := transaction{Version: recordVersion}
	for _, key := range tx.order {
		msg := nats.NewMsg(subjectOf(key))
		w := txWrite{Key: key}
		if r := tx.writes[key].resource; r != nil {
			data, err := encode(r, s.opts.Sealer)
			if err != nil {
				return 0, err
			}
			msg.Data, w.Data = data, data
		} else {
			msg.Data = []byte(key)
			msg.Header.Set(headerDeleted, "1")
		}
		_, revision := s.state.get(key)
		msg.Header.Set(headerExpectedSeq, strconv.FormatUint(revision, 10))
		msgs = append(msgs, msg)
		redo.Writes = append(redo.Writes, w)
	}
	if len(msgs) > 1 {
		data, err := json.Marshal(redo)
		if err != nil {
			return 0, fmt.Errorf("encode transaction: %w", err)
		}
		first := nats.NewMsg(subjectTransaction)
		first.Data = data
		msgs = append([]*nats.Msg{first}, msgs...)
		batch := uuid.NewString()
		for i, m := range msgs {
			m.Header.Set(headerBatchID, batch)
			m.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		}
		msgs[len(msgs)-1].Header.Set(headerBatchCommit, "1")
	}
	return s.send(ctx, msgs)
}

// send publishes all messages and waits for the answer to the last.
func (s *Store) send(ctx context.Context, msgs []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	last := len(msgs) - 1
	for i, m := range msgs[:last] {
		// A batch is opened by a message that is answered: refusals such as a
		// missing permission show here and not as a time-out at its end.
		if i == 0 {
			if _, err := s.request(ctx, m); err != nil {
				return 0, err
			}
			continue
		}
		if err := s.opts.Conn.PublishMsg(m); err != nil {
			return 0, err
		}
	}
	seq, err := s.request(ctx, msgs[last])
	if errors.Is(err, errConflict) {
		newest, infoErr := s.lastSequence(ctx)
		if infoErr != nil {
			return 0, infoErr
		}
		return newest, err
	}
	return seq, err
}

func (s *Store) request(ctx context.Context, m *nats.Msg) (uint64, error) {
	answer, err := s.opts.Conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return 0, err
	}
	if len(answer.Data) == 0 {
		return 0, nil // an accepted message inside a batch
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Sequence uint64              `json:"seq"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("decode publish answer: %w", err)
	}
	if ack.Error != nil {
		if ack.Error.ErrorCode == wrongLastSequence {
			return 0, errConflict
		}
		return 0, ack.Error
	}
	return ack.Sequence, nil
}
