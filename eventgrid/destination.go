package eventgrid

import (
	"encoding/json"
	"strings"

	"github.com/intertie/intertie/resource"
)

// A kind of destination is one declaration: the type of its properties, in a file
// of its own, and its line in this table. Everything else here is the same for
// all.
var destinationKinds = map[EndpointType]func() DestinationProperties{
	WebHook:              func() DestinationProperties { return &WebHookDestination{} },
	ToPartnerDestination: func() DestinationProperties { return &PartnerDestinationRef{} },
}

// DestinationProperties is the properties of a destination of one kind. What is
// stored of them is what reads show, so a kind moves its secrets into those of
// the event subscription.
type DestinationProperties interface {
	// check fills in what was left out, judges the rest and takes the secrets.
	check(w *destinationWrite) error
	// schemas returns in what events can be delivered; nil is in all.
	schemas() []DeliverySchema
	// handshake returns how the endpoint is asked for its consent: URL and
	// protection. Nil is for kinds that ask nobody.
	handshake(es *resource.Resource) *Handshake
	// deliver says where events go now, as the whole of what the data plane needs.
	deliver(tx resource.Reader, es *resource.Resource) (Delivery, error)
}

// destinationWrite is a destination that is being written.
type destinationWrite struct {
	*resource.Write
	rules *Rules
	es    *resource.Resource // whose secrets may be changed
	topic *resource.Resource
}

// EndpointType is the kind of a destination.
type EndpointType string

// The kinds that are offered.
const (
	WebHook              EndpointType = "WebHook"            // an HTTP endpoint
	ToPartnerDestination EndpointType = "PartnerDestination" // what a partner has set up for the customer
)

// UnmarshalJSON implements [json.Unmarshaler]. Azure's other kinds are known by
// name only to say that they are not offered.
func (t *EndpointType) UnmarshalJSON(data []byte) error {
	var known EndpointType
	err := resource.ParseEnum(data, &known, WebHook, "AzureFunction", "EventHub", "ServiceBusQueue", "ServiceBusTopic",
		"HybridConnection", "StorageQueue", ToPartnerDestination, "MonitorAlert", "NamespaceTopic")
	if err != nil {
		return err
	}
	if known != "" && destinationKinds[known] == nil {
		return resource.Invalid("Invalid event subscription request: destinations of endpointType '%s' are not offered by this server yet; use WebHook.", known)
	}
	*t = known
	return nil
}

// Destination says where a subscription's events go.
type Destination struct {
	EndpointType EndpointType          `json:"endpointType"`
	Properties   DestinationProperties `json:"properties"`
}

// UnmarshalJSON replaces the whole destination: a PATCH sends it complete but
// for what reads do not show.
func (d *Destination) UnmarshalJSON(data []byte) error {
	var fresh struct {
		EndpointType EndpointType    `json:"endpointType"`
		Properties   json.RawMessage `json:"properties"`
	}
	if err := resource.DecodeMember("destination", data, &fresh); err != nil {
		return err
	}
	*d = Destination{EndpointType: fresh.EndpointType}
	build := destinationKinds[fresh.EndpointType]
	if build == nil || !given(fresh.Properties) {
		return nil // refused when it is checked
	}
	d.Properties = build()
	return resource.DecodeMember("destination.properties", fresh.Properties, d.Properties)
}

// prepareDestination checks the destination of an event subscription that is
// being written. What belongs to a destination of another kind is forgotten.
func (r *Rules) prepareDestination(f *family, w *resource.Write, es, topic *resource.Resource, next, old *EventSubscription) error {
	d := next.Destination
	if d == nil {
		return resource.Invalid("Invalid event subscription request: the property 'destination' is required.")
	}
	if d.EndpointType == "" || d.Properties == nil {
		return resource.Invalid("Invalid event subscription request: the destination needs 'endpointType' and 'properties'.")
	}
	if old != nil && old.Destination != nil && old.Destination.EndpointType != d.EndpointType {
		forgetDestination(es)
	}
	if err := f.checkSchema(w.Tx, topic, next); err != nil {
		return err
	}
	return d.Properties.check(&destinationWrite{Write: w, rules: r, es: es, topic: topic})
}

// forgetDestination drops the secrets of a destination.
func forgetDestination(es *resource.Resource) {
	for name := range es.Secrets {
		switch {
		case name == SecretEndpointURL, name == SecretValidatedURL, name == secretValidation, name == secretDestinationUID,
			strings.HasPrefix(name, secretAttribute):
			es.Secret(name, "")
		}
	}
}

// Delivery is where and how the events of one subscription are delivered.
type Delivery struct {
	Type  EndpointType
	State DeliveryState
	// Reason says in words why State is not Open.
	Reason string

	// URL and what follows belong to destinations over HTTP. Where State is not
	// Open they may be empty.
	URL string
	Protection
	// Attributes are headers, with their real values.
	Attributes []Attribute
	// Batch is set where deliveries carry several events, at most MaxEvents and
	// about PreferredKB kilobytes.
	Batch                  bool
	MaxEvents, PreferredKB int
	MinimumTLSVersion      TLSVersion
}

// DeliveryState says whether events can be delivered.
type DeliveryState uint8

const (
	// Unconsented: the endpoint never agreed. Events are not for it, now or later.
	Unconsented DeliveryState = iota
	// Closed: events are for it, and wait as after a failed attempt.
	Closed
	// Open is the normal case.
	Open
)

// DestinationOf returns where the events of a stored event subscription go. It
// looks at what the destination refers to as it is now, so it is to be asked again
// when that changes: for those of [PartnerDestinationOf] after a change of a partner
// destination, which also changes whenever its channel does.
//
// It fails only for a resource that cannot be read.
func DestinationOf(tx resource.Reader, es *resource.Resource) (Delivery, error) {
	p, err := resource.Properties[EventSubscription](es)
	if err != nil {
		return Delivery{}, err
	}
	if p.Destination == nil || p.Destination.Properties == nil {
		return Delivery{Reason: "it has no destination"}, nil
	}
	d, err := p.Destination.Properties.deliver(tx, es)
	d.Type = p.Destination.EndpointType
	return d, err
}
