package event

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// schema is how Event Grid's error texts call CloudEvents 1.0.
const schema = "CloudEventV10"

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
		return nil, err
	}
	return events, nil
}

// parser makes one pass over a structured or batch body.
type parser struct {
	body   []byte
	limits Limits
	strict bool
	batch  bool
	// count is how many events have been read, and so the index of the next.
	count  int
	events []Event
	env    envelope
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
		return nil, notUTF8(r.Body)
	}
	p := parser{body: r.Body, limits: r.Limits, strict: r.Strict, batch: m == modeBatch}
	i := skipSpace(p.body, 0)
	var err *Error
	if m == modeBatch {
		i, err = p.readBatch(i)
	} else {
		if i >= len(p.body) || p.body[i] != '{' {
			return nil, p.wrongStart(i, "object", "send one event as a JSON object, or use the content type "+typeBatch+" for an array")
		}
		i, err = p.readEvent(i, 0)
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
		return i, p.wrongStart(i, "array", "send an array of events, or use the content type "+typeStructured+" for one event")
	}
	i = skipSpace(p.body, i+1)
	if i < len(p.body) && p.body[i] == ']' {
		return i, invalid("The array is empty; a request in schema %s holds at least one event.", schema)
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
	env := &p.env
	env.reset()
	end, err := p.readEnvelope(env, i, depth)
	if err != nil {
		return end, err
	}
	if err := p.check(env); err != nil {
		return end, err
	}
	switch size := end - i; {
	case p.exceeded != nil:
	case p.count >= p.limits.Events:
		p.exceeded = tooManyEvents(p.limits.Events)
	case size > p.limits.EventBytes:
		p.exceeded = eventTooLarge(p.place(), size, p.limits.EventBytes)
	default:
		p.keep(env, i, end)
	}
	p.count++
	return end, nil //nolint:nilerr // exceeded is reported once the whole body has been read
}

// keep adds the event at body[start:end], whose envelope passed every rule.
func (p *parser) keep(env *envelope, start, end int) {
	if p.events == nil {
		p.events = make([]Event, 0, min(p.remaining(start, end), p.limits.Events))
	}
	need := len(env.id.s) + len(env.source.s) + len(env.typ.s) + len(env.subject.s)
	if p.names.Cap()-p.names.Len() < need {
		p.names.Reset()
		p.names.Grow(max(need, min(need*p.remaining(start, end), 64<<10)))
	}
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
