package event

// Event is one accepted event.
//
// JSON may share memory with the body of the request it was parsed from; the
// strings never do.
type Event struct {
	// Schema is the input schema of the topic that took the event.
	Schema Schema
	// JSON is the event as the topic holds it: the publisher's own bytes as far
	// as possible. In CloudEvents it is the structured-mode object, with nothing
	// re-encoded but specversion. In EventGrid it is the event with the fields
	// that the service sets. In Custom it is an event of the Event Grid schema
	// with the mapped fields, whose data is the publisher's whole object.
	JSON []byte
	// The decoded attributes that routing and filtering ask for most often.
	// Subject is empty when the attribute is absent; Source keeps its blanks.
	// In the Event Grid and custom schemas Type is eventType, and Source is the
	// full id that JSON has under topic.
	// SpecVersion is what JSON says, after normalisation; it is empty in the
	// Event Grid and custom schemas.
	ID, Source, Type, Subject, SpecVersion string
	// DomainTopic is, for an event that was sent to a domain, the name of the
	// domain topic as the event spells it in the property topic, the attribute
	// source, or the field mapped to topic, alone or as the end of the topic's
	// id. It is set by [Parse] for the one who routes, and not kept with the
	// event.
	DomainTopic string
}
