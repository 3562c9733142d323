package enginetest_test

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// memory is the contract written down as plainly as it goes: the suite is tried
// on it. It keeps everything in lists that it searches.
//
// A memory is also the place: what is durable outlives an engine. What was settled
// by Done since the last write is undone by a crash.
type memory struct {
	mistake string // what the engine does wrong, see mistakes_test.go

	mu         sync.Mutex
	serial     uint64
	records    map[uint64]*stored
	deliveries map[uint64]*kept
	values     map[string]engine.Write
	history    []engine.Transaction
	undo       []func()
	shift      time.Duration
	full       bool
}

type stored struct {
	data    string
	settled []bool
	former  []bool
	out     bool
}

type kept struct {
	engine.Delivery
	out bool
}

// owner is what its refs name: a record or a delivery, of one engine.
type owner struct {
	of     *opened
	number uint64
	record bool
}

func newMemory(mistake string) *memory {
	return &memory{
		mistake: mistake, records: map[uint64]*stored{}, deliveries: map[uint64]*kept{}, values: map[string]engine.Write{},
		history: []engine.Transaction{{Position: 1}},
	}
}

func (m *memory) Open(context.Context) (engine.Engine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		r.out, r.former = m.mistake == "forgets what was out", nil
		if slices.Contains(r.settled, true) && m.mistake != "forgets settled" {
			r.former = slices.Clone(r.settled)
		}
		if m.mistake == "always marks" {
			r.former = slices.Clone(r.settled)
		}
	}
	for _, d := range m.deliveries {
		d.out = false
	}
	e := &opened{memory: m, changed: make(chan struct{})}
	return e, nil
}

func (m *memory) Crash(e engine.Engine) {
	o := e.(*opened)
	m.mu.Lock()
	for _, undo := range slices.Backward(m.undo) {
		undo()
	}
	m.undo = nil
	if m.mistake == "loses the last record" && len(m.records) > 0 {
		delete(m.records, slices.Max(slices.Collect(maps.Keys(m.records))))
	}
	o.end()
	m.mu.Unlock()
}

func (m *memory) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now()
}

func (m *memory) now() time.Time { return time.Now().Add(m.shift) }

func (m *memory) Shift(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shift += d
}

func (m *memory) Fill(_ engine.Engine, full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = full
}

// opened is a memory in use.
type opened struct {
	*memory
	closed  bool
	changed chan struct{} // replaced and closed with every change
	moving  int
}

// end and wake need mu held.
func (e *opened) end() {
	e.closed = true
	e.wake()
}

func (e *opened) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *opened) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		if e.mistake == "closes like a crash" {
			for _, undo := range slices.Backward(e.undo) {
				undo()
			}
		}
		e.undo = nil
		e.end()
	}
	return nil
}

func (e *opened) Failed() <-chan struct{} { return nil }
func (e *opened) Err() error              { return nil }

func (e *opened) Room() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.full {
		return engine.ErrNoSpace
	}
	return nil
}

func (e *opened) Counts() (c engine.Counts) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.Records = int64(len(e.records))
	for _, d := range e.deliveries {
		c.Deliveries[d.Queue]++
	}
	return c
}

// write runs with mu held, if the engine takes writes.
func (e *opened) write(ctx context.Context, f func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed && e.mistake != "takes after close":
		return engine.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if err := f(); err != nil {
		return err
	}
	e.undo = nil
	e.wake()
	return nil
}

func (e *opened) next() uint64 { e.serial++; return e.serial }

func (e *opened) Append(ctx context.Context, data []byte, count int) error {
	return e.write(ctx, func() error {
		if len(data) > engine.MaxRecord && e.mistake != "any size" {
			return engine.ErrTooLarge
		}
		if e.full && e.mistake != "does not look at the room" {
			return engine.ErrNoSpace
		}
		e.records[e.next()] = &stored{data: string(data), settled: make([]bool, count)}
		if e.mistake == "stores twice" && e.serial%16 == 0 {
			e.records[e.next()] = &stored{data: string(data), settled: make([]bool, count)}
		}
		return nil
	})
}

func (e *opened) Move(ctx context.Context, ds []engine.Delivery) error {
	return e.write(ctx, func() error {
		for _, d := range ds {
			if len(d.Head)+len(d.Body) > engine.MaxRecord {
				if e.mistake == "settles before it refuses" {
					e.settle(d.From)
				}
				return engine.ErrTooLarge
			}
		}
		for i, d := range ds {
			from := d.From
			d.From = engine.Ref{}
			if e.mistake != "keeps slices" {
				d.Head, d.Body = bytes.Clone(d.Head), bytes.Clone(d.Body)
			}
			if e.mistake == "truncates times" {
				d.Due = d.Due.Truncate(time.Millisecond)
			}
			if e.mistake != "stores one of a Move" || i == 0 {
				e.deliveries[e.next()] = &kept{Delivery: d}
			}
			if e.mistake != "does not settle what it moves" {
				e.settle(from)
			}
		}
		return nil
	})
}

func (e *opened) Done(refs ...engine.Ref) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed && e.mistake != "takes after close" {
		return
	}
	for _, r := range refs {
		if undo := e.settle(r); undo != nil {
			e.undo = append(e.undo, undo)
		}
	}
	e.wake()
}

// settle returns how to undo it, or nil if it had no effect.
func (e *opened) settle(r engine.Ref) func() {
	o, ok := r.Of.(owner)
	if !ok || o.of != e && e.mistake != "takes after close" {
		return nil
	}
	if !o.record {
		d := e.deliveries[o.number]
		if d == nil {
			return nil
		}
		delete(e.deliveries, o.number)
		return func() { e.deliveries[o.number] = d }
	}
	s := e.records[o.number]
	if s == nil || s.settled[r.Index] && e.mistake != "counts twice" {
		return nil
	}
	s.settled[r.Index] = true
	if e.mistake == "counts twice" {
		s.settled[slices.Index(append(s.settled, false), false)%len(s.settled)] = true
	}
	if !slices.Contains(s.settled, false) || e.mistake == "settles the whole record" {
		delete(e.records, o.number)
	}
	return func() { s.settled[r.Index] = false; e.records[o.number] = s }
}

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
			batch = append(batch, engine.Record{Data: []byte(r.data), Count: len(r.settled), Settled: r.former, Of: owner{e, number, true}})
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
