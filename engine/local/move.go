package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/intertie/intertie/engine"
)

// Move implements [engine.Deliveries]: one batch, whatever moves.
func (e *Engine) Move(ctx context.Context, ds []engine.Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.begin(); err != nil {
		return err
	}
	defer e.finish()
	return e.move(ds)
}

func (e *Engine) move(ds []engine.Delivery) error {
	if len(ds) == 0 {
		return nil
	}
	if len(ds) > numbersPerWrite {
		return fmt.Errorf("move %d deliveries: %w", len(ds), engine.ErrTooLarge)
	}
	size := 0
	for i := range ds {
		n := len(ds[i].Head) + len(ds[i].Body)
		if n > engine.MaxRecord {
			return fmt.Errorf("move a delivery of %d bytes: %w", n, engine.ErrTooLarge)
		}
		size += n
	}
	if err := e.space.takeOwn(size); err != nil {
		return err
	}
	defer e.space.put(size)

	var s settlement
	froms := make([]*delivery, len(ds)) // whose bodies stay
	for i := range ds {
		if !s.take(ds[i].From) {
			continue
		}
		if from, ok := ds[i].From.Of.(*delivery); ok {
			froms[i] = from
			s.keepBody(from)
		}
	}
	for i := range ds {
		if ds[i].Queue == engine.Spilled {
			e.spills.moving(ds[i].Subscription, 1)
		}
	}
	b := e.db.NewBatchWithSize(size + 256*len(ds))
	added := make([]*delivery, len(ds))
	err := e.write(b, func(t *tally) error {
		first := e.seq.number()
		for i := range ds {
			d, order := &ds[i], first+uint64(i)
			to := &delivery{queue: d.Queue, sub: d.Subscription, due: unixNano(d.Due), order: order, body: order, size: len(d.Head) + len(d.Body)}
			added[i] = to
			if from := froms[i]; from != nil {
				to.body = from.body
			} else if err := b.Set(numberKey(bodyPrefix, to.body), d.Body, nil); err != nil {
				return err
			}
			key := to.key()
			if err := b.Set(key, appendDelivery(make([]byte, 0, sizedHeader+len(d.Head)), to, len(d.Body), d.Head), nil); err != nil {
				return err
			}
			t.add(int(to.queue), key)
		}
		return s.into(b, t)
	}, func() {
		e.note(added)
	})
	for i := range ds {
		if ds[i].Queue == engine.Spilled {
			e.spills.moving(ds[i].Subscription, -1)
		}
	}
	if err != nil {
		s.giveBack()
		return err
	}
	e.written(&s)
	return nil
}

// note tells the readers of deliveries that are there now. The order's lock is held.
func (e *Engine) note(ds []*delivery) {
	for _, d := range ds {
		if d.queue == engine.Spilled {
			e.spills.added(d.sub)
			continue
		}
		e.dues[d.queue].added(d)
	}
}

// settledDelivery takes note of a delivery that is gone.
func (e *Engine) settledDelivery(d *delivery) {
	if d.queue == engine.Spilled {
		e.spills.settled(d)
		return
	}
	e.dues[d.queue].inHand.give(1)
}

// readDelivery reads the delivery under a key of a queue, with its body. It keeps
// nothing of key and value.
func (e *Engine) readDelivery(key, value []byte) (p engine.Pending, err error) {
	d, head, err := parseDelivery(key, value)
	if err != nil {
		return p, err
	}
	body, closer, err := e.db.Get(numberKey(bodyPrefix, d.body))
	if err != nil {
		return p, fmt.Errorf("read the event %d of a delivery to subscription %s: %w", d.body, d.sub, err)
	}
	both := make([]byte, 0, len(head)+len(body))
	both = append(append(both, head...), body...)
	_ = closer.Close() // frees memory
	d.size = len(both)
	p = engine.Pending{
		Delivery: engine.Delivery{Queue: d.queue, Subscription: d.sub, Head: both[:len(head):len(head)], Body: both[len(head):]},
		Ref:      engine.Ref{Of: d},
	}
	if d.queue != engine.Spilled && d.due > 0 {
		p.Due = time.Unix(0, d.due).UTC()
	}
	return p, nil
}

// parseDelivery takes a key and its value apart; head is a part of value.
func parseDelivery(key, value []byte) (d *delivery, head []byte, err error) {
	if len(key) < 2 || len(value) < deliveryHeader {
		return nil, nil, fmt.Errorf("a delivery of %d and %d bytes cannot be read", len(key), len(value))
	}
	d = &delivery{queue: engine.Queue(key[1])}
	switch {
	case d.queue == engine.Spilled && len(key) == spillKeySize:
		d.order = binary.BigEndian.Uint64(key[spillKeySize-8:])
	case d.queue < engine.Spilled && len(key) == dueKeySize:
		d.due, d.order = dueOf(key), binary.BigEndian.Uint64(key[dueKeySize-8:])
	default:
		return nil, nil, fmt.Errorf("the key %x of a delivery cannot be read", key)
	}
	d.body = binary.BigEndian.Uint64(value)
	copy(d.sub[:], value[8:])
	head = value[deliveryHeader:]
	if d.body&sized != 0 {
		if len(value) < sizedHeader {
			return nil, nil, fmt.Errorf("a delivery of %d and %d bytes cannot be read", len(key), len(value))
		}
		d.body &^= sized
		head = value[sizedHeader:]
		d.size = len(head) + int(binary.BigEndian.Uint32(value[deliveryHeader:]))
	}
	return d, head, nil
}
