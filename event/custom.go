package event

import (
	"strings"

	"github.com/google/uuid"
)

// Mapping says where events of a custom schema have the fields that Event Grid
// needs. Default is used for Subject, Type and DataVersion only, as in Event
// Grid; what has neither value nor default becomes:
//
//	ID           a new GUID
//	Topic        on a domain refused; elsewhere it is always the resource's id
//	Time         Request.Received
//	Subject      refused
//	Type         refused
//	DataVersion  empty
type Mapping struct {
	ID, Topic, Time, Subject, Type, DataVersion Field
}

// Field is where one field comes from.
type Field struct {
	// Source names a property of the event: one of its own by that very name,
	// else a path of names joined by dots. Names are compared exactly. Empty
	// means none.
	Source string
	// Default is used when Source yields no value, that is when the property is
	// absent, null or an empty string.
	Default string
}

// mappedField is a field of a mapping with what the event at hand has for it.
type mappedField struct {
	// source is the property; head is the first name of source if it can be a
	// path, and rest the names behind it.
	source, head, rest string
	fallback           string
	// literal is the value of the property source, outer that of head.
	literal, outer attribute
}

func (f *mappedField) reset() { f.literal, f.outer = attribute{}, attribute{} }

// fields returns m in the form that a parser works with.
func (m *Mapping) fields() *[mappableProperties]mappedField {
	fields := new([mappableProperties]mappedField)
	if m == nil {
		return fields
	}
	for i, f := range [mappableProperties]Field{
		propertySubject:     m.Subject,
		propertyID:          {Source: m.ID.Source},
		propertyType:        m.Type,
		propertyTime:        {Source: m.Time.Source},
		propertyTopic:       {Source: m.Topic.Source},
		propertyDataVersion: m.DataVersion,
	} {
		to := &fields[i]
		to.source, to.fallback = f.Source, f.Default
		if head, rest, ok := strings.Cut(f.Source, "."); ok {
			to.head, to.rest = head, rest
		}
	}
	return fields
}

// addCustomMember keeps a member that the mapping asks for. Of members that
// occur twice the last one counts, as in most readers of data.
func (g *gridReader) addCustomMember(name text, a attribute) {
	n, _ := name.decoded() // a name that is not Unicode is none that the mapping has
	for i := range g.mapped {
		f := &g.mapped[i]
		switch {
		case f.source == "":
		case string(n) == f.source:
			f.literal = a
		case f.rest != "" && string(n) == f.head:
			f.outer = a
		}
	}
}

// checkCustom takes the fields out of the event at hand.
func (p *parser) checkCustom() *Error {
	g := p.grid
	for n := range mappableProperties {
		if n == propertyTopic && !p.domain {
			continue // it can only be the resource, whatever the event says
		}
		v, err := p.fieldValue(&g.mapped[n], n)
		if err != nil {
			return err
		}
		g.event.text[n] = v
		if len(v.s) > 0 {
			continue
		}
		switch n {
		case propertySubject, propertyType, propertyTopic:
			return p.unmapped(&g.mapped[n], n)
		case propertyID:
			g.event.text[n] = g.made(append(g.scratch, uuid.NewString()...))
		case propertyTime:
			g.event.text[n] = g.made(g.now().AppendFormat(g.scratch, timeLayout))
		}
	}
	if !g.setTime() {
		return invalid("%sthe property '%s', which the mapping of this resource takes for eventTime, is not valid: %v.",
			p.where(), clip([]byte(g.mapped[propertyTime].source)), errGridTime)
	}
	if p.domain {
		return p.checkGridDomainTopic(g.mapped[propertyTopic].source)
	}
	return nil
}

// made returns the text by which scratch has grown. It needs no escapes.
func (g *gridReader) made(scratch []byte) value {
	b := scratch[len(g.scratch):len(scratch):len(scratch)]
	g.scratch = scratch
	return value{written: b, s: b}
}

// fieldValue returns the text that the event has for a property, or the
// default.
func (p *parser) fieldValue(f *mappedField, n property) (value, *Error) {
	a := f.literal
	if !a.present() && f.outer.kind == '{' {
		a = p.find(f.outer, f.rest)
	}
	switch a.kind {
	case 0, 'n':
	case '{', '[':
		return value{}, invalid("%sthe property '%s', which the mapping of this resource takes for %s, is %s; make it a string, a number or a boolean.",
			p.where(), clip([]byte(f.source)), n, kindName(a.kind))
	case '"':
		if err := p.decode(&a, f.source); err != nil {
			return value{}, err
		}
		if len(a.s) > 0 {
			return p.value(&a), nil
		}
	default: // as it is written, so that no digit is lost
		return value{written: a.of(p.body), s: a.of(p.body)}, nil
	}
	if f.fallback == "" {
		return value{}, nil
	}
	g := p.grid
	return value{s: g.made(append(g.scratch, f.fallback...)).s, written: g.made(append(g.scratch, quoted(f.fallback)...)).s}, nil
}

// find returns the value at a path of names below an object that has been
// read; the zero attribute if there is none.
func (p *parser) find(a attribute, path string) attribute {
	for more := true; more; {
		if a.kind != '{' {
			return attribute{}
		}
		var name string
		name, path, more = strings.Cut(path, ".")
		a = p.memberOf(a.raw.start, name)
	}
	return a
}

// memberOf returns the last member of that name in the object at i.
func (p *parser) memberOf(i int, name string) (found attribute) {
	b := p.body
	for i = skipSpace(b, i+1); b[i] != '}'; {
		// Whatever can be wrong here was found when the event was read.
		start, n, _ := skipName(b, i)
		end, escaped, _ := skipMember(b, start, 0)
		if s, _ := n.decoded(); string(s) == name {
			found = attribute{raw: span{start, end}, kind: b[start], escaped: escaped}
		}
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return found
}

// unmapped refuses an event that has no value for a property it needs.
func (p *parser) unmapped(f *mappedField, n property) *Error {
	switch {
	case f.source != "":
		return invalid("%sthe property '%s' is missing or empty; the mapping of this resource (schema %s) takes it for %s: set it to a non-empty string.",
			p.where(), clip([]byte(f.source)), p.schema, n)
	case n == propertyTopic:
		return invalid("%sthe event has no topic: this resource is a domain, and its mapping (schema %s) says no source for topic; add one to inputSchemaMapping.",
			p.where(), p.schema)
	}
	return invalid("%sthe event has no %s: the mapping of this resource (schema %s) says neither a source nor a default value for it; add one to inputSchemaMapping.",
		p.where(), n, p.schema)
}
