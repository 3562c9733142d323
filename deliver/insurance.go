package deliver

import "github.com/intertie/intertie/eventlog"

// insurance is for an attempt that takes long. While it lasts, its items would
// keep whole batches of the log from being Done, so a copy of each is written
// to the lane's backlog and the batch let go. The item then owns nothing but
// this: when it is settled (delivered, or its next owner durable), the copy is
// released as soon as it is read back; when the process ends before, the copy
// is what is delivered again.
//
// The lane's mu protects the fields, but for the claim, which is the item's.
type insurance struct {
	claim   *eventlog.Claim
	settled bool
	// copy is the claim of the copy when it was read back before the item was
	// settled.
	copy *eventlog.Claim
}

// insure lets go of what an attempt under way holds. mu is held, the lane is
// not closed.
func (l *lane) insure(w *worker) {
	b := &l.backlog
	if b.insured == nil {
		b.insured = make(map[[16]byte]*insurance)
	}
	policies := make([]insurance, w.loose)
	copies := make([]eventlog.Delivery, w.loose)
	if w.adrift == 0 {
		l.adrift++
	}
	for i := range w.items {
		it := &w.items[i]
		if it.from == fromBacklog {
			continue
		}
		in, d := &policies[0], &copies[0]
		policies, copies = policies[1:], copies[1:]
		*d = it.delivery(l.uid)
		b.insured[d.ID] = in
		l.overflow(returningItem(d, it.claim, it.from, w.since))
		in.claim = eventlog.NewClaim(1, func() { l.settle(in) })
		it.claim, it.from = in.claim, fromBacklog
		w.adrift += it.size
		l.d.adrift.Add(int64(it.size))
	}
	w.loose = 0
}

// ashore takes note of the end of an attempt that was insured. mu is held.
func (l *lane) ashore(w *worker) {
	if w.adrift != 0 {
		l.adrift--
		l.d.adrift.Add(-int64(w.adrift))
		w.adrift = 0
	}
}

// settle ends the insurance of an item: it was delivered, or is owned by a
// record.
func (l *lane) settle(in *insurance) {
	l.mu.Lock()
	in.settled = true
	h := in.copy
	in.copy = nil
	l.mu.Unlock()
	h.Release()
}

// claimed reports whether it is the copy of an insured item, and if so takes
// it. The caller then releases the claim that it gets, once mu is not held any
// more; there is none while the attempt is still under way. mu is held.
//
// Should the same event be insured twice (a batch handed out again), one of its
// copies finds no insurance and is delivered once more.
func (l *lane) claimed(it item) (*eventlog.Claim, bool) {
	in := l.backlog.insured[it.entry.ID]
	if in == nil {
		return nil, false
	}
	delete(l.backlog.insured, it.entry.ID)
	if in.settled {
		return it.claim, true
	}
	in.copy = it.claim
	return nil, true
}

// underWay reports whether it is the copy of an item that is not settled. mu is
// held.
func (l *lane) underWay(it item) bool {
	in := l.backlog.insured[it.entry.ID]
	return in != nil && !in.settled
}

// insures reports whether an item has, or had, a copy in the backlog. A nil lane has
// none.
func (l *lane) insures(id [16]byte) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.backlog.insured[id] != nil
}
