package event

import "fmt"

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
	// SpecVersion is what JSON says, after normalisation.
	ID, Source, Type, Subject, SpecVersion string
}

// Limits bounds one publish request beyond the size of its body, which is the
// transport's to enforce.
type Limits struct {
	// Events is the largest number of events in one request.
	Events int
	// EventBytes is the largest size of one event, in bytes of its JSON; data
	// in base64 counts as encoded.
	EventBytes int
}

// DefaultLimits returns the limits measured at Azure Event Grid.
func DefaultLimits() Limits { return Limits{Events: 5000, EventBytes: 1_049_600} }

// Request is what [Parse] needs of one publish request.
type Request struct {
	// ContentType is the Content-Type header as sent, empty if there was none.
	ContentType string
	// Header holds the request's headers under canonical names, as net/http
	// does. Only names that start with "Ce-" are read.
	Header map[string][]string
	// Body is the whole body, already inflated. Parse does not modify it, and
	// the events of its answer point into it.
	Body []byte
	// Limits; the zero value means [DefaultLimits].
	Limits Limits
	// Strict refuses what Azure may refuse although its documents allow it: a
	// specversion that does not start with "1.0", attribute names outside
	// [a-z0-9]+, binary mode with a content type other than application/json,
	// and ce-* headers beside a CloudEvents content type.
	Strict bool
}

// Code says which class of mistake a request contains. Values are Event Grid's
// detail codes.
type Code string

// The codes of an [Error].
const (
	InputJSONInvalid        Code = "InputJsonInvalid"        // body or attributes break a rule
	InvalidCloudEventHeader Code = "InvalidCloudEventHeader" // binary mode: a ce-* header is missing or unusable
	InvalidContentType      Code = "InvalidContentType"      // no mode fits the content type
	PayloadTooLarge         Code = "PayloadTooLarge"         // one of [Limits] was passed
)

// Error refuses a publish request. Its message is written for the publisher:
// what is wrong, where, and what to send instead.
type Error struct {
	Code    Code
	Message string
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// invalid returns an InputJSONInvalid error.
func invalid(format string, args ...any) *Error {
	return &Error{Code: InputJSONInvalid, Message: fmt.Sprintf(format, args...)}
}
