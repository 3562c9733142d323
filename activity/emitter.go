package activity

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// Log takes the events for delivery.
type Log interface {
	// Append makes the entries durable. It is called with at most
	// [MaxAppend] of them, from any goroutine.
	Append(ctx context.Context, entries []Entry) error
}

// Entry is one event for one system topic.
type Entry struct {
	Topic     resource.UID
	Published time.Time
	Event     event.Event
}

// MaxAppend bounds the entries of one [Log.Append].
const MaxAppend = 64

// Counter counts what was lost. Those of Prometheus are such.
type Counter interface{ Add(float64) }

// patience bounds how long an operation's answer waits for its events.
const patience = 5 * time.Second

// Emitter writes events. All fields are required unless marked; it is safe for
// concurrent use.
type Emitter struct {
	Sources *Sources
	Log     Log
	Tenant  string // GUID
	Logger  *slog.Logger
	// Lost counts events that the log did not take; optional.
	Lost Counter
	// NewID returns a fresh GUID; optional.
	NewID func() string
}

// Ended tells of an operation that has ended, and of everything else that
// changed with it. An operation whose resource is not finished yet is not told
// of: it ends later, by a change that [Emitter.Service] gets.
//
// It returns when the events are durable, or lost. That ctx is cancelled, as
// when the client has gone, does not keep it from that.
func (e *Emitter) Ended(ctx context.Context, op *Operation, changes []Change) {
	if e.Sources.none() {
		return
	}
	own, told := op.stored(), true
	var all []happening
	for _, c := range changes {
		outcome, ended := c.ended()
		if c.resource().ID.Equal(own) {
			told = ended
			continue
		}
		if !ended {
			continue
		}
		all = append(all, e.effect(op, c, outcome))
	}
	if told {
		all = slices.Insert(all, 0, e.main(op))
	}
	e.append(ctx, all)
}

func (e *Emitter) main(op *Operation) happening {
	h := happening{
		resource: op.Resource, verb: op.Verb, outcome: op.Outcome, action: op.Action, at: op.Ended,
		correlation: op.CorrelationID, caller: &op.Caller, grant: &op.Grant,
	}
	if !op.Created {
		h.request = &op.Request
	}
	return h
}

// effect tells of a change that came with an operation. In the operation's own
// subscription it says who is behind it. In another one it must not: that is
// the other side's.
func (e *Emitter) effect(op *Operation, c Change, outcome Outcome) happening {
	h := e.unasked(c, outcome, op.Ended)
	if strings.EqualFold(h.resource.Subscription, op.Resource.Subscription) {
		h.correlation, h.caller = op.CorrelationID, &op.Caller
		if c.Old != nil {
			h.request = &op.Request
		}
	}
	return h
}

// Service tells of changes that nobody asked for, such as those of expiry, or
// that end what was asked for long ago. See [Emitter.Ended] for ctx.
func (e *Emitter) Service(ctx context.Context, changes []Change, now time.Time) {
	if e.Sources.none() {
		return
	}
	var all []happening
	for _, c := range changes {
		if outcome, ended := c.ended(); ended {
			all = append(all, e.unasked(c, outcome, now))
		}
	}
	e.append(ctx, all)
}

func (e *Emitter) unasked(c Change, outcome Outcome, now time.Time) happening {
	return happening{resource: c.resource().ID, verb: c.verb(), outcome: outcome, action: c.action(), at: now, correlation: e.newID()}
}

func (e *Emitter) newID() string {
	if e.NewID != nil {
		return e.NewID()
	}
	return uuid.NewString()
}

// append builds what somebody listens to, and hands it to the log.
func (e *Emitter) append(ctx context.Context, all []happening) {
	var entries []Entry
	for i := range all {
		entries = append(entries, e.entries(&all[i])...)
	}
	if len(entries) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for len(entries) > 0 {
		n := min(len(entries), MaxAppend)
		if err := e.Log.Append(ctx, entries[:n]); err != nil {
			// The next chunk would most likely meet the same.
			e.lose(len(entries), err, entries[0].Event.Subject)
			return
		}
		entries = entries[n:]
	}
}

func (e *Emitter) entries(h *happening) []Entry {
	listeners := e.Sources.of(h.resource)
	if len(listeners) == 0 {
		return nil
	}
	data, err := h.data(e.Tenant)
	if err != nil {
		e.lose(len(listeners), err, h.resource.String())
		return nil
	}
	id := e.newID()
	entries := make([]Entry, 0, len(listeners))
	for _, l := range listeners {
		ev, err := h.event(id, l, data)
		if err != nil {
			e.lose(1, err, h.resource.String())
			continue
		}
		entries = append(entries, Entry{Topic: l.topic, Published: h.at, Event: ev})
	}
	return entries
}

func (e *Emitter) lose(n int, err error, first string) {
	e.Logger.Error("management events were lost; the operation itself is done", "events", n, "first", first, "error", err)
	if e.Lost != nil {
		e.Lost.Add(float64(n))
	}
}
