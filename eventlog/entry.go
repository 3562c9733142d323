package eventlog

import (
	"time"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// Entry is one accepted event.
type Entry struct {
	// ID is the system event id: the same on every repeat of this event.
	ID [16]byte
	// Topic is the incarnation of the topic that took the event.
	Topic resource.UID
	// Domain is the incarnation of the domain around Topic, whose subscriptions
	// want the event too; zero outside of domains. An event for a domain topic
	// that does not exist has the domain as its Topic and no Domain.
	Domain resource.UID
	// Published is when it was accepted; its time to live runs from here.
	Published time.Time
	Event     event.Event
}

// Delivery is one event that is still owed to one subscription.
type Delivery struct {
	Entry
	Subscription resource.UID
	// Attempts made so far.
	Attempts int
	// Due is when to hand it out. [Log.Overflow] ignores it.
	Due time.Time
	// The last attempt, zero before the first.
	LastOutcome string
	LastStatus  int
	LastAttempt time.Time
	// Reason it is dead-lettered for; empty while it is being delivered.
	Reason string
}

// Transfer is a delivery that gets another owner, and the claim of the former one,
// of which a share goes with it; nil for what had none.
type Transfer struct {
	Delivery Delivery
	Claim    *Claim
}
