package odata

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Function is a condition that is written as a call.
type Function string

// The functions that Azure's lists know. Contains and StartsWith name the
// property first, SubstringOf the text.
const (
	Contains    Function = "contains"
	StartsWith  Function = "startswith"
	SubstringOf Function = "substringof"
)

// Grammar is what the filters of one list may say.
type Grammar struct {
	// Properties that can be compared by eq and ne, and named in functions.
	Properties []string
	Functions  []Function
}

// Values tells what an item says of a property; false when it has none. The
// name is as the grammar spells it.
type Values func(property string) (string, bool)

// Filter is a filter that was read. It is safe for concurrent use.
type Filter struct {
	match condition
	uses  []string
}

// Match reports whether an item passes. A property that an item does not have
// equals nothing and differs from everything.
func (f *Filter) Match(v Values) bool { return f.match(v) }

// Uses reports whether the filter asks for any of the properties, as the grammar
// spells them.
func (f *Filter) Uses(properties ...string) bool {
	return slices.ContainsFunc(properties, func(p string) bool { return slices.Contains(f.uses, p) })
}

type condition = func(Values) bool

// Parse reads a filter; an empty one lets everything pass. The error says what
// is wrong in words for the author of the filter.
func (g Grammar) Parse(text string) (*Filter, error) {
	if strings.TrimSpace(text) == "" {
		return &Filter{match: func(Values) bool { return true }}, nil
	}
	p := &parser{grammar: g}
	var err error
	if p.tokens, err = tokens(text); err != nil {
		return nil, err
	}
	match, err := p.or()
	if err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, fmt.Errorf("unexpected '%s'", p.tokens[0])
	}
	return &Filter{match: match, uses: p.uses}, nil
}

// maxDepth bounds nesting, so that a hostile filter cannot exhaust the stack.
const maxDepth = 50

type parser struct {
	grammar Grammar
	tokens  []string
	uses    []string
	depth   int
}

func (p *parser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *parser) accept(word string) bool {
	if len(p.tokens) > 0 && strings.EqualFold(p.tokens[0], word) {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *parser) or() (condition, error) {
	left, err := p.and()
	for err == nil && p.accept("or") {
		var right condition
		if right, err = p.and(); err == nil {
			l := left
			left = func(v Values) bool { return l(v) || right(v) }
		}
	}
	return left, err
}

func (p *parser) and() (condition, error) {
	left, err := p.term()
	for err == nil && p.accept("and") {
		var right condition
		if right, err = p.term(); err == nil {
			l := left
			left = func(v Values) bool { return l(v) && right(v) }
		}
	}
	return left, err
}

func (p *parser) term() (condition, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errors.New("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept("not"):
		inner, err := p.term()
		return func(v Values) bool { return !inner(v) }, err
	case p.accept("("):
		inner, err := p.or()
		if err == nil && p.next() != ")" {
			err = errors.New("a ')' is missing")
		}
		return inner, err
	}
	word := p.next()
	for _, f := range p.grammar.Functions {
		if strings.EqualFold(word, string(f)) {
			return p.call(f)
		}
	}
	if property, ok := p.property(word); ok {
		return p.comparison(property)
	}
	return nil, fmt.Errorf("'%s' is not a condition", word)
}

// property returns the grammar's spelling.
func (p *parser) property(word string) (string, bool) {
	i := slices.IndexFunc(p.grammar.Properties, func(known string) bool { return strings.EqualFold(known, word) })
	if i < 0 {
		return "", false
	}
	p.uses = append(p.uses, p.grammar.Properties[i])
	return p.grammar.Properties[i], true
}

func (p *parser) comparison(property string) (condition, error) {
	op := p.next()
	text, err := p.text()
	if err != nil {
		return nil, err
	}
	switch {
	case strings.EqualFold(op, "eq"):
		return func(v Values) bool { got, ok := v(property); return ok && strings.ToLower(got) == text }, nil
	case strings.EqualFold(op, "ne"):
		return func(v Values) bool { got, ok := v(property); return !ok || strings.ToLower(got) != text }, nil
	default:
		return nil, fmt.Errorf("'%s' is not an operator on %s", op, property)
	}
}

func (p *parser) call(f Function) (condition, error) {
	form := fmt.Errorf("%s is written %s(property, 'text')", f, f)
	if f == SubstringOf {
		form = fmt.Errorf("%s is written %s('text', property)", f, f)
	}
	if p.next() != "(" {
		return nil, form
	}
	first := p.next()
	if p.next() != "," {
		return nil, form
	}
	name, quoted := first, p.next()
	if f == SubstringOf {
		name, quoted = quoted, first
	}
	property, ok := p.property(name)
	text, isText := strings.CutPrefix(quoted, "'")
	if !ok || !isText || p.next() != ")" {
		return nil, form
	}
	text = strings.ToLower(text)
	holds := strings.Contains
	if f == StartsWith {
		holds = strings.HasPrefix
	}
	return func(v Values) bool { got, ok := v(property); return ok && holds(strings.ToLower(got), text) }, nil
}

func (p *parser) text() (string, error) {
	t := p.next()
	text, ok := strings.CutPrefix(t, "'")
	if !ok {
		return "", fmt.Errorf("a quoted text is expected instead of '%s'", t)
	}
	return strings.ToLower(text), nil
}
