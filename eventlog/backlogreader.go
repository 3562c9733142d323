package eventlog

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/resource"
)

// backlogReader is one ConsumeBacklog.
type backlogReader struct {
	*backlog
	log    *Log
	sub    resource.UID
	handle func(DeliveryBatch)

	last time.Time // the last truncation
}

// run reads until the backlog is drained.
func (r *backlogReader) run(ctx context.Context) error {
	c, err := r.log.backlogs.queue.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       "backlog_" + r.sub.String(),
		FilterSubject: r.subject,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       r.log.opts.AckWait,
		MaxAckPending: deliveriesInHand,
		// Its state need not survive a crash: what is done is truncated.
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: backlogIdle,
	})
	if err != nil {
		return fmt.Errorf("create the consumer: %w", err)
	}
	r.log.backlogs.mu.Lock()
	r.consumer = c
	r.log.backlogs.mu.Unlock()
	for ctx.Err() == nil {
		drained, err := r.step(ctx)
		if err != nil || drained {
			return err
		}
	}
	return ctx.Err()
}

// step hands out what is there and there is room for, or waits for a change.
func (r *backlogReader) step(ctx context.Context) (drained bool, err error) {
	r.log.backlogs.mu.Lock()
	writes := r.writes
	r.log.backlogs.mu.Unlock()

	if time.Since(r.last) > r.log.opts.TruncateEvery && r.ledger.moved() {
		r.last = time.Now()
		if err := r.log.truncateBacklog(ctx, r.backlog); err != nil {
			return false, err
		}
	}
	if room := r.room(); room > 0 {
		msgs, err := fetchNoWait(r.consumer, min(room, readAhead))
		r.pass(ctx, msgs)
		if err != nil {
			return false, err
		}
		if len(msgs) > 0 {
			return false, nil
		}
		if r.records.Load() == 0 {
			return r.finish(ctx, writes)
		}
	}
	r.wait(ctx)
	return false, nil
}

// room is how many more records may be handed out.
func (r *backlogReader) room() int {
	n := r.records.Load()
	if n > 0 && r.bytes.Load() >= backlogBytesInHand {
		return 0
	}
	return int(max(0, backlogRecordsInHand-n))
}

// pass hands out msgs.
func (r *backlogReader) pass(ctx context.Context, msgs []jetstream.Msg) {
	taken := make([]*held, len(msgs))
	for i, msg := range msgs {
		taken[i] = r.ledger.take(msg)
	}
	for i, msg := range msgs {
		h := taken[i]
		if h == nil {
			continue
		}
		if ctx.Err() != nil {
			h.putBack(0)
			continue
		}
		_, ds, err := decodeDeliveries(msg.Data())
		if err != nil {
			r.log.unreadable(r.log.backlogs.queue, h, err)
			continue
		}
		size := int64(len(msg.Data()))
		r.records.Add(1)
		r.bytes.Add(size)
		var once atomic.Bool
		r.handle(DeliveryBatch{Deliveries: ds, Done: func() {
			if once.CompareAndSwap(false, true) {
				h.release()
				r.records.Add(-1)
				r.bytes.Add(-size)
				r.signal()
			}
		}})
	}
}

// finish ends the reading if nothing is left: nothing to hand out, nothing out
// at another node, and nothing written since writes was read, which was before
// the stream was found empty.
func (r *backlogReader) finish(ctx context.Context, writes uint64) (bool, error) {
	info, err := r.consumer.Info(ctx)
	if err != nil {
		return false, err
	}
	if info.NumPending > 0 {
		return false, nil
	}
	if info.NumAckPending > 0 { // our last Done is on its way, or another node's
		r.wait(ctx)
		return false, nil
	}
	// Before the subscription is forgotten: a reader that starts after that has
	// a consumer and a backlog of its own.
	if err := r.log.truncateBacklogTo(ctx, r.backlog, info.AckFloor.Stream); err != nil {
		return false, err
	}
	if !r.log.backlogs.forget(r.sub, r.backlog, writes) {
		r.wait(ctx) // for the Overflow that began meanwhile
		return false, nil
	}
	err = r.log.backlogs.queue.stream.DeleteConsumer(ctx, info.Name)
	if err != nil && !isGone(err) {
		// It goes by itself when nobody has used it for backlogIdle.
		r.log.opts.Logger.Warn("the consumer of a drained backlog stays for a while", "subscription", r.sub, "error", err)
	}
	return true, nil
}

// wait ends when something was done or written, or after backlogPoll.
func (r *backlogReader) wait(ctx context.Context) {
	t := time.NewTimer(min(backlogPoll, r.log.opts.TruncateEvery))
	defer t.Stop()
	select {
	case <-r.changed:
	case <-t.C:
	case <-ctx.Done():
	}
}
