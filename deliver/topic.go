package deliver

import (
	"log/slog"
	"maps"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// topic is an immutable snapshot of who subscribes to what. A change makes
// another one.
type topic struct {
	id      string
	index   *filter.Index[*lane]
	lanes   map[resource.UID]*lane
	metrics *topicMetrics
}

// SetTopic makes subs the subscriptions of a topic, whose ARM id is id. A domain
// is a topic here too: it has the subscriptions that want the events of all its
// domain topics, whose own subscriptions are set by themselves. The change is
// in force when it returns: for events that come, and for those that wait. A
// subscription that was there before with the same UID keeps its queue, circuit
// and backlog; one that is missing is removed, and what it was owed is dropped
// with reason SubscriptionDeleted.
//
// Call it for every topic before [Dispatcher.Run]: events, retries and backlogs
// of a subscription that is not known then are those of a deleted one. It is
// safe for concurrent use and never waits for an endpoint or the log.
func (d *Dispatcher) SetTopic(uid resource.UID, id string, subs []*Subscription) {
	d.configure.Lock()
	defer d.configure.Unlock()
	var before map[resource.UID]*lane
	metrics := d.metrics.topic(id)
	if t := d.topic(uid); t != nil {
		before = t.lanes
		if t.id == id {
			metrics = t.metrics
		}
	}
	after := make(map[resource.UID]*lane, len(subs))
	for _, s := range subs {
		after[s.UID] = nil
	}
	// First those that go: one that comes may bear the name of one that goes,
	// and with it the labels of its metrics.
	var gone []*lane
	for u, l := range before {
		if _, stays := after[u]; !stays {
			gone = append(gone, l)
		}
	}
	d.removeLanes(gone)
	entries := make([]filter.Entry[*lane], 0, len(subs))
	for _, s := range subs {
		s = s.withDefaults()
		l := before[s.UID]
		if l != nil && s.Parked {
			s = l.sub.Load() // the last that could be read
		}
		if l == nil {
			l = newLane(d, s, d.metrics.lane(id, s.Name))
		} else {
			l.configure(s)
		}
		after[s.UID] = l
		entries = append(entries, filter.Entry[*lane]{Filter: s.Filter, Value: l})
	}
	t := &topic{id: id, index: filter.NewIndex(entries), lanes: after, metrics: metrics}

	d.mu.Lock()
	defer d.mu.Unlock()
	d.topics[uid] = t
	maps.Copy(d.lanes, after)
}

// RemoveTopic removes a topic with all its subscriptions. Unknown is not an
// error. When a topic is created anew under its old ARM id, remove the former
// before the new one is set: both have the same metric labels.
func (d *Dispatcher) RemoveTopic(uid resource.UID) {
	d.configure.Lock()
	defer d.configure.Unlock()
	t := d.topic(uid)
	if t == nil {
		return
	}
	d.mu.Lock()
	delete(d.topics, uid)
	d.mu.Unlock()
	gone := make([]*lane, 0, len(t.lanes))
	for _, l := range t.lanes {
		gone = append(gone, l)
	}
	d.removeLanes(gone)
	t.metrics.forget()
}

// removeLanes closes lanes and leaves their backlogs to the one who deletes
// them. configure is held.
func (d *Dispatcher) removeLanes(gone []*lane) {
	d.mu.Lock()
	for _, l := range gone {
		delete(d.lanes, l.uid)
	}
	d.mu.Unlock()
	for _, l := range gone {
		l.close()
		l.metrics.forget()
	}
	d.removed.add(gone...)
}

func (d *Dispatcher) topic(uid resource.UID) *topic {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.topics[uid]
}

func (d *Dispatcher) lane(sub resource.UID) *lane {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.lanes[sub]
}

// IDOf returns the ARM id of an event subscription, "" if it is not known.
func (d *Dispatcher) IDOf(sub resource.UID) string {
	if l := d.lane(sub); l != nil {
		return l.sub.Load().ID
	}
	return ""
}

// router hands events to the lanes of the subscriptions that match. It belongs
// to one goroutine, whose scratch memory it is.
type router struct {
	d         *Dispatcher
	in        filter.Input
	matched   []*lane
	gathering gathering
}

// route gives each matching lane an item of its own: those of the topic and
// those of the domain around it. All of them point to the one event,
// and each has a share of its claim.
func (r *router) route(e *eventlog.Entry, c *eventlog.Claim, now time.Time) {
	t := r.match(e)
	if len(r.matched) == 0 {
		r.unmatched(t, e)
		c.Release()
		return
	}
	c.Add(len(r.matched) - 1)
	it := freshItem(e, c, now)
	for _, l := range r.matched {
		l.metrics.matched()
		r.gathering.offer(l, &it, now)
	}
}

// match finds the lanes that want e, and returns under what an event that
// nobody wants is counted; nil for one whose topic is gone.
func (r *router) match(e *eventlog.Entry) *topic {
	t := r.d.topic(e.Topic)
	r.in = filter.Input{Type: e.Event.Type, Subject: e.Event.Subject, JSON: e.Event.JSON}
	r.matched = r.matched[:0]
	if t != nil {
		r.matched = t.index.Match(&r.in, r.matched)
	}
	if !e.Domain.IsZero() {
		// A domain topic comes and goes with its subscriptions, so the domain is
		// the one who can say that nobody wanted the event.
		if domain := r.d.topic(e.Domain); domain != nil {
			r.matched = domain.index.Match(&r.in, r.matched)
			t = domain
		}
	}
	return t
}

// unmatched counts an event that nobody wants, under t unless that is nil.
func (r *router) unmatched(t *topic, e *eventlog.Entry) {
	if t == nil {
		r.d.metrics.unmatchedOrphan.Inc()
		r.d.unmatched(e.Topic.String(), e, reasonUnknownTopic, slog.LevelInfo)
		return
	}
	t.metrics.unmatched()
	r.d.unmatched(t.id, e, reasonNoSubscription, slog.LevelDebug)
}
