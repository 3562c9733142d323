package arm

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/resource"
)

// operation is what a request does to which resource, as far as it is known by
// now. It becomes an event when the request has ended.
type operation struct {
	// subject is the resource by the id that the client uses, stored the same by
	// the id it is stored under. Without them it is the scope that was authorized.
	subject, stored resource.ID
	created         bool
	changes         []activity.Change // committed
}

// target is the resource that the request is about, as far as is known.
func (rq *request) target() resource.ID {
	if rq.subject.IsRoot() {
		return rq.scope
	}
	return rq.subject
}

// concerns notes which resource a request is about, once that is known.
func (rq *request) concerns(subject, stored resource.ID) { rq.subject, rq.stored = subject, stored }

// commit writes what fn puts and deletes as a unit, and notes it for the event.
func (h *Handler) commit(rq *request, fn func(resource.Tx) error) error {
	var journal *activity.Journal
	err := h.Store.Commit(rq.http.Context(), func(tx resource.Tx) error {
		locks := h.locksFor(rq, tx)
		if err := locks.refuse(rq.target()); err != nil {
			return err
		}
		journal = activity.NewJournal(tx) // fn may run again: only its last run counts
		if err := fn(journal); err != nil {
			return err
		}
		// By now it is known where the resource is stored, which may be elsewhere.
		return locks.refuse(rq.stored)
	})
	if err == nil {
		rq.changes = append(rq.changes, journal.Changes()...)
	}
	return err
}

// eventVerbs are the methods that raise events.
var eventVerbs = map[string]activity.Verb{
	http.MethodPut: activity.Write, http.MethodPatch: activity.Write, http.MethodDelete: activity.Delete, http.MethodPost: activity.Action,
}

// tell raises the events of a request that has ended. What the caller had no
// right to is none: it did nothing.
func (h *Handler) tell(rq *request, err error, now time.Time) {
	verb, ok := eventVerbs[rq.http.Method]
	if h.Activity == nil || !ok || !rq.allowed {
		return
	}
	if isCode(err, resource.OutcomeUnknown) {
		return // whichever outcome an event had, it could be wrong
	}
	op := &activity.Operation{
		Resource: rq.subject, Stored: rq.stored, Verb: verb, Action: rq.action, Outcome: outcome(rq.http.Context(), err),
		Ended: now.UTC(), Created: rq.created, CorrelationID: rq.correlation, Caller: rq.caller, Grant: rq.grant,
		Request: activity.Request{
			ID: rq.http.Header.Get("X-Ms-Client-Request-Id"), Address: h.clientIP(rq.http), Method: rq.http.Method,
			URL: rq.base + rq.http.URL.RequestURI(),
		},
	}
	if op.Resource.IsRoot() {
		op.Resource = rq.scope
	}
	h.Activity.Ended(rq.http.Context(), op, rq.changes)
}

func outcome(ctx context.Context, err error) activity.Outcome {
	switch {
	case err == nil:
		return activity.Success
	case errors.Is(ctx.Err(), context.Canceled):
		return activity.Cancel
	default:
		return activity.Failure
	}
}

func (h *Handler) clientIP(r *http.Request) string {
	if h.ClientIP != nil {
		return h.ClientIP(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
