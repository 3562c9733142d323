package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// clockWatch says when the clock is doubted, and keeps in the store when it was not:
// that is what the next start, or another node, measures a clock by. Times that
// resources carry would not do, since a clock that is far ahead writes them as well.
type clockWatch struct {
	clock  *clock
	store  *store.Store
	logger *slog.Logger
	// settled is called when there is no doubt any more.
	settled func()

	doubted bool // as it was said last
}

var clockID = resource.ID{}.Provider("Intertie.Server/clock", "default")

const (
	// clockCheck is how often the clock is looked at without being asked.
	clockCheck = time.Minute
	// clockRecord is how old the record of it may become.
	clockRecord = time.Hour
)

// begin makes the clock known and says whether it is doubted. Call it before
// anything is decided by the time alone, and before the start writes anything.
func (w *clockWatch) begin(ctx context.Context) {
	last := lastSeen(w.store)
	if last.IsZero() {
		last = w.clock.Now() // nothing is there that a clock could destroy
	}
	w.clock.Remember(last)
	w.look(ctx)
}

// lastSeen returns when the clock was last known to be right: by the record of it,
// or else by what is newest. Zero: there is nothing.
func lastSeen(st *store.Store) (last time.Time) {
	if r, ok := st.Get(clockID); ok {
		return r.ModifiedAt
	}
	for _, r := range st.List("", resource.ID{}) {
		if r.ModifiedAt.After(last) {
			last = r.ModifiedAt
		}
	}
	return last
}

// run looks at the clock until ctx ends.
func (w *clockWatch) run(ctx context.Context) error {
	tick := time.NewTicker(clockCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.look(ctx)
		}
	}
}

func (w *clockWatch) look(ctx context.Context) {
	until, doubted := w.clock.Doubt()
	switch {
	case doubted && !w.doubted:
		w.logger.Warn("the clock is far ahead of when it was last known to be right; until it has run for an hour without a step nothing expires, no event's time to live ends, and the certificates stay: set the clock if it is wrong",
			"now", w.clock.Now().UTC(), "last", lastSeen(w.store).UTC(), "until", until.UTC())
	case w.doubted && !doubted:
		w.logger.Info("the clock is believed again", "now", w.clock.Now().UTC())
		w.settled()
	}
	w.doubted = doubted
	if doubted {
		return
	}
	if err := w.record(ctx); err != nil && ctx.Err() == nil {
		// The record that is there is older, so at worst the next start waits.
		w.logger.Debug("the time could not be recorded", "error", err)
	}
}

// record writes the time if what is recorded, by whichever node, is not of about now.
func (w *clockWatch) record(ctx context.Context) error {
	now := w.clock.Now().UTC()
	if r, ok := w.store.Get(clockID); ok && now.Sub(r.ModifiedAt).Abs() < clockRecord {
		return nil
	}
	err := w.store.Commit(ctx, func(tx resource.Tx) error {
		r := &resource.Resource{ID: clockID, UID: resource.NewUID(), Type: clockID.Type(), CreatedAt: now}
		if old, ok := tx.Get(clockID); ok {
			r = old.Clone()
		}
		r.ModifiedAt = now
		tx.Put(r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the time: %w", err)
	}
	return nil
}

// measureClock shows whether the clock is doubted.
func measureClock(r prometheus.Registerer, c *clock) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "intertie_clock_doubted", Help: "1 while the clock is far ahead of when it was last known to be right, and what time alone would destroy waits.",
	}, func() float64 {
		if c.Doubted() {
			return 1
		}
		return 0
	}))
}
