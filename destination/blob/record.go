package blob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

// Record is what dead-lettering adds to an event.
type Record struct {
	// Reason is why the event was given up, in Azure's words.
	Reason string
	// Attempts counts the attempts made.
	Attempts int
	// Outcome is how the last attempt ended.
	Outcome destination.Outcome
	// Status is the HTTP status of the last answer; 0 (no answer, or not HTTP)
	// leaves the member out.
	Status int
	// Published is when the event was accepted.
	Published time.Time
	// LastAttempt is when the last attempt was made; the zero time (never tried)
	// leaves the member out.
	LastAttempt time.Time
}

// instant is how Azure writes times into a record: UTC, 7 fraction digits.
const instant = "2006-01-02T15:04:05.0000000Z"

// names are the members that a record may add to an event.
type names struct{ reason, attempts, outcome, status, published, lastAttempt string }

// namesOf returns the members as the schema spells them: attributes of
// CloudEvents are in lower case.
func namesOf(s event.Schema) names {
	if s == event.CloudEvents {
		return names{
			"deadletterreason", "deliveryattempts", "lastdeliveryoutcome", "lasthttpstatuscode",
			"publishtime", "lastdeliveryattempttime",
		}
	}
	return names{
		"deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome", "lastHttpStatusCode",
		"publishTime", "lastDeliveryAttemptTime",
	}
}

func (n names) has(name string) bool {
	switch name {
	case n.reason, n.attempts, n.outcome, n.status, n.published, n.lastAttempt:
		return true
	}
	return false
}

// AppendRecord appends e, in the delivery schema as, with the members of r added
// at its end to dst and returns the extended buffer. An event delivered in a
// custom schema is recorded as an Event Grid event with the publisher's object
// as its data. The members of the event are copied byte for byte, in their
// order.
//
// An extension attribute of the publisher that has the name of one of these
// members is left out, also when r has no value for it: a reader must be able
// to tell what the server says from what a publisher made up, and a name must
// not appear twice.
//
// An event that cannot be had in the schema is recorded in its own: a dead letter
// in another form is better than none. The error says that the event is none;
// dst is then returned as it was.
func AppendRecord(dst []byte, e *event.Event, as event.Schema, r Record) ([]byte, error) {
	if !e.Schema.ConvertsTo(as) {
		as = e.Schema
	}
	if as == event.Custom {
		as = event.EventGrid
	}
	object := e.JSON
	if e.Schema != as {
		var err error
		if object, err = e.Append(nil, as); err != nil {
			return dst, fmt.Errorf("dead-letter record: %w", err)
		}
	}
	members, err := split(object)
	if err != nil {
		return dst, fmt.Errorf("dead-letter record: %w", err)
	}
	names := namesOf(as)
	dst = append(dst, '{')
	for _, m := range members {
		if !names.has(m.name) {
			dst = append(append(dst, m.raw...), ',')
		}
	}
	return append(r.append(dst, names), '}'), nil
}

// append appends the members of r.
func (r Record) append(dst []byte, n names) []byte {
	dst = appendText(dst, n.reason, r.Reason)
	dst = append(append(append(dst, `,"`...), n.attempts...), `":`...)
	dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	dst = append(dst, ',')
	dst = appendText(dst, n.outcome, string(r.Outcome))
	if r.Status != 0 {
		dst = append(append(append(dst, `,"`...), n.status...), `":`...)
		dst = strconv.AppendInt(dst, int64(r.Status), 10)
	}
	dst = append(dst, ',')
	dst = appendText(dst, n.published, r.Published.UTC().Format(instant))
	if !r.LastAttempt.IsZero() {
		dst = append(dst, ',')
		dst = appendText(dst, n.lastAttempt, r.LastAttempt.UTC().Format(instant))
	}
	return dst
}

// Array returns the content of a blob: the records as a JSON array. Azure
// writes an array even for a single record.
func Array(records ...[]byte) []byte {
	n := 2
	for _, r := range records {
		n += len(r) + 1
	}
	out := append(make([]byte, 0, n), '[')
	for i, r := range records {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, r...)
	}
	return append(out, ']')
}

func appendText(dst []byte, name, value string) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(`""`) // unreachable: every string can be encoded
	}
	return append(append(append(append(dst, '"'), name...), `":`...), text...)
}

// member is one name and value of an object.
type member struct {
	name string // decoded
	raw  []byte // both with the colon between them, as the publisher wrote them
}

var errNotObject = errors.New("the event is not a JSON object")

// split cuts an object into its members without touching their bytes.
func split(object []byte) ([]member, error) {
	if !json.Valid(object) {
		return nil, errNotObject
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotObject
	}
	var members []member
	for d.More() {
		start := skipComma(object, d.InputOffset())
		name, err := d.Token()
		if err != nil {
			return nil, errNotObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNotObject
		}
		text, _ := name.(string)
		members = append(members, member{name: text, raw: object[start:d.InputOffset()]})
	}
	return members, nil
}

// skipComma returns where the next member begins at or after i.
func skipComma(b []byte, i int64) int64 {
	for b[i] != '"' {
		i++
	}
	return i
}
