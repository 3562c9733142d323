package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/intertie/intertie/engine"
)

// Header names of JetStream, as its server documents them, and ours.
const (
	headerTTL = "Nats-TTL"
	// headerExpectedSeq makes a transaction see no change by others between its
	// reads and its writes. The check per subject would not do: the rules also
	// depend on what they only read, such as a parent, a grant, or a name that
	// nobody has.
	headerExpectedSeq = "Nats-Expected-Last-Sequence"
	// headerDeleted marks a deletion. JetStream removes the message after a while.
	headerDeleted = "Intertie-Deleted"
)

// maxSubject keeps a publish below the server's limit for one protocol line (4 KiB),
// which it enforces by cutting the connection.
const maxSubject = 3000

// Commit implements [engine.Resources].
func (e *Engine) Commit(ctx context.Context, position uint64, writes []engine.Write) (uint64, error) {
	if len(writes) == 0 {
		return position, nil
	}
	if err := e.begin(ctx); err != nil {
		return 0, err
	}
	defer e.writing.Done()
	msgs, err := e.messagesOf(writes)
	if err != nil {
		return 0, err
	}
	e.committing.Lock()
	defer e.committing.Unlock()
	within, cancel := context.WithTimeout(ctx, e.opts.CommitTimeout)
	defer cancel()
	for {
		if e.unsure {
			if _, err := e.settle(within); err != nil {
				return 0, e.commitError(ctx, err)
			}
		}
		at, err := e.sendAll(within, position, msgs)
		if isConflict(err) { // it may be with a transaction that was cut short
			newest, err := e.settle(within)
			switch {
			case err != nil:
				return 0, e.commitError(ctx, err)
			case newest == position:
				continue
			case newest < position:
				e.readAgain() // the stream has lost its end, and the reader is ahead of it
			}
			return 0, engine.ErrConflict
		}
		if err == nil {
			e.awaitFollowers(within, at)
		}
		return at, e.commitError(ctx, err)
	}
}

// settle finds out what became of a write that was not answered: all of it is made
// to be there, or none. e.committing is held.
func (e *Engine) settle(ctx context.Context) (newest uint64, err error) {
	newest, err = e.complete(ctx)
	if err != nil && !isConflict(err) {
		return 0, fmt.Errorf("settle the write before: %w", err)
	}
	e.unsure = err != nil
	return newest, nil
}

// commitError says what an error means to a caller of Commit.
func (e *Engine) commitError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("commit: %w after %v", engine.ErrUnconfirmed, e.opts.CommitTimeout)
	case isClosed(err):
		return e.over()
	}
	return fmt.Errorf("commit: %w", err)
}

func isConflict(err error) bool { return isCode(err, wrongLastSequence, wrongLastSequenceNow) }

// messagesOf returns the messages of a transaction: one for each write, and the
// transaction itself before them where one message does not say it all. A deletion
// never does: its message goes away, and must not leave an older transaction behind
// that seems to lack it.
func (e *Engine) messagesOf(writes []engine.Write) ([]*nats.Msg, error) {
	var msgs []*nats.Msg
	if len(writes) > 1 || writes[0].Value == nil {
		first := nats.NewMsg(transactionSubject)
		first.Data = appendTransaction(nil, writes)
		msgs = append(msgs, first)
	}
	for _, w := range writes {
		m := e.messageOf(w)
		if len(m.Subject) > maxSubject {
			return nil, fmt.Errorf("commit a key of %d bytes: %w", len(w.Key), engine.ErrTooLarge)
		}
		msgs = append(msgs, m)
	}
	for _, m := range msgs {
		if int64(m.Size())+64 > e.conn.MaxPayload() {
			return nil, fmt.Errorf("commit a message of %d bytes: %w", m.Size(), engine.ErrTooLarge)
		}
	}
	return msgs, nil
}

// messageOf returns the message of one write.
func (e *Engine) messageOf(w engine.Write) *nats.Msg {
	m := nats.NewMsg(subjectOf(w.Key))
	m.Data = w.Value
	if w.Value == nil {
		m.Header.Set(headerDeleted, "1")
		m.Header.Set(headerTTL, e.opts.KeepMarkers.String())
	}
	return m
}

// sendAll sends the messages of a transaction, and returns the sequence of the last.
// With the first it is decided and durable; if others do not arrive, whoever commits
// next completes it. e.committing is held.
func (e *Engine) sendAll(ctx context.Context, position uint64, msgs []*nats.Msg) (uint64, error) {
	expect(msgs[0], position)
	seq, err := e.insist(ctx, msgs[0])
	if e.unsure = err != nil; err != nil {
		return 0, err
	}
	for i, m := range msgs[1:] {
		expect(m, seq)
		if i < len(msgs)-2 {
			err = e.conn.PublishMsg(m)
		} else {
			_, err = e.insist(ctx, m)
		}
		e.unsure = e.unsure || err != nil
		seq++
	}
	return seq, nil
}

// expect makes JetStream take m only right behind seq.
func expect(m *nats.Msg, seq uint64) { m.Header.Set(headerExpectedSeq, strconv.FormatUint(seq, 10)) }

// Fresh implements [engine.Resources].
func (e *Engine) Fresh(ctx context.Context) (bool, error) {
	if err := e.begin(ctx); err != nil {
		return false, err
	}
	defer e.writing.Done()
	newest, err := e.newest(ctx)
	return err == nil && newest == 0, err
}

// newest returns the last sequence of the stream of resources.
func (e *Engine) newest(ctx context.Context) (uint64, error) {
	info, err := e.state.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the state of resources: %w", err)
	}
	return info.State.LastSeq, nil
}
