package event

import (
	"errors"
	"fmt"
)

// Append appends e to dst as one JSON object in the schema as. What the
// publisher wrote, above all data, is copied byte for byte.
//
// An event of the Event Grid schema becomes a CloudEvent by Event Grid's rules:
// topic is the source, dataVersion behind a number sign the dataschema, and
// metadataVersion is dropped; a time without a zone, which CloudEvents do not
// allow, is taken for UTC. An event of a custom schema is given back as it
// came, or as the event that its fields were mapped to. Other conversions than
// those of [Schema.ConvertsTo] are refused, and so is JSON that is no event of
// the schema, as far as it has to be read; then dst's bytes beyond its length
// are undefined.
func (e *Event) Append(dst []byte, as Schema) ([]byte, error) {
	if !e.Schema.ConvertsTo(as) {
		return dst, fmt.Errorf("an event of schema %s cannot be delivered in schema %s", e.Schema, as)
	}
	if as == CloudEvents && e.Schema == CloudEvents || as == EventGrid {
		return append(dst, e.JSON...), nil
	}
	var m located
	if err := m.locate(e.JSON, allProperties); err != nil {
		return dst, fmt.Errorf("convert event %q from schema %s to %s: %w", e.ID, e.Schema, as, err)
	}
	if as == Custom {
		return append(dst, m[propertyData].of(e.JSON)...), nil
	}
	return m.appendCloudEvent(dst, e.JSON), nil
}

// DataVersion returns the property dataVersion of an event in the Event Grid or
// a custom schema; it is empty for CloudEvents. The text is the publisher's and
// may hold what no HTTP header can carry.
func (e *Event) DataVersion() string {
	if e.Schema == CloudEvents {
		return ""
	}
	var m located
	if m.locate(e.JSON, propertyDataVersion) != nil || m[propertyDataVersion].kind != '"' {
		return ""
	}
	a := &m[propertyDataVersion]
	s, _ := text{raw: a.of(e.JSON), escaped: a.escaped}.decoded()
	return string(s)
}

// of returns the bytes of the value in the JSON that it was found in.
func (a *attribute) of(b []byte) []byte { return b[a.raw.start:a.raw.end] }

// located says where the properties of a stored event are.
type located [allProperties]attribute

// locate finds the properties of the event b. It stops at the one that is
// wanted, and it does not read data where everything else comes before it, as
// [stamped.append] has it: what lies between the name and the last brace is
// data, and was checked when it was stored.
func (m *located) locate(b []byte, wanted property) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return unexpected(b, i, "'{'")
	}
	for i = skipSpace(b, i+1); ; i = skipSpace(b, i+1) {
		start, name, err := skipName(b, i)
		if err != nil {
			return err
		}
		p, known := propertyOf(name.plain())
		if last := len(b) - 1; known && p == propertyData && m.complete() == nil && b[last] == '}' && start < last {
			m[p] = attribute{raw: span{start, last}, kind: b[start]}
			return nil
		}
		end, escaped, err := skipMember(b, start, 1)
		if err != nil {
			return err
		}
		if known {
			m[p] = attribute{raw: span{start, end}, kind: b[start], escaped: escaped}
			if p == wanted {
				return nil
			}
		}
		if i = skipSpace(b, end); i < len(b) && b[i] == '}' {
			break
		}
		if i >= len(b) || b[i] != ',' {
			return unexpected(b, i, "',' or '}' behind a property")
		}
	}
	if i = skipSpace(b, i+1); i < len(b) {
		return unexpected(b, i, "the end of the event")
	}
	if m[propertyData].kind == 0 {
		return errors.New("the property 'data' is missing")
	}
	return m.complete()
}

// complete says which property that a CloudEvent is made of is missing.
func (m *located) complete() error {
	for p := range mappableProperties {
		if m[p].kind != '"' {
			return fmt.Errorf("the property '%s' is no string", p)
		}
	}
	return nil
}

// appendCloudEvent writes the properties found in b, in the order in which
// Event Grid has them.
func (m *located) appendCloudEvent(dst, b []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = append(dst, m[propertyID].of(b)...)
	dst = append(dst, `,"source":`...)
	dst = append(dst, m[propertyTopic].of(b)...)
	dst = append(dst, `,"specversion":"`+specVersion+`","type":`...)
	dst = append(dst, m[propertyType].of(b)...)
	dst = append(dst, `,"dataschema":"#`...)
	dst = append(dst, m[propertyDataVersion].of(b)[1:]...)
	dst = append(dst, `,"subject":`...)
	dst = append(dst, m[propertySubject].of(b)...)
	dst = append(dst, `,"time":`...)
	time := text{raw: m[propertyTime].of(b), escaped: m[propertyTime].escaped}
	dst = append(append(dst, '"'), time.plain()...)
	if s, _ := time.decoded(); lacksZone(s) {
		dst = append(dst, 'Z')
	}
	dst = append(dst, '"')
	dst = append(dst, `,"data":`...)
	dst = append(dst, m[propertyData].of(b)...)
	return append(dst, '}')
}
