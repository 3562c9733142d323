package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine"
)

const (
	// resendEvery is the pause before a message without an answer is sent again.
	resendEvery = time.Second
	// duplicateWindow is how long JetStream knows a message again; longer than a
	// message is sent again.
	duplicateWindow = time.Minute
	// refusalLasts is how long after a refusal for want of room others are told.
	refusalLasts = 5 * time.Second
)

// Codes of JetStream's answers.
const (
	wrongLastSequence jetstream.ErrorCode = 10071
	// A cluster answers so while another write is under way.
	wrongLastSequenceNow jetstream.ErrorCode = 10164
	// The message is being written already: it was sent twice.
	duplicateUnderWay jetstream.ErrorCode = 10158
	unavailable       jetstream.ErrorCode = 10008
	notLeader         jetstream.ErrorCode = 10009
	noSuitablePeers   jetstream.ErrorCode = 10005
)

// noSpace are the codes of a message that is refused for want of room: resource
// limits of the account, insufficient resources, memory or storage resources
// exceeded, a stream that reached its bounds.
var noSpace = map[jetstream.ErrorCode]bool{10002: true, 10023: true, 10028: true, 10047: true, 10077: true}

// publish stores one message and returns when it is stored. A leader that is gone
// does not answer, so it sends the message again every second, until ctx ends or
// CommitTimeout has passed: JetStream knows it by its id and stores it once.
func (e *Engine) publish(ctx context.Context, m *nats.Msg) error {
	m.Header.Set(nats.MsgIdHdr, e.id+"."+strconv.FormatUint(e.serial.Add(1), 36))
	within, cancel := context.WithTimeout(ctx, e.opts.CommitTimeout)
	defer cancel()
	for sent := false; ; { // a message is on its way, or was lost
		attempt, stop := context.WithTimeout(within, resendEvery)
		_, err := e.insist(attempt, m)
		stop()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isClosed(err):
			return unconfirmed(sent, e.over())
		case isCode(err, duplicateUnderWay):
			sent = true
			sleep(within, recoverDelay)
		case errors.Is(err, context.DeadlineExceeded):
			sent = true
		case !isUntaken(err):
			return fmt.Errorf("store in %s: %w", m.Subject, unconfirmed(sent, err))
		}
		if within.Err() != nil {
			return fmt.Errorf("store in %s: no answer for %v: %w", m.Subject, e.opts.CommitTimeout, unconfirmed(sent, err))
		}
	}
}

func unconfirmed(sent bool, err error) error {
	if !sent {
		return err
	}
	return fmt.Errorf("%w: %w", engine.ErrUnconfirmed, err)
}

// request sends m once and returns the sequence that it was given: 0 inside a
// batch.
func (e *Engine) request(ctx context.Context, m *nats.Msg) (uint64, error) {
	answer, err := e.conn.RequestMsgWithContext(ctx, m)
	if err != nil || len(answer.Data) == 0 {
		return 0, err
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Sequence uint64              `json:"seq"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("decode the answer: %w", err)
	}
	if ack.Error == nil {
		e.refused.Store(nil)
		return ack.Sequence, nil
	}
	return 0, e.refusal(ack.Error)
}

// insist is request until somebody takes the message, or ctx ends.
func (e *Engine) insist(ctx context.Context, m *nats.Msg) (uint64, error) {
	for {
		seq, err := e.request(ctx, m)
		if !isUntaken(err) || !sleep(ctx, recoverDelay) {
			return seq, err
		}
	}
}

// isUntaken reports whether err says that nobody took a message: there is no leader
// at present, or no connection.
func isUntaken(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrReconnectBufExceeded) || isCode(err, unavailable, notLeader)
}

// refusal translates an answer that says no.
func (e *Engine) refusal(err error) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && noSpace[api.ErrorCode] {
		err = fmt.Errorf("%w: %w", engine.ErrNoSpace, err)
		e.refused.Store(&refused{err, time.Now()})
	}
	return err
}

// refused is a write that found no room.
type refused struct {
	err error
	at  time.Time
}

// Room implements [engine.Engine]. The room is the servers': it is what they said
// last.
func (e *Engine) Room() error {
	if r := e.refused.Load(); r != nil && time.Since(r.at) < refusalLasts {
		return r.err
	}
	return nil
}

// Reachable implements [engine.Engine].
func (e *Engine) Reachable() error {
	if err := e.Err(); err != nil {
		return err
	}
	if status := e.conn.Status(); status != nats.CONNECTED {
		return fmt.Errorf("the connection to NATS is %s", strings.ToLower(status.String()))
	}
	return nil
}

func isCode(err error, codes ...jetstream.ErrorCode) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains(codes, api.ErrorCode)
}

// isClosed reports whether err says that the connection will not come back.
func isClosed(err error) bool {
	return errors.Is(err, jetstream.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionClosed)
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
