package event

import "strings"

// mode is one of the ways CloudEvents travel over HTTP.
type mode int

const (
	modeStructured mode = iota // one JSON object: the event
	modeBatch                  // a JSON array of such objects
	modeBinary                 // attributes in ce-* headers, data in the body
)

// Media types of CloudEvents. Every Azure SDK sends the batch type, even for
// one event.
const (
	typeStructured = "application/cloudevents+json"
	typeBatch      = "application/cloudevents-batch+json"
	typeJSON       = "application/json"
)

// Check answers what can be said about a request without its body: nil, or
// the *Error with which [Parse] would refuse its headers. A server calls it
// before it reads a body for nothing.
func Check(r Request) error {
	if _, err := r.mode(); err != nil {
		return err
	}
	return nil
}

// mode chooses how to read r. The media type decides, whatever its parameters
// are; a CloudEvents type wins over ce-* headers, as the HTTP binding demands.
//
// In the other schemas the body alone tells an array from an object, and any
// content type will do: what curl -d sends by itself, or none.
func (r *Request) mode() (mode, *Error) {
	if r.Schema != CloudEvents {
		return modeBatch, nil
	}
	media := mediaType(r.ContentType)
	headers := r.hasAttributeHeaders()
	var m mode
	switch {
	case strings.EqualFold(media, typeBatch):
		m = modeBatch
	case strings.EqualFold(media, typeStructured):
		m = modeStructured
	case isCloudEvents(media):
		return 0, &Error{InvalidContentType, "The CloudEvents format '" + media + "' is not supported; send " +
			typeStructured + " or " + typeBatch + "."}
	case headers && (!r.Strict || strings.EqualFold(media, typeJSON)):
		return modeBinary, nil
	case strings.EqualFold(media, typeJSON):
		return modeStructured, nil
	default:
		return 0, &Error{InvalidContentType, "The content type '" + media + "' is not one this resource reads; send " +
			typeStructured + " for one event, " + typeBatch + " for an array of events, or any type together with ce-* headers."}
	}
	if headers && r.Strict {
		return 0, invalid("ce-* headers do not go with the content type '%s' of schema %s; leave them out.", media, CloudEvents)
	}
	return m, nil
}

// hasAttributeHeaders reports whether a header names a required attribute,
// which is what makes a request binary mode.
func (r *Request) hasAttributeHeaders() bool {
	for _, h := range [...]string{"Ce-Specversion", "Ce-Type", "Ce-Source", "Ce-Id"} {
		if len(r.Header[h]) > 0 {
			return true
		}
	}
	return false
}

// mediaType returns the type alone. Parameters are never looked at, so one
// that cannot be parsed, or an unknown charset, does no harm.
func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.TrimSpace(media)
}

func isCloudEvents(media string) bool {
	const prefix = "application/cloudevents"
	return len(media) >= len(prefix) && strings.EqualFold(media[:len(prefix)], prefix)
}

// isJSON reports whether data of this type is embedded as JSON.
func isJSON(media string) bool {
	media = strings.ToLower(media)
	return strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}
