package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine"
)

// snapshotPause is how long nothing may come before everything there is was read.
const snapshotPause = 10 * time.Second

// followersWait bounds how long a commit waits for those who follow.
const followersWait = time.Second

var errLostPlace = errors.New("a transaction was overwritten before it was read")

// Follow implements [engine.Resources]. When reading fails it begins again.
func (e *Engine) Follow(ctx context.Context, apply func(engine.Transaction) error) error {
	var refused error // what apply said
	err := e.read(ctx, func(ctx context.Context) error {
		for failing := false; ; {
			round, cancel := context.WithCancel(ctx)
			r := &replay{engine: e, all: make(map[string]engine.Write), again: cancel}
			r.apply = func(t engine.Transaction) error {
				refused, failing = apply(t), false
				e.reached(r, t.Position, false)
				return refused
			}
			err := r.run(round)
			again := round.Err() != nil || errors.Is(err, errLostPlace)
			cancel()
			switch {
			case refused != nil || ctx.Err() != nil || isClosed(err):
				return err
			case errors.Is(err, errNewer), errors.Is(err, errMalformed):
				// To go on would be to act on less than is stored.
				e.fail(fmt.Errorf("resources cannot be read: %w", err))
				return err
			case again:
				continue
			}
			if !failing { // once, not four times a second
				e.opts.Logger.Warn("resources cannot be followed, reading them again", "error", err)
			}
			failing = true
			sleep(ctx, recoverDelay)
		}
	})
	if refused != nil {
		return refused
	}
	return err
}

// reached says how far a reading has come, or that it has ended.
func (e *Engine) reached(r *replay, position uint64, ended bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.position = position
	e.followers[r] = true
	if ended {
		delete(e.followers, r)
	}
	close(e.advanced)
	e.advanced = make(chan struct{})
}

// awaitFollowers waits until those who follow have seen what was committed, or for
// followersWait if one of them is slow.
func (e *Engine) awaitFollowers(ctx context.Context, position uint64) {
	ctx, cancel := context.WithTimeout(ctx, followersWait)
	defer cancel()
	for {
		e.mu.Lock()
		behind, advanced := false, e.advanced
		for r := range e.followers {
			behind = behind || r.position < position
		}
		e.mu.Unlock()
		if !behind {
			return
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return
		}
	}
}

// readAgain makes those who follow begin again.
func (e *Engine) readAgain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range e.followers {
		r.again()
	}
}

// replay is one reading of the stream, from its beginning.
type replay struct {
	engine *Engine
	apply  func(engine.Transaction) error
	all    map[string]engine.Write // what there is; nil once that was handed out
	redo   engine.Transaction      // the newest one of several messages in it
	at     uint64                  // up to where the stream was read
	newest uint64                  // up to where it went when that was last asked

	// Protected by engine.mu.
	position uint64
	again    context.CancelFunc
}

func (r *replay) run(ctx context.Context) error {
	defer r.engine.reached(r, 0, true)
	consumer, err := r.engine.state.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	defer messages.Stop()
	if err := r.handOut(ctx, consumer.CachedInfo().NumPending); err != nil {
		return err
	}
	for {
		var opts []jetstream.NextOpt
		if r.all != nil { // what was to come may have been removed, being old
			opts = append(opts, jetstream.NextMaxWait(snapshotPause))
		}
		msg, err := messages.Next(opts...)
		if err != nil {
			return fmt.Errorf("read resources: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read resources: %w", err)
		}
		t, err := transactionOf(msg, meta.Sequence.Stream)
		if err != nil {
			return fmt.Errorf("message %d: %w", meta.Sequence.Stream, err)
		}
		switch seq := meta.Sequence.Stream; {
		case r.all == nil && seq <= r.at: // its transaction was handed out already
		case r.all == nil && seq > r.at+1:
			return errLostPlace
		case r.all == nil:
			r.at = t.Position
			err = r.apply(t)
		case msg.Subject() == transactionSubject:
			r.at, r.redo = seq, t
			err = r.handOut(ctx, meta.NumPending)
		default:
			r.at = seq
			r.all[t.Writes[0].Key] = t.Writes[0]
			err = r.handOut(ctx, meta.NumPending)
		}
		if err != nil {
			return err
		}
	}
}

// handOut hands out everything there is when all of it was read. Not before the end
// of the stream it was: a key that is written again meanwhile is missing from what
// was read until its new message comes, at the end. pending is how many messages come
// yet, as the server estimates.
func (r *replay) handOut(ctx context.Context, pending uint64) error {
	if pending > 0 && r.at < r.newest {
		return nil
	}
	newest, err := r.engine.newest(ctx)
	if err != nil {
		return err
	}
	r.newest = newest
	if r.at < newest { // unless what was there has been removed, being old
		if pending > 0 {
			return nil
		}
		_, err := r.engine.state.GetMsg(ctx, r.at+1, jetstream.WithGetMsgSubject("intertie.>"))
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
	}
	r.at = max(r.at, newest, r.redo.Position)
	return r.snapshot()
}

// snapshot hands out what was read, and what is missing of the newest transaction:
// its writer died, or has not come to it yet.
func (r *replay) snapshot() error {
	for _, w := range r.redo.Writes {
		if r.all[w.Key].Revision < w.Revision {
			r.all[w.Key] = w
		}
	}
	t := engine.Transaction{Position: r.at, Snapshot: true}
	for _, w := range r.all {
		if w.Value != nil {
			t.Writes = append(t.Writes, w)
		}
	}
	r.all = nil
	return r.apply(t)
}

// transactionOf returns what a message says: one write, or several whose messages
// come next.
func transactionOf(msg jetstream.Msg, seq uint64) (engine.Transaction, error) {
	if msg.Subject() == transactionSubject {
		writes, err := decodeTransaction(msg.Data())
		for i := range writes {
			seq++
			writes[i].Revision = seq
		}
		return engine.Transaction{Position: seq, Writes: writes}, err
	}
	key, err := keyOf(msg.Subject())
	if err != nil {
		return engine.Transaction{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	w := engine.Write{Key: key, Revision: seq}
	if msg.Headers().Get(headerDeleted) == "" {
		w.Value = append([]byte{}, msg.Data()...) // not nil
	}
	return engine.Transaction{Position: seq, Writes: []engine.Write{w}}, nil
}
