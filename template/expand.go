package template

import (
	"fmt"
	"strings"
)

// typeDeployment is a deployment inside of a deployment; typeGroup is a group.
const (
	typeDeployment = "Microsoft.Resources/deployments"
	typeGroup      = "Microsoft.Resources/resourceGroups"
)

// expand makes the instances of all resources.
func (t *Template) expand(s *scope) error {
	byPath := map[string][]*instance{}
	for n := range t.resources {
		d := &t.resources[n]
		scopes, loop, err := t.rounds(s, d, byPath)
		if err != nil {
			return err
		}
		for _, in := range scopes {
			i, err := s.run.instance(in, d)
			if err != nil {
				return err
			}
			if i.loop = loop; loop == "" && in.parent != nil {
				i.loop = in.parent.loop
			}
			if len(s.run.instances) == mostResources {
				return tooMany(d)
			}
			s.run.instances = append(s.run.instances, i)
			s.run.index.add(i)
			byPath[d.path] = append(byPath[d.path], i)
		}
	}
	return nil
}

func tooMany(d *declared) error {
	return &Error{Path: d.path, Line: d.node.line, Message: fmt.Sprintf("The copy loops make more than %d resources.", mostResources)}
}

// round is the scope of one instance, and the instance that encloses it.
type round struct {
	*scope
	parent *instance
}

// rounds returns a scope for each round of the loops around a resource.
func (t *Template) rounds(s *scope, d *declared, byPath map[string][]*instance) ([]round, string, error) {
	around := []round{{scope: s}}
	if d.parent != nil {
		around = nil
		for _, p := range byPath[d.parent.path] {
			around = append(around, round{scope: p.scope, parent: p})
		}
	}
	c := d.node.get("copy")
	if c == nil {
		return around, "", nil
	}
	if c.kind != object {
		return nil, "", &Error{Path: d.path + ".copy", Line: c.line, Message: "The copy loop of a resource must be an object with name and count."}
	}
	name, err := s.string(c.get("name"), d.path+".copy.name")
	if err != nil {
		return nil, "", err
	}
	if name == "" {
		name = d.symbol
	}
	var out []round
	for _, a := range around {
		count, err := a.count(c, &spot{name: d.path + ".copy"})
		if err != nil {
			return nil, "", err
		}
		if len(out)+int(count) > mostResources {
			return nil, "", tooMany(d)
		}
		for i := range count {
			out = append(out, round{scope: a.within(name, i), parent: a.parent})
		}
	}
	return out, strings.ToLower(name), nil
}

// instance evaluates what must be known of a resource before anything is made.
func (r *run) instance(in round, d *declared) (*instance, error) {
	if err := in.budget.spend(len(d.node.fields)); err != nil { // its members are looked through
		return nil, at(err, d.path, d.node.line)
	}
	i := &instance{declared: d, scope: in.scope}
	member := func(name string) (string, error) { return in.string(d.node.get(name), d.path+"."+name) }
	var err error
	if i.typ, err = member("type"); err != nil {
		return nil, err
	}
	if i.name, err = member("name"); err != nil {
		return nil, err
	}
	if i.version, err = member("apiVersion"); err != nil {
		return nil, err
	}
	if p := in.parent; p != nil {
		if !strings.Contains(i.typ, "/") || !strings.Contains(strings.SplitN(i.typ, "/", 2)[0], ".") {
			i.typ, i.name = p.typ+"/"+i.typ, p.name+"/"+i.name
		}
		i.skip = p.skip
	}
	if e := d.node.get("existing"); e != nil && e.truth {
		i.existing = true
	}
	if c := d.node.get("condition"); c != nil {
		v, err := in.value(c, d.path+".condition")
		if err != nil {
			return nil, err
		}
		b, err := wantBool(v)
		if err != nil {
			return nil, &Error{Path: d.path + ".condition", Line: c.line, Message: "The condition of a resource must be true or false, not " + typeName(v) + "."}
		}
		i.skip = i.skip || !b
	}
	if i.id, err = i.locate(member); err != nil {
		return nil, at(err, d.path, d.node.line)
	}
	for _, other := range r.index[byID][strings.ToLower(i.id)] {
		if !other.skip && !i.skip && !other.existing && !i.existing {
			return nil, &Error{Path: d.path, Line: d.node.line, Message: fmt.Sprintf("The resource '%s' is there twice, also as %s.", i.id, other.path)}
		}
	}
	return i, nil
}

// locate returns the id of a resource.
func (i *instance) locate(member func(string) (string, error)) (string, error) {
	in := i.scope.in
	sub, group := in.Subscription, in.Group
	if s, err := member("subscriptionId"); err != nil {
		return "", err
	} else if s != "" {
		sub, group = s, ""
	}
	if g, err := member("resourceGroup"); err != nil {
		return "", err
	} else if g != "" {
		group = g
	}
	if strings.EqualFold(i.typ, typeGroup) {
		return "/subscriptions/" + sub + "/resourceGroups/" + i.name, nil
	}
	if group != "" && sub == "" {
		return "", errorf("The resource names the group '%s' and no subscription.", group)
	}
	base := scopeID(sub, group)
	extended, err := member("scope")
	if err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(extended, "/"):
		base = strings.TrimRight(extended, "/")
	case extended != "":
		base += "/providers/" + extended
	}
	types, names := strings.Split(i.typ, "/"), strings.Split(i.name, "/")
	if len(types) < 2 || len(types)-1 != len(names) {
		return "", errorf("The type '%s' has %d segments behind its namespace, so the name must have as many; '%s' has %d.", i.typ, len(types)-1, i.name, len(names))
	}
	var b strings.Builder
	b.WriteString(base + "/providers/" + types[0])
	for n, name := range names {
		if name == "" {
			return "", errorf("The name '%s' of the resource has an empty segment.", i.name)
		}
		b.WriteString("/" + types[n+1] + "/" + name)
	}
	return b.String(), nil
}
