package deliver

import (
	"context"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
)

// attempt makes one attempt with the worker's item, unless its time is over.
// Azure looks at the time to live only when an attempt falls due, which is now.
func (l *lane) attempt(ctx context.Context, w *worker) {
	sub := l.sub.Load()
	if l.over(sub, &w.it, w.now) {
		l.skip(sub, w)
		return
	}
	w.items[0] = destination.Item{ID: w.it.entry.ID, Attempt: w.it.attempts(), Event: &w.it.entry.Event}
	w.n = destination.Notification{Subscription: sub.Name, Items: w.items[:]}
	verdict := sub.Target.Deliver(ctx, &w.n)

	started := w.now
	w.now = l.d.now()
	if verdict.Outcome == destination.Delivered {
		l.metrics.attempted(w.now.Sub(started))
		l.delivered(w)
		return
	}
	if ctx.Err() != nil {
		// The server gave up, not the endpoint. The item keeps its hold: its
		// record is handed out again.
		l.mu.Lock()
		l.land(w)
		l.mu.Unlock()
		return
	}
	l.metrics.attempted(w.now.Sub(started))
	l.metrics.failed(verdict)
	l.failed(sub, w, started, verdict)
	w.load = new(load)
}

// over reports whether it must not be attempted any more.
func (l *lane) over(sub *Subscription, it *item, now time.Time) bool {
	return sub.expired(now) || !now.Before(sub.lifetime(it.entry.Published))
}

// skip ends an item without an attempt.
func (l *lane) skip(sub *Subscription, w *worker) {
	l.mu.Lock()
	it := l.land(w)
	l.mu.Unlock()
	l.end(sub, it, w.now)
}

// end finishes an item whose time is over.
func (l *lane) end(sub *Subscription, it item, now time.Time) {
	d := it.delivery(l.uid)
	if sub.expired(now) {
		l.d.drop(l, d, reasonSubscriptionExpired)
		it.hold.release()
		return
	}
	l.giveUp(sub, d, it.hold, reasonTimeToLive, now)
}

func (l *lane) delivered(w *worker) {
	l.mu.Lock()
	l.circuit.succeed()
	l.limit.succeed(l.queue.len > 0)
	it := l.land(w)
	l.hire(w.now)
	l.notify()
	l.mu.Unlock()
	l.metrics.success.Inc()
	it.hold.release()
}

// failed records what the failure says about the endpoint, then decides about
// the event.
func (l *lane) failed(sub *Subscription, w *worker, started time.Time, v destination.Verdict) {
	policy := l.d.opts.Rules.Policy(sub.Kind, v.Outcome)
	now := w.now
	l.mu.Lock()
	it := l.land(w)
	var waiting []item
	// A refusal of this one event (400, 413) says nothing about the endpoint,
	// nor does an attempt that was called off.
	if v.Outcome != destination.Aborted && (policy.Retry || policy.Probation > 0) {
		l.limit.fail(started, now)
		round := l.circuit.round
		if l.circuit.fail(w.round, policy.Probation, now) {
			waiting = l.queue.takeAll()
		}
		if l.circuit.round != round {
			l.probes = 0 // whoever is still under way began in an earlier round
		}
	}
	until := l.circuit.until
	l.notify()
	l.mu.Unlock()

	d := it.delivery(l.uid)
	d.Attempts++
	d.LastOutcome, d.LastStatus, d.LastAttempt = string(v.Outcome), v.Status, now
	switch {
	case !policy.Retry:
		l.giveUp(sub, d, it.hold, undeliverable(v.Outcome), now)
	case d.Attempts >= sub.MaxAttempts:
		l.giveUp(sub, d, it.hold, reasonMaxAttempts, now)
	default:
		delay := max(l.d.schedule.after(d.Attempts), policy.Earliest, v.After, until.Sub(now))
		d.Due = spread(now, delay, sub.lifetime(d.Published), l.d.random())
		l.d.retries.put(d, it.hold)
	}
	for i := range waiting {
		l.postpone(waiting[i], until, now)
	}
}

// postpone moves an item behind the end of probation. That is not an attempt.
func (l *lane) postpone(it item, until, now time.Time) {
	sub := l.sub.Load()
	d := it.delivery(l.uid)
	d.LastOutcome, d.LastStatus = string(destination.Probation), 0
	switch {
	case sub.expired(now):
		l.d.drop(l, d, reasonSubscriptionExpired)
		it.hold.release()
	case l.over(sub, &it, now):
		// Its time ran out during probation: the last word is the one it has.
		l.giveUp(sub, d, it.hold, reasonTimeToLive, now)
	default:
		d.Due = spread(now, until.Sub(now), sub.lifetime(d.Published), l.d.random())
		l.d.retries.put(d, it.hold)
	}
}

// giveUp passes an event on to the dead letters, or drops it where there are
// none.
func (l *lane) giveUp(sub *Subscription, d eventlog.Delivery, h *hold, why reason, now time.Time) {
	switch {
	case l.isClosed():
		l.d.drop(l, d, reasonSubscriptionDeleted)
		h.release()
	case sub.DeadLetter == nil:
		l.d.drop(l, d, why)
		h.release()
	default:
		d.Reason = string(why)
		d.Due = l.d.deadLetterDue(d, now)
		l.d.deadLetters.put(d, h)
	}
}
