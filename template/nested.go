package template

import (
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
	t, err := newTemplate(inner, path)
	if err != nil {
		return err
	}
	in := Input{Name: i.name, Mode: "Incremental", Now: i.scope.in.Now}
	in.Subscription, in.Group = place(i.id)
	if in.Location, err = i.scope.string(i.node.get("location"), i.path+".location"); err != nil {
		return err
	}
	s, err := r.inner(i, t, in, properties)
	if err != nil {
		return err
	}
	if err := r.host.Nested(r.ctx, i.id, nil); err != nil {
		return at(err, i.path, i.node.line)
	}
	err = t.deploy(s)
	if nerr := r.host.Nested(r.ctx, i.id, s.run.result); err == nil {
		err = nerr
	}
	if err != nil {
		return at(err, i.path, i.node.line)
	}
	r.result.Resources = append(r.result.Resources, s.run.result.Resources...)
	outputs := map[string]any{}
	for name, v := range s.run.result.Outputs {
		outputs[name] = map[string]any{"type": v.Type, "value": v.Value}
	}
	i.state = map[string]any{
		"id": i.id, "name": i.name, "type": typeDeployment,
		"properties": map[string]any{"provisioningState": "Succeeded", "mode": "Incremental", "outputs": outputs},
	}
	return nil
}

// inner makes the scope of a nested template: with scope inner it has its own
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
		s, _, err := t.begin(r.ctx, r.host, in)
		return s, err
	}
	around, err := r.host.Around(r.ctx, in.Subscription, in.Group)
	if err != nil {
		return nil, at(err, i.path, i.node.line)
	}
	in.Around = around
	s := *i.scope
	s.template, s.in = t, &in
	s.run = &run{ctx: r.ctx, host: r.host, outer: r, result: &Result{
		Parameters: map[string]Value{}, Outputs: map[string]Value{}, Depends: map[string][]string{},
	}}
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
