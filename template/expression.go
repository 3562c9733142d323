package template

import (
	"fmt"
	"strings"
)

// expression is a parsed expression. It is evaluated in a [scope].
type expression interface {
	eval(s *scope) (any, error)
}

// isExpression reports whether a text is one: in brackets, and not in two.
func isExpression(s string) bool {
	return len(s) >= 2 && s[0] == '[' && s[len(s)-1] == ']' && !strings.HasPrefix(s, "[[")
}

// unescaped returns what a text stands for that is no expression: "[[" is how a
// text begins with a bracket.
func unescaped(s string) string {
	if strings.HasPrefix(s, "[[") {
		return s[1:]
	}
	return s
}

// parser reads one expression.
type parser struct {
	src   string
	at    int
	depth int
}

const (
	// longestExpression is ARM's bound.
	longestExpression = 24_576
	// parsedBytes is what one character of an expression may become.
	parsedBytes = 32
)

// parseExpression reads the expression of a text with its brackets.
func (b *budget) parseExpression(s string) (expression, error) {
	if len(s) > longestExpression {
		return nil, errorf("The expression has %d characters; at most %d are allowed. It begins with %s.", len(s), longestExpression, quoted(s))
	}
	if err := b.allot(parsedBytes * len(s)); err != nil {
		return nil, err
	}
	p := &parser{src: s[1 : len(s)-1]}
	e, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.src) {
		return nil, p.fail("unexpected %q", p.src[p.at:])
	}
	return e, nil
}

func (p *parser) fail(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf("The expression '%s' is not valid at character %d: %s.", p.src, p.at+1, fmt.Sprintf(format, args...))}
}

func (p *parser) space() {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
}

// take consumes c if it comes next.
func (p *parser) take(c byte) bool {
	p.space()
	if p.at < len(p.src) && p.src[p.at] == c {
		p.at++
		return true
	}
	return false
}

// operand reads a literal or a call, with the accessors behind it.
func (p *parser) operand() (expression, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("it is nested deeper than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	e, err := p.primary()
	for err == nil {
		switch {
		case p.take('.'):
			safe := p.take('?')
			name := p.name()
			if name == "" {
				return nil, p.fail("the name of a property is missing behind '.'")
			}
			e = &access{of: e, key: constant{name}, safe: safe}
		case p.take('['):
			safe := p.take('?')
			var key expression
			if key, err = p.operand(); err != nil {
				return nil, err
			}
			if !p.take(']') {
				return nil, p.fail("']' is missing")
			}
			e = &access{of: e, key: key, safe: safe}
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *parser) primary() (expression, error) {
	p.space()
	if p.at == len(p.src) {
		return nil, p.fail("it ends where a value was expected")
	}
	switch c := p.src[p.at]; {
	case c == '\'':
		return p.text()
	case c == '-' || c >= '0' && c <= '9':
		start := p.at
		p.at++
		for p.at < len(p.src) && (p.src[p.at] >= '0' && p.src[p.at] <= '9' || p.src[p.at] == '.') {
			p.at++
		}
		if !validJSON(p.src[start:p.at]) {
			return nil, p.fail("%q is not a number", p.src[start:p.at])
		}
		return constant{numberValue(p.src[start:p.at])}, nil
	}
	name := p.name()
	if name == "" {
		return nil, p.fail("unexpected %q", p.src[p.at:p.at+1])
	}
	// A function of the template's own is called by its namespace.
	if p.at < len(p.src) && p.src[p.at] == '.' {
		rest := &parser{src: p.src, at: p.at + 1}
		if own := rest.name(); own != "" && rest.take('(') {
			p.at, name = rest.at-1, name+"."+own
		}
	}
	if !p.take('(') {
		switch strings.ToLower(name) {
		case "true", "false":
			return constant{strings.EqualFold(name, "true")}, nil
		case "null":
			return constant{nil}, nil
		}
		return nil, p.fail("'(' is missing behind the function name '%s'", name)
	}
	c := &call{name: strings.ToLower(name), spelled: name}
	for !p.take(')') {
		if len(c.args) > 0 && !p.take(',') {
			return nil, p.fail("',' or ')' is missing")
		}
		arg, err := p.operand()
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, arg)
	}
	return c, nil
}

func (p *parser) name() string {
	p.space()
	start := p.at
	for p.at < len(p.src) {
		c := p.src[p.at]
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			break
		}
		p.at++
	}
	return p.src[start:p.at]
}

// text reads a literal in single quotes, in which two stand for one.
func (p *parser) text() (expression, error) {
	var b strings.Builder
	for p.at++; p.at < len(p.src); p.at++ {
		if p.src[p.at] != '\'' {
			b.WriteByte(p.src[p.at])
			continue
		}
		if p.at+1 < len(p.src) && p.src[p.at+1] == '\'' {
			b.WriteByte('\'')
			p.at++
			continue
		}
		p.at++
		return constant{b.String()}, nil
	}
	return nil, p.fail("a text does not end")
}

type constant struct{ value any }

func (c constant) eval(*scope) (any, error) { return c.value, nil }

// access is a property or an element of a value.
type access struct {
	of, key expression
	safe    bool // null instead of an error when there is none
}

func (a *access) eval(s *scope) (any, error) {
	of, err := a.of.eval(s)
	if err != nil {
		return nil, err
	}
	key, err := a.key.eval(s)
	if err != nil {
		return nil, err
	}
	return s.budget.part(of, key, a.safe)
}

// part returns a property or an element of a value; with safe, null when there is
// none.
func (b *budget) part(of, key any, safe bool) (any, error) {
	if err := b.values([]any{key}); err != nil {
		return nil, err
	}
	if _, ok := key.(unknown); ok {
		return key, nil
	}
	if safe && of == nil {
		return nil, nil
	}
	switch of := of.(type) {
	case unknown:
		return of, nil
	case map[string]any:
		name, ok := key.(string)
		if !ok {
			return nil, errorf("An object has properties with names; %s is none.", quoted(key))
		}
		v, ok, err := b.member(of, name)
		if ok || safe || err != nil {
			return v, err
		}
		return nil, errorf("The object has no property '%s'; it has %s.", cut(name), namesOf(of))
	case []any:
		i, ok := key.(int64)
		if !ok {
			return nil, errorf("An element of an array is chosen by a whole number, not by %s.", typeName(key))
		}
		if i >= 0 && i < int64(len(of)) {
			return of[i], nil
		}
		if safe {
			return nil, nil
		}
		return nil, errorf("The array has %d elements; there is none with the index %d.", len(of), i)
	default:
		return nil, errorf("%s has neither properties nor elements; %s was asked for.", typeName(of), quoted(key))
	}
}

// mostNames bounds how many names a message lists.
const mostNames = 20

// namesOf lists the members of an object for a message.
func namesOf(m map[string]any) string {
	keys := sortedKeys(m)
	more := ""
	if n := len(keys) - mostNames; n > 0 {
		keys, more = keys[:mostNames], fmt.Sprintf(" and %d more", n)
	}
	for i := range keys {
		keys[i] = cut(keys[i])
	}
	return strings.Join(keys, ", ") + more
}

// call is a call of a function.
type call struct {
	name, spelled string // in lower case, and as written
	args          []expression
}

func (c *call) eval(s *scope) (any, error) {
	b := s.budget
	if b.depth++; b.depth > maxCalls {
		b.depth--
		return nil, errorf("The expression calls functions more than %d levels deep.", maxCalls)
	}
	defer func() { b.depth-- }()
	if err := b.spend(1); err != nil {
		return nil, err
	}
	if f := specialFunction(c.name); f != nil {
		return f(s, c)
	}
	f, known := functions[c.name]
	if !known {
		if strings.HasPrefix(c.name, "list") {
			return s.list(c)
		}
		if own, ok := s.template.functions[c.name]; ok {
			return own.call(s, c)
		}
		return nil, errorf("There is no template function '%s'.", c.spelled)
	}
	if len(c.args) < f.least || f.most >= 0 && len(c.args) > f.most {
		return nil, errorf("The function '%s' takes %s; it was called with %d.", c.spelled, f.arity(), len(c.args))
	}
	args, err := c.values(s)
	if err != nil {
		return nil, err
	}
	for _, arg := range args {
		if _, ok := arg.(unknown); ok {
			return arg, nil
		}
	}
	v, err := f.do(b, args)
	if err != nil {
		return nil, c.fail(err)
	}
	return v, nil
}

// maxCalls bounds the recursion of an evaluation.
const maxCalls = 500

// values evaluates the arguments, and pays for reading the texts among them.
func (c *call) values(s *scope) ([]any, error) {
	args := make([]any, len(c.args))
	for i, a := range c.args {
		v, err := a.eval(s)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return args, s.budget.values(args)
}

func errorf(format string, args ...any) error { return &Error{Message: fmt.Sprintf(format, args...)} }
