package event

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// value is a string: as JSON writes it between quotes, and decoded.
type value struct{ written, s []byte }

// stamped is an event of the Event Grid schema with all that the service adds,
// ready to be written.
type stamped struct {
	// topic is the id of the resource as JSON writes it between quotes. On a
	// domain text has the name of the domain topic that follows it.
	topic string
	text  [mappableProperties]value
	data  []byte // one JSON value; nil stands for null
}

// size returns at least how many bytes append needs.
func (s *stamped) size() int {
	const names = len(`{"id":"","topic":"/topics/","subject":"","eventType":"","eventTime":"","dataVersion":"","metadataVersion":"1","data":null}`)
	n := names + len(s.topic) + len(s.data)
	for i := range s.text {
		n += len(s.text[i].written)
	}
	return n
}

// append writes the event. Data comes last: who asks for something else, as
// [Event.Append] does, need not read it.
func (s *stamped) append(dst []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(dst, s.text[propertyID].written...)
	dst = append(dst, `","topic":"`...)
	dst = append(dst, s.topic...)
	if name := s.text[propertyTopic].written; len(name) > 0 {
		dst = append(dst, domainTopics...)
		dst = append(dst, name...)
	}
	dst = append(dst, `","subject":"`...)
	dst = append(dst, s.text[propertySubject].written...)
	dst = append(dst, `","eventType":"`...)
	dst = append(dst, s.text[propertyType].written...)
	dst = append(dst, `","eventTime":"`...)
	dst = append(dst, s.text[propertyTime].written...)
	dst = append(dst, `","dataVersion":"`...)
	dst = append(dst, s.text[propertyDataVersion].written...)
	dst = append(dst, `","metadataVersion":"`+metadataVersion+`","data":`...)
	if s.data == nil {
		dst = append(dst, "null"...)
	}
	dst = append(dst, s.data...)
	return append(dst, '}')
}

// Grid is an event of the Event Grid schema that Intertie itself emits. All
// members are written, also when they are empty.
type Grid struct {
	ID      string
	Topic   string // ARM id of the topic
	Subject string
	Type    string
	Time    string // RFC 3339
	// Data is one JSON value, copied byte for byte; nil becomes null.
	Data        []byte
	DataVersion string
}

// NewGrid returns the event that g describes. It fails only on a member that
// is not valid UTF-8; the rules of the schema are the caller's.
func NewGrid(g Grid) (Event, error) {
	b, err := g.Append(nil)
	if err != nil {
		return Event{}, err
	}
	return Event{Schema: EventGrid, JSON: b, ID: g.ID, Source: g.Topic, Type: g.Type, Subject: g.Subject}, nil
}

// Append appends g as a JSON object to dst. On an error dst's bytes beyond its
// length are undefined.
func (g *Grid) Append(dst []byte) ([]byte, error) {
	s := stamped{data: g.Data}
	for _, m := range [...]struct {
		property
		value string
	}{
		{propertyID, g.ID},
		{propertyTopic, g.Topic},
		{propertySubject, g.Subject},
		{propertyType, g.Type},
		{propertyTime, g.Time},
		{propertyDataVersion, g.DataVersion},
	} {
		b, err := jsontext.AppendQuote(nil, m.value)
		if err != nil {
			return dst, fmt.Errorf("encode %s %q: %w", m.property, m.value, err)
		}
		if b = b[1 : len(b)-1]; m.property == propertyTopic {
			s.topic = string(b)
			continue
		}
		s.text[m.property].written = b
	}
	return s.append(dst), nil
}
