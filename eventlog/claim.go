package eventlog

import (
	"sync/atomic"

	"github.com/intertie/intertie/engine"
)

// Claim is what was handed out of one event or delivery: while it has shares, its
// owner keeps it. It begins with one. A nil Claim belongs to nothing and may be
// released. Its methods are safe for concurrent use.
type Claim struct {
	shares atomic.Int64
	ref    engine.Ref
	of     *batch // nil for one of NewClaim
	done   func() // of NewClaim
	at     int32  // in the batch
}

// NewClaim returns a claim on something that is not in the log: done is called when
// its last share was released, or has moved.
func NewClaim(shares int, done func()) *Claim {
	c := &Claim{done: done}
	c.shares.Store(int64(shares))
	return c
}

// Add makes n more shares. The caller must have one that is not released. Of an event
// it says how many subscriptions want it, so it is called once, also with 0.
func (c *Claim) Add(n int) {
	c.shares.Add(int64(n))
	if c.of != nil && c.of.keeps != nil {
		c.of.keeps[c.at].transit.wanted(int64(n) + 1)
	}
}

// Release gives up one share. With the last one nothing is owed any more.
func (c *Claim) Release() {
	if c != nil && c.shares.Add(-1) == 0 {
		c.end(false)
	}
}

// end takes leave of the owner, unless a write has settled it already.
func (c *Claim) end(settled bool) {
	if c.of == nil {
		c.done()
		return
	}
	if !settled {
		c.of.engine.Done(c.ref)
	}
	c.of.let(c)
	c.of.end(1)
}

// ReleaseAll gives up one share of each claim, some of which may be the same or nil.
func ReleaseAll(claims []*Claim) {
	var refs []engine.Ref
	var of *batch
	ended := 0
	flush := func() {
		if ended > 0 {
			of.engine.Done(refs...)
			of.end(ended)
			refs, ended = refs[:0], 0
		}
	}
	for _, c := range claims {
		switch {
		case c == nil || c.shares.Add(-1) != 0:
		case c.of == nil:
			c.done()
		default:
			if of != c.of {
				flush()
				of = c.of
			}
			of.let(c)
			refs = append(refs, c.ref)
			ended++
		}
	}
	flush()
}

// Settler is who is told that something which was handed out is settled: an
// [engine.Engine].
type Settler interface{ Done(refs ...engine.Ref) }

// batch is what the claims that were handed out together have in common.
type batch struct {
	engine  Settler
	open    atomic.Int64 // claims with shares
	finally func()
	// keeps has what each claim takes off the ledger; nil without one.
	keeps  []keep
	ledger *Ledger // nil for events
}

// let takes what was kept for a claim off the ledger.
func (b *batch) let(c *Claim) {
	if b.keeps == nil {
		return
	}
	k := &b.keeps[c.at]
	if b.ledger != nil {
		b.ledger.settled(k.sub, int64(k.bytes))
	} else {
		k.transit.add(-int64(k.bytes))
	}
}

func (b *batch) end(n int) {
	if b.open.Add(-int64(n)) == 0 && b.finally != nil {
		b.finally()
	}
}

func newBatch(s Settler, refs []engine.Ref) (*batch, []Claim) {
	b := &batch{engine: s}
	b.open.Store(int64(len(refs)))
	cs := make([]Claim, len(refs))
	for i := range cs {
		cs[i].of, cs[i].ref, cs[i].at = b, refs[i], int32(i)
		cs[i].shares.Store(1)
	}
	return b, cs
}

// EventBatch is some events, in the order they were committed.
type EventBatch struct {
	Entries []Entry
	// Claims has one for each entry.
	Claims []Claim
	batch  *batch
}

// NewEventBatch returns a batch of entries that s has handed out under refs.
func NewEventBatch(s Settler, entries []Entry, refs []engine.Ref) EventBatch {
	b := EventBatch{Entries: entries}
	b.batch, b.Claims = newBatch(s, refs)
	return b
}

// Finally lets f be called when the last of the claims has ended. Call it before any
// of them can have, and once.
func (b EventBatch) Finally(f func()) { b.batch.finally = f }

// DeliveryBatch is a set of deliveries to act on now.
type DeliveryBatch struct {
	Deliveries []Delivery
	// Claims has one for each delivery.
	Claims []Claim
	batch  *batch
}

// NewDeliveryBatch returns a batch of deliveries that s has handed out under refs.
func NewDeliveryBatch(s Settler, ds []Delivery, refs []engine.Ref) DeliveryBatch {
	b := DeliveryBatch{Deliveries: ds}
	b.batch, b.Claims = newBatch(s, refs)
	return b
}

// Finally is that of [EventBatch].
func (b DeliveryBatch) Finally(f func()) { b.batch.finally = f }
