package publish

import (
	"net/netip"
	"strings"

	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// Source is what the publish API needs to know of one partner namespace. It
// must not be changed once a [Table] has it.
type Source struct {
	UID resource.UID
	// ID is the ARM id: the scope of authorization, and the label of metrics.
	ID           string
	Name, Region string
	// Keys are the access keys in base64; one is enough to publish.
	Keys []string
	// DisableLocalAuth refuses keys and SAS tokens.
	DisableLocalAuth bool
	// PublicNetworkAccess false refuses everybody.
	PublicNetworkAccess bool
	// IPRules are the addresses that may publish; none means all.
	IPRules []netip.Prefix
	Routing RoutingMode
	// Channels by lower-case name, for ChannelNameHeader.
	Channels map[string]*Channel
	// BySource holds the channels by [RoutingKey] of the source they declare,
	// for SourceEventAttribute.
	BySource map[string][]*Channel
}

// key is the first label of the endpoint, under which the table finds s.
func (s *Source) key() string {
	return strings.ToLower(s.Name) + "." + strings.ToLower(s.Region) + "-1"
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
	// Destination is set for a channel of a kind that takes no events.
	Destination bool
	// Filter keeps events of a legacy event channel from its partner topic; nil
	// lets all pass.
	Filter *filter.Filter
	// EventTypes are the lower-case event types that the channel declares; nil
	// when it declares none. Only [Handler.StrictEventTypes] looks at them.
	EventTypes map[string]struct{}
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
