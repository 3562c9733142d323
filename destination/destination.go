package destination

import (
	"context"
	"time"

	"github.com/intertie/intertie/event"
)

// Item is one event on its way to a destination.
type Item struct {
	// ID is the system event id: the same on every repeat of the event, so that
	// a receiver can recognise one it has seen.
	ID [16]byte
	// Attempt counts the attempts already made for this event: 0 on the first.
	Attempt int
	// Event must not be changed by a target.
	Event *event.Event
}

// Notification is what one attempt carries.
type Notification struct {
	// Subscription is the name of the event subscription, in the casing it was
	// created with.
	Subscription string
	// Items holds at least one event, all of the same subscription. The attempt
	// succeeds or fails for all of them together.
	Items []Item
	// Late, if not nil, wants to know of an answer that comes after the target's
	// time limit: a target may go on waiting for one when it has returned
	// TimedOut, and calls Late at most once, only when the events were taken
	// after all. Late does not block.
	Late func()
}

// Grouper is a target whose request depends on values of the events in it: only
// events of the same group may share an attempt.
type Grouper interface {
	// Group returns what e has in common with the events it may travel with.
	Group(e *event.Event) string
}

// Verdict is the result of one attempt.
type Verdict struct {
	// Outcome is never empty.
	Outcome Outcome
	// Status is the HTTP status code of the answer, 0 when there was none.
	Status int
	// After is how long the next attempt should wait at least, beyond what the
	// policy of the outcome says: the longer wait that Azure gives to one status
	// of an outcome that has several. 0 when there is nothing to add.
	After time.Duration
	// Asked is how long the receiver asked to be left alone (Retry-After), 0 if it did
	// not. It is about the endpoint: all events of its subscription wait.
	Asked time.Duration
	// Err explains a failure to a person. It is nil when the outcome is
	// Delivered, and its text holds no query, no user name and no header value
	// of the endpoint, so it may be logged and shown.
	Err error
}

// Target is one endpoint that events are delivered to.
//
// Deliver makes exactly one attempt and returns within the target's own time
// limit, or soon after ctx ends, then with outcome Aborted. It is safe for
// concurrent use, keeps nothing of n after it returned except while a
// cancelled write is still being torn down, and never changes n.
type Target interface {
	Deliver(ctx context.Context, n *Notification) Verdict
}

// Kind is the endpointType of an event subscription's destination, spelled as
// in the management API.
type Kind string

// The kinds of destination that Event Grid knows.
const (
	WebHook            Kind = "WebHook"
	AzureFunction      Kind = "AzureFunction"
	EventHub           Kind = "EventHub"
	ServiceBusQueue    Kind = "ServiceBusQueue"
	ServiceBusTopic    Kind = "ServiceBusTopic"
	StorageQueue       Kind = "StorageQueue"
	HybridConnection   Kind = "HybridConnection"
	PartnerDestination Kind = "PartnerDestination"
	MonitorAlert       Kind = "MonitorAlert"
	NamespaceTopic     Kind = "NamespaceTopic"
)

// webhookRules reports whether the webhook column of Azure's retry table holds
// for k. A partner destination is a webhook that the partner owns; everything
// else is an Azure resource, whose 401 and 404 are worth a retry because roles
// and entities appear with a delay.
func (k Kind) webhookRules() bool { return k == WebHook || k == PartnerDestination }
