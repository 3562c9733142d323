package deliver

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/intertie/intertie/eventlog"
)

// releaseAll lets go of what items hold.
func releaseAll(its []item) {
	if len(its) == 1 {
		its[0].claim.Release()
		return
	}
	claims := make([]*eventlog.Claim, len(its))
	for i := range its {
		claims[i] = its[i].claim
	}
	eventlog.ReleaseAll(claims)
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
