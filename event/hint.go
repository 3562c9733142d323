package event

// hint adds to an error what it is likely to mean when the body was written
// for a resource of another schema.
func (r *Request) hint(e *Error) {
	if e.Code != InputJSONInvalid || r.Schema == Custom {
		return
	}
	if r.Schema == EventGrid && r.hasAttributeHeaders() {
		e.Message += " The ce-* headers belong to schema " + CloudEvents.String() + r.takes()
		return
	}
	if looks, ok := guess(trimBOM(r.Body)); ok && looks != r.Schema {
		e.Message += " The events look like schema " + looks.String() + r.takes()
	}
}

func (r *Request) takes() string {
	other := CloudEvents
	if r.Schema == CloudEvents {
		other = EventGrid
	}
	return ", but this resource takes " + r.Schema.String() + "; send that, or use a resource whose inputSchema is " + other.inputSchema() + "."
}

// guess tells the schema of the first event of a body by the properties that
// only one schema has. The body may be anything.
func guess(b []byte) (s Schema, ok bool) {
	i := skipSpace(b, 0)
	if i < len(b) && b[i] == '[' {
		i = skipSpace(b, i+1)
	}
	if i >= len(b) || b[i] != '{' {
		return 0, false
	}
	for i = skipSpace(b, i+1); ; i = skipSpace(b, i+1) {
		start, name, err := skipName(b, i)
		if err != nil {
			return s, ok
		}
		switch string(name.plain()) {
		case "specversion":
			return CloudEvents, true
		case "eventType", "eventTime", "metadataVersion":
			s, ok = EventGrid, true
		}
		end, _, err := skipMember(b, start, 0)
		if err != nil {
			return s, ok
		}
		if i = skipSpace(b, end); i >= len(b) || b[i] != ',' {
			return s, ok
		}
	}
}
