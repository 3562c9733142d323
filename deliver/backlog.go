package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/intertie/intertie/eventlog"
)

const (
	// overflowItems and overflowBytes bound one write to a backlog.
	overflowItems = 256
	overflowBytes = 256 << 10
	// overflowLinger is how long an overflow waits for more. It is also the
	// chance of a lane that has caught up to take new events without a detour:
	// what is not written when the backlog is drained goes into the queue.
	overflowLinger = 100 * time.Millisecond
)

// backlog is what a lane had no room for. Two goroutines work on it while it
// exists: one writes the overflow, one reads it back at the endpoint's pace.
// The lane's mu protects all of it.
type backlog struct {
	// exists means that new events go behind those on disk.
	exists bool
	// unwritten waits for the writer; these items still have their claims.
	unwritten []item
	bytes     int

	writer  bool   // the writing goroutine runs
	writing bool   // and has items in hand
	reading bool   // the reading goroutine runs
	written uint64 // counts the writes
	onDisk  int    // items written and not read back, as far as this process knows

	hurry chan struct{} // cuts the writer's linger short
	// insured holds the attempts under way of which the backlog has a copy.
	insured map[[16]byte]*insurance

	ctx  context.Context //nolint:containedctx // ends with the intake or with the lane, whose goroutines start when an item needs them
	stop context.CancelFunc
}

// overflow sends an item behind the backlog. mu is held, the lane is not closed.
func (l *lane) overflow(it item) {
	b := &l.backlog
	b.exists = true
	b.unwritten = append(b.unwritten, it)
	b.bytes += it.size
	if !b.writer {
		b.writer = true
		l.start(l.writeBacklog)
	}
	if len(b.unwritten) >= overflowItems || b.bytes >= overflowBytes {
		select {
		case b.hurry <- struct{}{}:
		default:
		}
	}
}

// start runs one of the backlog's goroutines. mu is held, the lane is not
// closed.
func (l *lane) start(run func(context.Context)) {
	if l.backlog.ctx == nil {
		l.backlog.ctx, l.backlog.stop = context.WithCancel(l.d.phases.intake) //nolint:fatcontext // made once for each lane
	}
	ctx := l.backlog.ctx
	l.tasks.Add(1)
	l.d.tasks.Go(func() {
		defer l.tasks.Done()
		run(ctx)
	})
}

// readBack counts an item that is not on disk alone any more. mu is held.
func (b *backlog) readBack() { b.onDisk = max(0, b.onDisk-1) }

// takeUnwritten takes everything. mu is held.
func (b *backlog) takeUnwritten() []item {
	all := b.unwritten
	b.unwritten, b.bytes = nil, 0
	return all
}

// takeOverflow takes what the next write holds. mu is held.
func (b *backlog) takeOverflow() []item {
	n, bytes := 0, 0
	for n < len(b.unwritten) && n < overflowItems && (n == 0 || bytes < overflowBytes) {
		bytes += b.unwritten[n].size
		n++
	}
	if n == len(b.unwritten) {
		return b.takeUnwritten()
	}
	batch := append([]item(nil), b.unwritten[:n]...)
	b.dropFirst(n)
	return batch
}

// dropFirst forgets the first n unwritten items. mu is held.
func (b *backlog) dropFirst(n int) {
	for i := range n {
		b.bytes -= b.unwritten[i].size
	}
	rest := copy(b.unwritten, b.unwritten[n:])
	clear(b.unwritten[rest:])
	b.unwritten = b.unwritten[:rest]
}

// writeBacklog writes the overflow until there is none.
func (l *lane) writeBacklog(ctx context.Context) {
	for {
		l.linger(ctx)
		l.mu.Lock()
		if len(l.backlog.unwritten) == 0 || ctx.Err() != nil {
			l.backlog.writer = false
			l.mu.Unlock()
			return
		}
		batch := l.backlog.takeOverflow()
		l.backlog.writing = true
		l.mu.Unlock()

		transfers := make([]eventlog.Transfer, len(batch))
		for i := range batch {
			transfers[i] = eventlog.Transfer{Delivery: batch[i].delivery(l.uid), Claim: batch[i].claim}
		}
		written := l.writeOverflow(ctx, transfers)

		l.mu.Lock()
		l.backlog.writing = false
		if written {
			l.backlog.written++
			l.backlog.onDisk += len(batch)
			if !l.closed {
				l.startReading()
			}
		}
		closed := l.closed
		l.notify()
		l.mu.Unlock()
		if written || !closed {
			continue // what is not written is stopping: its items keep their owner
		}
		for i := range batch {
			l.abandon(&batch[i])
		}
	}
}

// linger waits for more overflow, unless there is enough for a write.
func (l *lane) linger(ctx context.Context) {
	l.mu.Lock()
	enough := len(l.backlog.unwritten) >= overflowItems || l.backlog.bytes >= overflowBytes
	l.mu.Unlock()
	if enough {
		return
	}
	t := time.NewTimer(overflowLinger)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.backlog.hurry:
	case <-ctx.Done():
	}
}

// writeOverflow tries until it succeeds or ctx ends.
func (l *lane) writeOverflow(ctx context.Context, ts []eventlog.Transfer) bool {
	for failures := 0; ; failures++ {
		err := l.d.log.Overflow(ctx, l.uid, ts)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		l.logger().Error("backlog not written, trying again", slog.Any("error", fmt.Errorf("write backlog: %w", err)))
		if !pause(ctx, failures) {
			return false
		}
	}
}

// logger names the subscription in what it logs.
func (l *lane) logger() *slog.Logger {
	return l.d.logger.With(slog.String("subscription", l.sub.Load().ID))
}
