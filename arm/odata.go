package arm

import (
	"strings"

	"github.com/intertie/intertie/resource"
)

// parseNameFilter reads the $filter of Event Grid's lists: conditions on name
// with eq, ne and contains, joined by not, and, or and parentheses. Comparison
// ignores case. An empty filter matches everything.
func parseNameFilter(text string) (func(name string) bool, error) {
	if strings.TrimSpace(text) == "" {
		return func(string) bool { return true }, nil
	}
	p := &filterParser{}
	var match nameMatch
	var err error
	if p.tokens, err = filterTokens(text); err == nil {
		match, err = p.or()
	}
	if err == nil && len(p.tokens) > 0 {
		err = resource.Invalid("unexpected '%s'", p.tokens[0])
	}
	if err != nil {
		why := err.Error()
		if e, ok := err.(*resource.Error); ok { //nolint:errorlint // made in this file, never wrapped
			why = e.Message
		}
		return nil, resource.Invalid("The $filter '%s' is invalid: %s. Only the property 'name' with eq, ne, contains, not, and, or is supported.", text, why)
	}
	return match, nil
}

// filterTokens splits into words, parentheses, commas and quoted strings; those
// keep their opening quote, and a doubled quote inside stands for one.
func filterTokens(s string) (out []string, err error) {
	for i := 0; i < len(s); {
		switch s[i] {
		case ' ', '\t':
			i++
		case '(', ')', ',':
			out = append(out, s[i:i+1])
			i++
		case '\'':
			text, after, ok := quotedText(s[i+1:])
			if !ok {
				return nil, resource.Invalid("a quote is not closed")
			}
			out = append(out, "'"+text)
			i = len(s) - len(after)
		default:
			end := i + strings.IndexAny(s[i:], " \t(),'")
			if end < i {
				end = len(s)
			}
			out = append(out, s[i:end])
			i = end
		}
	}
	return out, nil
}

// quotedText reads up to the closing quote and returns what follows it.
func quotedText(s string) (text, after string, ok bool) {
	for {
		part, rest, found := strings.Cut(s, "'")
		text += part
		if !found {
			return "", "", false
		}
		if !strings.HasPrefix(rest, "'") {
			return text, rest, true
		}
		text, s = text+"'", rest[1:]
	}
}

type nameMatch = func(name string) bool

// maxFilterDepth bounds nesting, so that a hostile filter cannot exhaust the
// stack.
const maxFilterDepth = 50

type filterParser struct {
	tokens []string
	depth  int
}

func (p *filterParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *filterParser) accept(word string) bool {
	if len(p.tokens) > 0 && strings.EqualFold(p.tokens[0], word) {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *filterParser) or() (nameMatch, error) {
	left, err := p.and()
	for err == nil && p.accept("or") {
		var right nameMatch
		if right, err = p.and(); err == nil {
			l := left
			left = func(n string) bool { return l(n) || right(n) }
		}
	}
	return left, err
}

func (p *filterParser) and() (nameMatch, error) {
	left, err := p.term()
	for err == nil && p.accept("and") {
		var right nameMatch
		if right, err = p.term(); err == nil {
			l := left
			left = func(n string) bool { return l(n) && right(n) }
		}
	}
	return left, err
}

func (p *filterParser) term() (nameMatch, error) {
	if p.depth++; p.depth > maxFilterDepth {
		return nil, resource.Invalid("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	switch word := p.next(); {
	case strings.EqualFold(word, "not"):
		inner, err := p.term()
		return func(n string) bool { return !inner(n) }, err
	case word == "(":
		inner, err := p.or()
		if err == nil && p.next() != ")" {
			err = resource.Invalid("a ')' is missing")
		}
		return inner, err
	case strings.EqualFold(word, "contains"):
		if p.next() != "(" || !p.accept("name") || p.next() != "," {
			return nil, resource.Invalid("contains is written contains(name, 'text')")
		}
		text, err := p.text()
		if err == nil && p.next() != ")" {
			err = resource.Invalid("a ')' is missing")
		}
		return func(n string) bool { return strings.Contains(strings.ToLower(n), text) }, err
	case strings.EqualFold(word, "name"):
		op := p.next()
		text, err := p.text()
		if !strings.EqualFold(op, "eq") && !strings.EqualFold(op, "ne") {
			return nil, resource.Invalid("'%s' is not an operator on name", op)
		}
		want := strings.EqualFold(op, "eq")
		return func(n string) bool { return (strings.ToLower(n) == text) == want }, err
	default:
		return nil, resource.Invalid("'%s' is not a condition on name", word)
	}
}

func (p *filterParser) text() (string, error) {
	t := p.next()
	if !strings.HasPrefix(t, "'") {
		return "", resource.Invalid("a quoted text is expected instead of '%s'", t)
	}
	return strings.ToLower(t[1:]), nil
}
