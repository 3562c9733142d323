package enginetest_test

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// wait runs look, with mu held, until it says that it is done, whenever something
// has changed or the time has come that it names.
func (e *opened) wait(ctx context.Context, look func() (handle func(), done bool, at time.Time)) error {
	for {
		e.mu.Lock()
		if e.closed || ctx.Err() != nil {
			e.mu.Unlock()
			return cmp.Or(ctx.Err(), engine.ErrClosed)
		}
		handle, done, at := look()
		changed := e.changed
		after := min(time.Until(at), 20*time.Millisecond) // a clock that was set
		e.mu.Unlock()
		switch {
		case done:
			return nil
		case handle != nil:
			handle()
			continue
		case at.IsZero():
			after = time.Hour
		}
		timer := time.NewTimer(after)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (e *opened) Events(ctx context.Context, handle func(engine.Record)) error {
	return e.wait(ctx, func() (func(), bool, time.Time) {
		out := 0
		var numbers []uint64
		for number, r := range e.records {
			if r.out {
				out++
			} else {
				numbers = append(numbers, number)
			}
		}
		slices.Sort(numbers)
		if e.mistake == "hands out the newest first" {
			slices.Reverse(numbers)
		}
		var batch []engine.Record
		for _, number := range numbers {
			r := e.records[number]
			if out >= 8192 && e.mistake != "no limit" {
				break
			}
			out++
			r.out = e.mistake != "hands out again and again"
			batch = append(batch, engine.Record{Data: []byte(r.data), Count: len(r.settled), Settled: r.former, Ours: number > e.former || e.mistake == "calls all its own", Of: owner{e, number, true}})
		}
		if batch == nil {
			return nil, false, time.Time{}
		}
		return func() {
			for _, r := range batch {
				handle(r)
			}
		}, false, time.Time{}
	})
}

// pick hands out the deliveries that fit, in the order of less.
func (e *opened) pick(fits func(*kept) bool, less func(a, b *kept) int) []engine.Pending {
	var numbers []uint64
	for n, d := range e.deliveries {
		if !d.out && fits(d) {
			numbers = append(numbers, n)
		}
	}
	slices.SortFunc(numbers, func(a, b uint64) int {
		return cmp.Or(less(e.deliveries[a], e.deliveries[b]), cmp.Compare(a, b))
	})
	var ps []engine.Pending
	for _, n := range numbers {
		e.deliveries[n].out = true
		ps = append(ps, engine.Pending{Delivery: e.deliveries[n].Delivery, Ref: engine.Ref{Of: owner{of: e, number: n}}})
	}
	return ps
}

func (e *opened) Due(ctx context.Context, q engine.Queue, handle func([]engine.Pending)) error {
	return e.wait(ctx, func() (func(), bool, time.Time) {
		now := e.now()
		if e.mistake == "a moment early" {
			now = now.Add(2 * time.Millisecond)
		}
		due := e.pick(func(d *kept) bool {
			return (d.Queue == q || e.mistake == "mixes queues" && d.Queue != engine.Spilled) &&
				(!d.Due.After(now) || d.Due.Sub(now) > engine.MaxWait && e.mistake != "believes every clock")
		}, func(a, b *kept) int {
			if e.mistake == "in order of writing" {
				return 0
			}
			return a.Due.Compare(b.Due)
		})
		if len(due) > 0 {
			return func() { handle(due) }, false, time.Time{}
		}
		at := now.Add(time.Hour)
		for _, d := range e.deliveries {
			if d.Queue == q && !d.out && d.Due.Before(at) {
				at = d.Due
			}
		}
		if e.mistake == "sleeps until something is written" {
			return nil, false, time.Time{}
		}
		return nil, false, at.Add(-e.shift)
	})
}

func spilledBy(sub resource.UID) func(*kept) bool {
	return func(d *kept) bool { return d.Queue == engine.Spilled && d.Subscription == sub }
}

func (e *opened) ReadSpilled(ctx context.Context, sub resource.UID, handle func([]engine.Pending)) error {
	return e.wait(ctx, func() (func(), bool, time.Time) {
		out, rest, fits := 0, false, spilledBy(sub)
		var next *kept
		first := uint64(0)
		for n, d := range e.deliveries {
			switch {
			case !fits(d):
			case d.out:
				out += len(d.Body)
				rest = rest || e.mistake != "ends when all is out"
			case first == 0 || n < first || e.mistake == "hands out the newest first":
				first, next, rest = n, d, true
			}
		}
		if next == nil || out >= 8<<20 && e.mistake != "no limit" {
			return nil, !rest, time.Time{}
		}
		ps := e.pick(func(d *kept) bool { return d == next }, func(_, _ *kept) int { return 0 })
		return func() { handle(ps) }, false, time.Time{}
	})
}

func (e *opened) SpilledBy(ctx context.Context) (subs []resource.UID, err error) {
	err = e.write(ctx, func() error {
		for _, d := range e.deliveries {
			if d.Queue == engine.Spilled && !slices.Contains(subs, d.Subscription) {
				subs = append(subs, d.Subscription)
			}
		}
		return nil
	})
	return subs, err
}

func (e *opened) DropSpilled(ctx context.Context, sub resource.UID, each func(engine.Pending)) error {
	return e.write(ctx, func() error {
		fits := spilledBy(sub)
		for _, p := range e.pick(func(d *kept) bool { return fits(d) && ctx.Err() == nil }, func(_, _ *kept) int { return 0 }) {
			e.settle(p.Ref)
			if e.mistake != "drops without a word" || len(e.deliveries)%7 > 0 {
				each(p)
			}
		}
		for n, d := range e.deliveries {
			if fits(d) && e.mistake == "drops what is out" {
				delete(e.deliveries, n)
			}
		}
		return nil
	})
}

func (e *opened) Fresh(ctx context.Context) (fresh bool, err error) {
	err = e.write(ctx, func() error {
		fresh = len(e.history) == 1
		if e.mistake == "is fresh when it is empty" {
			fresh = len(e.values) == 0
		}
		return nil
	})
	return fresh, err
}

func (e *opened) Commit(ctx context.Context, position uint64, writes []engine.Write) (next uint64, err error) {
	err = e.write(ctx, func() error {
		last := e.history[len(e.history)-1].Position
		if position != last && (e.mistake != "believes every position" || position > last) {
			return engine.ErrConflict
		}
		next = last + 1
		t := engine.Transaction{Position: next}
		for i, w := range writes {
			w.Revision = next
			if e.mistake == "revisions begin again" {
				w.Revision = e.values[w.Key].Revision + 1
			}
			w.Value = bytes.Clone(w.Value)
			t.Writes = append(t.Writes, w)
			if w.Value == nil {
				delete(e.values, w.Key)
			} else {
				e.values[w.Key] = w
			}
			if e.mistake == "half a transaction" && i == 1 {
				break
			}
		}
		e.history = append(e.history, t)
		return nil
	})
	return next, err
}

func (e *opened) Follow(ctx context.Context, apply func(engine.Transaction) error) error {
	var at uint64
	var failed error
	err := e.wait(ctx, func() (func(), bool, time.Time) {
		t := engine.Transaction{Snapshot: true, Position: e.history[len(e.history)-1].Position, Writes: slices.Collect(maps.Values(e.values))}
		if at > 0 {
			i := slices.IndexFunc(e.history, func(t engine.Transaction) bool { return t.Position > at })
			if i < 0 || failed != nil {
				return nil, failed != nil, time.Time{}
			}
			t = e.history[i]
			if e.mistake == "skips transactions" {
				t = e.history[len(e.history)-1]
			}
		}
		at = t.Position
		return func() { failed = apply(t) }, false, time.Time{}
	})
	return cmp.Or(failed, err)
}
