package event

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Parse reads the events of one publish request. It answers with all of them,
// in their order and at least one, or with an *Error and none.
//
// When several rules are broken, the first in reading order is reported, except
// that passing a limit is reported only if nothing else is wrong.
func Parse(r Request) ([]Event, error) {
	m, err := r.mode()
	if err != nil {
		return nil, err
	}
	if r.Limits == (Limits{}) {
		r.Limits = DefaultLimits()
	}
	var events []Event
	switch m {
	case modeBinary:
		events, err = parseBinary(&r)
	default:
		events, err = parseBody(&r, m)
	}
	if err != nil {
		r.hint(err)
		return nil, err
	}
	return events, nil
}

// parser makes one pass over a body of events.
type parser struct {
	body   []byte
	schema Schema
	limits Limits
	strict bool
	domain bool
	topic  string // as in Request
	batch  bool
	// count is how many events have been read, and so the index of the next.
	count  int
	events []Event
	// env is for CloudEvents, grid for the other schemas.
	env  envelope
	grid *gridReader
	// exceeded is the first limit that was passed, kept until the rest of the
	// body is known to be in order.
	exceeded *Error
	// names holds the decoded attribute values of events, chunk by chunk:
	// strings cut from it stay valid when a new chunk is begun.
	names strings.Builder
	// patched holds the JSON of events whose specversion was normalised.
	patched []byte
}

// trimBOM removes the byte order mark that some JSON writers begin with.
func trimBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) }

func parseBody(r *Request, m mode) ([]Event, *Error) {
	r.Body = trimBOM(r.Body)
	if !utf8.Valid(r.Body) {
		return nil, notUTF8(r.Body, r.Schema)
	}
	p := parser{body: r.Body, schema: r.Schema, limits: r.Limits, strict: r.Strict, domain: r.Domain, topic: r.Topic, batch: m == modeBatch}
	i := skipSpace(p.body, 0)
	if p.schema != CloudEvents {
		p.grid = newGridReader(r)
		p.batch = i >= len(p.body) || p.body[i] != '{'
	}
	var err *Error
	if p.batch {
		i, err = p.readBatch(i)
	} else {
		if i >= len(p.body) || p.body[i] != '{' {
			return nil, p.wrongStart(i, "object", "send one event as a JSON object, or use the content type "+typeBatch+" for an array")
		}
		depth := 0
		if p.schema == Custom {
			depth = 1 // it becomes the data of an event
		}
		i, err = p.readEvent(i, depth)
	}
	if err != nil {
		return nil, err
	}
	if i = skipSpace(p.body, i); i < len(p.body) {
		return nil, p.syntax(unexpected(p.body, i, "the end of the body"))
	}
	if p.exceeded != nil {
		return nil, p.exceeded
	}
	return p.events, nil
}

func (p *parser) readBatch(i int) (int, *Error) {
	if i >= len(p.body) || p.body[i] != '[' {
		advice := "send an array of events, or use the content type " + typeStructured + " for one event"
		if p.schema != CloudEvents {
			advice = "send an array of events, or one event as an object"
		}
		return i, p.wrongStart(i, "array", advice)
	}
	i = skipSpace(p.body, i+1)
	if i < len(p.body) && p.body[i] == ']' {
		return i, invalid("The array is empty; a request in schema %s holds at least one event.", p.schema)
	}
	for {
		if i >= len(p.body) || p.body[i] != '{' {
			return i, p.wrongStart(i, "object", "every element of the array must be an event")
		}
		var err *Error
		if i, err = p.readEvent(i, 1); err != nil {
			return i, err
		}
		i = skipSpace(p.body, i)
		switch {
		case i < len(p.body) && p.body[i] == ',':
			i = skipSpace(p.body, i+1)
		case i < len(p.body) && p.body[i] == ']':
			return i + 1, nil
		default:
			return i, p.syntax(unexpected(p.body, i, "',' or ']' behind an event"))
		}
	}
}

// readEvent reads the object at i and adds it to the events.
func (p *parser) readEvent(i, depth int) (int, *Error) {
	p.begin()
	end, err := p.readMembers(i, depth)
	if err != nil {
		return end, err
	}
	if err := p.check(); err != nil {
		return end, err
	}
	switch size := end - i; {
	case p.exceeded != nil:
	case p.count >= p.limits.Events:
		p.exceeded = tooManyEvents(p.limits.Events)
	case size > p.limits.EventBytes:
		p.exceeded = eventTooLarge(p.place(), size, p.limits.EventBytes)
	default:
		p.keep(i, end)
	}
	p.count++
	return end, nil //nolint:nilerr // exceeded is reported once the whole body has been read
}

// readMembers reads the object that starts at i, validates all of its JSON and
// hands each of its members on.
func (p *parser) readMembers(i, depth int) (int, *Error) {
	b := p.body
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		start, name, serr := skipName(b, i)
		if serr != nil {
			return start, p.syntax(serr)
		}
		end, escaped, serr := skipMember(b, start, depth+1)
		if serr != nil {
			return end, p.syntax(serr)
		}
		if err := p.addMember(name, attribute{raw: span{start, end}, kind: b[start], escaped: escaped}); err != nil {
			return end, err
		}
		i = skipSpace(b, end)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == '}':
			return i + 1, nil
		default:
			return i, p.syntax(unexpected(b, i, "',' or '}' behind a property"))
		}
	}
}

// The next four are where the schemas part. begin makes the parser ready for
// an event, addMember takes one of its members, check applies the rules, and
// keep adds the event at body[start:end] to the events.

func (p *parser) begin() {
	if p.schema == CloudEvents {
		p.env.reset()
		return
	}
	p.grid.reset()
}

func (p *parser) addMember(name text, a attribute) *Error {
	switch p.schema {
	case CloudEvents:
		return p.addAttribute(name, a)
	case EventGrid:
		return p.addGridMember(name, a)
	}
	p.grid.addCustomMember(name, a)
	return nil
}

func (p *parser) check() *Error {
	switch p.schema {
	case CloudEvents:
		return p.checkAttributes(&p.env)
	case EventGrid:
		return p.checkGrid()
	}
	return p.checkCustom()
}

func (p *parser) keep(start, end int) {
	if p.events == nil {
		p.events = make([]Event, 0, min(p.remaining(start, end), p.limits.Events))
	}
	if p.schema == CloudEvents {
		p.keepCloudEvent(start, end)
		return
	}
	p.keepGrid(start, end)
}

// keepCloudEvent adds an event whose envelope passed every rule.
func (p *parser) keepCloudEvent(start, end int) {
	env := &p.env
	p.reserve(len(env.id.s)+len(env.source.s)+len(env.typ.s)+len(env.subject.s), start, end)
	ev := Event{
		JSON:        p.body[start:end:end],
		ID:          p.name(env.id.s),
		Source:      p.name(env.source.s),
		Type:        p.name(env.typ.s),
		Subject:     p.name(env.subject.s),
		SpecVersion: specVersion,
	}
	switch v := env.specversion.s; {
	case string(v) == specVersion:
	case isSpecVersion(v):
		ev.JSON = p.patch(env.specversion.raw, start, end)
	default:
		ev.SpecVersion = string(v)
	}
	if p.domain {
		ev.DomainTopic = ev.Source[env.domainTopic.start:env.domainTopic.end]
	}
	p.events = append(p.events, ev)
}

// remaining guesses how many events of the size of body[start:end] the body
// still holds, that one included.
func (p *parser) remaining(start, end int) int {
	if !p.batch {
		return 1
	}
	return 1 + (len(p.body)-end)/(end-start)
}

// reserve makes room for the names of the event at body[start:end], and in the
// same chunk for those of the events that are still to come.
func (p *parser) reserve(need, start, end int) {
	if p.names.Cap()-p.names.Len() < need {
		p.names.Reset()
		p.names.Grow(max(need, min(need*p.remaining(start, end), 64<<10)))
	}
}

// name returns b as a string of the current chunk, which has room for it.
func (p *parser) name(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	at := p.names.Len()
	p.names.Write(b)
	return p.names.String()[at:]
}

// patch copies body[start:end] with "1.0" for the specversion value, which is
// at raw, and touches nothing else.
func (p *parser) patch(raw span, start, end int) []byte {
	if p.patched == nil {
		// What is patched gets shorter, so this is enough for all that follow.
		p.patched = make([]byte, 0, len(p.body)-start)
	}
	at := len(p.patched)
	p.patched = append(p.patched, p.body[start:raw.start]...)
	p.patched = append(p.patched, '"')
	p.patched = append(p.patched, specVersion...)
	p.patched = append(p.patched, '"')
	p.patched = append(p.patched, p.body[raw.end:end]...)
	return p.patched[at:len(p.patched):len(p.patched)]
}
