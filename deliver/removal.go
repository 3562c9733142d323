package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// removals are the subscriptions whose backlog is to be deleted.
type removals struct {
	wake chan struct{}
	// mu protects waiting.
	mu      sync.Mutex
	waiting []removal
}

type removal struct {
	sub resource.UID
	// lane is the one that was closed, whose tasks may still write or read the backlog;
	// nil for a subscription that is not known.
	lane    *lane
	dropped int // events so far
}

func newRemovals() *removals { return &removals{wake: make(chan struct{}, 1)} }

// add takes over closed lanes.
func (r *removals) add(gone ...*lane) {
	for _, l := range gone {
		l.mu.Lock()
		needed := l.backlog.exists
		l.mu.Unlock()
		if needed {
			r.put(removal{sub: l.uid, lane: l})
		}
	}
}

func (r *removals) put(one removal) {
	r.mu.Lock()
	r.waiting = append(r.waiting, one)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *removals) take() []removal {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.waiting
	r.waiting = nil
	return all
}

// dropBacklogs deletes the backlogs of removed subscriptions until ctx ends.
// Those that are left then are found again at the next start.
func (d *Dispatcher) dropBacklogs(ctx context.Context) error {
	failures := 0
	for {
		todo := d.removed.take()
		if len(todo) == 0 {
			select {
			case <-d.removed.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		failed := false
		for _, one := range todo {
			if one.lane != nil {
				one.lane.tasks.Wait() // their context ended when the lane was closed
			}
			err := d.log.DropBacklog(ctx, one.sub, func(dl eventlog.Delivery) {
				if one.lane.insures(dl.ID) {
					return // the attempt under way tells what becomes of it
				}
				one.dropped++
				d.drop(one.lane, dl, reasonSubscriptionDeleted)
			})
			switch {
			case err == nil:
				d.logger.Info("backlog dropped", slog.String("reason", string(reasonSubscriptionDeleted)),
					slog.String("subscription", one.sub.String()), slog.Int("events", one.dropped))
			case ctx.Err() != nil:
				return nil //nolint:nilerr // a stop is no error; the next start finds the backlog
			default:
				d.logger.Error("backlog not dropped, trying again",
					slog.Any("error", fmt.Errorf("drop backlog of %s: %w", one.sub, err)))
				d.removed.put(one)
				failed = true
			}
		}
		if !failed {
			failures = 0
			continue
		}
		failures++
		if !pause(ctx, failures) {
			return nil
		}
	}
}
