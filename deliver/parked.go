package deliver

import (
	"log/slog"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
)

// reasonParked marks what a parked subscription took before anybody could say
// whether it wants it. It is never the reason of a dead letter.
const reasonParked reason = "Parked"

const parkedMessage = "This version of the server cannot read the event subscription; its events wait until it is written again or another version runs."

// parked reports whether nothing is to be attempted, because the subscription
// cannot be read.
func (l *lane) parked() bool { return l.sub.Load().Parked }

// park returns an item as it waits in the backlog of a parked subscription: one
// that comes for the first time has passed no filter.
func (l *lane) park(it *item) item {
	p := *it
	if p.from == fromEvents {
		d := p.delivery(l.uid)
		d.Reason = string(reasonParked)
		p.prior = &d
	}
	return p
}

// unfiltered reports whether an item came while its subscription was parked.
func (it *item) unfiltered() bool { return it.prior != nil && it.prior.Reason == string(reasonParked) }

// unwanted reports whether what came while the subscription was parked does not
// match the filter that it turned out to have.
func (l *lane) unwanted(d *eventlog.Delivery) bool {
	if d.Reason != string(reasonParked) {
		return false
	}
	d.Reason = ""
	in := filter.Input{Type: d.Event.Type, Subject: d.Event.Subject, JSON: d.Event.JSON}
	if l.sub.Load().Filter.Match(&in) {
		return false
	}
	l.mu.Lock()
	l.backlog.readBack()
	l.mu.Unlock()
	l.d.unmatched(l.metrics.topic, &d.Entry, reasonNoSubscription, slog.LevelDebug)
	return true
}

// parkedLanes counts the subscriptions that cannot be read.
func (d *Dispatcher) parkedLanes() (n int) {
	for _, l := range d.allLanes() {
		if l.parked() {
			n++
		}
	}
	return n
}
