package template

import (
	"fmt"
	"maps"
	"strings"
)

// scope is what expressions see: the parameters and variables of one template,
// the loops around them, and what has been deployed. It belongs to one
// goroutine.
type scope struct {
	template *Template
	in       *Input
	run      *run // nil while nothing may be looked up: in parameters

	parameters map[string]any // by lower-case name
	variables  *variables
	loops      []loop // innermost last
	locals     map[string]any
	budget     *budget // of the whole deployment
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
	if err := s.budget.parse(n); err != nil {
		return nil, err
	}
	v, err := n.expr.eval(s)
	if err != nil {
		return nil, err
	}
	_, err = s.budget.measure(v)
	return v, err
}

// parse reads the expression of a node, if that was not done yet.
func (b *budget) parse(n *node) (err error) {
	if n.expr == nil {
		n.expr, err = b.parseExpression(n.text)
	}
	return err
}

// spot is where a part of a template stands. It becomes a text only for an error.
type spot struct {
	up    *spot
	name  string // of a member, or the path of where all of it begins
	index int    // of an element, when there is no name
}

// String returns the path of a spot.
func (p *spot) String() string {
	switch {
	case p.up == nil:
		return p.name
	case p.name == "":
		return fmt.Sprintf("%s[%d]", p.up, p.index)
	}
	return strings.TrimPrefix(p.up.String()+"."+cut(p.name), ".")
}

// in gives an error its place, if it has none yet.
func (p *spot) in(err error, line int) error {
	if err == nil {
		return nil
	}
	return at(err, p.String(), line)
}

// value evaluates a whole node. path says where it stands.
func (s *scope) value(n *node, path string) (any, error) { return s.valueAt(n, &spot{name: path}) }

func (s *scope) valueAt(n *node, p *spot) (any, error) {
	if n == nil {
		return nil, nil
	}
	if err := s.budget.spend(1); err != nil {
		return nil, p.in(err, n.line)
	}
	switch n.kind {
	case boolean:
		return n.truth, nil
	case number:
		return numberValue(n.text), nil
	case text:
		v, err := s.text(n)
		return v, p.in(err, n.line)
	case array:
		if err := s.budget.allot(len(n.items) * slotBytes); err != nil {
			return nil, p.in(err, n.line)
		}
		out := make([]any, len(n.items))
		for i, item := range n.items {
			v, err := s.valueAt(item, &spot{up: p, index: i})
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case object:
		return s.object(n, p)
	}
	return nil, nil
}

func (s *scope) object(n *node, p *spot) (any, error) {
	if err := s.budget.allot(objectBytes + len(n.fields)*memberBytes); err != nil {
		return nil, p.in(err, n.line)
	}
	out := make(map[string]any, len(n.fields))
	for _, f := range n.fields {
		where := &spot{up: p, name: f.name}
		if strings.EqualFold(f.name, "copy") && f.value.kind == array && isCopy(f.value) {
			for i, c := range f.value.items {
				name := c.literal("name")
				v, err := s.copies(c, name, &spot{up: where, index: i})
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
			if err == nil {
				name, err = s.budget.text(v)
			}
			if err != nil {
				return nil, where.in(err, f.line)
			}
		}
		v, err := s.valueAt(f.value, where)
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
func (s *scope) copies(c *node, name string, p *spot) ([]any, error) {
	count, err := s.count(c, p)
	if err != nil {
		return nil, err
	}
	if err := s.budget.array(int(count)); err != nil {
		return nil, p.in(err, c.line)
	}
	input, where := c.get("input"), &spot{up: p, name: "input"}
	out := make([]any, count)
	for i := range out {
		if err := s.budget.spend(scopeSteps + len(s.loops)); err != nil {
			return nil, p.in(err, c.line)
		}
		if out[i], err = s.within(name, int64(i)).valueAt(input, where); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *scope) count(c *node, p *spot) (int64, error) {
	n := c.get("count")
	if n == nil {
		return 0, &Error{Path: p.String(), Line: c.line, Message: "A copy loop needs a count."}
	}
	where := &spot{up: p, name: "count"}
	v, err := s.valueAt(n, where)
	if err != nil {
		return 0, err
	}
	count, err := wantInt(v)
	if err != nil || count < 0 || count > mostCopies {
		return 0, &Error{Path: where.String(), Line: n.line, Message: fmt.Sprintf("The count of a copy loop must be a whole number from 0 to %d, not %s.", mostCopies, quoted(v))}
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
		v, err = outer.copies(n, name, &spot{name: s.template.at("variables." + cut(name))})
	} else {
		v, err = outer.value(n, s.template.at("variables."+cut(name)))
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
