package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// maxTally is the number of events a slice can have.
	maxTally = 1 << 20
	// drainTimeout is how long a slice's events may take to arrive after the
	// last was published.
	drainTimeout = 10 * time.Second
	// secondChance is the same where an attempt that fails must not end the
	// run: it is made again within this time.
	secondChance = 45 * time.Second
)

// account books what arrives at webhooks. book is called by many goroutines at
// a time: hook is the number of the webhook, now the time in nanoseconds since
// the epoch.
type account interface {
	book(hook int, m mark, now int64)
}

// tally accounts for events of which each arrives at one webhook. What carries
// another run's number is not its own and ignored.
type tally struct {
	run  uint64
	gate *gate // where arriving events leave
	// took is the time from sent to received in nanoseconds by sequence
	// number, 0 for what has not arrived.
	took     []atomic.Int64
	count    atomic.Uint64
	repeats  atomic.Uint64
	lastSeen atomic.Int64 // nanoseconds since the epoch
}

// newTally accounts for up to size events of a run.
func newTally(run uint64, size int, g *gate) *tally {
	return &tally{run: run, gate: g, took: make([]atomic.Int64, size)}
}

func (t *tally) book(_ int, m mark, now int64) {
	if m.run != t.run || m.seq >= uint64(len(t.took)) {
		return
	}
	if !t.took[m.seq].CompareAndSwap(0, max(now-m.sent, 1)) {
		t.repeats.Add(1)
		return
	}
	later(&t.lastSeen, now)
	t.count.Add(1)
	t.gate.leave(1)
}

// later raises at to now.
func later(at *atomic.Int64, now int64) {
	for last := at.Load(); now > last && !at.CompareAndSwap(last, now); last = at.Load() {
	}
}

// errMissing is the cause when events did not arrive.
var errMissing = errors.New("events were published and did not arrive")

// wait returns when n events have arrived, and errMissing when they have not
// after the given time.
func (t *tally) wait(ctx context.Context, n uint64, drain time.Duration) error {
	return waitFor(ctx, &t.count, n, drain)
}

func waitFor(ctx context.Context, count *atomic.Uint64, n uint64, drain time.Duration) error {
	late := time.NewTimer(drain)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for count.Load() < n {
		select {
		case <-tick.C:
		case <-late.C:
			return fmt.Errorf("%w: %d of %d are missing after %v", errMissing, n-count.Load(), n, drain)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// latencies returns the time each of the first n events took.
func (t *tally) latencies(n uint64) []time.Duration {
	ds := make([]time.Duration, 0, n)
	for i := range t.took[:n] {
		if d := t.took[i].Load(); d > 0 {
			ds = append(ds, time.Duration(d))
		}
	}
	return ds
}

// rollCall accounts for events of which each must arrive at several webhooks,
// and at no other.
type rollCall struct {
	run   uint64
	gate  *gate // where arriving deliveries leave
	first int   // number of the first webhook
	hooks int
	// wants reports whether an event is for a webhook, by its number.
	wants func(seq uint64, hook int) bool
	// seen has one bit per event and webhook, by event, in words of 64.
	seen []atomic.Uint64

	count, repeats atomic.Uint64
	// strays are deliveries to a webhook that should not get the event, or of
	// an event that was never sent.
	strays   atomic.Uint64
	lastSeen atomic.Int64
}

func newRollCall(run uint64, events, first, hooks int, g *gate, wants func(seq uint64, hook int) bool) *rollCall {
	return &rollCall{
		run: run, gate: g, first: first, hooks: hooks, wants: wants,
		seen: make([]atomic.Uint64, events*wordsFor(hooks)),
	}
}

func wordsFor(bits int) int { return (bits + 63) / 64 }

func (r *rollCall) book(hook int, m mark, now int64) {
	if m.run != r.run {
		return
	}
	words := uint64(wordsFor(r.hooks)) //nolint:gosec // a count
	at := hook - r.first
	if at < 0 || at >= r.hooks || m.seq >= uint64(len(r.seen))/words || !r.wants(m.seq, hook) {
		r.strays.Add(1)
		return
	}
	word := &r.seen[m.seq*words+uint64(at)/64]
	bit := uint64(1) << (at % 64)
	if word.Or(bit)&bit != 0 {
		r.repeats.Add(1)
		return
	}
	later(&r.lastSeen, now)
	r.count.Add(1)
	r.gate.leave(1)
}

// errStray is the cause when a webhook got what it should not.
var errStray = errors.New("events arrived at webhooks that they are not for")

// wait returns when n deliveries have been made, and all of them were right.
func (r *rollCall) wait(ctx context.Context, n uint64, drain time.Duration) error {
	if err := waitFor(ctx, &r.count, n, drain); err != nil {
		return err
	}
	if strays := r.strays.Load(); strays > 0 {
		return fmt.Errorf("%w: %d", errStray, strays)
	}
	return nil
}
