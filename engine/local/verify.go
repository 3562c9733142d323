package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// examine compares what is there with what must be there, and notes what it finds.
func (e *Engine) examine(ackedPath string, damagedAcked int) error {
	must, err := e.readTally()
	if err != nil {
		return err
	}
	have, err := e.count()
	switch {
	case err == nil:
		e.findings = have.compare(must)
	case pebble.IsCorruptionError(err):
		e.broken = true
		e.findings = []string{err.Error()}
	default:
		return err
	}
	switch {
	case damagedAcked == ackedSlots:
		e.findings = append(e.findings, fmt.Sprintf("the file %s is missing or damaged, which says how many writes were acknowledged", ackedPath))
	case e.acked.written > must.writes:
		e.findings = append(e.findings, fmt.Sprintf("the last %d of %d acknowledged writes are missing", e.acked.written-must.writes, e.acked.written))
	case damagedAcked > 0:
		e.logger.Warn("one of two copies of the number of acknowledged writes was damaged", "file", ackedPath)
	}
	have.writes = must.writes
	e.counts.tally = *have
	return nil
}

// accept returns nil if all that must be is there, or if a person has accepted the
// rest as lost. A database that cannot be read as a whole is then made anew of what
// can be, which closes it.
func (e *Engine) accept(path string) error {
	all := e.findings
	var damage []string
	if e.opts.AcceptLoss != "" {
		// What a start does not read, a check does, and its ID is of both.
		damage, _ = e.readAll(Reader{})
		all = append(slices.Clip(all), damage...)
	}
	switch {
	case len(all) == 0:
		return nil
	case len(damage) > 0 && e.accepts(lossID(all)), e.broken && e.accepts(lossID(e.findings)):
		if err := e.rebuild(path); err != nil {
			return err
		}
	case len(e.findings) > 0 && (e.accepted || e.accepts(lossID(e.findings))):
	default:
		return e.loss(true, all...)
	}
	e.accepted = true
	e.logger.Warn("audit", "action", "accept loss", "id", e.opts.AcceptLoss, "lost", all)
	return nil
}

// setOut begins where the database ends. What was accepted as lost need not be there
// from now on.
func (e *Engine) setOut(ackedPath string, damagedAcked int) (err error) {
	t := &e.counts.tally
	if e.accepted {
		if err := e.recount(); err != nil {
			return err
		}
	}
	e.seq.writes = t.writes
	e.seq.events = e.seq.number()
	e.former, e.tail.durable = e.seq.events, e.seq.events
	e.resources.position = max(e.resources.position, firstPosition)
	if e.acked == nil { // accepted
		if e.acked, _, err = openAcked(e.fs, ackedPath, true); err != nil {
			return fmt.Errorf("make %s: %w", ackedPath, err)
		}
	}
	if damagedAcked > 0 || e.acked.written > t.writes {
		return e.acked.reset(t.writes)
	}
	return nil
}

// recount makes the tally what is there.
func (e *Engine) recount() error {
	must, err := e.readTally()
	if err != nil {
		return err
	}
	e.spills.of = make(map[resource.UID]*spill)
	have, err := e.count()
	if err != nil {
		return err
	}
	have.writes = must.writes
	e.counts.tally = *have
	if err := e.db.Set(tallyKey, have.encode(), pebble.Sync); err != nil {
		return fmt.Errorf("write the tally: %w", err)
	}
	return nil
}

func (e *Engine) readTally() (*tally, error) {
	t := &tally{}
	v, closer, err := e.db.Get(tallyKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the tally: %w", err)
	}
	return t, errors.Join(t.decode(v), closer.Close())
}

// count counts what is there, and takes note of what is spilled, and of the newest
// transaction.
func (e *Engine) count() (*tally, error) {
	have := &tally{}
	clear(e.held)
	err := e.each(eventPrefix, func(it *pebble.Iterator) error {
		have.add(records, it.Key())
		return nil
	})
	if err != nil {
		return have, fmt.Errorf("count events: %w", err)
	}
	err = e.each(queuePrefix, func(it *pebble.Iterator) error {
		key := it.Key()
		if len(key) < 2 || key[1] >= engine.Queues {
			return fmt.Errorf("there is an unknown key %x", key)
		}
		have.add(int(key[1]), key)
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		d, head, err := parseDelivery(key, v)
		if err != nil {
			return nil //nolint:nilerr // it is there; whoever reads it says so
		}
		if d.queue == engine.Spilled {
			e.spills.added(resource.UID(key[2:18]))
		}
		h := e.held[d.sub]
		e.held[d.sub] = engine.Held{Deliveries: h.Deliveries + 1, Bytes: h.Bytes + int64(max(d.size, len(head)))}
		return nil
	})
	if err != nil {
		return have, fmt.Errorf("count deliveries: %w", err)
	}
	err = e.each(resourcePrefix, func(it *pebble.Iterator) error {
		v, err := it.ValueAndErr()
		have.add(kept, it.Key(), v)
		return err
	})
	if err != nil {
		return have, fmt.Errorf("count resources: %w", err)
	}
	e.resources.position = firstPosition
	v, closer, err := e.db.Get(positionKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return have, nil
	case err != nil:
		return have, fmt.Errorf("read the position of the newest transaction: %w", err)
	case len(v) != 8:
		return have, fmt.Errorf("the position of the newest transaction has %d bytes", len(v))
	}
	e.resources.position = binary.BigEndian.Uint64(v)
	return have, closer.Close()
}

// each calls see at every key of a kind.
func (e *Engine) each(prefix byte, see func(*pebble.Iterator) error) error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = see(it)
	}
	return errors.Join(err, it.Error(), it.Close())
}
