package deliver

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// hold keeps one batch from being Done until all of its items let go: each when
// it is finished, or when its next owner is durable.
//
// A nil hold belongs to nothing and may be released.
type hold struct {
	items atomic.Int64
	done  func()
}

func newHold(items int, done func()) *hold {
	h := &hold{done: done}
	h.items.Store(int64(items))
	return h
}

// add announces n more items. The caller must itself still have one.
func (h *hold) add(n int) { h.items.Add(int64(n)) }

// release lets go of one item.
func (h *hold) release() { h.releaseN(1) }

// releaseN lets go of n items.
func (h *hold) releaseN(n int) {
	if h != nil && h.items.Add(-int64(n)) == 0 {
		h.done()
	}
}

// releaseAll lets go of what items hold. Neighbours mostly hold the same batch.
func releaseAll(its []item) {
	if len(its) == 1 {
		its[0].hold.release()
		return
	}
	for len(its) > 0 {
		n := 1
		for n < len(its) && its[n].hold == its[0].hold {
			n++
		}
		its[0].hold.releaseN(n)
		its = its[n:]
	}
}

// budget bounds the bytes of the batches that are held.
type budget struct {
	max     int64
	free    *semaphore.Weighted
	waiting atomic.Int32
	// press is told when somebody starts to wait.
	press func()
}

func newBudget(limit int64, press func()) *budget {
	return &budget{max: limit, free: semaphore.NewWeighted(limit), press: press}
}

// acquire waits until n bytes are free; a batch bigger than everything counts
// as everything. The error is that of ctx.
func (b *budget) acquire(ctx context.Context, n int64) error {
	n = min(n, b.max)
	if b.free.TryAcquire(n) {
		return nil
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	b.press()
	return b.free.Acquire(ctx, n)
}

func (b *budget) release(n int64) { b.free.Release(min(n, b.max)) }

// pressed reports whether a reader waits for memory.
func (b *budget) pressed() bool { return b.waiting.Load() > 0 }
