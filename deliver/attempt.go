package deliver

import (
	"context"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
)

// attempt makes one attempt with the worker's items, if there are any whose
// time is not over. Azure looks at the time to live only when an attempt falls
// due, which is now.
func (l *lane) attempt(ctx context.Context, w *worker) {
	if len(w.over)+len(w.late) > 0 {
		l.settleWithout(w)
	}
	if len(w.items) == 0 {
		return
	}
	sub := w.sub
	if len(w.items) > 1 {
		if g, ok := sub.Target.(destination.Grouper); ok {
			l.sortOut(w, g)
		}
	}
	l.launch(w)
	w.n.Subscription, w.n.Items = sub.Name, w.shown
	verdict := sub.Target.Deliver(ctx, &w.n)

	started := w.now
	w.now = l.d.now()
	if verdict.Outcome == destination.Delivered {
		l.metrics.attempted(w.now.Sub(started))
		l.delivered(w, verdict)
		if !w.answer.unused() { // a target that said both
			w.load = newLoad()
			w.answer.lane = l
		}
		return
	}
	if ctx.Err() != nil {
		// The server gave up, not the endpoint. The items keep their holds: their
		// records are handed out again.
		l.mu.Lock()
		l.land(w)
		l.mu.Unlock()
	} else {
		l.metrics.attempted(w.now.Sub(started))
		l.metrics.failed(verdict, len(w.items))
		l.failed(w, started, verdict)
	}
	w.load = newLoad()
	w.answer.lane = l
}

// settleWithout finishes what needs no attempt.
func (l *lane) settleWithout(w *worker) {
	for i := range w.late {
		l.deliveredLate(w.late[i].claim)
	}
	for i := range w.over {
		l.end(w.sub, w.over[i], w.now)
	}
	clear(w.late)
	clear(w.over)
	w.late, w.over = w.late[:0], w.over[:0]
}

// over reports whether it must not be attempted any more.
func (l *lane) over(sub *Subscription, it *item, now time.Time) bool {
	return l.ended(sub, now) || !now.Before(l.lifeEnds(sub, it.entry.Published, now))
}

// ended reports whether the subscription itself has ended.
func (l *lane) ended(sub *Subscription, now time.Time) bool {
	return sub.expired(now) && !l.d.opts.Doubted()
}

// lifeEnds returns when an event stops being attempted. By a clock that is doubted it
// may not be over when it seems so, and has its time to live from now on.
func (l *lane) lifeEnds(sub *Subscription, published, now time.Time) time.Time {
	end := sub.lifetime(published)
	if !now.Before(end) && l.d.opts.Doubted() {
		return now.Add(sub.TTL)
	}
	return end
}

// end finishes an item whose time is over.
func (l *lane) end(sub *Subscription, it item, now time.Time) {
	d := it.delivery(l.uid)
	if l.ended(sub, now) {
		l.d.drop(l, d, reasonSubscriptionExpired)
		it.claim.Release()
		return
	}
	l.giveUp(sub, d, it.claim, reasonTimeToLive, now)
}

func (l *lane) delivered(w *worker, v destination.Verdict) {
	l.mu.Lock()
	// A success of an attempt that began before the circuit opened is older news
	// than what opened it.
	if w.round == l.circuit.round || l.circuit.state(w.now) == Closed {
		l.circuit.succeed()
	}
	l.limit.succeed(l.queue.len > 0)
	l.health.delivered(v, w.now)
	if l.batches.ceiling > 0 {
		l.batches.accept(w.payload())
	}
	its := l.land(w)
	l.hire(w.now, 1)
	l.notify()
	l.mu.Unlock()
	if l.late.Load() > 0 {
		for i := range its {
			l.tookLate(its[i].entry.ID)
		}
	}
	l.metrics.delivered(len(its))
	releaseAll(its)
}

// failed records what the failure says about the endpoint, then decides about
// each of the events.
func (l *lane) failed(w *worker, started time.Time, v destination.Verdict) {
	if v.Outcome == destination.PayloadTooLarge && len(w.items) > 1 {
		l.halve(w, v)
		return
	}
	policy, after := l.d.policy(w.sub.Kind, v)
	now := w.now
	l.mu.Lock()
	its := l.land(w)
	var waiting []item
	// A refusal of these events (400, 413) says nothing about the endpoint, nor
	// does an attempt that was called off.
	if v.Outcome != destination.Aborted && (policy.Retry || policy.Probation > 0) {
		l.limit.fail(started, now)
		round := l.circuit.round
		open := l.circuit.fail(w.round, policy.Probation, now)
		if v.Asked > 0 { // of the endpoint, whichever event it was that it refused
			l.circuit.extend(now.Add(v.Asked))
			open = true
		}
		if open {
			waiting = l.queue.takeAll()
		}
		if l.circuit.round != round {
			l.probes = 0 // whoever is still under way began in an earlier round
		}
	}
	until := l.circuit.until
	w.answer.until = until
	l.health.failed(v, now)
	l.notify()
	l.mu.Unlock()

	again := l.decide(w, its, v, policy.Retry, max(policy.Earliest, after, until.Sub(now)))
	l.mu.Lock()
	l.health.again = again
	l.mu.Unlock()
	for i := range waiting {
		l.postpone(waiting[i], until, now)
	}
}

// decide sends each event of a failed attempt its own way, and returns when the
// first of them is tried again. Those with as many attempts behind them fall
// due together, so that they may share an attempt again.
func (l *lane) decide(
	w *worker, its []item, v destination.Verdict, retry bool, earliest time.Duration,
) (again time.Time) {
	now, r, closed := w.now, l.d.random(), l.isClosed()
	var open [][16]byte
	for i := range its {
		d := its[i].delivery(l.uid)
		d.Attempts++
		d.LastOutcome, d.LastStatus, d.LastAttempt = string(v.Outcome), v.Status, now
		why := reasonMaxAttempts
		if !retry {
			why = undeliverable(v.Outcome)
		}
		if closed || !retry || d.Attempts >= w.sub.MaxAttempts {
			if l.giveUp(w.sub, d, its[i].claim, why, now) {
				open = append(open, d.ID)
			}
			continue
		}
		delay := max(l.d.schedule.after(d.Attempts), earliest)
		d.Due = spread(now, delay, l.lifeEnds(w.sub, d.Published, now), r)
		if again.IsZero() || d.Due.Before(again) {
			again = d.Due
		}
		open = append(open, d.ID)
		l.d.retries.put(d, its[i].claim)
	}
	if v.Outcome == destination.TimedOut {
		w.answer.expect(open)
	}
	return again
}

// postpone moves an item behind the end of probation. That is not an attempt.
func (l *lane) postpone(it item, until, now time.Time) {
	sub := l.sub.Load()
	d := it.delivery(l.uid)
	d.LastOutcome, d.LastStatus = string(destination.Probation), 0
	switch {
	case l.isClosed():
		l.abandon(&it)
	case l.ended(sub, now):
		l.d.drop(l, d, reasonSubscriptionExpired)
		it.claim.Release()
	case l.over(sub, &it, now):
		// Its time ran out during probation: the last word is the one it has.
		l.giveUp(sub, d, it.claim, reasonTimeToLive, now)
	default:
		d.Due = spread(now, until.Sub(now), l.lifeEnds(sub, d.Published, now), l.d.random())
		l.d.retries.put(d, it.claim)
	}
}

// giveUp passes an event on to the dead letters, or drops it where there are
// none. True means that it waits there, so that a late answer still counts.
func (l *lane) giveUp(sub *Subscription, d eventlog.Delivery, h *eventlog.Claim, why reason, now time.Time) bool {
	switch {
	case l.tookLate(d.ID):
		l.deliveredLate(h)
	case l.isClosed():
		l.d.drop(l, d, reasonSubscriptionDeleted)
		h.Release()
	case sub.DeadLetter == nil:
		l.d.drop(l, d, why)
		h.Release()
	default:
		d.Reason = string(why)
		d.Due = l.d.deadLetterDue(d, now)
		l.dead.Add(1)
		l.d.deadLetters.put(d, h)
		return true
	}
	return false
}
