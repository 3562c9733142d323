package local

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
)

const (
	// deliveriesInHand is how many deliveries of one queue may be out.
	deliveriesInHand = 1 << 16
	// dueItems and dueBytes bound what is handed out in one call.
	dueItems = 512
	dueBytes = 1 << 20
	// lookAgain is how long a reader sleeps at most: a clock that is set moves what
	// is due.
	lookAgain = 2 * time.Second
)

// dueQueue hands out one queue in the order of due times. It remembers up to
// which key it has read, and what was written before that key since.
type dueQueue struct {
	queue  engine.Queue
	inHand inHand
	wake   chan struct{} // cap 1: something came that is due sooner

	mu      sync.Mutex // protects the fields below
	read    []byte     // everything before it was handed out, or is in behind
	behind  keyHeap
	soonest int64 // what was added since read was moved is due then at the soonest
	sleeps  int64 // until when; 0: it does not sleep
}

func newDueQueue(queue engine.Queue) *dueQueue {
	return &dueQueue{queue: queue, inHand: inHand{max: deliveriesInHand}, wake: make(chan struct{}, 1), read: []byte{queuePrefix, byte(queue)}}
}

// added takes note of a delivery that is in the database now. The order's lock is
// held.
func (q *dueQueue) added(d *delivery) {
	key := d.key()
	q.mu.Lock()
	defer q.mu.Unlock()
	if bytes.Compare(key, q.read) < 0 {
		heap.Push(&q.behind, key)
	}
	q.soonest = min(q.soonest, d.due)
	if q.sleeps > d.due {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// sleepUntil says until when the reader sleeps if nothing is added meanwhile.
func (q *dueQueue) sleepUntil(next int64) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	next = min(next, q.soonest)
	if len(q.behind) > 0 {
		next = min(next, dueOf(q.behind[0]))
	}
	q.sleeps = next
	return next
}

// Due implements [engine.Deliveries].
func (e *Engine) Due(ctx context.Context, queue engine.Queue, handle func([]engine.Pending)) error {
	if queue == engine.Spilled {
		return errors.New("what is spilled is never due")
	}
	ctx, cancel := e.reading(ctx)
	defer cancel()
	q := e.dues[queue]
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked time.Time // for what another clock has written
	for {
		if err := q.inHand.wait(ctx); err != nil {
			return whyEnded(ctx, err)
		}
		if time.Since(looked) >= lookAgain {
			if err := e.use(func() error { return e.resetClock(q) }); err != nil {
				return whyEnded(ctx, err)
			}
			looked = time.Now()
		}
		now := e.now()
		var ps []engine.Pending
		var next int64
		err := e.use(func() (err error) {
			ps, next, err = e.takeDue(q, now.UnixNano())
			return err
		})
		if err != nil {
			return whyEnded(ctx, err)
		}
		if len(ps) > 0 {
			q.inHand.take(len(ps))
			handle(ps)
			continue
		}
		timer.Reset(min(time.Duration(max(q.sleepUntil(next)-now.UnixNano(), 0)), lookAgain))
		select {
		case <-timer.C:
		case <-q.wake:
		case <-ctx.Done():
			return whyEnded(ctx, ctx.Err())
		}
	}
}

// takeDue takes some of what is due now. When there is nothing it returns when the
// next one is due.
func (e *Engine) takeDue(q *dueQueue, now int64) (ps []engine.Pending, next int64, err error) {
	keys, it, to, err := e.openDue(q, now)
	if err != nil {
		return nil, 0, fmt.Errorf("read what is due: %w", err)
	}
	if keys != nil {
		ps, err = e.readKeys(keys)
		return ps, 0, err
	}
	defer func() { _ = it.Close() }() // its error is it.Error's
	bytes := 0
	ok := it.First()
	for ; ok && len(ps) < dueItems && bytes < dueBytes && dueOf(it.Key()) <= now; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, 0, fmt.Errorf("read what is due: %w", err)
		}
		p, err := e.readDelivery(it.Key(), v)
		if err != nil {
			return nil, 0, err
		}
		bytes += len(p.Head) + len(p.Body)
		ps = append(ps, p)
	}
	if err := it.Error(); err != nil {
		return nil, 0, fmt.Errorf("read what is due: %w", err)
	}
	if !ok {
		return ps, math.MaxInt64, nil
	}
	if next = dueOf(it.Key()); next <= now {
		q.rewind(it.Key(), to)
	}
	return ps, next, nil
}

// openDue moves the place up to which the queue is read. What is there at this
// moment the iterator shows, and what is written before that place from now on is
// noted in behind: each is in one of the two. If there is something in behind that
// is due, its keys come first, and nothing else happens.
func (e *Engine) openDue(q *dueQueue, now int64) (keys [][]byte, it *pebble.Iterator, to []byte, err error) {
	e.seq.Lock()
	defer e.seq.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sleeps = 0
	for len(q.behind) > 0 && len(keys) < dueItems && dueOf(q.behind[0]) <= now {
		keys = append(keys, heap.Pop(&q.behind).([]byte))
	}
	if keys != nil {
		return keys, nil, nil, nil
	}
	it, err = e.db.NewIter(&pebble.IterOptions{LowerBound: q.read, UpperBound: []byte{queuePrefix, byte(q.queue) + 1}})
	if err != nil {
		return nil, nil, nil, err
	}
	if to = duePrefix(q.queue, now+1); bytes.Compare(q.read, to) < 0 {
		q.read = to
	}
	q.soonest = math.MaxInt64
	return nil, it, q.read, nil
}

// rewind moves the place back to key, since what is there and behind it up to `to`
// was not taken: it will be read with what was added meanwhile.
func (q *dueQueue) rewind(key, to []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.read = bytes.Clone(key)
	var before keyHeap
	for _, k := range q.behind {
		if bytes.Compare(k, q.read) < 0 || bytes.Compare(k, to) >= 0 {
			before = append(before, k)
		}
	}
	heap.Init(&before)
	q.behind = before
}

// readKeys reads single deliveries of a queue.
func (e *Engine) readKeys(keys [][]byte) ([]engine.Pending, error) {
	ps := make([]engine.Pending, 0, len(keys))
	for _, key := range keys {
		v, closer, err := e.db.Get(key)
		if err != nil {
			return nil, fmt.Errorf("read what is due: %w", err)
		}
		p, err := e.readDelivery(key, v)
		_ = closer.Close() // frees memory
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// resetClock makes due now what no clock of today can have written.
func (e *Engine) resetClock(q *dueQueue) error {
	for {
		now := e.now()
		it, err := e.db.NewIter(&pebble.IterOptions{
			LowerBound: duePrefix(q.queue, now.Add(engine.MaxWait).UnixNano()), UpperBound: []byte{queuePrefix, byte(q.queue) + 1},
		})
		if err != nil {
			return fmt.Errorf("look for what another clock has written: %w", err)
		}
		var ds []engine.Delivery
		for ok := it.First(); ok && len(ds) < dueItems; ok = it.Next() {
			v, verr := it.ValueAndErr()
			if verr != nil {
				break // it.Error tells
			}
			p, err := e.readDelivery(it.Key(), v)
			if err != nil {
				return errors.Join(err, it.Close())
			}
			p.Due, p.From = now, p.Ref
			ds = append(ds, p.Delivery)
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return fmt.Errorf("look for what another clock has written: %w", err)
		}
		if len(ds) == 0 {
			return nil
		}
		e.logger.Warn("deliveries were due further ahead than anything waits, under another clock; they are due now", "deliveries", len(ds))
		if err := e.move(ds); err != nil {
			return err
		}
	}
}

// keyHeap has the smallest key first. It implements [heap.Interface].
type keyHeap [][]byte

func (h keyHeap) Len() int           { return len(h) }
func (h keyHeap) Less(i, j int) bool { return bytes.Compare(h[i], h[j]) < 0 }
func (h keyHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *keyHeap) Push(x any)        { *h = append(*h, x.([]byte)) }

func (h *keyHeap) Pop() any {
	old := *h
	k := old[len(old)-1]
	*h = old[:len(old)-1]
	return k
}

// dueOf reads the due time out of a key.
func dueOf(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[2:])) //nolint:gosec // as it was written
}
