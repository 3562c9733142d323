package deliver

import (
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/blob"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// Azure's limits on the life of an event, used where a subscription sets none.
const (
	defaultMaxAttempts = 30
	defaultTTL         = 24 * time.Hour
)

// Subscription is an event subscription as delivery sees it. It must not be
// changed after it was given to a dispatcher; give a new one instead.
type Subscription struct {
	// UID identifies this incarnation. Queue, circuit and backlog belong to it
	// and survive every change of the other fields.
	UID resource.UID
	// ID is the ARM id, Name its last segment as it was created.
	ID, Name string
	// Topic is the UID of the topic it subscribes to.
	Topic resource.UID
	// Parked means that nobody can say at present where the events go: only the
	// fields above are set. Nothing is attempted, and what comes waits in the backlog
	// until a version is set that is not parked; what that one's filter does not want
	// is then left out. A subscription that is there already goes on as it is.
	Parked bool
	// Filter selects events. Never nil, unless it is parked.
	Filter *filter.Filter
	// Kind decides which column of the retry table applies.
	Kind destination.Kind
	// Target makes the attempts. Never nil, unless it is parked.
	Target destination.Target
	// Batch lets several events share an attempt; the zero value does not.
	Batch Batch
	// MaxAttempts includes the first try. 0 means 30.
	MaxAttempts int
	// TTL counts from publishing and is looked at when an attempt falls due.
	// 0 means 24 h.
	TTL time.Duration
	// Expires ends the subscription; zero means never. What is delivered later
	// is dropped with reason SubscriptionExpired.
	Expires time.Time
	// DeadLetter takes what could not be delivered; nil means to drop it.
	DeadLetter *DeadLetter
}

// Batch bounds the events of one attempt. Delivery never waits for more events,
// and a single event may be larger than Bytes.
type Batch struct {
	// Events is the largest number; 0 and 1 mean one event per attempt.
	Events int
	// Bytes is the preferred size of the events together; 0 means no bound.
	Bytes int
}

// DeadLetter names the place for events that could not be delivered.
type DeadLetter struct {
	Store     blob.Store
	Container string
	// Schema is the schema of the records: that in which the subscription's
	// events are delivered.
	Schema event.Schema
}

// withDefaults returns a private copy with the defaults filled in.
func (s *Subscription) withDefaults() *Subscription {
	c := *s
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = defaultMaxAttempts
	}
	if c.TTL <= 0 {
		c.TTL = defaultTTL
	}
	return &c
}

// lifetime returns when an event that was published at t stops being attempted.
func (s *Subscription) lifetime(published time.Time) time.Time { return published.Add(s.TTL) }

// expired reports whether the subscription itself has ended.
func (s *Subscription) expired(now time.Time) bool {
	return !s.Expires.IsZero() && !now.Before(s.Expires)
}
