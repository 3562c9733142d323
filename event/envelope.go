package event

import "fmt"

// specVersion is the version that delivered events carry.
const specVersion = "1.0"

// span is where a value stands in the body.
type span struct{ start, end int }

// attribute is the value of one top-level member.
type attribute struct {
	raw span
	// kind is the first byte of the value: '"' for a string, 'n' for null, 0
	// for an attribute that is absent.
	kind    byte
	escaped bool
	// s is the decoded string, set by check.
	s []byte
}

// present reports whether the attribute has a value. null means absent: the
// documents of Event Grid show events with "subject": null.
func (a *attribute) present() bool { return a.kind != 0 && a.kind != 'n' }

func (a *attribute) isNumber() bool { return a.kind == '-' || isDigit(a.kind) }

// envelope is what the rules of CloudEvents ask about one event. A parser uses
// one for all its events.
type envelope struct {
	attributes
	// extensions[:count] are the names of the first extensions, more holds
	// the others.
	extensions [16][]byte
	count      int
	more       map[string]struct{}
	// domainTopic is where in the source the name of a domain topic is.
	domainTopic span
}

// attributes are the members that CloudEvents defines.
type attributes struct {
	specversion, typ, source, id       attribute
	subject, time, contentType, schema attribute
	data, base64                       attribute
}

// reset makes e ready for the next event.
func (e *envelope) reset() { e.attributes, e.count, e.more = attributes{}, 0, nil }

// member returns where the attribute of that name is kept, nil for an
// extension. Names are compared exactly, as CloudEvents demands.
func (e *envelope) member(name []byte) *attribute {
	switch string(name) {
	case "specversion":
		return &e.specversion
	case "type":
		return &e.typ
	case "source":
		return &e.source
	case "id":
		return &e.id
	case "subject":
		return &e.subject
	case "time":
		return &e.time
	case "datacontenttype":
		return &e.contentType
	case "dataschema":
		return &e.schema
	case "data":
		return &e.data
	case "data_base64":
		return &e.base64
	}
	return nil
}

// addExtension notes an extension attribute and reports whether it is the
// first of its name. A few names are compared in place; an event with many
// pays for a map, so that a hostile one cannot make the check quadratic.
func (e *envelope) addExtension(name []byte) bool {
	for _, n := range e.extensions[:min(e.count, len(e.extensions))] {
		if string(n) == string(name) {
			return false
		}
	}
	if e.count < len(e.extensions) {
		e.extensions[e.count] = name
		e.count++
		return true
	}
	if _, dup := e.more[string(name)]; dup {
		return false
	}
	if e.more == nil {
		e.more = make(map[string]struct{})
	}
	e.more[string(name)] = struct{}{}
	return true
}

// addAttribute keeps a member of a CloudEvent. An attribute that occurs twice
// is refused.
func (p *parser) addAttribute(name text, a attribute) *Error {
	env := &p.env
	n, ok := name.decoded()
	if !ok {
		return invalid("%sthe property name %s is not valid Unicode (schema %s).", p.where(), clip(name.raw), p.schema)
	}
	if m := env.member(n); m != nil {
		if m.kind != 0 {
			return p.duplicate(n)
		}
		*m = a
		return nil
	}
	if p.strict && !isAttributeName(n) {
		return invalid("%sthe property name %s breaks the rules of schema %s: use only the letters a-z and digits.", p.where(), clip(name.raw), p.schema)
	}
	if !env.addExtension(n) {
		return p.duplicate(n)
	}
	return nil
}

func (p *parser) duplicate(name []byte) *Error {
	return invalid("%sthe property '%s' occurs twice (schema %s); send it once.", p.where(), clip(name), p.schema)
}

// checkAttributes applies the rules to an envelope. The order is the one in which Event
// Grid reports what is missing.
func (p *parser) checkAttributes(env *envelope) *Error {
	for _, r := range [...]struct {
		a *attribute
		// reported is the name in error texts: Event Grid's says eventType.
		name, reported string
	}{
		{&env.specversion, "specversion", "specversion"},
		{&env.typ, "type", "eventType"},
		{&env.source, "source", "source"},
		{&env.id, "id", "id"},
	} {
		if err := p.decode(r.a, r.reported); err != nil {
			return err
		}
		if len(r.a.s) == 0 {
			return p.missing(r.name, r.reported)
		}
	}
	if p.strict && !isSpecVersion(env.specversion.s) {
		return invalid("%sthe property 'specversion' is '%s'; schema %s asks for '1.0'.", p.where(), clip(env.specversion.s), p.schema)
	}
	for _, r := range [...]struct {
		a    *attribute
		name string
		rule func([]byte) error
	}{
		{&env.subject, "subject", nil},
		{&env.contentType, "datacontenttype", nil},
		{&env.time, "time", checkTime},
		{&env.schema, "dataschema", checkURIReference},
		{&env.base64, "data_base64", checkBase64},
	} {
		if !r.a.present() {
			continue
		}
		if err := p.decode(r.a, r.name); err != nil {
			return err
		}
		if r.rule == nil {
			continue
		}
		if err := r.rule(r.a.s); err != nil {
			return invalid("%sthe property '%s' is not valid in schema %s: %v.", p.where(), r.name, p.schema, err)
		}
	}
	if p.domain {
		var ok bool
		if env.domainTopic, ok = findSourceTopic(p.topic, env.source.s); !ok {
			return p.noDomainTopic("source", env.source.s)
		}
	}
	if env.data.present() && env.base64.present() {
		return invalid("%sthe properties 'data' and 'data_base64' exclude each other in schema %s; send one of them.", p.where(), p.schema)
	}
	return nil
}

// decode sets a.s, which stays empty for an absent attribute.
func (p *parser) decode(a *attribute, name string) *Error {
	if !a.present() {
		return nil
	}
	if a.kind != '"' {
		return invalid("%sthe property '%s' must be a string in schema %s, not %s.", p.where(), name, p.schema, kindName(a.kind))
	}
	s, ok := text{raw: p.body[a.raw.start:a.raw.end], escaped: a.escaped}.decoded()
	if !ok {
		return invalid("%sthe property '%s' holds half of a surrogate pair, which is no character (schema %s).", p.where(), name, p.schema)
	}
	a.s = s
	return nil
}

func (p *parser) missing(name, reported string) *Error {
	return invalid("%sthe property '%s' is missing or empty; schema %s requires it: set '%s' to a non-empty string.",
		p.where(), reported, p.schema, name)
}

// place names the event being read; empty if the request holds only one.
func (p *parser) place() string {
	if !p.batch {
		return ""
	}
	return fmt.Sprintf("events[%d]", p.count)
}

// where is place as the beginning of a message.
func (p *parser) where() string {
	if !p.batch {
		return "The event: "
	}
	return p.place() + ": "
}
