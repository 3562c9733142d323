package event

// Schema is a schema of events.
type Schema uint8

// The schemas of Event Grid.
const (
	// CloudEvents is CloudEvents 1.0.
	CloudEvents Schema = iota
	// EventGrid is the Event Grid schema.
	EventGrid
	// Custom is JSON of any shape, of which a mapping says where the fields are
	// that Event Grid needs.
	Custom
)

// String returns the name that Event Grid's error texts have for s.
func (s Schema) String() string {
	switch s {
	case EventGrid:
		return "EventGridEvent"
	case Custom:
		return "CustomEventSchema"
	}
	return "CloudEventV10"
}

// inputSchema is the value of the management property of that name that stands
// for s.
func (s Schema) inputSchema() string {
	switch s {
	case EventGrid:
		return "EventGridSchema"
	case Custom:
		return "CustomEventSchema"
	}
	return "CloudEventSchemaV1_0"
}

// ConvertsTo reports whether events that arrive in schema s can be delivered
// in the other one. CloudEvents never become anything else, because the other
// schemas have no place for extension attributes, and only what arrived in a
// custom schema can leave in it.
func (s Schema) ConvertsTo(as Schema) bool {
	switch s {
	case CloudEvents:
		return as == CloudEvents
	case EventGrid:
		return as == EventGrid || as == CloudEvents
	case Custom:
		return as <= Custom
	}
	return false
}
