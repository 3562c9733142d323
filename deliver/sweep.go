package deliver

import (
	"context"
	"sync"
	"time"
)

// sweeper looks at every lane that has something in memory, a few times per
// HoldLimit, and moves to the backlog what has been there for too long. While
// nothing is in memory it sleeps.
type sweeper struct {
	wake chan struct{}
	// mu protects lanes; a lane's mu may be held when it is taken.
	mu    sync.Mutex
	lanes map[*lane]struct{}
}

func newSweeper() *sweeper {
	return &sweeper{wake: make(chan struct{}, 1), lanes: make(map[*lane]struct{})}
}

func (s *sweeper) watch(l *lane) {
	s.mu.Lock()
	s.lanes[l] = struct{}{}
	s.mu.Unlock()
	s.hurry()
}

func (s *sweeper) unwatch(l *lane) {
	s.mu.Lock()
	delete(s.lanes, l)
	s.mu.Unlock()
}

// hurry wakes the sweeper.
func (s *sweeper) hurry() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sweeper) watched(into []*lane) []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.lanes {
		into = append(into, l)
	}
	return into
}

// sweep runs until ctx ends.
func (d *Dispatcher) sweep(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var lanes []*lane
	for {
		limit := d.opts.HoldLimit
		if d.memory.pressed() {
			limit = min(limit, d.opts.PressedHoldLimit)
		}
		lanes = d.sweeper.watched(lanes[:0])
		if len(lanes) > 0 {
			now := d.now()
			for _, l := range lanes {
				l.review(now, limit)
			}
			clear(lanes)
			timer.Reset(max(limit/4, time.Millisecond))
		} else {
			timer.Reset(time.Hour)
		}
		select {
		case <-timer.C:
		case <-d.sweeper.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// review moves what has been in memory for limit or longer to the backlog.
// Items that came from the backlog stay: they hold nothing else.
func (l *lane) review(now time.Time, limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.queue.len == 0 && l.workers == 0 {
		l.watched = false
		l.takePart()
		l.d.sweeper.unwatch(l)
		return
	}
	if l.queue.loose > 0 && now.Sub(l.queue.peek().queued) >= limit {
		for range l.queue.len {
			it := l.queue.pop()
			if it.from != fromBacklog && now.Sub(it.queued) >= limit {
				l.overflow(it)
			} else {
				l.queue.push(&it)
			}
		}
	}
	for _, w := range l.flights {
		if !w.idle && w.loose > 0 && now.Sub(w.since) >= limit {
			l.insure(w)
		}
	}
}
