package publish

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// router turns the events of one request into log entries.
type router struct {
	h       *Handler
	src     *Source
	now     time.Time
	entries []eventlog.Entry
	// taken says which channels the entries came by, in their order.
	taken []taken
	// drops are what is answered 200 and goes nowhere.
	drops []drop
}

// taken is a run of entries that came by one channel.
type taken struct {
	counts *Counts
	events int
}

// drop is a set of events that one reason kept from a partner topic.
type drop struct {
	reason, channel string
	ids             []string
}

// Why events go nowhere.
const (
	neverActivated = "the partner topic was never activated"
	deactivated    = "the partner topic is deactivated"
	filteredOut    = "the filter of the event channel does not match"
	noChannel      = "no channel has the source of the event"
)

// route finds the topics of all events, or refuses the request as a whole.
func (rt *router) route(r *http.Request, events []event.Event) *problem {
	switch {
	case rt.src.Kind == Topic:
		for i := range events {
			rt.keep(rt.src.UID, resource.UID{}, &events[i])
		}
		return nil
	case rt.src.Kind == Domain:
		rt.byDomainTopic(events)
		return nil
	case rt.src.Routing == SourceEventAttribute:
		return rt.bySource(events)
	}
	c, p := rt.namedChannel(r)
	if p != nil {
		return p
	}
	for i := range events {
		if p := rt.add(c, &events[i]); p != nil {
			return p
		}
	}
	return nil
}

// byDomainTopic sends each event to the topic that it names. A topic that does
// not exist is no mistake, for subscriptions of the domain want its events: the
// domain takes them itself.
func (rt *router) byDomainTopic(events []event.Event) {
	var name string
	var topic, domain resource.UID
	for i := range events {
		ev := &events[i]
		// The events of a request mostly are of few topics, side by side.
		if i == 0 || ev.DomainTopic != name {
			name = ev.DomainTopic
			topic, domain = rt.domainTopic(ev)
		}
		rt.keep(topic, domain, ev)
	}
}

func (rt *router) domainTopic(ev *event.Event) (topic, domain resource.UID) {
	if uid, ok := rt.src.DomainTopics.Lookup(ev.DomainTopic); ok {
		return uid, rt.src.UID
	}
	return rt.src.UID, resource.UID{}
}

// keep makes ev an entry of topic, which is in domain unless that is zero.
func (rt *router) keep(topic, domain resource.UID, ev *event.Event) {
	rt.entries = append(rt.entries, eventlog.Entry{})
	e := &rt.entries[len(rt.entries)-1] // filled in place: an entry is large
	e.ID, e.Topic, e.Domain, e.Published, e.Event = newEventID(rt.now), topic, domain, rt.now, *ev
}

// namedChannel is the channel that the request's header asks for. What is not
// there is a 404, which SDKs do not repeat.
func (rt *router) namedChannel(r *http.Request) (*Channel, *problem) {
	const header = "Aeg-Channel-Name"
	values := r.Header[header]
	if len(values) > 1 {
		return nil, badRequest("InvalidChannelName", "The header 'aeg-channel-name' occurs "+
			"more than once; send one channel name, for all events of a request go to one channel.")
	}
	var name string
	if len(values) == 1 {
		name = strings.TrimSpace(values[0])
	}
	if name == "" {
		return nil, badRequest("MissingChannelName", "The header 'aeg-channel-name' is missing or empty; the partner namespace '"+
			rt.src.Name+"' routes by it: send the name of the channel to publish to.")
	}
	c := rt.src.Channels.named(name)
	switch {
	case c == nil:
		return nil, notFound("The channel '" + name + "' was not found in the partner namespace '" + rt.src.Name + "'.")
	case c.Unreadable:
		return nil, unreadable("channel", name)
	case c.Destination:
		return nil, badRequest("InvalidChannelType", "The channel '"+name+"' leads to a partner destination; events cannot be published to it.")
	case c.Topic.IsZero():
		return nil, notFound("The partner topic of the channel '" + name + "' was deleted.")
	}
	return c, nil
}

// bySource matches each event on its own.
func (rt *router) bySource(events []event.Event) *problem {
	if rt.src.Channels.obscured() {
		return unreadable("partner namespace", rt.src.Name)
	}
	for i := range events {
		ev, found := &events[i], false
		for _, c := range rt.src.Channels.of(RoutingKey(ev.Source)) {
			if c.Unreadable {
				return unreadable("event channel", c.Name)
			}
			if c.Destination || c.Topic.IsZero() {
				continue
			}
			found = true
			if c.Filter != nil && !c.Filter.Match(&filter.Input{Type: ev.Type, Subject: ev.Subject, JSON: ev.JSON}) {
				rt.drop(filteredOut, c.Name, ev)
				continue
			}
			if p := rt.add(c, ev); p != nil {
				return p
			}
		}
		if !found {
			rt.drop(noChannel, "", ev)
		}
	}
	return nil
}

// add sends ev to the partner topic of c, if that is active.
func (rt *router) add(c *Channel, ev *event.Event) *problem {
	if rt.h.StrictEventTypes && c.EventTypes != nil {
		if _, declared := c.EventTypes[strings.ToLower(ev.Type)]; !declared {
			return badRequest("InputJsonInvalid", "The event '"+clip(ev.ID)+"' has the type '"+clip(ev.Type)+
				"', which the channel '"+c.Name+"' does not declare (property 'eventType' of schema CloudEventV10).")
		}
	}
	if c.State == Activated {
		if c.Storage.Full() {
			return overQuotaOf(c)
		}
		rt.keep(c.Topic, resource.UID{}, ev)
		if n := len(rt.taken); n > 0 && rt.taken[n-1].counts == c.Counts {
			rt.taken[n-1].events++
		} else {
			rt.taken = append(rt.taken, taken{c.Counts, 1})
		}
		return nil
	}
	if rt.h.RejectInactive {
		return forbidden("Forbidden", "The channel '"+c.Name+"' takes no events: the activation state of its partner topic is "+c.State.String()+".")
	}
	reason := neverActivated
	if c.State == Deactivated {
		reason = deactivated
	}
	rt.drop(reason, c.Name, ev)
	return nil
}

func (rt *router) drop(reason, channel string, ev *event.Event) {
	id := clip(ev.ID)
	for i := range rt.drops {
		if d := &rt.drops[i]; d.reason == reason && d.channel == channel {
			d.ids = append(d.ids, id)
			return
		}
	}
	rt.drops = append(rt.drops, drop{reason, channel, []string{id}})
}

// clip shortens what a message or a log line quotes: attributes may be as long
// as a body.
func clip(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// report counts what partner topics took, and counts and logs what goes
// nowhere. Every event id of that is in the log: what became of a single event
// must be possible to find out.
func (rt *router) report(r *http.Request, requestID string) {
	for _, t := range rt.taken {
		t.counts.routed(t.events)
	}
	for _, d := range rt.drops {
		rt.src.Counts.dropped(len(d.ids))
		rt.h.logger().LogAttrs(r.Context(), slog.LevelInfo, "events unmatched",
			slog.String("resource", rt.src.ID), slog.String("reason", d.reason), slog.String("channel", d.channel),
			slog.Int("events", len(d.ids)), slog.Any("event_ids", d.ids), slog.String("request_id", requestID))
	}
}

// newEventID returns a system event id: a UUIDv7 of the given time. It must be
// unique, not unguessable, so the runtime's ChaCha8 generator does, at a few
// nanoseconds and without a lock.
func newEventID(now time.Time) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16|rand.Uint64()&0xffff) //nolint:gosec // see above
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())                                    //nolint:gosec // see above
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}
