package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/intertie/intertie/eventlog"
)

// smallestWindow is what a backlog reader may keep in memory however many
// there are.
const smallestWindow = 64 << 10

// startReading starts the reader unless it runs or the lane is parked. mu is held,
// the lane is not closed.
func (l *lane) startReading() {
	l.backlog.exists = true
	if l.backlog.reading || l.parked() {
		return
	}
	l.backlog.reading = true
	l.start(l.readBacklog)
}

// readBacklog reads the backlog back until it is drained.
func (l *lane) readBacklog(ctx context.Context) {
	l.d.backlogReaders.Add(1)
	defer l.d.backlogReaders.Add(-1)
	for failures := 0; ctx.Err() == nil; {
		l.mu.Lock()
		begun := l.backlog.written
		l.mu.Unlock()
		err := l.d.log.ConsumeBacklog(ctx, l.uid, l.takeBack(ctx))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			l.logger().Error("backlog not read, trying again", slog.Any("error", fmt.Errorf("read backlog: %w", err)))
			pause(ctx, failures)
		case l.caughtUp(ctx, begun):
			return
		default:
			failures = 0
		}
	}
}

// caughtUp reports whether the backlog is gone, and if so ends it. It is called
// when everything written before begun is drained. Overflow that is not written
// yet goes straight into the queue, as far as there is room.
func (l *lane) caughtUp(ctx context.Context, begun uint64) bool {
	b := &l.backlog
	for {
		now := l.d.now()
		l.mu.Lock()
		if b.written != begun || l.closed {
			l.mu.Unlock()
			return false
		}
		var settled []*eventlog.Claim
		if l.circuit.state(now) != Open {
			moved := 0
			for moved < len(b.unwritten) && l.hasRoom(b.unwritten[moved].size) {
				it := b.unwritten[moved]
				if l.underWay(it) {
					break // in the queue it would hold what it was written to let go
				}
				if it.unfiltered() {
					break // until it is read back
				}
				if h, ok := l.claimed(it); ok {
					settled = append(settled, h)
				} else {
					l.enqueue(&it)
					l.hireForWhole(now)
				}
				moved++
			}
			b.dropFirst(moved)
			l.hire(now, 0)
		}
		drained := len(b.unwritten) == 0 && !b.writing
		if drained {
			b.exists, b.reading, b.onDisk = false, false, 0
		}
		l.mu.Unlock()
		for _, h := range settled {
			h.Release()
		}
		if drained {
			return true
		}
		if !l.await(ctx, 0) {
			return false
		}
	}
}

// takeBack returns the handler of what is read back. It blocks while its lane
// has no room, which holds up nobody else.
func (l *lane) takeBack(ctx context.Context) func(eventlog.DeliveryBatch) {
	return func(batch eventlog.DeliveryBatch) {
		l.d.bodies.share(batch.Deliveries)
		room := l.returning()
		if size := batchBytes(batch.Deliveries); room.acquire(ctx, size) == nil {
			batch.Finally(func() { room.release(size) })
		} else if !l.isClosed() {
			return // stopping; the batch stays in the backlog
		}
		now := l.d.now()
		for i := range batch.Deliveries {
			if l.unwanted(&batch.Deliveries[i]) {
				batch.Claims[i].Release()
				continue
			}
			it := returningItem(&batch.Deliveries[i], &batch.Claims[i], fromBacklog, now)
			if l.readmit(ctx, it, room) {
				continue
			}
			if !l.isClosed() {
				return // stopping; the batch stays in the backlog
			}
			l.d.drop(l, batch.Deliveries[i], reasonSubscriptionDeleted)
			batch.Claims[i].Release()
		}
		l.begin()
	}
}

// readmit waits until the lane takes it, and reports false when ctx ended
// before. Behind an open circuit it waits here, in the backlog, rather than
// being written once more; but not beyond its time to live, and not when others
// wait for the memory. For the same reason no more comes in than the one attempt
// carries that is made after probation.
func (l *lane) readmit(ctx context.Context, it item, room *budget) bool {
	for {
		now := l.d.now()
		sub := l.sub.Load()
		var wait time.Duration
		l.mu.Lock()
		copied, claimed := l.claimed(it)
		switch {
		case claimed:
			l.backlog.readBack()
			l.mu.Unlock()
			copied.Release()
			return true
		case l.closed:
			l.mu.Unlock()
			return false
		case l.over(sub, &it, now):
			l.backlog.readBack()
			l.mu.Unlock()
			if l.d.deadLetters.room(ctx) != nil {
				return false
			}
			l.end(sub, it, now)
			return true
		case l.circuit.state(now) == Open && room.pressed():
			until := l.circuit.until
			l.backlog.readBack()
			l.mu.Unlock()
			if l.d.retries.room(ctx) != nil {
				return false
			}
			l.postpone(it, until, now)
			return true
		case l.circuit.state(now) == Open:
			wait = min(l.circuit.until.Sub(now), l.lifeEnds(sub, it.entry.Published, now).Sub(now), l.d.opts.HoldLimit)
		case l.circuit.state(now) == HalfOpen && l.probed():
		case l.inWindow(it.size):
			l.backlog.readBack()
			l.enqueue(&it)
			l.hireForWhole(now)
			l.mu.Unlock()
			return true
		}
		l.hire(now, 0) // what was read back so far
		l.mu.Unlock()
		if !l.await(ctx, wait) {
			return false
		}
	}
}

// probed reports whether a half-open circuit has what it may attempt. mu is
// held.
func (l *lane) probed() bool {
	if l.batches.on() {
		return l.probes > 0 || l.exceeds(1)
	}
	return l.probes > 0 || l.queue.len > 0
}

// inWindow reports whether the reader may put size more bytes into the queue.
// It leaves half of the queue to retries that fall due, and shares the memory
// for backlogs with the other readers. mu is held.
func (l *lane) inWindow(size int) bool {
	items, bytes := l.bounds()
	window := int(l.d.opts.BacklogMemory / max(1, l.d.backlogReaders.Load()))
	window = min(max(window, smallestWindow), bytes/2)
	return l.queue.len == 0 || l.queue.len < items/2 && l.queue.bytes+size <= window
}

// returning is the memory for what the lane reads back. Endpoints that hang have
// one of their own: those that answer do not wait for it.
func (l *lane) returning() *budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers() {
		return l.d.returning[0]
	}
	return l.d.returning[1]
}

// begin starts attempts with what is queued.
func (l *lane) begin() {
	now := l.d.now()
	l.mu.Lock()
	l.hire(now, 0)
	l.mu.Unlock()
}

// await waits until the lane changed, at most for limit unless that is 0. False
// means that ctx ended.
func (l *lane) await(ctx context.Context, limit time.Duration) bool {
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-l.changed:
		return true
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}
