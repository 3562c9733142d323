package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/intertie/intertie/eventlog"
)

const (
	// handoverItems and handoverBytes bound one write.
	handoverItems = 512
	handoverBytes = 1 << 20
	// handoverWaiting is how much may wait before those who can wait must.
	handoverWaiting      = 4096
	handoverBytesWaiting = 16 << 20

	// A refused write is repeated at once, then with growing pauses.
	firstPause = 10 * time.Millisecond
	lastPause  = 5 * time.Second
)

// handover writes deliveries to their next owner, and settles their former ones by
// the same write. What waits while a write is under way becomes the next write.
//
// What waits here is still held, so Memory and the backlog windows bound it;
// readers that neither of them bounds use room.
type handover struct {
	name   string
	write  func(context.Context, []eventlog.Transfer) error
	logger *slog.Logger
	wake   chan struct{}

	// mu protects the fields below.
	mu      sync.Mutex
	waiting []eventlog.Transfer
	bytes   int // that waits
	closed  bool
	// drained is closed and replaced whenever something was written.
	drained chan struct{}
}

func newHandover(
	name string, logger *slog.Logger, write func(context.Context, []eventlog.Transfer) error,
) *handover {
	return &handover{
		name: name, write: write, logger: logger,
		wake: make(chan struct{}, 1), drained: make(chan struct{}),
	}
}

// put takes over a delivery and its claim, and does not wait.
func (h *handover) put(d eventlog.Delivery, c *eventlog.Claim) {
	h.mu.Lock()
	h.waiting = append(h.waiting, eventlog.Transfer{Delivery: d, Claim: c})
	h.bytes += len(d.Event.JSON)
	h.mu.Unlock()
	h.signal()
}

// room waits until not too much is waiting.
func (h *handover) room(ctx context.Context) error {
	for {
		h.mu.Lock()
		drained := h.drained
		enough := len(h.waiting) < handoverWaiting && h.bytes < handoverBytesWaiting
		h.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close lets run end when everything is written.
func (h *handover) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.signal()
}

func (h *handover) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// run writes until closed and empty, or until ctx ends; what is not written
// then keeps its claim and thereby its present owner.
//
// A write that fails is split and moved to the end, so that a delivery which
// the log never takes cannot keep the others from being written.
func (h *handover) run(ctx context.Context) {
	limit, failures := handoverItems, 0
	for {
		batch, closed := h.take(limit)
		if len(batch) == 0 {
			if closed {
				return
			}
			select {
			case <-h.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := h.write(ctx, batch)
		if err == nil {
			limit, failures = min(2*limit, handoverItems), 0
			h.written()
			clear(batch)
			continue
		}
		limit = max(1, len(batch)/2)
		failures++
		h.again(batch)
		if ctx.Err() != nil {
			return
		}
		h.logger.Error("delivery record not written, trying again",
			slog.String("queue", h.name), slog.Int("deliveries", len(batch)), slog.Int("failures", failures),
			slog.Any("error", fmt.Errorf("write %s: %w", h.name, err)))
		if !pause(ctx, failures-1) {
			return
		}
	}
}

// take returns what the next write holds. The caller clears it when it is done:
// it is a part of what else waits, which one failing endpoint can make long.
func (h *handover) take(limit int) (batch []eventlog.Transfer, closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, bytes := 0, 0
	for n < len(h.waiting) && n < limit {
		size := len(h.waiting[n].Delivery.Event.JSON)
		if n > 0 && bytes+size > handoverBytes {
			break
		}
		bytes += size
		n++
	}
	h.bytes -= bytes
	batch, h.waiting = h.waiting[:n:n], h.waiting[n:]
	if len(h.waiting) == 0 {
		h.waiting = nil
	}
	return batch, h.closed
}

func (h *handover) again(batch []eventlog.Transfer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, batch...)
	for i := range batch {
		h.bytes += len(batch[i].Delivery.Event.JSON)
	}
	clear(batch)
}

func (h *handover) written() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.drained)
	h.drained = make(chan struct{})
}

// pause waits after the n-th failure, n counting from 0; false means that ctx
// ended.
func pause(ctx context.Context, n int) bool {
	if n == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(min(lastPause, firstPause<<min(n-1, 20)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
