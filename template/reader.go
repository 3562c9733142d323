package template

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a template: people write these.
const maxDepth = 100

// reader parses JSON as ARM takes it: with // and /* */ comments, with line
// breaks inside of strings, with a comma too many, and with names of properties
// without quotes; the Azure CLI sends "template" so.
type reader struct {
	src    string
	at     int
	line   int
	values int // read so far
}

// mostValues bounds what is read: a value of two characters takes a hundred bytes
// of memory. A template of 4 MB that people would write has fewer.
const mostValues = 200_000

func parseJSON(src string) (*node, error) {
	r := &reader{src: strings.TrimPrefix(src, "\uFEFF"), line: 1}
	if !utf8.ValidString(r.src) {
		return nil, &Error{Line: 1, Message: "The template is not valid UTF-8."}
	}
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if err := r.space(); err != nil {
		return nil, err
	}
	if r.at < len(r.src) {
		return nil, r.fail("there is something behind its end")
	}
	return n, nil
}

func (r *reader) fail(format string, args ...any) error {
	return &Error{Line: r.line, Message: "The template is not valid JSON: " + fmt.Sprintf(format, args...) + "."}
}

// space skips blanks and comments.
func (r *reader) space() error {
	for r.at < len(r.src) {
		switch c := r.src[r.at]; {
		case c == '\n':
			r.line++
			r.at++
		case c == ' ' || c == '\t' || c == '\r':
			r.at++
		case strings.HasPrefix(r.src[r.at:], "//"):
			end := strings.IndexByte(r.src[r.at:], '\n')
			if end < 0 {
				end = len(r.src) - r.at
			}
			r.at += end
		case strings.HasPrefix(r.src[r.at:], "/*"):
			end := strings.Index(r.src[r.at:], "*/")
			if end < 0 {
				return r.fail("a comment does not end")
			}
			r.line += strings.Count(r.src[r.at:r.at+end], "\n")
			r.at += end + 2
		default:
			return nil
		}
	}
	return nil
}

// next skips space and returns the next character, 0 at the end.
func (r *reader) next() (byte, error) {
	if err := r.space(); err != nil {
		return 0, err
	}
	if r.at == len(r.src) {
		return 0, nil
	}
	return r.src[r.at], nil
}

func (r *reader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, r.fail("it is nested deeper than %d levels", maxDepth)
	}
	c, err := r.next()
	if err != nil {
		return nil, err
	}
	if r.values++; r.values > mostValues {
		return nil, r.fail("it holds more than %d values", mostValues)
	}
	n := &node{line: r.line}
	switch {
	case c == '{':
		n.kind = object
		return n, r.object(n, depth)
	case c == '[':
		n.kind = array
		return n, r.array(n, depth)
	case c == '"':
		n.kind = text
		n.text, err = r.text()
		return n, err
	case c == '-' || c >= '0' && c <= '9':
		n.kind = number
		n.text, err = r.number()
		return n, err
	}
	for _, l := range []struct {
		word string
		kind kind
	}{{"true", boolean}, {"false", boolean}, {"null", null}} {
		if strings.HasPrefix(r.src[r.at:], l.word) {
			r.at += len(l.word)
			n.kind, n.truth = l.kind, l.word == "true"
			return n, nil
		}
	}
	if c == 0 {
		return nil, r.fail("it ends in the middle")
	}
	return nil, r.fail("%q where a value was expected", rune(c))
}

func (r *reader) object(n *node, depth int) error {
	r.at++
	seen := map[string]bool{}
	for first := true; ; first = false {
		c, err := r.next()
		switch {
		case err != nil:
			return err
		case c == '}':
			r.at++
			return nil
		case c == ',' && !first:
			r.at++
			if c, err = r.next(); err != nil {
				return err
			}
			if c == '}' { // a comma too many is tolerated, as by ARM
				continue
			}
		case !first:
			return r.fail("',' or '}' is missing")
		}
		f := field{line: r.line}
		if f.name, err = r.propertyName(c); err != nil {
			return err
		}
		// A set, since looking through all that came before would make a large
		// object cost the square of its size.
		key := strings.ToLower(f.name)
		if seen[key] {
			return r.fail("the property '%s' is there twice", cut(f.name))
		}
		seen[key] = true
		if c, err = r.next(); err != nil {
			return err
		}
		if c != ':' {
			return r.fail("':' is missing behind the property name '%s'", cut(f.name))
		}
		r.at++
		if f.value, err = r.value(depth + 1); err != nil {
			return err
		}
		n.fields = append(n.fields, f)
	}
}

// propertyName reads the name that begins with c.
func (r *reader) propertyName(c byte) (string, error) {
	if c == '"' {
		return r.text()
	}
	start := r.at
	for r.at < len(r.src) && isNameByte(r.src[r.at]) {
		r.at++
	}
	if r.at == start {
		return "", r.fail("a property name in quotes was expected")
	}
	return r.src[start:r.at], nil
}

// isNameByte reports whether c may stand in a name without quotes.
func isNameByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (r *reader) array(n *node, depth int) error {
	r.at++
	for first := true; ; first = false {
		c, err := r.next()
		switch {
		case err != nil:
			return err
		case c == ']':
			r.at++
			return nil
		case c == ',' && !first:
			r.at++
			if c, err = r.next(); err != nil {
				return err
			}
			if c == ']' {
				continue
			}
		case !first:
			return r.fail("',' or ']' is missing")
		}
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
}

func (r *reader) text() (string, error) {
	r.at++
	var b strings.Builder
	for r.at < len(r.src) {
		c := r.src[r.at]
		switch c {
		case '"':
			r.at++
			return b.String(), nil
		case '\n':
			r.line++
		case '\\':
			if err := r.escape(&b); err != nil {
				return "", err
			}
			continue
		}
		b.WriteByte(c)
		r.at++
	}
	return "", r.fail("a string does not end")
}

func (r *reader) escape(b *strings.Builder) error {
	rest := r.src[r.at:]
	n := 2
	if len(rest) > 1 && rest[1] == 'u' {
		n = 6
		if len(rest) >= 12 && rest[6] == '\\' && rest[7] == 'u' && (rest[2]|0x20) == 'd' && strings.IndexByte("89abAB", rest[3]) >= 0 {
			n = 12 // a surrogate pair
		}
	}
	if len(rest) < n {
		return r.fail("a string does not end")
	}
	s, err := unquoteJSON(rest[:n])
	if err != nil {
		return r.fail("unknown escape sequence %s in a string", rest[:n])
	}
	b.WriteString(s)
	r.at += n
	return nil
}

func (r *reader) number() (string, error) {
	start := r.at
	for r.at < len(r.src) && strings.IndexByte("+-.0123456789eE", r.src[r.at]) >= 0 {
		r.at++
	}
	s := r.src[start:r.at]
	if _, err := strconv.ParseFloat(s, 64); err != nil || !validJSON(s) {
		return "", r.fail("%q is not a number", cut(s))
	}
	return s, nil
}
