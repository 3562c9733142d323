package eventgrid

import (
	"slices"
	"strings"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// DeliverySchema is the schema in which events are delivered.
type DeliverySchema string

// The delivery schemas.
const (
	CloudEventSchema  DeliverySchema = "CloudEventSchemaV1_0"
	EventGridSchema   DeliverySchema = "EventGridSchema"
	CustomInputSchema DeliverySchema = "CustomInputSchema"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (s *DeliverySchema) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, s, CloudEventSchema, EventGridSchema, CustomInputSchema)
}

// Event returns the schema as the data plane knows it.
func (s DeliverySchema) Event() event.Schema {
	switch s {
	case EventGridSchema:
		return event.EventGrid
	case CustomInputSchema:
		return event.Custom
	default:
		return event.CloudEvents
	}
}

// deliverable lists what each input schema can be delivered as, the default
// first. CloudEvents stay what they are: the others have no place for extension
// attributes.
var deliverable = map[event.Schema]struct {
	what string
	as   []DeliverySchema
}{
	event.CloudEvents: {"CloudEvents", []DeliverySchema{CloudEventSchema}},
	event.EventGrid:   {"events of the Event Grid schema", []DeliverySchema{EventGridSchema, CloudEventSchema}},
	event.Custom:      {"events of a custom schema", []DeliverySchema{EventGridSchema, CloudEventSchema, CustomInputSchema}},
}

// checkSchema fills in and checks the delivery schema.
func (f *family) checkSchema(tx resource.Tx, topic *resource.Resource, next *EventSubscription) error {
	input, err := f.schema(tx, topic)
	if err != nil {
		return err
	}
	can, takes := deliverable[input], next.Destination.Properties.schemas()
	if next.Schema == "" {
		next.Schema = can.as[0]
		if len(takes) > 0 && slices.Contains(can.as, takes[0]) {
			next.Schema = takes[0] // the default of the topic would be refused
		}
	}
	if takes != nil && !slices.Contains(takes, next.Schema) {
		return resource.Invalid("Invalid event subscription request: a destination of endpointType '%s' takes events as %s only, not as %s.",
			next.Destination.EndpointType, takes[0], next.Schema)
	}
	if slices.Contains(can.as, next.Schema) {
		return nil
	}
	names := make([]string, len(can.as))
	for i, s := range can.as {
		names[i] = string(s)
	}
	return resource.Invalid("Invalid event subscription request: the %s '%s' takes %s, which can be delivered only as %s, not as %s.",
		f.what, topic.ID.Name(), can.what, strings.Join(names, " or "), next.Schema)
}
