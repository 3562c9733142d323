package bench

import (
	"context"
	"sync/atomic"
)

// gate bounds what was sent and has not arrived: more than enough to keep every
// stage busy, little enough that what is measured is a steady flow and not a
// growing queue. A nil gate bounds nothing. Safe for concurrent use.
type gate struct {
	limit int64
	under atomic.Int64
	// room holds a token when something left since a sender last looked.
	room chan struct{}
}

func newGate(limit int64) *gate {
	return &gate{limit: limit, room: make(chan struct{}, 1)}
}

// enter waits until n fit, or alone if there is never room for n, and reports
// false when ctx ended first.
func (g *gate) enter(ctx context.Context, n int64) bool {
	for ctx.Err() == nil {
		if g == nil {
			return true
		}
		if under := g.under.Load(); under == 0 || under+n <= g.limit {
			if g.under.CompareAndSwap(under, under+n) {
				g.wake() // there may be room for another one
				return true
			}
			continue
		}
		select {
		case <-g.room:
		case <-ctx.Done():
		}
	}
	return false
}

// leave takes n out that arrived.
func (g *gate) leave(n int64) {
	if g == nil {
		return
	}
	g.under.Add(-n)
	g.wake()
}

func (g *gate) wake() {
	select {
	case g.room <- struct{}{}:
	default:
	}
}
