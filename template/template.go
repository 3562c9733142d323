package template

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Template is a parsed template. It may be deployed any number of times, one
// deployment at a time.
type Template struct {
	root      *node
	functions map[string]*ownFunction // by lower-case namespace.name
	resources []declared
	// path stands before every path in errors of a nested template.
	path string
}

// declared is a resource as the template has it, before loops and conditions.
type declared struct {
	symbol string // in templates whose resources have symbolic names
	node   *node
	path   string
	// parent encloses it in templates that nest resources.
	parent *declared
	// refers are the calls in it that refer to resources, once they were looked for.
	refers []*call
	looked bool
}

// Parse reads a template. The error is an [*Error] that names the line.
func Parse(src []byte) (*Template, error) {
	root, err := parseJSON(string(src))
	if err != nil {
		return nil, err
	}
	return newTemplate(placed(root, string(src)), "")
}

// placed counts the lines of a template from its own first one, in a document
// that it may be a part of.
func placed(root *node, src string) *node {
	if !strings.Contains(src, "\n") {
		root.unlined()
	} else {
		root.relines(root.line)
	}
	return root
}

// JSON returns the template as plain JSON, without comments.
func (t *Template) JSON() []byte { return t.root.appendJSON(nil) }

// Hash returns a number that is the same for the same template, in the form in
// which Azure shows it. Blanks and comments do not count.
func (t *Template) Hash() string {
	sum := sha256.Sum256(t.JSON())
	return strconv.FormatUint(binary.BigEndian.Uint64(sum[:8]), 10)
}

func newTemplate(root *node, path string) (*Template, error) {
	t := &Template{root: root, functions: map[string]*ownFunction{}, path: path}
	if root.kind != object {
		return nil, &Error{Path: path, Line: root.line, Message: "A template is a JSON object."}
	}
	for _, f := range root.fields {
		switch strings.ToLower(f.name) {
		case "$schema", "contentversion", "apiprofile", "metadata", "languageversion", "parameters", "variables",
			"functions", "resources", "outputs", "definitions", "imports", "extensions":
		default:
			return nil, &Error{Path: t.at(cut(f.name)), Line: f.line, Message: fmt.Sprintf(
				"A template has no section '%s'; it has parameters, variables, functions, resources and outputs.", cut(f.name))}
		}
	}
	for _, section := range sections {
		n := root.get(section.name)
		switch {
		case n == nil:
		case n.kind != object:
			return nil, &Error{Path: t.at(section.name), Line: n.line, Message: "This must be an object."}
		case len(n.fields) > section.most:
			return nil, &Error{Path: t.at(section.name), Line: n.line, Message: fmt.Sprintf("A template may have %d %s; this one has %d.", section.most, section.name, len(n.fields))}
		}
	}
	if err := t.readFunctions(); err != nil {
		return nil, err
	}
	return t, t.readResources()
}

// sections are those that hold definitions by name, each with ARM's bound; that of
// definitions is our own.
var sections = []struct {
	name string
	most int
}{{"parameters", 256}, {"variables", 512}, {"outputs", 64}, {"definitions", 512}}

// size is the number of things that a template declares: what it costs to begin.
func (t *Template) size() int {
	n := len(t.resources) + len(t.functions)
	for _, section := range sections {
		if s := t.root.get(section.name); s != nil {
			n += len(s.fields)
		}
	}
	return n
}

// at returns a path within this template.
func (t *Template) at(path string) string {
	if t.path == "" {
		return path
	}
	return t.path + "." + path
}

func (t *Template) readResources() error {
	n := t.root.get("resources")
	switch {
	case n == nil:
		return &Error{Path: t.at("resources"), Line: t.root.line, Message: "The template has no resources; an empty list is allowed."}
	case n.kind == array:
		for i, item := range n.items {
			if err := t.readResource(declared{node: item, path: t.at(fmt.Sprintf("resources[%d]", i))}); err != nil {
				return err
			}
		}
	case n.kind == object: // symbolic names
		for _, f := range n.fields {
			if err := t.readResource(declared{symbol: f.name, node: f.value, path: t.at("resources." + cut(f.name))}); err != nil {
				return err
			}
		}
	default:
		return &Error{Path: t.at("resources"), Line: n.line, Message: "The resources must be a list, or an object by symbolic names."}
	}
	return nil
}

// mostResources is ARM's bound of one template.
const mostResources = 800

func (t *Template) readResource(d declared) error {
	if d.node.kind != object {
		return &Error{Path: d.path, Line: d.node.line, Message: "A resource must be an object."}
	}
	for _, needed := range []string{"type", "name"} {
		if n := d.node.get(needed); n == nil || n.kind != text || n.text == "" {
			return &Error{Path: d.path, Line: d.node.line, Message: fmt.Sprintf("The resource has no %s.", needed)}
		}
	}
	if n := d.node.get("apiVersion"); n == nil || n.kind != text {
		return &Error{Path: d.path, Line: d.node.line, Message: "The resource has no apiVersion."}
	}
	if len(t.resources) == mostResources {
		return &Error{Path: d.path, Line: d.node.line, Message: fmt.Sprintf("A template may hold %d resources.", mostResources)}
	}
	t.resources = append(t.resources, d)
	children := d.node.get("resources")
	if children == nil || strings.EqualFold(d.node.literal("type"), typeDeployment) {
		return nil
	}
	if children.kind != array {
		return &Error{Path: d.path + ".resources", Line: children.line, Message: "Nested resources must be a list."}
	}
	parent := d
	for i, item := range children.items {
		if err := t.readResource(declared{node: item, path: fmt.Sprintf("%s.resources[%d]", d.path, i), parent: &parent}); err != nil {
			return err
		}
	}
	return nil
}

// ownFunction is a function that the template defines.
type ownFunction struct {
	name       string
	parameters []string
	output     *node
	path       string
}

func (t *Template) readFunctions() error {
	n := t.root.get("functions")
	if n == nil {
		return nil
	}
	if n.kind != array {
		return &Error{Path: t.at("functions"), Line: n.line, Message: "The functions must be a list of namespaces."}
	}
	for i, space := range n.items {
		path := t.at(fmt.Sprintf("functions[%d]", i))
		prefix := space.literal("namespace")
		members := space.get("members")
		if prefix == "" || members == nil {
			return &Error{Path: path, Line: space.line, Message: "Functions need a namespace and members."}
		}
		for _, f := range members.fields {
			own := &ownFunction{name: prefix + "." + f.name, output: f.value.get("output").get("value"), path: path + ".members." + f.name}
			if own.output == nil {
				return &Error{Path: own.path, Line: f.line, Message: "The function has no output value."}
			}
			if ps := f.value.get("parameters"); ps != nil {
				for _, p := range ps.items {
					own.parameters = append(own.parameters, p.literal("name"))
				}
			}
			t.functions[strings.ToLower(own.name)] = own
		}
	}
	return nil
}

// call evaluates a function of the template's own: it sees its parameters only.
func (f *ownFunction) call(s *scope, c *call) (any, error) {
	if len(c.args) != len(f.parameters) {
		return nil, errorf("The function '%s' takes %d arguments; it was called with %d.", f.name, len(f.parameters), len(c.args))
	}
	args, err := c.values(s)
	if err != nil {
		return nil, err
	}
	if err := s.budget.object(len(args)); err != nil {
		return nil, err
	}
	inner := &scope{template: s.template, in: s.in, budget: s.budget, variables: &variables{}, locals: map[string]any{}}
	for i, name := range f.parameters {
		inner.locals["$"+strings.ToLower(name)] = args[i]
	}
	return inner.value(f.output, f.path+".output.value")
}
