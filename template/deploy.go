package template

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Host makes resources and looks at them, on behalf of who deploys. Its errors
// are shown with the place in the template. It is used by one goroutine at a
// time.
//
// A host that only previews answers nil where the deployment itself would have
// to happen first; the expressions that use such an answer are unknown then (see
// [Known]).
type Host interface {
	// Put makes or changes a resource and returns it as a read shows it.
	Put(ctx context.Context, r Resource) (map[string]any, error)
	// Get reads a resource; version is "" when the template does not say which.
	Get(ctx context.Context, id, version string) (map[string]any, error)
	// Act carries out a POST operation such as listKeys.
	Act(ctx context.Context, id, action, version string, body any) (any, error)
	// Around describes a subscription, and a group if it is not "", to the
	// functions of the same names: members subscription, resourcegroup, tenant,
	// deployer, environment.
	Around(ctx context.Context, subscription, group string) (map[string]map[string]any, error)
	// Nest is told of a deployment inside of this one before its resources are
	// made. What it returns is called when that is over, with how it ended, and
	// returns the error to go on with. In between, all other calls are about the
	// nested deployment.
	Nest(ctx context.Context, n Nested) (end func(*Result, error) error, err error)
	// Canceled reports whether the deployment shall make no further resource.
	Canceled() bool
}

// Nested is a deployment inside of another one.
type Nested struct {
	Resource
	Mode     string
	Template *Template
}

// Resource is one resource to be made.
type Resource struct {
	ID, Type, Version string
	// Body is what a PUT sends.
	Body map[string]any
	// Path and Line are its place in the template.
	Path string
	Line int
}

// Input is what a deployment adds to its template.
type Input struct {
	Name, Location, Mode string
	Subscription, Group  string // Group is "" for a deployment to a subscription
	// Parameters have the form of a parameter file.
	Parameters map[string]any
	// Around is filled from [Host.Around] when nil.
	Around map[string]map[string]any
	Now    time.Time
}

// Result is what a deployment came to. It is filled as far as it went, also
// with an error.
type Result struct {
	Parameters map[string]Value
	Outputs    map[string]Value
	// Planned are the resources that the template says shall exist, in the order
	// of their dependencies. They have no bodies.
	Planned []Resource
	// Resources are those made, in their order; with those of nested deployments.
	Resources []Resource
	// Existing are the ids of those the template only refers to.
	Existing []string
	// Depends holds for the id of each resource those it waited for.
	Depends map[string][]Resource
	// Secrets are the texts of secure parameters. They must not be stored, and
	// not be shown either: see [Result.Redact].
	Secrets []string

	redactor *strings.Replacer // for as many secrets as redacts says
	redacts  int
}

func newResult() *Result {
	return &Result{Parameters: map[string]Value{}, Outputs: map[string]Value{}, Depends: map[string][]Resource{}}
}

// run is one deployment under way.
type run struct {
	ctx    context.Context //nolint:containedctx // expressions reach the host in the middle of a recursion
	host   Host
	result *Result
	// outer is the deployment around a nested one that shares its expressions.
	outer     *run
	instances []*instance
	index     index
}

// instance is one resource: a declaration in one round of its loop.
type instance struct {
	*declared
	scope    *scope
	id, typ  string
	name     string
	version  string
	loop     string // lower-case name of its copy loop
	existing bool   // only read, never made
	skip     bool   // its condition is false
	failed   bool   // so did something it depends on
	state    any    // what it became; nil before, and as long as nobody asks
	made     map[string]any
	done     bool
	visited  int8 // while ordering
	needs    []*instance
}

// resource returns the instance as a host sees it, without a body.
func (i *instance) resource() Resource {
	return Resource{ID: i.id, Type: i.typ, Version: i.version, Path: i.path, Line: i.node.line}
}

// Deploy makes the resources of a template in the order of their dependencies,
// one after the other, and evaluates the outputs. One that fails does not keep
// those from being made that do not depend on it. The error is an [*Error] or
// [Errors]; what was made stays.
func (t *Template) Deploy(ctx context.Context, host Host, in Input) (*Result, error) {
	s, r, err := t.begin(ctx, host, in, newBudget(ctx))
	if err != nil {
		return r, err
	}
	return r, t.deploy(s)
}

// begin makes the scope of a deployment and binds its parameters.
func (t *Template) begin(ctx context.Context, host Host, in Input, b *budget) (*scope, *Result, error) {
	result := newResult()
	if err := b.spend(hostSteps + t.size()); err != nil {
		return nil, result, err
	}
	if in.Around == nil {
		around, err := host.Around(ctx, in.Subscription, in.Group)
		if err != nil {
			return nil, result, at(err, "", 0)
		}
		in.Around = around
	}
	s := &scope{
		template: t, in: &in, parameters: map[string]any{}, budget: b,
		variables: &variables{nodes: map[string]*node{}, values: map[string]any{}, under: map[string]bool{}},
	}
	if vs := t.root.get("variables"); vs != nil {
		for _, f := range vs.fields {
			if strings.EqualFold(f.name, "copy") && f.value.kind == array && isCopy(f.value) {
				for _, c := range f.value.items {
					s.variables.nodes[strings.ToLower(c.literal("name"))] = c
				}
				continue
			}
			s.variables.nodes[strings.ToLower(f.name)] = f.value
		}
	}
	err := s.bind(in.Parameters)
	if ps := t.root.get("parameters"); ps != nil {
		for _, f := range ps.fields {
			v, bound := s.parameters[strings.ToLower(f.name)]
			if !bound {
				continue
			}
			typ := t.typeOf(f.value)
			if secure(typ) {
				if herr := result.hide(appendTexts(nil, v)); herr != nil && err == nil {
					err = at(herr, t.at("parameters."+cut(f.name)), f.line)
				}
			}
			result.Parameters[f.name] = shown(typ, v)
		}
	}
	s.run = &run{ctx: ctx, host: host, result: result}
	return s, result, err
}

func (t *Template) deploy(s *scope) error {
	r := s.run
	if err := t.expand(s); err != nil {
		return err
	}
	order, err := r.order()
	if err != nil {
		return err
	}
	for _, i := range order {
		switch {
		case i.existing:
			r.result.Existing = append(r.result.Existing, i.id)
		case !i.skip:
			r.result.Planned = append(r.result.Planned, i.resource())
		}
	}
	var failures Errors
	for _, i := range order {
		if err := r.stopped(i); err != nil {
			return append(failures, err).orOne()
		}
		if i.skip || i.existing || i.failed {
			continue
		}
		if err := r.make(i); err != nil {
			i.failed = true
			failures = failures.with(err)
		}
	}
	if len(failures) > 0 {
		return failures.orOne()
	}
	return t.outputs(s)
}

// stopped says why i will not be made, if so, and marks it when that is because
// of something it depends on.
func (r *run) stopped(i *instance) *Error {
	for _, n := range i.needs {
		i.failed = i.failed || n.failed
	}
	if err := r.ctx.Err(); err != nil {
		return &Error{Path: i.path, Line: i.node.line, Message: "The deployment was stopped before this resource.", Cause: err}
	}
	if err := i.scope.budget.over(); err != nil { // so would all the others
		return &Error{Path: i.path, Line: i.node.line, Message: err.Error(), Cause: err}
	}
	if r.host.Canceled() {
		return &Error{Path: i.path, Line: i.node.line, Message: "The deployment was canceled before this resource.", Cause: ErrCanceled}
	}
	return nil
}

// make evaluates a resource and makes it.
func (r *run) make(i *instance) error {
	if err := i.scope.budget.spend(hostSteps); err != nil {
		return at(err, i.path, i.node.line)
	}
	if strings.EqualFold(i.typ, typeDeployment) {
		return r.nest(i)
	}
	body := map[string]any{}
	for _, f := range i.node.fields {
		switch strings.ToLower(f.name) {
		case "type", "name", "apiversion", "dependson", "condition", "copy", "resources", "comments", "metadata", "scope",
			"subscriptionid", "resourcegroup", "existing", "import", "extension", "asserts", "retryon", "waituntil":
			continue
		}
		v, err := i.scope.value(f.value, i.path+"."+f.name)
		if err != nil {
			return err
		}
		body[f.name] = v
	}
	res := i.resource()
	res.Body = body
	made, err := r.host.Put(r.ctx, res)
	if err != nil {
		return &Error{
			Path: i.path, Line: i.node.line, Resource: i.id, Cause: err,
			Message: fmt.Sprintf("The resource '%s' could not be deployed: %s", i.id, err),
		}
	}
	i.made, i.done = made, true
	r.result.Resources = append(r.result.Resources, res)
	return nil
}

// decoded gives what a host answered the values of this package.
func (b *budget) decoded(v map[string]any) (any, error) {
	if v == nil {
		return unknown{}, nil
	}
	size, err := b.measure(v)
	if err != nil {
		return nil, err
	}
	if err := b.allot(2 * size); err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Decode(data)
}

func (t *Template) outputs(s *scope) error {
	n := t.root.get("outputs")
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		path := t.at("outputs." + cut(f.name))
		if c := f.value.get("condition"); c != nil {
			v, err := s.value(c, path+".condition")
			if err != nil {
				return err
			}
			if show, err := wantBool(v); err != nil {
				return &Error{Path: path + ".condition", Line: c.line, Message: "The condition of an output must be true or false, not " + typeName(v) + "."}
			} else if !show {
				continue
			}
		}
		var v any
		var err error
		if loop := f.value.get("copy"); loop != nil {
			v, err = s.copies(loop, "", &spot{name: path + ".copy"})
		} else {
			v, err = s.value(f.value.get("value"), path+".value")
		}
		if err != nil {
			return err
		}
		typ := t.typeOf(f.value)
		if n := f.value.get("nullable"); v == nil && n != nil && n.truth {
			s.run.result.Outputs[f.name] = shown(typ, v)
			continue
		}
		if err := checkType(typ, v); err != nil {
			return &Error{Path: path, Line: f.line, Message: fmt.Sprintf("The output '%s' is not of its type: %s.", f.name, err)}
		}
		s.run.result.Outputs[f.name] = shown(typ, v)
	}
	return nil
}
