package template

import (
	"maps"
	"strings"
)

// The functions of this file see what stands around the template: the scope it
// is deployed to, and the resources that exist.

func resourceID(s *scope, c *call) (any, error) {
	args, err := c.values(s)
	if err != nil {
		return nil, err
	}
	scope, rest, err := splitIDArguments(args)
	if err != nil {
		return nil, c.fail(err)
	}
	sub, group := s.in.Subscription, s.in.Group
	switch len(scope) {
	case 1:
		group = scope[0]
		if s.in.Group == "" { // deployed to a subscription: one argument names another one
			sub, group = scope[0], ""
		}
	case 2:
		sub, group = scope[0], scope[1]
	}
	id, err := s.budget.typedID(scopeID(sub, group), rest)
	return id, c.fail(err)
}

func subscriptionResourceID(s *scope, c *call) (any, error) {
	args, err := c.values(s)
	if err != nil {
		return nil, err
	}
	scope, rest, err := splitIDArguments(args)
	if err != nil {
		return nil, c.fail(err)
	}
	sub := s.in.Subscription
	if len(scope) > 0 {
		sub = scope[0]
	}
	id, err := s.budget.typedID(scopeID(sub, ""), rest)
	return id, c.fail(err)
}

func managementGroupResourceID(s *scope, c *call) (any, error) {
	args, err := c.values(s)
	if err != nil {
		return nil, err
	}
	outer, rest, err := splitIDArguments(args)
	if err != nil {
		return nil, c.fail(err)
	}
	if len(outer) != 1 {
		return nil, errorf("The function '%s' needs the id of the management group first.", c.spelled)
	}
	id, err := s.budget.typedID("/providers/Microsoft.Management/managementGroups/"+outer[0], rest)
	return id, c.fail(err)
}

func scopeID(subscription, group string) string {
	id := "/subscriptions/" + subscription
	if group != "" {
		id += "/resourceGroups/" + group
	}
	return id
}

// reference returns the properties of a resource, or all of it with 'Full'.
func reference(s *scope, c *call) (any, error) {
	args, err := c.arguments(s, 1, 3)
	if err != nil {
		return nil, err
	}
	if _, ok := args[0].(unknown); ok {
		return args[0], nil
	}
	name, err := wantText(args[0])
	if err != nil {
		return nil, c.fail(err)
	}
	version, full := "", false
	if len(args) > 1 && args[1] != nil {
		if version, err = wantText(args[1]); err != nil {
			return nil, c.fail(err)
		}
		if strings.EqualFold(version, "full") {
			version, full = "", true
		}
	}
	if len(args) > 2 {
		mode, err := wantText(args[2])
		if err != nil || !strings.EqualFold(mode, "full") {
			return nil, errorf("The third argument of 'reference' can only be 'Full'.")
		}
		full = true
	}
	if s.run == nil {
		return nil, errorf("The function 'reference' cannot stand here: nothing is deployed yet.")
	}
	r, err := s.lookUp(name, version)
	if err != nil {
		return nil, err
	}
	o, ok := r.(map[string]any)
	switch {
	case !ok:
		return r, nil
	case full:
		return s.full(o, s.run.find(name), name, version)
	}
	properties, _ := member(o, "properties")
	return properties, nil
}

// full returns the state of a resource with what Azure adds to it: where it is
// and how it was referred to. i is nil for a resource that is not in the
// template; then id is its own.
func (s *scope) full(state map[string]any, i *instance, id, version string) (any, error) {
	operation := "Read"
	if i != nil {
		id = i.id
		if version == "" {
			version = i.version
		}
		if !i.existing {
			operation = "Create"
		}
	}
	const added = 10
	if err := s.budget.object(len(state) + added); err != nil {
		return nil, err
	}
	all := make(map[string]any, len(state)+added)
	maps.Copy(all, state)
	subscription, group, relative := splitID(id)
	if subscription != "" {
		all["subscriptionId"] = subscription
	}
	if group != "" {
		all["resourceGroupName"] = group
	}
	if version != "" {
		all["apiVersion"], all["referenceApiVersion"] = version, version
	}
	all["resourceId"] = relative
	all["condition"], all["isConditionTrue"] = true, true // others cannot be referred to
	all["isTemplateResource"], all["isAction"] = i != nil && !i.existing, false
	all["provisioningOperation"] = operation
	return all, nil
}

// splitID returns what an id says of where a resource is, and what comes behind:
// its types and names, or the id itself where there are none.
func splitID(id string) (subscription, group, relative string) {
	segments := strings.Split(id, "/")
	if len(segments) > 2 && strings.EqualFold(segments[1], "subscriptions") {
		subscription = segments[2]
	}
	if len(segments) > 4 && strings.EqualFold(segments[3], "resourceGroups") {
		group = segments[4]
	}
	for i, segment := range segments {
		if strings.EqualFold(segment, "providers") && i%2 == 1 {
			return subscription, group, strings.Join(segments[i+1:], "/")
		}
	}
	return subscription, group, id
}

// references returns what reference does for each resource of a copy loop.
func references(s *scope, c *call) (any, error) {
	args, err := c.arguments(s, 1, 2)
	if err != nil {
		return nil, err
	}
	name, err := wantText(args[0])
	if err != nil {
		return nil, c.fail(err)
	}
	if s.run == nil {
		return nil, errorf("The function 'references' cannot stand here: nothing is deployed yet.")
	}
	out := []any{}
	all := s.run.findAll(name)
	if err := s.budget.array(2 * len(all)); err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.skip {
			continue
		}
		state, err := s.lookUp(i.id, "")
		if err != nil {
			return nil, err
		}
		if o, ok := state.(map[string]any); ok {
			if len(args) == 1 {
				state, _ = member(o, "properties")
			} else if state, err = s.full(o, i, i.id, ""); err != nil {
				return nil, err
			}
		}
		out = append(out, state)
	}
	return out, nil
}

// list serves listKeys and its like: POST operations of a resource.
func (s *scope) list(c *call) (any, error) {
	args, err := c.arguments(s, 1, 3)
	if err != nil {
		return nil, err
	}
	if _, ok := args[0].(unknown); ok {
		return args[0], nil
	}
	name, err := wantText(args[0])
	if err != nil {
		return nil, c.fail(err)
	}
	version := ""
	if len(args) > 1 {
		if version, err = wantText(args[1]); err != nil {
			return nil, c.fail(err)
		}
	}
	var body any
	if len(args) > 2 {
		body = args[2]
	}
	if s.run == nil {
		return nil, errorf("The function '%s' cannot stand here: nothing is deployed yet.", c.spelled)
	}
	return s.act(name, c.spelled, version, body)
}

func resourceGroup(s *scope, c *call) (any, error) {
	if s.in.Group == "" {
		return nil, errorf("The function 'resourceGroup' needs a deployment to a resource group; this one is to a subscription.")
	}
	return s.around(c, c.name)
}

// around returns one of the objects that describe where the deployment goes.
func (s *scope) around(c *call, which string) (any, error) {
	if _, err := c.arguments(s, 0, 0); err != nil {
		return nil, err
	}
	v, ok := s.in.Around[which]
	if !ok {
		return nil, errorf("The function '%s' is not offered here.", c.spelled)
	}
	return v, nil
}

func deployment(s *scope, c *call) (any, error) {
	if _, err := c.arguments(s, 0, 0); err != nil {
		return nil, err
	}
	if err := s.budget.allot((len(s.parameters) + 3) * (objectBytes + memberBytes)); err != nil {
		return nil, err
	}
	parameters := make(map[string]any, len(s.parameters))
	for name, v := range s.parameters {
		parameters[name] = map[string]any{"value": v}
	}
	return map[string]any{
		"name": s.in.Name, "location": s.in.Location,
		"properties": map[string]any{
			"mode": s.in.Mode, "parameters": parameters, "provisioningState": "Running",
			"template": map[string]any{"$schema": s.template.root.literal("$schema"), "contentVersion": s.template.root.literal("contentVersion")},
		},
	}, nil
}

func utcNow(s *scope, c *call) (any, error) {
	args, err := c.arguments(s, 0, 1)
	if err != nil {
		return nil, err
	}
	layout := "yyyyMMddTHHmmssZ"
	if len(args) == 1 {
		if layout, err = wantText(args[0]); err != nil {
			return nil, c.fail(err)
		}
	}
	if layout == "yyyyMMddTHHmmssZ" {
		return s.in.Now.UTC().Format("20060102T150405Z"), nil
	}
	text, err := s.budget.formatTime(s.in.Now.UTC(), layout)
	return text, c.fail(err)
}
