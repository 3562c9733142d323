package local

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/intertie/intertie/engine"
)

// Reader is asked of everything that a check reads whether it makes sense. Its
// functions may be nil.
type Reader struct {
	Record   func(data []byte, count int) error
	Delivery func(engine.Delivery) error
	Resource func(engine.Write) error
}

// Report is what a check has found, a line for each thing.
type Report struct {
	Counts    engine.Counts
	Resources int64
	// Missing is what a start would refuse to go on without.
	Missing []string
	// Damaged cannot be read: a start goes on until it comes to it.
	Damaged []string
	// Unreadable is whole, and not what this program writes.
	Unreadable []string
	// ID is that under which a start goes on without what is missing and damaged; empty
	// if it needs none, or cannot.
	ID string
}

// maxFindings bounds what a report says: a folder can be damaged a million times.
const maxFindings = 100

// Check reads all of a data folder, which the caller has locked, and changes
// nothing in it. The error says why it cannot be looked at.
func Check(ctx context.Context, o Options, read Reader) (*Report, error) {
	e := newEngine(ctx, o.withDefaults())
	defer e.end(engine.ErrClosed)
	e.readOnly = true
	e.openDisk()
	e.space.ballast.fs = nil
	err := e.open()
	defer func() { _ = e.closeFiles() }() // nothing was written
	if loss, ok := errors.AsType[*engine.LossError](err); ok {
		r := &Report{Missing: loss.Findings}
		if loss.Acceptable {
			r.ID = loss.ID
		}
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r := &Report{
		Counts: e.counts.get(), Resources: int64(e.counts.tally.n[kept]), //nolint:gosec // a count
		Missing: e.findings,
	}
	r.Damaged, r.Unreadable = e.readAll(read)
	if all := append(slices.Clip(r.Missing), r.Damaged...); len(all) > 0 {
		r.ID = lossID(all)
	}
	return r, nil
}

// readAll reads everything, and says what is damaged, and what makes no sense.
func (e *Engine) readAll(read Reader) (damaged, unreadable []string) {
	note := func(to *[]string, what string, err error) {
		if err != nil && len(*to) < maxFindings {
			*to = append(*to, fmt.Sprintf("%s: %v", what, err))
		}
	}
	note(&damaged, "records of events", e.each(eventPrefix, func(it *pebble.Iterator) error {
		a, err := e.recordAt(it)
		if err != nil {
			return err
		}
		_, err = e.progressOf(a)
		what := fmt.Sprintf("record %d of events", a.seq)
		note(&damaged, what, err)
		if read.Record != nil && err == nil {
			note(&unreadable, what, read.Record(a.data, a.count))
		}
		return nil
	}))
	deliveries := 0
	note(&damaged, "deliveries", e.each(queuePrefix, func(it *pebble.Iterator) error {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		deliveries++
		p, err := e.readDelivery(it.Key(), v)
		note(&damaged, talliedNames[it.Key()[1]], err)
		if read.Delivery != nil && err == nil {
			note(&unreadable, talliedNames[it.Key()[1]], read.Delivery(p.Delivery))
		}
		return nil
	}))
	bodies := 0
	err := e.each(bodyPrefix, func(*pebble.Iterator) error { bodies++; return nil })
	if err == nil && bodies > deliveries {
		err = fmt.Errorf("there are %d for %d deliveries", bodies, deliveries)
	}
	note(&damaged, "events of deliveries", err)
	note(&damaged, "resources", e.eachResource(func(w engine.Write) {
		if read.Resource != nil {
			note(&unreadable, "the resource "+w.Key, read.Resource(w))
		}
	}))
	return damaged, unreadable
}
