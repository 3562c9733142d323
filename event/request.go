package event

import (
	"fmt"
	"time"
)

// Limits bounds one publish request beyond the size of its body, which is the
// transport's to enforce.
type Limits struct {
	// Events is the largest number of events in one request.
	Events int
	// EventBytes is the largest size of one event, in bytes of its JSON as
	// sent; data in base64 counts as encoded.
	EventBytes int
}

// DefaultLimits returns the limits measured at Azure Event Grid.
func DefaultLimits() Limits { return Limits{Events: 5000, EventBytes: 1_049_600} }

// Request is what [Parse] needs of one publish request.
type Request struct {
	// Schema is the input schema of the resource that was posted to.
	Schema Schema
	// Topic is the ARM id of that resource, a custom topic or a domain. With
	// CloudEvents it is needed on a domain only.
	Topic string
	// Domain says that the resource is a domain, whose events name a domain
	// topic each.
	Domain bool
	// Mapping says where a custom schema has the fields of an event; nil is the
	// empty mapping. Parse does not modify it.
	Mapping *Mapping
	// Received is the eventTime of custom events that have none; zero means the
	// time of the call.
	Received time.Time
	// ContentType is the Content-Type header as sent, empty if there was none.
	// Only CloudEvents depend on it.
	ContentType string
	// Header holds the request's headers under canonical names, as net/http
	// does. Only names that start with "Ce-" are read.
	Header map[string][]string
	// Body is the whole body, already inflated. Parse does not modify it, and
	// the events of its answer point into it.
	Body []byte
	// Limits; the zero value means [DefaultLimits].
	Limits Limits
	// Strict refuses CloudEvents that Azure may refuse although its documents
	// allow them: a specversion that does not start with "1.0", attribute names
	// outside [a-z0-9]+, binary mode with a content type other than
	// application/json, and ce-* headers beside a CloudEvents content type.
	Strict bool
}

// Code says which class of mistake a request contains. Values are Event Grid's
// detail codes, except where noted.
type Code string

// The codes of an [Error].
const (
	InputJSONInvalid        Code = "InputJsonInvalid"        // body or attributes break a rule
	InvalidCloudEventHeader Code = "InvalidCloudEventHeader" // binary mode: a ce-* header is missing or unusable
	InvalidContentType      Code = "InvalidContentType"      // no mode fits the content type
	PayloadTooLarge         Code = "PayloadTooLarge"         // one of [Limits] was passed
	// TopicMismatch: an event in the Event Grid schema names another topic than
	// the one it was sent to. Event Grid takes that for a lack of authorization,
	// status 401, and has no code of its own for it.
	TopicMismatch Code = "TopicMismatch"
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
