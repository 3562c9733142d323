package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

const (
	// spillBytesInHand and spillItemsInHand bound what may be out of one subscription.
	spillBytesInHand = 8 << 20
	spillItemsInHand = 16384
	// spillBytesAtOnce is what is read in one go, or one delivery: a subscription
	// whose endpoint hangs keeps that in memory, and there may be thousands of them.
	spillBytesAtOnce = 64 << 10
)

// spills are the subscriptions that have spilled something.
type spills struct {
	mu sync.Mutex // protects the map and all spill
	of map[resource.UID]*spill
}

// spill is what is known of one subscription's. It is there as long as something is
// in the database or about to be.
type spill struct {
	left     int // in the database, out or not
	moving   int // Move calls under way
	out      int
	outBytes int
	read     []byte // everything before it was handed out
	changed  chan struct{}

	taking sync.Mutex // one takes at a time, from read on
}

// get returns what is known of sub's, making it. mu is held.
func (s *spills) get(sub resource.UID) *spill {
	p := s.of[sub]
	if p == nil {
		p = &spill{read: spillPrefix(sub), changed: make(chan struct{}, 1)}
		s.of[sub] = p
	}
	return p
}

func (p *spill) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// moving says that a Move begins or ends.
func (s *spills) moving(sub resource.UID, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.get(sub)
	p.moving += n
	if n < 0 {
		s.forget(sub, p)
		p.signal()
	}
}

func (s *spills) added(sub resource.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get(sub).left++
}

// settled takes note of a delivery that was out.
func (s *spills) settled(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.get(d.sub)
	p.left--
	p.out--
	p.outBytes -= d.size
	s.forget(d.sub, p)
	p.signal()
}

// forget drops what is known of a subscription that has nothing. mu is held.
func (s *spills) forget(sub resource.UID, p *spill) {
	if p.left == 0 && p.moving == 0 && p.out == 0 {
		delete(s.of, sub)
	}
}

// SpilledBy implements [engine.Deliveries].
func (e *Engine) SpilledBy(context.Context) ([]resource.UID, error) {
	if err := e.usable(); err != nil {
		return nil, err
	}
	e.spills.mu.Lock()
	defer e.spills.mu.Unlock()
	var subs []resource.UID
	for sub, p := range e.spills.of {
		if p.left > 0 {
			subs = append(subs, sub)
		}
	}
	return subs, nil
}

// ReadSpilled implements [engine.Deliveries].
func (e *Engine) ReadSpilled(ctx context.Context, sub resource.UID, handle func([]engine.Pending)) error {
	ctx, cancel := e.reading(ctx)
	defer cancel()
	for {
		if err := ctx.Err(); err != nil {
			return whyEnded(ctx, err)
		}
		var ps []engine.Pending
		err := e.use(func() (err error) {
			ps, err = e.takeSpilled(sub, spillItemsInHand, spillBytesInHand, spillBytesAtOnce)
			return err
		})
		if err != nil {
			return whyEnded(ctx, err)
		}
		if len(ps) > 0 {
			handle(ps)
			continue
		}
		e.spills.mu.Lock()
		p := e.spills.of[sub]
		e.spills.mu.Unlock()
		if p == nil {
			return nil
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return whyEnded(ctx, ctx.Err())
		}
	}
}

// takeSpilled takes the next deliveries of a subscription, as many as fit into what
// may be out and atOnce. None means that there are no more, or that too much is out.
func (e *Engine) takeSpilled(sub resource.UID, maxItems, maxBytes, atOnce int) ([]engine.Pending, error) {
	e.spills.mu.Lock()
	p := e.spills.of[sub]
	e.spills.mu.Unlock()
	if p == nil {
		return nil, nil
	}
	p.taking.Lock()
	defer p.taking.Unlock()
	e.spills.mu.Lock()
	items, bytes := maxItems-p.out, maxBytes-p.outBytes
	none, from := p.left == p.out, p.read
	e.spills.mu.Unlock()
	if none || items <= 0 || bytes <= 0 {
		return nil, nil
	}
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(spillPrefix(sub))})
	if err != nil {
		return nil, fmt.Errorf("read what is spilled: %w", err)
	}
	ps, read, size, err := e.readSpilled(it, min(bytes, atOnce), min(items, dueItems))
	if err != nil {
		return nil, err
	}
	e.spills.mu.Lock()
	defer e.spills.mu.Unlock()
	if read != nil {
		p.read = read
	}
	p.out += len(ps)
	p.outBytes += size
	return ps, nil
}

// readSpilled reads at most so many deliveries and bytes, but one at least, and
// closes the iterator. read is the key behind the last.
func (e *Engine) readSpilled(it *pebble.Iterator, bytes, items int) (ps []engine.Pending, read []byte, size int, err error) {
	for ok := it.First(); ok && size < bytes && len(ps) < items; ok = it.Next() {
		v, verr := it.ValueAndErr()
		if verr != nil {
			err = verr
			break
		}
		var p engine.Pending
		if p, err = e.readDelivery(it.Key(), v); err != nil {
			break
		}
		ps = append(ps, p)
		size += len(p.Head) + len(p.Body)
		read = append(append(read[:0], it.Key()...), 0)
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, nil, 0, fmt.Errorf("read what is spilled: %w", err)
	}
	return ps, read, size, nil
}

// DropSpilled implements [engine.Deliveries].
func (e *Engine) DropSpilled(ctx context.Context, sub resource.UID, each func(engine.Pending)) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var ps []engine.Pending
		err := e.use(func() (err error) {
			ps, err = e.dropSpilled(sub)
			return err
		})
		if err != nil || len(ps) == 0 {
			return err
		}
		for _, p := range ps {
			each(p)
		}
	}
}

// dropSpilled deletes the next deliveries of a subscription, and returns them.
func (e *Engine) dropSpilled(sub resource.UID) ([]engine.Pending, error) {
	ps, err := e.takeSpilled(sub, math.MaxInt, math.MaxInt, dueBytes)
	if err != nil || len(ps) == 0 {
		return nil, err
	}
	var s settlement
	for _, p := range ps {
		s.take(p.Ref)
	}
	b := e.db.NewBatch()
	if err := e.write(b, func(t *tally) error { return s.into(b, t) }, nil); err != nil {
		return nil, err
	}
	e.written(&s)
	return ps, nil
}
