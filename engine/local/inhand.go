package local

import (
	"context"
	"sync"
)

// inHand bounds what is out and not settled.
type inHand struct {
	max int

	mu   sync.Mutex // protects the fields below
	out  int
	room chan struct{} // closed when there is room again; nil while there is
}

func (h *inHand) take(n int) {
	h.mu.Lock()
	h.out += n
	h.mu.Unlock()
}

func (h *inHand) give(n int) {
	h.mu.Lock()
	h.out -= n
	if h.room != nil && h.out < h.max {
		close(h.room)
		h.room = nil
	}
	h.mu.Unlock()
}

// wait blocks while too much is out.
func (h *inHand) wait(ctx context.Context) error {
	for {
		h.mu.Lock()
		if h.out < h.max {
			h.mu.Unlock()
			return ctx.Err()
		}
		if h.room == nil {
			h.room = make(chan struct{})
		}
		room := h.room
		h.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
