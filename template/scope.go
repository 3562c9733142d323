package template

import (
	"context"
	"fmt"
	"maps"
	"strings"
)

// scope is what expressions see: the parameters and variables of one template,
// the loops around them, and what has been deployed. It belongs to one
// goroutine.
type scope struct {
	ctx      context.Context //nolint:containedctx // expressions reach the host in the middle of a recursion
	template *Template
	in       *Input
	run      *run // nil while nothing may be looked up: in parameters

	parameters map[string]any // by lower-case name
	variables  *variables
	loops      []loop // innermost last
	locals     map[string]any
	depth      int
	steps      *int // taken by the whole deployment
}

// mostSteps bounds the work of one deployment. Loops within loops could
// otherwise keep a small template busy for years.
const mostSteps = 1_000_000

// bytesPerStep is how much text counts as one step.
const bytesPerStep = 16

// step counts one evaluation.
func (s *scope) step() error { return s.spend(1) }

func (s *scope) spend(steps int) error {
	if s.steps == nil {
		return nil
	}
	if *s.steps += steps; *s.steps > mostSteps {
		return errorf("The template takes more than %d steps to evaluate.", mostSteps)
	}
	return nil
}

// weigh counts the size of a value that an expression made. Values share their
// parts, so a short expression can make one that is too large to look at.
func (s *scope) weigh(v any) error {
	if s == nil || s.steps == nil {
		return nil
	}
	return s.spend(weight(v, mostSteps-*s.steps))
}

// weight returns the number of parts of a value, or a number above limit.
func weight(v any, limit int) int {
	switch v := v.(type) {
	case string:
		return len(v) / bytesPerStep
	case []any:
		n := len(v)
		for i := 0; i < len(v) && n <= limit; i++ {
			n += weight(v[i], limit-n)
		}
		return n
	case map[string]any:
		n := len(v)
		for _, m := range v {
			if n > limit {
				break
			}
			n += weight(m, limit-n)
		}
		return n
	}
	return 0
}

// loop is one copy loop around an expression.
type loop struct {
	name  string
	index int64
}

// variables are evaluated at first use, and each once.
type variables struct {
	nodes  map[string]*node
	values map[string]any
	under  map[string]bool // evaluation: who comes back here depends on itself
}

// within returns the scope inside of one more loop.
func (s *scope) within(name string, index int64) *scope {
	in := *s
	in.loops = append(append([]loop(nil), s.loops...), loop{strings.ToLower(name), index})
	return &in
}

// with returns the scope in which some local variables of a lambda are set.
func (s *scope) with(names []string, values ...any) *scope {
	in := *s
	in.locals = make(map[string]any, len(s.locals)+len(names))
	maps.Copy(in.locals, s.locals)
	for i, n := range names {
		if i < len(values) {
			in.locals[strings.ToLower(n)] = values[i]
		}
	}
	return &in
}

// text evaluates a text of the template: an expression, or what stands there.
func (s *scope) text(n *node) (any, error) {
	if !isExpression(n.text) {
		return unescaped(n.text), nil
	}
	if n.expr == nil {
		e, err := parseExpression(n.text)
		if err != nil {
			return nil, err
		}
		n.expr = e
	}
	v, err := n.expr.eval(s)
	if err != nil {
		return nil, err
	}
	return v, s.weigh(v)
}

// value evaluates a whole node. path says where it stands.
func (s *scope) value(n *node, path string) (any, error) {
	if n == nil {
		return nil, nil
	}
	if err := s.step(); err != nil {
		return nil, at(err, path, n.line)
	}
	switch n.kind {
	case boolean:
		return n.truth, nil
	case number:
		return numberValue(n.text), nil
	case text:
		v, err := s.text(n)
		return v, at(err, path, n.line)
	case array:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			v, err := s.value(item, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case object:
		return s.object(n, path)
	}
	return nil, nil
}

func (s *scope) object(n *node, path string) (any, error) {
	out := make(map[string]any, len(n.fields))
	for _, f := range n.fields {
		where := strings.TrimPrefix(path+"."+f.name, ".")
		if strings.EqualFold(f.name, "copy") && f.value.kind == array && isCopy(f.value) {
			for i, c := range f.value.items {
				name := c.literal("name")
				v, err := s.copies(c, name, fmt.Sprintf("%s[%d]", where, i))
				if err != nil {
					return nil, err
				}
				out[name] = v
			}
			continue
		}
		name := f.name
		if isExpression(name) {
			v, err := s.text(&node{kind: text, text: name, line: f.line})
			if err != nil {
				return nil, at(err, where, f.line)
			}
			name = textOf(v)
		}
		v, err := s.value(f.value, where)
		if err != nil {
			return nil, err
		}
		out[unescaped(name)] = v
	}
	return out, nil
}

// isCopy tells a property loop from a property that is merely called copy.
func isCopy(n *node) bool {
	for _, item := range n.items {
		if item.kind != object || item.literal("name") == "" || item.get("count") == nil || item.get("input") == nil {
			return false
		}
	}
	return len(n.items) > 0
}

// mostCopies is ARM's bound of one loop.
const mostCopies = 800

// copies evaluates the input of a loop for each round.
func (s *scope) copies(c *node, name, path string) ([]any, error) {
	count, err := s.count(c, path)
	if err != nil {
		return nil, err
	}
	out := make([]any, count)
	for i := range out {
		if out[i], err = s.within(name, int64(i)).value(c.get("input"), path+".input"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *scope) count(c *node, path string) (int64, error) {
	n := c.get("count")
	if n == nil {
		return 0, &Error{Path: path, Line: c.line, Message: "A copy loop needs a count."}
	}
	v, err := s.value(n, path+".count")
	if err != nil {
		return 0, err
	}
	count, err := wantInt(v)
	if err != nil || count < 0 || count > mostCopies {
		return 0, &Error{Path: path + ".count", Line: n.line, Message: fmt.Sprintf("The count of a copy loop must be a whole number from 0 to %d, not %s.", mostCopies, textOf(v))}
	}
	return count, nil
}

// string evaluates a member that must be a text; an absent one is "".
func (s *scope) string(n *node, path string) (string, error) {
	if n == nil || n.kind == null {
		return "", nil
	}
	v, err := s.value(n, path)
	if err != nil {
		return "", err
	}
	if _, ok := v.(unknown); ok {
		return "", &Error{Path: path, Line: n.line, Message: "This must be known before anything is deployed; it depends on what a resource becomes."}
	}
	t, err := wantText(v)
	return t, at(err, path, n.line)
}

// variable returns the value of a variable.
func (s *scope) variable(name string) (any, error) {
	key := strings.ToLower(name)
	vs := s.variables
	if v, ok := vs.values[key]; ok {
		return v, nil
	}
	n, ok := vs.nodes[key]
	if !ok {
		return nil, errorf("The template has no variable '%s'.", name)
	}
	if vs.under[key] {
		return nil, errorf("The variable '%s' depends on itself.", name)
	}
	vs.under[key] = true
	defer delete(vs.under, key)
	// A variable knows nothing of the loop or lambda it is used in.
	outer := *s
	outer.loops, outer.locals = nil, nil
	var v any
	var err error
	if n.kind == object && n.get("input") != nil && n.get("count") != nil && n.get("name") != nil && strings.EqualFold(n.literal("name"), name) {
		v, err = outer.copies(n, name, s.template.at("variables."+name))
	} else {
		v, err = outer.value(n, s.template.at("variables."+name))
	}
	if err != nil {
		return nil, err
	}
	vs.values[key] = v
	return v, nil
}

// unknown is a value that only the deployment itself brings; a dry run goes on
// with it. Whatever is computed of it is unknown as well.
type unknown struct{}

// MarshalJSON implements [encoding/json.Marshaler]: previews show it.
func (unknown) MarshalJSON() ([]byte, error) { return []byte(`"(known after the deployment)"`), nil }
