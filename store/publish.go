package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/resource"
)

// Header names of JetStream, as its server documents them.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
	// headerExpectedSeq makes a transaction see no change by others between its
	// reads and its writes. The check per subject would not do: the rules also
	// depend on what they only read, such as a parent, a grant, or a name that
	// nobody has.
	headerExpectedSeq = "Nats-Expected-Last-Sequence"
	// headerDeleted marks a deletion, so that a resource can be told from its
	// absence when the stream is read again.
	headerDeleted = "Intertie-Deleted"
	// headerCompletes names, in a message that recovery writes, the batch that it
	// completes; the last of them has headerCompleted too.
	headerCompletes = "Intertie-Completes"
	headerCompleted = "Intertie-Completed"
)

// errConflict says that another node has written meanwhile.
var errConflict = errors.New("resources changed by another node")

// The two codes of a sequence other than the expected one; a cluster answers the
// second while another write is under way.
const (
	wrongLastSequence    jetstream.ErrorCode = 10071
	wrongLastSequenceNow jetstream.ErrorCode = 10164
)

// noSpace are the codes with which JetStream refuses a message for want of room:
// resource limits of the account, insufficient resources, memory or storage
// resources exceeded, a stream that reached its bounds.
var noSpace = map[jetstream.ErrorCode]bool{10002: true, 10023: true, 10028: true, 10047: true, 10077: true}

// batchIncomplete is the code of a batch of which something is missing; so
// JetStream calls one that it could not write down, too.
const batchIncomplete jetstream.ErrorCode = 10176

// maxSubject keeps a publish below the server's limit for one protocol line
// (4 KiB), which it enforces by cutting the connection.
const maxSubject = 3000

// transaction is the redo record that stands first in every batch.
type transaction struct {
	Version int       `json:"v"`
	Writes  []txWrite `json:"writes"`
}

// keys returns the keys of its resources, nil for no transaction.
func (t transaction) keys() map[string]bool {
	if t.Writes == nil {
		return nil
	}
	keys := make(map[string]bool, len(t.Writes))
	for _, w := range t.Writes {
		keys[w.Key] = true
	}
	return keys
}

func decodeTransaction(data []byte) (transaction, error) {
	var t transaction
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("decode transaction: %w", err)
	}
	if t.Version > recordVersion {
		return t, fmt.Errorf("transaction was written by a newer version of Intertie (record version %d, this one reads up to %d)",
			t.Version, recordVersion)
	}
	return t, nil
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
		if len(msg.Subject) > maxSubject {
			return 0, resource.Invalid("The id of a resource is too long: '%.100s…'.", key)
		}
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
	size := 0
	for _, m := range msgs {
		if int64(m.Size()) > s.opts.Conn.MaxPayload() {
			return 0, ErrTooLarge
		}
		size += m.Size()
	}
	if len(msgs) > 1 {
		size *= 2 // JetStream keeps a batch aside until it is complete
	}
	if err := s.opts.Space.Take(size); err != nil {
		return 0, fmt.Errorf("%w (%w)", ErrNoSpace, err)
	}
	defer s.opts.Space.Put(size)
	// Only the first message of a batch may carry it, and it stands for all.
	msgs[0].Header.Set(headerExpectedSeq, strconv.FormatUint(tx.base, 10))
	seq, err := s.send(ctx, msgs)
	if errors.Is(err, errConflict) {
		newest, infoErr := s.lastSequence(ctx)
		if infoErr != nil {
			return 0, infoErr
		}
		return newest, err
	}
	s.unsure = err != nil
	return seq, err
}

// send publishes all messages and waits for the answer to the last, or until
// the disk fails: then there is none.
func (s *Store) send(ctx context.Context, msgs []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	ctx, fail := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-s.opts.Space.Failed():
			fail(ErrNoSpace)
		case <-ctx.Done():
		}
	})
	defer watch.Wait()
	defer cancel()
	seq, err := s.sendAll(ctx, msgs)
	if err != nil && errors.Is(context.Cause(ctx), ErrNoSpace) {
		return 0, ErrNoSpace
	}
	return seq, err
}

func (s *Store) sendAll(ctx context.Context, msgs []*nats.Msg) (uint64, error) {
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
	return s.request(ctx, msgs[last])
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
		switch {
		case isWrongSequence(ack.Error):
			return 0, errConflict
		case noSpace[ack.Error.ErrorCode], ack.Error.ErrorCode == batchIncomplete && s.opts.Space.TakeToFree(0) != nil:
			return 0, fmt.Errorf("%w (%w)", ErrNoSpace, ack.Error)
		}
		return 0, ack.Error
	}
	return ack.Sequence, nil
}
