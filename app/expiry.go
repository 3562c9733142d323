package app

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// expiry makes the changes that time alone brings: partner topics that nobody
// activated go, event subscriptions end, consents run out. All of it waits while the
// clock is doubted.
//
// It keeps one entry per noted due time in a heap and sleeps until the first.
// Entries may be stale; the rules look again inside the transaction.
type expiry struct {
	rules  *eventgrid.Rules
	store  *store.Store
	events *activity.Emitter
	now    func() time.Time
	// doubted says that the clock may be far ahead: all that is due waits.
	doubted func() bool
	logger  *slog.Logger

	mu    sync.Mutex // protects queue
	queue dueQueue
	wake  chan struct{}
}

func newExpiry(rules *eventgrid.Rules, st *store.Store, events *activity.Emitter, c *clock, logger *slog.Logger) *expiry {
	return &expiry{rules: rules, store: st, events: events, now: c.Now, doubted: c.Doubted, logger: logger, wake: make(chan struct{}, 1)}
}

// note remembers when a changed resource falls due.
func (e *expiry) note(c store.Change) {
	if c.New == nil {
		return
	}
	r, at := c.New, e.rules.Due(c.New)
	if at.IsZero() || c.Old != nil && e.rules.Due(c.Old).Equal(at) {
		return // never, or noted already
	}
	e.mu.Lock()
	heap.Push(&e.queue, due{at: at, id: r.ID})
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// retryExpiry is the pause after a change that could not be written.
const retryExpiry = 5 * time.Second

// errClockDoubted ends a transaction whose time is not to be relied on.
var errClockDoubted = errors.New("the clock may be far ahead")

// run makes due changes until ctx ends.
func (e *expiry) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		case <-timer.C:
		}
		timer.Reset(e.expireDue(ctx))
	}
}

// expireDue makes all changes that are due and returns how long to wait.
func (e *expiry) expireDue(ctx context.Context) time.Duration {
	for {
		e.mu.Lock()
		if len(e.queue) == 0 {
			e.mu.Unlock()
			return time.Hour
		}
		first := e.queue[0]
		if wait := first.at.Sub(e.now()); wait > 0 {
			e.mu.Unlock()
			return min(wait, time.Hour) // an hour at most, should the clock be set
		}
		heap.Pop(&e.queue)
		e.mu.Unlock()
		acted := false // an entry is stale when its resource was changed or removed
		var journal *activity.Journal
		err := e.store.Commit(ctx, func(tx resource.Tx) error {
			now := e.now()
			journal = activity.NewJournal(tx)
			r, ok := tx.Get(first.id)
			if acted = ok && e.isDue(r, now); !acted {
				return nil
			}
			if e.doubted() {
				return errClockDoubted
			}
			return e.rules.Expire(journal, first.id, now)
		})
		switch {
		case ctx.Err() != nil:
			return time.Hour
		case errors.Is(err, errClockDoubted):
			e.mu.Lock()
			heap.Push(&e.queue, first)
			e.mu.Unlock()
			return clockCheck
		case err != nil:
			e.logger.Error("an expired resource could not be changed; trying again", "id", first.id, "error", err)
			e.mu.Lock()
			heap.Push(&e.queue, due{at: e.now().Add(retryExpiry), id: first.id})
			e.mu.Unlock()
			return retryExpiry
		case acted:
			e.logger.Info("expired", "id", first.id)
			e.events.Service(ctx, journal.Changes(), e.now())
			e.goOn(first)
		}
	}
}

// goOn queues a resource again that is due still: so much went along with it that
// this transaction took only a part.
func (e *expiry) goOn(d due) {
	r, ok := e.store.Get(d.id)
	if !ok || !e.isDue(r, e.now()) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	heap.Push(&e.queue, d)
}

func (e *expiry) isDue(r *resource.Resource, now time.Time) bool {
	at := e.rules.Due(r)
	return !at.IsZero() && !now.Before(at)
}

type due struct {
	at time.Time
	id resource.ID
}

// dueQueue implements [heap.Interface], earliest first.
type dueQueue []due

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(x any)        { *q = append(*q, x.(due)) }
func (q *dueQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
