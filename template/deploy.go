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
type Host interface {
	// Put makes or changes a resource and returns it as a read shows it.
	Put(ctx context.Context, r Resource) (map[string]any, error)
	// Get reads a resource; version is "" when the template does not say which.
	Get(ctx context.Context, id, version string) (map[string]any, error)
	// Act carries out a POST operation such as listKeys.
	Act(ctx context.Context, id, action, version string, body any) (any, error)
	// Around describes a subscription, and a group if it is not "", to the
	// functions of the same names: members subscription, group, tenant,
	// deployer, environment.
	Around(ctx context.Context, subscription, group string) (map[string]map[string]any, error)
	// Nested is told about a deployment inside of this one before its resources
	// are made, and when it is over.
	Nested(ctx context.Context, id string, r *Result) error
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
	// Resources are those made, in their order.
	Resources []Resource
	// Depends holds for the id of each resource the ids it waited for.
	Depends map[string][]string
}

// run is one deployment under way.
type run struct {
	ctx    context.Context //nolint:containedctx // expressions reach the host in the middle of a recursion
	host   Host
	result *Result
	// outer is the deployment around a nested one that shares its expressions.
	outer     *run
	instances []*instance
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
	state    any    // what it became; nil before
	visited  int8   // while ordering
}

// Deploy makes the resources of a template in the order of their dependencies,
// one after the other, and evaluates the outputs. The error is an [*Error]; what
// was made before it stays.
func (t *Template) Deploy(ctx context.Context, host Host, in Input) (*Result, error) {
	s, r, err := t.begin(ctx, host, in)
	if err != nil {
		return r, err
	}
	return r, t.deploy(s)
}

// begin makes the scope of a deployment and binds its parameters.
func (t *Template) begin(ctx context.Context, host Host, in Input) (*scope, *Result, error) {
	result := &Result{Parameters: map[string]Value{}, Outputs: map[string]Value{}, Depends: map[string][]string{}}
	if in.Around == nil {
		around, err := host.Around(ctx, in.Subscription, in.Group)
		if err != nil {
			return nil, result, at(err, "", 0)
		}
		in.Around = around
	}
	s := &scope{
		ctx: ctx, template: t, in: &in, parameters: map[string]any{}, steps: new(int),
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
	if err := s.bind(in.Parameters); err != nil {
		return nil, result, err
	}
	if ps := t.root.get("parameters"); ps != nil {
		for _, f := range ps.fields {
			result.Parameters[f.name] = shown(f.value.literal("type"), s.parameters[strings.ToLower(f.name)])
		}
	}
	s.run = &run{ctx: ctx, host: host, result: result}
	return s, result, nil
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
		if err := r.ctx.Err(); err != nil {
			return &Error{Path: i.path, Line: i.node.line, Message: "The deployment was canceled before this resource.", Cause: err}
		}
		if i.skip || i.existing {
			continue
		}
		if err := r.make(i); err != nil {
			return err
		}
	}
	return t.outputs(s)
}

// make evaluates a resource and makes it.
func (r *run) make(i *instance) error {
	if strings.EqualFold(i.typ, typeDeployment) {
		return r.nest(i)
	}
	body := map[string]any{}
	for _, f := range i.node.fields {
		switch strings.ToLower(f.name) {
		case "type", "name", "apiversion", "dependson", "condition", "copy", "resources", "comments", "metadata", "scope",
			"subscriptionid", "resourcegroup", "existing", "import", "extension":
			continue
		}
		v, err := i.scope.value(f.value, i.path+"."+f.name)
		if err != nil {
			return err
		}
		body[f.name] = v
	}
	res := Resource{ID: i.id, Type: i.typ, Version: i.version, Body: body, Path: i.path, Line: i.node.line}
	made, err := r.host.Put(r.ctx, res)
	if err != nil {
		return &Error{Path: i.path, Line: i.node.line, Message: fmt.Sprintf("The resource '%s' could not be deployed: %s", i.id, err), Cause: err}
	}
	i.state = decoded(made)
	r.result.Resources = append(r.result.Resources, res)
	return nil
}

// decoded gives what a host answered the values of this package.
func decoded(v map[string]any) any {
	if v == nil {
		return unknown{}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return v
	}
	again, err := Decode(data)
	if err != nil {
		return v
	}
	return again
}

func (t *Template) outputs(s *scope) error {
	n := t.root.get("outputs")
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		path := t.at("outputs." + f.name)
		if c := f.value.get("condition"); c != nil {
			v, err := s.value(c, path+".condition")
			if err != nil {
				return err
			}
			if v == false {
				continue
			}
		}
		var v any
		var err error
		if loop := f.value.get("copy"); loop != nil {
			v, err = s.copies(loop, "", path+".copy")
		} else {
			v, err = s.value(f.value.get("value"), path+".value")
		}
		if err != nil {
			return err
		}
		typ := f.value.literal("type")
		if err := checkType(typ, v); err != nil {
			return &Error{Path: path, Line: f.line, Message: fmt.Sprintf("The output '%s' is not of its type: %s.", f.name, err)}
		}
		s.run.result.Outputs[f.name] = shown(typ, v)
	}
	return nil
}

// lookUp returns the state of a resource, by its name in the template or its id.
func (r *run) lookUp(name, version string) (any, error) {
	if i := r.find(name); i != nil {
		switch {
		case i.skip:
			return nil, errorf("The resource '%s' is not deployed: its condition is false.", name)
		case i.existing && i.state == nil:
			got, err := r.host.Get(r.ctx, i.id, i.version)
			if err != nil {
				return nil, errorf("The resource '%s' could not be read: %s", i.id, err)
			}
			i.state = decoded(got)
		case i.state == nil:
			return nil, errorf("The resource '%s' is not deployed yet; add it to dependsOn.", name)
		}
		return i.state, nil
	}
	if !strings.HasPrefix(name, "/") {
		return nil, errorf("There is no resource '%s' in the template; refer to others by their ids.", name)
	}
	got, err := r.host.Get(r.ctx, name, version)
	if err != nil {
		return nil, errorf("The resource '%s' could not be read: %s", name, err)
	}
	return decoded(got), nil
}

func (r *run) act(name, action, version string, body any) (any, error) {
	id := name
	if i := r.find(name); i != nil {
		if i.skip {
			return nil, errorf("The resource '%s' is not deployed: its condition is false.", name)
		}
		if id = i.id; version == "" {
			version = i.version
		}
	}
	v, err := r.host.Act(r.ctx, id, action, version, body)
	if err != nil {
		return nil, errorf("The operation '%s' of '%s' failed: %s", action, id, err)
	}
	if o, ok := v.(map[string]any); ok || v == nil {
		return decoded(o), nil
	}
	return v, nil
}
