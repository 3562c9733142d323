package event

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// parseBinary assembles the one event of a binary-mode request.
func parseBinary(r *Request) ([]Event, *Error) {
	env := Envelope{DataContentType: strings.TrimSpace(r.ContentType)}
	if err := readHeaders(r, &env); err != nil {
		return nil, err
	}
	if err := readData(r, &env); err != nil {
		return nil, err
	}
	ev, err := New(env)
	if err != nil {
		return nil, &Error{InvalidCloudEventHeader, "The ce-* headers cannot be written as JSON: " + err.Error() + "."}
	}
	if len(ev.JSON) > r.Limits.EventBytes {
		return nil, eventTooLarge("", len(ev.JSON), r.Limits.EventBytes)
	}
	if r.Domain {
		at, ok := findSourceTopic(r.Topic, []byte(ev.Source))
		if !ok {
			return nil, badHeader("Ce-Source", "is '"+clip([]byte(ev.Source))+"', which "+namesNoTopic(r.Topic))
		}
		ev.DomainTopic = ev.Source[at.start:at.end]
	}
	return []Event{ev}, nil
}

// readHeaders fills env from the ce-* headers.
func readHeaders(r *Request, env *Envelope) *Error {
	for _, h := range [...]struct {
		header   string
		to       *string
		required bool
		rule     func([]byte) error
	}{
		{header: "Ce-Specversion", to: &env.SpecVersion, required: true},
		{header: "Ce-Type", to: &env.Type, required: true},
		{header: "Ce-Source", to: &env.Source, required: true},
		{header: "Ce-Id", to: &env.ID, required: true},
		{header: "Ce-Subject", to: &env.Subject},
		{header: "Ce-Time", to: &env.Time, rule: checkTime},
		{header: "Ce-Dataschema", to: &env.DataSchema, rule: checkURIReference},
	} {
		v, err := attributeHeader(r, h.header)
		if err != nil {
			return err
		}
		if v == "" && h.required {
			return badHeader(h.header, "is missing or empty; binary mode requires it")
		}
		if v != "" && h.rule != nil {
			if err := h.rule([]byte(v)); err != nil {
				return badHeader(h.header, "is not valid: "+err.Error())
			}
		}
		*h.to = v
	}
	switch {
	case isSpecVersion([]byte(env.SpecVersion)):
		env.SpecVersion = specVersion
	case r.Strict:
		return badHeader("Ce-Specversion", "must be 1.0")
	}
	return readExtensions(r, env)
}

func readExtensions(r *Request, env *Envelope) *Error {
	for header := range r.Header {
		name, ok := strings.CutPrefix(header, "Ce-")
		if !ok {
			continue
		}
		switch name = strings.ToLower(name); name {
		case "specversion", "type", "source", "id", "subject", "time", "dataschema":
			continue
		case "datacontenttype": // in this mode Content-Type says it, and wins
			continue
		case "data", "data_base64", "":
			return badHeader(header, "names no attribute; the data of the event is the body")
		}
		if r.Strict && !isAttributeName([]byte(name)) {
			return badHeader(header, "breaks the naming rule of attributes: use only the letters a-z and digits")
		}
		v, err := attributeHeader(r, header)
		if err != nil {
			return err
		}
		env.Extensions = append(env.Extensions, Extension{name, v})
	}
	slices.SortFunc(env.Extensions, func(a, b Extension) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// readData takes the body as it is when its type is JSON, else as bytes.
func readData(r *Request, env *Envelope) *Error {
	if len(r.Body) == 0 {
		return invalid("Unexpected end of the body: in binary mode it is the data of the event and must not be empty (schema %s).", CloudEvents)
	}
	if !isJSON(mediaType(r.ContentType)) {
		env.Binary = r.Body
		return nil
	}
	body := trimBOM(r.Body)
	if !utf8.Valid(body) {
		return notUTF8(body, CloudEvents)
	}
	start := skipSpace(body, 0)
	end, err := skipValue(body, start, 1)
	if err == nil {
		if rest := skipSpace(body, end); rest < len(body) {
			err = unexpected(body, rest, "the end of the body")
		}
	}
	if err != nil {
		return invalid("The body is the data of the event (schema %s) and its content type is JSON, but it is not: %v.", CloudEvents, err)
	}
	env.Data = body[start:end]
	return nil
}

// attributeHeader returns the value of a ce-* header: unquoted, percent-decoded
// once, and valid UTF-8. A header that is absent gives "".
func attributeHeader(r *Request, header string) (string, *Error) {
	values := r.Header[header]
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", badHeader(header, "occurs twice; send it once")
	}
	v := percentDecode(unquote(values[0]))
	if !utf8.ValidString(v) {
		return "", badHeader(header, "is not valid UTF-8 after percent-decoding")
	}
	return v, nil
}

// unquote resolves the quoted-string form of a header value.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// percentDecode decodes each %XX. A percent sign that begins none stands for
// itself, because publishers that encode nothing send it so.
func percentDecode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, byte(hex4([]byte{'0', '0', s[i+1], s[i+2]}))) //nolint:gosec // two digits make a byte
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func badHeader(header, problem string) *Error {
	return &Error{InvalidCloudEventHeader, "The header '" + strings.ToLower(header) + "' " + problem + " (schema " + CloudEvents.String() + ")."}
}
