package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
)

const (
	// recordsInHand is how many records may be out.
	recordsInHand = 8192
	// tailBytes is how much of what was appended stays in memory until it is read.
	tailBytes = 16 << 20
)

// tail is the newest part of the log, so that what has just been written need not
// be read. It ends where its bytes run out; the rest is read from the database.
type tail struct {
	mu      sync.Mutex // protects the fields below
	durable uint64     // the newest record that is durable
	kept    []appended // by number, without gaps
	bytes   int
	free    [][]byte // buffers to use again

	more chan struct{} // cap 1
}

type appended struct {
	seq   uint64
	count int
	data  []byte
}

// copy returns a copy of a record to push, nil when there is no room for it.
func (t *tail) copy(data []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bytes+len(data) > tailBytes {
		return nil
	}
	var b []byte
	if n := len(t.free); n > 0 && cap(t.free[n-1]) >= len(data) {
		b, t.free = t.free[n-1], t.free[:n-1]
	}
	return append(b[:0], data...)
}

// push keeps a record that is about to be synced, unless one before it is missing.
func (t *tail) push(a appended) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gap := len(t.kept) > 0 && t.kept[len(t.kept)-1].seq+1 != a.seq
	if a.data == nil || gap {
		return
	}
	t.kept = append(t.kept, a)
	t.bytes += len(a.data)
}

// reached says that everything up to seq is durable.
func (t *tail) reached(seq uint64) {
	t.mu.Lock()
	t.durable = max(t.durable, seq)
	t.mu.Unlock()
	select {
	case t.more <- struct{}{}:
	default:
	}
}

// take returns the record seq if it is kept. durable is up to where there is
// something to read at all.
func (t *tail) take(seq uint64) (a appended, ok bool, durable uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.kept) > 0 && t.kept[0].seq < seq {
		t.drop()
	}
	if seq > t.durable || len(t.kept) == 0 || t.kept[0].seq != seq {
		return a, false, t.durable
	}
	a = t.kept[0]
	t.drop()
	return a, true, t.durable
}

// drop forgets the first that is kept. mu is held.
func (t *tail) drop() {
	t.bytes -= len(t.kept[0].data)
	t.kept[0] = appended{}
	if t.kept = t.kept[1:]; len(t.kept) == 0 {
		t.kept = nil
	}
}

// recycle takes a buffer back. A few are enough.
func (t *tail) recycle(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) < 16 {
		t.free = append(t.free, b)
	}
}

// recordHeader stands before the data of a record: how many events it has.
const recordHeader = 4

// Append implements [engine.Log].
func (e *Engine) Append(ctx context.Context, data []byte, count int) error {
	if len(data) > engine.MaxRecord {
		return fmt.Errorf("append %d bytes: %w", len(data), engine.ErrTooLarge)
	}
	if count < 1 {
		return fmt.Errorf("append a record of %d events", count)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.begin(); err != nil {
		return err
	}
	defer e.finish()
	if err := e.space.take(len(data)); err != nil {
		return err
	}
	defer e.space.put(len(data))

	b := e.db.NewBatchWithSize(len(data) + 256)
	op := b.SetDeferred(numberKeySize, recordHeader+len(data))
	binary.BigEndian.PutUint32(op.Value, uint32(count)) //nolint:gosec // far fewer events fit a record
	copy(op.Value[recordHeader:], data)
	a := appended{count: count, data: e.tail.copy(data)}
	err := e.write(b, func(t *tally) error {
		a.seq = e.seq.events + 1
		copy(op.Key, numberKey(eventPrefix, a.seq))
		t.add(records, op.Key)
		return op.Finish()
	}, func() {
		e.seq.events = a.seq
		e.tail.push(a)
	})
	if err == nil {
		e.tail.reached(a.seq)
	}
	return err
}

// Events implements [engine.Log].
func (e *Engine) Events(ctx context.Context, handle func(engine.Record)) error {
	ctx, cancel := e.reading(ctx)
	defer cancel()
	for {
		// What may be out is bounded before something is read.
		if err := e.inHand.wait(ctx); err != nil {
			return whyEnded(ctx, err)
		}
		next := e.nextEvent
		a, ok, durable := e.tail.take(next)
		switch {
		case ok:
			e.handOut(a, nil, handle)
			e.tail.recycle(a.data)
		case next <= durable:
			if err := e.handOutOld(ctx, durable, handle); err != nil {
				return whyEnded(ctx, err)
			}
		default:
			select {
			case <-e.tail.more:
			case <-ctx.Done():
				return whyEnded(ctx, ctx.Err())
			}
		}
	}
}

// handOut hands out one record, unless nothing of it is open.
func (e *Engine) handOut(a appended, settled []bool, handle func(engine.Record)) {
	e.nextEvent = a.seq + 1
	r := &record{seq: a.seq, settled: make([]bool, a.count), open: a.count, marked: settled != nil}
	copy(r.settled, settled)
	for _, done := range settled {
		if done {
			r.open--
		}
	}
	e.inHand.take(1)
	if r.open == 0 { // each of its events was settled, by writes that crossed
		e.ends.add(func(s *settlement) { s.whole = append(s.whole, r) })
		return
	}
	handle(engine.Record{Data: a.data, Count: a.count, Settled: settled, Ours: a.seq > e.former, Of: r})
}

// old is a record read from the database, with what is settled of it.
type old struct {
	appended
	settled []bool
}

// handOutOld hands out some records from the database, up to one that is durable:
// those of former processes, and those for which the tail had no room.
func (e *Engine) handOutOld(ctx context.Context, durable uint64, handle func(engine.Record)) error {
	var some []old
	var all bool
	err := e.use(func() (err error) {
		some, all, err = e.readEvents(e.nextEvent, durable)
		return err
	})
	if err != nil {
		return err
	}
	for _, o := range some {
		if err := e.inHand.wait(ctx); err != nil {
			return err
		}
		e.handOut(o.appended, o.settled, handle)
	}
	if all {
		e.nextEvent = durable + 1
	}
	return nil
}

// readEvents reads records between two numbers, about dueBytes of them; all says
// that there are no more.
func (e *Engine) readEvents(from, to uint64) (some []old, all bool, err error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: numberKey(eventPrefix, from), UpperBound: numberKey(eventPrefix, to+1)})
	if err != nil {
		return nil, false, fmt.Errorf("read events: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	size := 0
	ok := it.First()
	for ; ok && size < dueBytes; ok = it.Next() {
		var o old
		if o.appended, err = e.recordAt(it); err != nil {
			return nil, false, err
		}
		if o.settled, err = e.progressOf(o.appended); err != nil {
			return nil, false, err
		}
		o.data = bytes.Clone(o.data)
		size += len(o.data)
		some = append(some, o)
	}
	if err := it.Error(); err != nil {
		return nil, false, fmt.Errorf("read events: %w", err)
	}
	return some, !ok, nil
}

// recordAt reads the record at which an iterator stands; its data is the
// iterator's.
func (e *Engine) recordAt(it *pebble.Iterator) (a appended, err error) {
	v, err := it.ValueAndErr()
	if err != nil {
		return a, fmt.Errorf("read events: %w", err)
	}
	a.seq = binary.BigEndian.Uint64(it.Key()[1:])
	if len(v) < recordHeader {
		return a, fmt.Errorf("record %d of events has no header", a.seq)
	}
	a.count, a.data = int(binary.BigEndian.Uint32(v)), v[recordHeader:]
	return a, nil
}

// progressOf returns which events of a record are settled; nil if none is.
func (e *Engine) progressOf(a appended) ([]bool, error) {
	b, closer, err := e.db.Get(numberKey(progressPrefix, a.seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the progress of record %d: %w", a.seq, err)
	}
	defer func() { _ = closer.Close() }() // frees memory
	settled, err := settledIn(b, a.count)
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", a.seq, err)
	}
	return settled, nil
}
