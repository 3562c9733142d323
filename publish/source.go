package publish

import (
	"net/netip"
	"strings"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// Source is what the publish API needs to know of one resource that has an
// endpoint. It must not be changed once a [Table] has it.
type Source struct {
	// UID is also the topic of the events that a custom topic takes, and the
	// domain of those that a domain takes.
	UID resource.UID
	// ID is the ARM id: the scope of authorization, and the topic that events in
	// the Event Grid schema are of.
	ID           string
	Name, Region string
	Kind         Kind
	// Schema is the input schema; a partner namespace takes CloudEvents only.
	Schema event.Schema
	// Mapping says where a custom schema has the fields of an event.
	Mapping *event.Mapping
	// Keys are the access keys in base64; one is enough to publish.
	Keys []string
	// DisableLocalAuth refuses keys and SAS tokens.
	DisableLocalAuth bool
	// PublicNetworkAccess false refuses everybody.
	PublicNetworkAccess bool
	// IPRules are the addresses that may publish; none means all.
	IPRules []netip.Prefix
	// Counts are the resource's series, from [Metrics.Source]; nil counts
	// nothing.
	Counts *Counts

	// DomainTopics are the topics of a domain; nil has none.
	DomainTopics *DomainTopics

	// Routing is how a partner namespace finds the channel of an event.
	Routing RoutingMode
	// Channels are those of a partner namespace; nil has none.
	Channels *Channels

	// Storage is that of the Azure subscription of a topic or domain: when it is full
	// nothing is taken. Nil is never full. A channel has its own.
	Storage *eventlog.Account

	// Unreadable means that only UID, ID, Name, Region and Kind are known: the
	// resource is there and cannot be read, so publishers are asked to come back.
	Unreadable bool
}

// key is the first label of the endpoint, under which the table finds s.
func (s *Source) key() string {
	return strings.ToLower(s.Name) + "." + strings.ToLower(s.Region) + "-1"
}

// Kind is a kind of resource that has an endpoint.
type Kind int

// The kinds. They differ in where events go, in nothing that comes before.
const (
	// Namespace is a partner namespace: channels lead to partner topics.
	Namespace Kind = iota
	// Topic is a custom topic: it takes the events itself.
	Topic
	// Domain is a domain: each event names one of its domain topics.
	Domain
)

// String returns what messages to publishers call a resource of the kind.
func (k Kind) String() string {
	switch k {
	case Topic:
		return "topic"
	case Domain:
		return "domain"
	default:
		return "partner namespace"
	}
}

// taker is what takes the events that are published to a resource of kind k.
func (k Kind) taker() string {
	if k == Namespace {
		return "partner topic"
	}
	return k.String()
}

// RoutingMode says how a partner namespace finds the channel of an event. It
// is fixed when the namespace is created.
type RoutingMode int

// The routing modes of Event Grid.
const (
	// ChannelNameHeader sends all events of a request to the channel that the
	// header aeg-channel-name names.
	ChannelNameHeader RoutingMode = iota
	// SourceEventAttribute sends each event to the channels whose source
	// equals the event's.
	SourceEventAttribute
)

// RoutingKey is the form in which sources are compared: without the blanks
// around them, letter case kept.
func RoutingKey(source string) string { return strings.TrimSpace(source) }

// Channel is one way from a partner namespace to a customer's partner topic.
type Channel struct {
	Name string
	// Topic is the partner topic; the zero UID says that it was deleted.
	Topic resource.UID
	// TopicID is the partner topic's ARM id.
	TopicID string
	State   State
	// Unreadable means that the channel or its partner topic cannot be read: what is
	// sent to it is refused until it can.
	Unreadable bool
	// Destination is set for a channel of a kind that takes no events.
	Destination bool
	// Filter keeps events of a legacy event channel from its partner topic; nil
	// lets all pass.
	Filter *filter.Filter
	// EventTypes are the lower-case event types that the channel declares; nil
	// when it declares none. Only [Handler.StrictEventTypes] looks at them.
	EventTypes map[string]struct{}
	// Storage is that of the partner topic's Azure subscription, as in [Source].
	Storage *eventlog.Account
	// Counts are the partner topic's series, from [Metrics.PartnerTopic]; nil
	// counts nothing.
	Counts *Counts
}

// State is the activation state of a partner topic.
type State int

// The activation states. Only an activated topic keeps what is published.
const (
	NeverActivated State = iota
	Activated
	Deactivated
)

// String returns Event Grid's name of s.
func (s State) String() string {
	switch s {
	case Activated:
		return "Activated"
	case Deactivated:
		return "Deactivated"
	default:
		return "NeverActivated"
	}
}
