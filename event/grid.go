package event

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// metadataVersion is the only version of the Event Grid schema.
const metadataVersion = "1"

// property is one of the properties of the Event Grid schema; there are no
// others. They stand in the order in which Event Grid reports what is missing,
// and those that a mapping can name come first.
type property uint8

const (
	propertySubject property = iota
	propertyID
	propertyType
	propertyTime
	propertyTopic
	propertyDataVersion
	propertyMetadataVersion
	propertyData
)

// How many properties an event must have, a mapping can name, are strings, and
// there are.
const (
	requiredProperties = propertyTopic
	mappableProperties = propertyMetadataVersion
	textProperties     = propertyData
	allProperties      = propertyData + 1
)

var propertyNames = [allProperties]string{"subject", "id", "eventType", "eventTime", "topic", "dataVersion", "metadataVersion", "data"}

func (p property) String() string { return propertyNames[p] }

// propertyOf returns the property of that name. Names are compared exactly.
func propertyOf(name []byte) (_ property, ok bool) {
	switch string(name) {
	case "id":
		return propertyID, true
	case "subject":
		return propertySubject, true
	case "data":
		return propertyData, true
	case "eventType":
		return propertyType, true
	case "eventTime":
		return propertyTime, true
	case "dataVersion":
		return propertyDataVersion, true
	case "metadataVersion":
		return propertyMetadataVersion, true
	case "topic":
		return propertyTopic, true
	}
	return 0, false
}

// gridReader is what a parser needs to read events of the Event Grid schema,
// and of custom schemas, which become such.
type gridReader struct {
	// topic is the ARM id of the resource, and quoted the same as JSON writes
	// it between quotes.
	topic, quoted string
	// members are those of the event at hand; mapped is for custom schemas.
	members [allProperties]attribute
	mapped  *[mappableProperties]mappedField
	// received is the time of the request.
	received time.Time
	// event is what check found, ready to be written.
	event stamped
	// scratch holds what was made for the event at hand: a rewritten time, an
	// id. What was cut from it stays valid when it grows.
	scratch []byte
	first   [64]byte // the memory that scratch begins with
	// source and domainTopic are those strings of the last event, since on a
	// domain neighbours often go to the same topic and elsewhere all do.
	source, domainTopic string
	// out holds the JSON of events, chunk by chunk: slices cut from it stay
	// valid when a new chunk is begun.
	out []byte
}

func newGridReader(r *Request) *gridReader {
	g := &gridReader{topic: r.Topic, quoted: quoted(r.Topic), source: r.Topic, received: r.Received}
	g.scratch = g.first[:0]
	if r.Schema == Custom {
		g.mapped = r.Mapping.fields()
	}
	return g
}

// reset makes g ready for the next event.
func (g *gridReader) reset() {
	g.event, g.scratch = stamped{topic: g.quoted}, g.scratch[:0]
	if g.mapped == nil {
		clear(g.members[:])
		return
	}
	for i := range g.mapped {
		g.mapped[i].reset()
	}
}

// quoted returns s as it stands between the quotes of a JSON string.
func quoted(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' || s[i] >= 0x80 {
			b, _ := jsontext.AppendQuote(nil, s) // its error is about UTF-8, and then it writes U+FFFD
			return string(b[1 : len(b)-1])
		}
	}
	return s
}

// addGridMember keeps a member of an event in the Event Grid schema. Of members
// that occur twice the last one counts, and only that one is passed on.
func (p *parser) addGridMember(name text, a attribute) *Error {
	n, ok := name.decoded()
	if !ok {
		return invalid("%sthe property name %s is not valid Unicode (schema %s).", p.where(), clip(name.raw), p.schema)
	}
	m, ok := propertyOf(n)
	if !ok {
		return invalid("%sthe property '%s' is not one of schema %s; move it into 'data', or correct its spelling: there are id, topic, subject, eventType, eventTime, data, dataVersion and metadataVersion.",
			p.where(), clip(n), p.schema)
	}
	p.grid.members[m] = a
	return nil
}

// checkGrid applies the rules of the Event Grid schema.
func (p *parser) checkGrid() *Error {
	g := p.grid
	for n := range textProperties {
		a := &g.members[n]
		if a.isNumber() {
			a.s = a.of(p.body) // it becomes text, as it is written
		} else if err := p.decode(a, n.String()); err != nil {
			return err
		}
		if n < requiredProperties && len(a.s) == 0 {
			return p.missing(n.String(), n.String())
		}
		if n < mappableProperties {
			g.event.text[n] = p.value(a)
		}
	}
	if v := &g.members[propertyMetadataVersion]; v.present() && string(v.s) != metadataVersion {
		return invalid("%sthe property 'metadataVersion' is '%s'; schema %s has only version '%s': send that, or leave the property out.",
			p.where(), clip(v.s), p.schema, metadataVersion)
	}
	if !g.setTime() {
		return invalid("%sthe property 'eventTime' is not valid in schema %s: %v.", p.where(), p.schema, errGridTime)
	}
	if data := &g.members[propertyData]; data.kind != 0 {
		g.event.data = data.of(p.body)
	}
	return p.checkTopic()
}

// checkTopic judges the property topic, which names a domain topic on a domain
// and otherwise can only repeat where the event was sent.
func (p *parser) checkTopic() *Error {
	name := &p.grid.event.text[propertyTopic]
	switch {
	case p.domain && len(name.s) == 0:
		return invalid("%sthe property 'topic' is missing or empty; this resource is a domain, and each of its events in schema %s names its domain topic there.",
			p.where(), p.schema)
	case p.domain:
		return p.checkGridDomainTopic(propertyTopic.String())
	case len(name.s) > 0 && string(name.s) != p.grid.topic:
		return &Error{TopicMismatch, p.where() + "the property 'topic' is '" + clip(name.s) + "', which is not the id of the topic that the event was sent to. Leave it out, or set it to '" + p.grid.topic + "'."}
	default:
		*name = value{}
	}
	return nil
}

// value returns a string that decode has read, or a number as text; the zero
// value if the attribute is absent.
func (p *parser) value(a *attribute) value {
	switch {
	case !a.present():
		return value{}
	case a.kind != '"':
		return value{written: a.s, s: a.s}
	}
	return value{written: p.body[a.raw.start+1 : a.raw.end-1], s: a.s}
}

// setTime puts the time of the event into the form that receivers read: as it
// was sent if that is RFC 3339 in its plain form, with a zone or without, else
// rewritten.
func (g *gridReader) setTime() (ok bool) {
	v, at := &g.event.text[propertyTime], len(g.scratch)
	if g.scratch, ok = appendTime(g.scratch, v.s); !ok {
		return false
	}
	if t := g.scratch[at:len(g.scratch):len(g.scratch)]; string(t) != string(v.s) {
		*v = value{written: t, s: t}
	}
	return true
}

// keepGrid adds an event whose members passed every rule.
func (p *parser) keepGrid(start, end int) {
	g := p.grid
	if p.schema == Custom {
		g.event.data = p.body[start:end]
	}
	id, typ, subject, name := g.event.text[propertyID].s, g.event.text[propertyType].s, g.event.text[propertySubject].s, g.event.text[propertyTopic].s
	size := len(id) + len(typ) + len(subject)
	fresh := p.domain && string(name) != g.domainTopic
	if fresh {
		size += len(g.topic) + len(domainTopics) + len(name)
	}
	p.reserve(size, start, end)
	if fresh {
		at := p.names.Len()
		p.names.WriteString(g.topic)
		p.names.WriteString(domainTopics)
		p.names.Write(name)
		g.source = p.names.String()[at:]
		g.domainTopic = g.source[len(g.topic)+len(domainTopics):]
	}
	p.events = append(p.events, Event{
		Schema:      p.schema,
		JSON:        p.write(&g.event, start, end),
		ID:          p.name(id),
		Source:      g.source,
		Type:        p.name(typ),
		Subject:     p.name(subject),
		DomainTopic: g.domainTopic,
	})
}

// write returns the JSON of the event at body[start:end].
func (p *parser) write(s *stamped, start, end int) []byte {
	const most = 256 << 10
	g := p.grid
	if need := s.size(); cap(g.out)-len(g.out) < need {
		g.out = make([]byte, 0, max(need, min(need*p.remaining(start, end), most)))
	}
	at := len(g.out)
	g.out = s.append(g.out)
	return g.out[at:len(g.out):len(g.out)]
}
