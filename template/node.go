package template

import (
	"encoding/json"
	"strings"
)

// kind is the JSON type of a node.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

// node is one JSON value of a template, with the line it stands on: counted from
// the line on which the template begins, and 0 when all of it is one line.
type node struct {
	kind   kind
	line   int
	truth  bool
	text   string // of a text, decoded; of a number, as written
	items  []*node
	fields []field
	expr   expression // of a text that is an expression, once parsed
}

type field struct {
	name  string
	line  int
	value *node
}

// get returns the member of an object by its name in any case, as ARM does, or
// nil. A nil node has no members.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.fields {
		if strings.EqualFold(n.fields[i].name, name) {
			return n.fields[i].value
		}
	}
	return nil
}

// literal returns a text member, "" when it is absent or of another type.
func (n *node) literal(name string) string {
	if m := n.get(name); m != nil && m.kind == text {
		return m.text
	}
	return ""
}

// appendJSON writes a node as plain JSON: without comments, in the order and the
// numbers of the template.
func (n *node) appendJSON(dst []byte) []byte {
	switch n.kind {
	case null:
		return append(dst, "null"...)
	case boolean:
		if n.truth {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case number:
		return append(dst, n.text...)
	case text:
		return appendText(dst, n.text)
	case array:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i, f := range n.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, f.name), ':')
		dst = f.value.appendJSON(dst)
	}
	return append(dst, '}')
}

func appendText(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // cannot be: any string has a JSON form
		return append(dst, `""`...)
	}
	return append(dst, quoted...)
}

// relines counts the lines below n from the given one on.
func (n *node) relines(first int) {
	n.line = max(n.line-first+1, 0)
	for _, item := range n.items {
		item.relines(first)
	}
	for i := range n.fields {
		n.fields[i].line = max(n.fields[i].line-first+1, 0)
		n.fields[i].value.relines(first)
	}
}

// unlined takes the lines away where they say nothing.
func (n *node) unlined() {
	n.line = 0
	for _, item := range n.items {
		item.unlined()
	}
	for i := range n.fields {
		n.fields[i].line = 0
		n.fields[i].value.unlined()
	}
}
