package deliver

// insurance is for an attempt that takes long. While it lasts, its item would
// keep a whole batch of the log from being Done, so a copy of the item is
// written to the lane's backlog and the batch let go. The attempt then owns
// nothing but this: when it is settled (delivered, or its next owner durable),
// the copy is released as soon as it is read back; when the process ends
// before, the copy is what is delivered again.
//
// The lane's mu protects the fields.
type insurance struct {
	settled bool
	// copy is the hold of the copy when it was read back before the attempt was
	// settled.
	copy *hold
}

// insure lets go of what an attempt under way holds. mu is held, the lane is
// not closed.
func (l *lane) insure(w *worker) {
	b := &l.backlog
	if b.insured == nil {
		b.insured = make(map[[16]byte]*insurance)
	}
	in := new(insurance)
	d := w.it.delivery(l.uid)
	b.insured[d.ID] = in
	l.overflow(returningItem(&d, w.hold, w.from, w.since))
	w.hold = newHold(1, func() { l.settle(in) })
	w.from = fromBacklog
}

// settle ends an insured attempt: it was delivered, or is owned by a record.
func (l *lane) settle(in *insurance) {
	l.mu.Lock()
	in.settled = true
	h := in.copy
	in.copy = nil
	l.mu.Unlock()
	h.release()
}

// claimed reports whether it is the copy of an insured attempt, and if so takes
// it. The caller then releases the hold that it gets, once mu is not held any
// more; there is none while the attempt is still under way. mu is held.
//
// Should the same event be insured twice (a batch handed out again), one of its
// copies finds no insurance and is delivered once more.
func (l *lane) claimed(it item) (*hold, bool) {
	in := l.backlog.insured[it.entry.ID]
	if in == nil {
		return nil, false
	}
	delete(l.backlog.insured, it.entry.ID)
	if in.settled {
		return it.hold, true
	}
	in.copy = it.hold
	return nil, true
}

// underWay reports whether it is the copy of an attempt that is not settled.
// mu is held.
func (l *lane) underWay(it item) bool {
	in := l.backlog.insured[it.entry.ID]
	return in != nil && !in.settled
}
