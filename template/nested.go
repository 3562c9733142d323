package template

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxNesting is how deep deployments may nest.
const maxNesting = 5

// nest deploys a template inside of a resource.
func (r *run) nest(i *instance) error {
	properties := i.node.get("properties")
	inner := properties.get("template")
	path := i.path + ".properties.template"
	if inner == nil {
		return &Error{Path: i.path, Line: i.node.line, Message: "A nested deployment needs its template in place; links to templates are not followed."}
	}
	if strings.Count(path, ".properties.template") > maxNesting {
		return &Error{Path: i.path, Line: i.node.line, Message: fmt.Sprintf("Deployments nest deeper than %d levels.", maxNesting)}
	}
	if inner.kind == text { // a variable or parameter that holds it
		v, err := i.scope.value(inner, path)
		if err != nil {
			return err
		}
		if inner, err = i.scope.budget.nodeOf(v); err != nil {
			return &Error{Path: path, Line: properties.line, Message: "The template of a nested deployment must be an object, not " + typeName(v) + "."}
		}
	}
	t, err := newTemplate(inner, path)
	if err != nil {
		return err
	}
	mode, err := i.scope.string(properties.get("mode"), i.path+".properties.mode")
	if err != nil {
		return err
	}
	if mode != "" && !strings.EqualFold(mode, Incremental) {
		return &Error{Path: i.path + ".properties.mode", Line: i.node.line, Message: "A nested deployment can only be Incremental."}
	}
	in := Input{Name: i.name, Mode: Incremental, Now: i.scope.in.Now}
	in.Subscription, in.Group = place(i.id)
	if in.Location, err = i.scope.string(i.node.get("location"), i.path+".location"); err != nil {
		return err
	}
	end, err := r.host.Nest(r.ctx, Nested{Resource: i.resource(), Mode: in.Mode, Template: t})
	if err != nil {
		return &Error{
			Path: i.path, Line: i.node.line, Resource: i.id, Cause: err,
			Message: fmt.Sprintf("The deployment '%s' could not begin: %s", i.id, err),
		}
	}
	result := newResult()
	s, err := r.inner(i, t, in, properties)
	if s != nil {
		result = s.run.result
	}
	if err == nil {
		err = t.deploy(s)
	}
	err = end(result, err)
	if herr := r.result.hide(result.Secrets); herr != nil && err == nil {
		err = at(herr, i.path, i.node.line)
	}
	r.result.Resources = append(r.result.Resources, result.Resources...)
	r.result.Existing = append(r.result.Existing, result.Existing...)
	if err != nil {
		return placedIn(err, i)
	}
	outputs := map[string]any{}
	for name, v := range result.Outputs {
		outputs[name] = map[string]any{"type": v.Type, "value": v.Value}
	}
	i.state = map[string]any{
		"id": i.id, "name": i.name, "type": typeDeployment,
		"properties": map[string]any{"provisioningState": "Succeeded", "mode": Incremental, "outputs": outputs},
	}
	return nil
}

// inner makes the scope of a nested template, also with an error if it came that
// far: with scope inner it has its own
// parameters and variables, otherwise those of the template around it.
func (r *run) inner(i *instance, t *Template, in Input, properties *node) (*scope, error) {
	given, err := i.scope.value(properties.get("parameters"), i.path+".properties.parameters")
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(properties.get("expressionEvaluationOptions").literal("scope"), "inner") {
		if in.Parameters, err = parametersOf(given); err != nil {
			return nil, at(err, i.path+".properties.parameters", properties.line)
		}
		s, _, err := t.begin(r.ctx, r.host, in, i.scope.budget)
		return s, err
	}
	if err := i.scope.budget.spend(hostSteps + t.size()); err != nil {
		return nil, at(err, i.path, i.node.line)
	}
	around, err := r.host.Around(r.ctx, in.Subscription, in.Group)
	if err != nil {
		return nil, at(err, i.path, i.node.line)
	}
	in.Around = around
	s := *i.scope
	s.template, s.in = t, &in
	s.run = &run{ctx: r.ctx, host: r.host, outer: r, result: newResult()}
	return &s, nil
}

func parametersOf(v any) (map[string]any, error) {
	if v == nil {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errorf("The parameters must be an object, not %s.", typeName(v))
	}
	return m, nil
}

// place returns subscription and group of an id.
func place(id string) (subscription, group string) {
	parts := strings.Split(strings.TrimPrefix(id, "/"), "/")
	for n := 0; n+1 < len(parts); n += 2 {
		switch strings.ToLower(parts[n]) {
		case "subscriptions":
			subscription = parts[n+1]
		case "resourcegroups":
			group = parts[n+1]
		case "providers":
			return subscription, group
		}
	}
	return subscription, group
}

// placedIn names the resource in the errors of a nested deployment that have no
// place.
func placedIn(err error, i *instance) error {
	if all, ok := err.(Errors); ok { //nolint:errorlint // ours are never wrapped in between
		for _, e := range all {
			_ = at(e, i.path, i.node.line)
		}
		return all
	}
	return at(err, i.path, i.node.line)
}

// nodeTimes is how many times the size of a text may become when it is read as a
// template.
const nodeTimes = 16

// nodeOf returns a value in the form of a template that was read.
func (b *budget) nodeOf(v any) (*node, error) {
	if _, ok := v.(map[string]any); !ok {
		return nil, errorf("An object is expected, not %s.", typeName(v))
	}
	size, err := b.measure(v)
	if err != nil {
		return nil, err
	}
	if err := b.allot(nodeTimes * size); err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, errorf("The template cannot be written as JSON.")
	}
	n, err := parseJSON(string(data))
	if err != nil {
		return nil, err
	}
	n.unlined()
	return n, nil
}
