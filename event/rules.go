package event

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// isSpecVersion reports whether v is a version that consumers of 1.0 can read:
// 1.0 itself and what precedes it, such as 1.0-rc1.
func isSpecVersion(v []byte) bool {
	return len(v) >= len(specVersion) && string(v[:len(specVersion)]) == specVersion
}

// isAttributeName applies CloudEvents' naming rule.
func isAttributeName(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(name) > 0
}

// checkURIReference accepts what RFC 3986 calls a URI reference.
func checkURIReference(s []byte) error {
	if bytes.ContainsAny(s, " <>\"{}|\\^`") {
		return errors.New("it is not a URI reference: it holds a character that must be percent-encoded")
	}
	if _, err := url.Parse(string(s)); err != nil {
		return fmt.Errorf("it is not a URI reference: %w", errors.Unwrap(err))
	}
	return nil
}

// checkBase64 accepts the standard alphabet with padding.
func checkBase64(s []byte) error {
	n := len(s)
	if n%4 != 0 {
		return errors.New("its length is not a multiple of four, as that of padded base64 is")
	}
	for pad := 0; pad < 2 && n > 0 && s[n-1] == '='; pad++ {
		n--
	}
	for i, c := range s[:n] {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '+' && c != '/' {
			return fmt.Errorf("the character at %d is not of the standard base64 alphabet", i)
		}
	}
	return nil
}

// clip shortens what a message quotes, for a publisher may choose names and
// values as long as a body.
func clip(s []byte) string {
	const most = 64
	if len(s) <= most {
		return string(s)
	}
	return strings.ToValidUTF8(string(s[:most]), "") + "…"
}

func notUTF8(body []byte, schema Schema) *Error {
	i := 0
	for i < len(body) {
		r, n := utf8.DecodeRune(body[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return invalid("The body is not valid UTF-8 at byte %d; schema %s is JSON in UTF-8.", i, schema)
}

func tooManyEvents(limit int) *Error {
	return &Error{PayloadTooLarge, fmt.Sprintf("The maximum number of events in one request (%d) has been exceeded; send them in several requests.", limit)}
}

func eventTooLarge(place string, size, limit int) *Error {
	if place != "" {
		place = " by " + place
	}
	return &Error{PayloadTooLarge, fmt.Sprintf("The maximum size of one event (%d) has been exceeded%s, which has %d bytes.", limit, place, size)}
}

// syntax wraps what the scanner found.
func (p *parser) syntax(err *syntaxError) *Error {
	at := ""
	if p.batch {
		at = p.where()
	}
	return invalid("%sthe body is not valid JSON for schema %s: %v.", at, p.schema, err)
}

// wrongStart says that an array or object should have begun at i.
func (p *parser) wrongStart(i int, want, advice string) *Error {
	if i >= len(p.body) {
		return invalid("Unexpected end of the body: expected the start of an %s in schema %s; %s.", want, p.schema, advice)
	}
	where := ""
	if p.batch && want == "object" {
		where = p.where()
	}
	return invalid("%sexpected the start of an %s in schema %s, got %s; %s.", where, want, p.schema, startName(p.body[i]), advice)
}

// kindName describes a value by its first byte.
func kindName(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// startName is kindName for a byte that may start no value at all.
func startName(c byte) string {
	switch {
	case c == '{' || c == '[':
		return "the start of " + kindName(c)
	case c == '"' || c == 't' || c == 'f' || c == 'n' || c == '-' || isDigit(c):
		return kindName(c)
	}
	return fmt.Sprintf("%q", rune(c))
}
