package event

import (
	"encoding/base64"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is an event to be written: one that arrived in binary mode, or one
// that Intertie itself emits.
type Envelope struct {
	// SpecVersion; empty means 1.0.
	SpecVersion string
	// ID, Source and Type are required; the others are left out when empty.
	ID, Source, Type string
	Subject          string
	Time             string // RFC 3339
	DataContentType  string
	DataSchema       string
	// Extensions are written in their order. Names must be unique and none of
	// the above.
	Extensions []Extension
	// Data is one JSON value, copied byte for byte; nil leaves data out.
	Data []byte
	// Binary becomes data_base64 when Data is nil; nil leaves it out.
	Binary []byte
}

// Extension is one extension attribute.
type Extension struct{ Name, Value string }

// New returns the event that e describes. It fails only on an attribute that
// is not valid UTF-8; rules of CloudEvents are the caller's.
func New(e Envelope) (Event, error) {
	if e.SpecVersion == "" {
		e.SpecVersion = specVersion
	}
	size := 128 + len(e.Data) + base64.StdEncoding.EncodedLen(len(e.Binary)) +
		len(e.ID) + len(e.Source) + len(e.Type) + len(e.Subject) + len(e.DataContentType)
	b, err := e.Append(make([]byte, 0, size))
	if err != nil {
		return Event{}, err
	}
	return Event{JSON: b, ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, SpecVersion: e.SpecVersion}, nil
}

// Append appends e as a structured-mode JSON object to dst. On an error dst's
// bytes beyond its length are undefined.
func (e *Envelope) Append(dst []byte) ([]byte, error) {
	version := e.SpecVersion
	if version == "" {
		version = specVersion
	}
	var err error
	member := func(name, value string) {
		if err != nil {
			return
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		if dst, err = jsontext.AppendQuote(dst, name); err != nil {
			err = fmt.Errorf("encode the name of attribute %q: %w", name, err)
			return
		}
		dst = append(dst, ':')
		if dst, err = jsontext.AppendQuote(dst, value); err != nil {
			err = fmt.Errorf("encode attribute %q: %w", name, err)
		}
	}
	optional := func(name, value string) {
		if value != "" {
			member(name, value)
		}
	}
	dst = append(dst, '{')
	member("specversion", version)
	member("id", e.ID)
	member("source", e.Source)
	member("type", e.Type)
	optional("subject", e.Subject)
	optional("time", e.Time)
	optional("datacontenttype", e.DataContentType)
	optional("dataschema", e.DataSchema)
	for _, x := range e.Extensions {
		member(x.Name, x.Value)
	}
	if err != nil {
		return dst, err
	}
	switch {
	case e.Data != nil:
		dst = append(dst, `,"data":`...)
		dst = append(dst, e.Data...)
	case e.Binary != nil:
		dst = append(dst, `,"data_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, e.Binary)
		dst = append(dst, '"')
	}
	return append(dst, '}'), nil
}
