package enginetest_test

import (
	"bytes"
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
	e := &opened{memory: m, changed: make(chan struct{}), held: make(map[resource.UID]engine.Held), former: m.serial}
	for _, d := range m.deliveries {
		h := e.held[d.Subscription]
		e.held[d.Subscription] = engine.Held{Deliveries: h.Deliveries + 1, Bytes: h.Bytes + int64(len(d.Head)+len(d.Body))}
		if m.mistake == "counts heads only" {
			e.held[d.Subscription] = engine.Held{Deliveries: h.Deliveries + 1, Bytes: h.Bytes + int64(len(d.Head))}
		}
	}
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
	held    map[resource.UID]engine.Held
	former  uint64        // the newest number when it was opened
	changed chan struct{} // replaced and closed with every change
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

func (e *opened) Free() int64                        { return -1 }
func (e *opened) Held() map[resource.UID]engine.Held { return e.held }

func (e *opened) Reachable() error { return e.Err() }

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
