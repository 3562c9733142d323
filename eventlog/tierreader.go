package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// readAhead is how many records a reader takes at once when many are ready.
	readAhead = 16
	// parkMargin is how much later than a parked record a reader wakes up, so
	// that it is the first to be fetched.
	parkMargin = 50 * time.Millisecond
)

// tierReader feeds the records of one queue to a dispatcher as they become
// ready. It is one goroutine, whatever the number of records.
//
// A record that is ready within hold it keeps in hand until then. One that is
// not it parks: the server gets it back, to be handed out again slack before it
// is ready, and the reader sleeps until then. Nothing behind it is ready sooner,
// so while it sleeps a queue costs nothing at all.
type tierReader struct {
	log         *Log
	queue       *queue
	hold, slack time.Duration
	// parked are the records that will come back, with the time they are ready.
	// The reader must not sleep past any of them, even if it was handed a later
	// one first. Few: those of the last reads.
	parked map[uint64]time.Time
}

func newTierReader(l *Log, q *queue) *tierReader {
	return &tierReader{
		log: l, queue: q,
		hold: 2 * l.opts.AckWait / 5, slack: l.opts.AckWait / 5,
		parked: make(map[uint64]time.Time),
	}
}

func (r *tierReader) run(ctx context.Context, ready chan<- arrival) error {
	ahead := 1
	for ctx.Err() == nil {
		msgs, err := fetch(ctx, r.queue.consumer, ahead)
		r.pass(ctx, msgs, ready)
		switch {
		case isClosed(err):
			return fmt.Errorf("read %s: %w", r.queue.name, err)
		case err != nil:
			sleep(ctx, recoverDelay) // a leader moved, or the connection is lost
		case len(r.parked) > 0:
			ahead = 1
			if d := r.pause(); d > 0 {
				sleep(ctx, d)
			}
		case len(msgs) > 0:
			ahead = min(2*ahead, readAhead)
		}
	}
	return ctx.Err()
}

// pass hands those of msgs that are ready to the dispatcher and parks the rest.
func (r *tierReader) pass(ctx context.Context, msgs []jetstream.Msg, out chan<- arrival) {
	// Taken at once: the last of them may have to wait for all the others.
	taken := make([]*held, len(msgs))
	for i, msg := range msgs {
		taken[i] = r.queue.ledger.take(msg)
	}
	for i, msg := range msgs {
		h := taken[i]
		if h == nil {
			continue
		}
		delete(r.parked, h.seq)
		if ctx.Err() != nil {
			h.putBack(0)
			continue
		}
		ready, ds, err := decodeDeliveries(msg.Data())
		if err != nil {
			r.log.unreadable(r.queue, h, err)
			continue
		}
		wait := ready.Sub(r.log.opts.Now())
		if wait > r.hold {
			r.parked[h.seq] = ready
			h.putBack(wait - r.slack)
			continue
		}
		if wait > 0 && !sleep(ctx, wait) {
			h.putBack(0)
			continue
		}
		select {
		case out <- arrival{h, ds}:
		case <-ctx.Done():
			h.putBack(0)
		}
	}
}

// pause is how long to sleep until the first parked record comes back. It
// forgets those that should have come long ago: another node has them.
func (r *tierReader) pause() time.Duration {
	now := r.log.opts.Now()
	var first time.Time
	for seq, ready := range r.parked {
		switch {
		case now.Sub(ready) > 2*r.log.opts.AckWait:
			delete(r.parked, seq)
		case first.IsZero() || ready.Before(first):
			first = ready
		}
	}
	if first.IsZero() {
		return 0
	}
	return first.Sub(now) - r.slack + min(parkMargin, r.slack/2)
}
