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
)

// router turns the events of one request into log entries.
type router struct {
	h       *Handler
	src     *Source
	now     time.Time
	entries []eventlog.Entry
	// drops are what is answered 200 and goes nowhere.
	drops []drop
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

// route finds the channels of all events, or refuses the request as a whole.
func (rt *router) route(r *http.Request, events []event.Event) *problem {
	if rt.src.Routing == SourceEventAttribute {
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
	c := rt.src.Channels[strings.ToLower(name)]
	switch {
	case c == nil:
		return nil, notFound("The channel '" + name + "' was not found in the partner namespace '" + rt.src.Name + "'.")
	case c.Destination:
		return nil, badRequest("InvalidChannelType", "The channel '"+name+"' leads to a partner destination; events cannot be published to it.")
	case c.Topic.IsZero():
		return nil, notFound("The partner topic of the channel '" + name + "' was deleted.")
	}
	return c, nil
}

// bySource matches each event on its own.
func (rt *router) bySource(events []event.Event) *problem {
	for i := range events {
		ev, found := &events[i], false
		for _, c := range rt.src.BySource[RoutingKey(ev.Source)] {
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
		rt.entries = append(rt.entries, eventlog.Entry{ID: newEventID(rt.now), Topic: c.Topic, Published: rt.now, Event: *ev})
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

// report counts and logs what goes nowhere. Every event id is in the log: what
// became of a single event must be possible to find out.
func (rt *router) report(r *http.Request, requestID string) {
	for _, d := range rt.drops {
		rt.h.Metrics.dropped(rt.src, len(d.ids))
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
