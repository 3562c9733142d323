package template

import (
	"fmt"
	"slices"
	"strings"
)

// find returns the one resource that a text names: by id, symbol or name.
func (r *run) find(name string) *instance {
	if all := r.findAll(name); len(all) > 0 {
		return all[0]
	}
	if r.outer != nil {
		return r.outer.find(name)
	}
	return nil
}

// findAll returns the resources that an item of dependsOn names: by id (also
// one without the scope in front), by symbol, by the name of a loop, by name.
func (r *run) findAll(name string) []*instance {
	for _, matches := range []func(*instance) bool{
		func(i *instance) bool { return strings.EqualFold(i.id, name) },
		func(i *instance) bool { return i.symbol != "" && strings.EqualFold(i.symbol, name) },
		func(i *instance) bool { return i.loop != "" && strings.EqualFold(i.loop, name) },
		func(i *instance) bool { return strings.EqualFold(i.name, name) },
		func(i *instance) bool { return relative(i, name) },
	} {
		var found []*instance
		for _, i := range r.instances {
			if matches(i) {
				found = append(found, i)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// relative reports whether a text is the type and name of i, in either of the
// forms Namespace/type/name and Namespace/type/sub/name/subname.
func relative(i *instance, name string) bool {
	if strings.EqualFold(i.typ+"/"+i.name, name) {
		return true
	}
	_, tail, ok := strings.Cut(i.id, "/providers/")
	return ok && strings.EqualFold(tail, strings.TrimPrefix(name, "/providers/"))
}

// order sorts the instances so that each comes behind what it depends on, and
// otherwise stays where it is.
func (r *run) order() ([]*instance, error) {
	var out []*instance
	var visit func(i *instance, from []string) error
	visit = func(i *instance, from []string) error {
		switch i.visited {
		case 2:
			return nil
		case 1:
			return &Error{Path: i.path, Line: i.node.line, Message: fmt.Sprintf("The resources depend on each other in a circle: %s.", strings.Join(append(from, i.id), " → "))}
		}
		i.visited = 1
		needs, err := r.dependencies(i)
		if err != nil {
			return err
		}
		for _, n := range needs {
			if err := visit(n, append(slices.Clip(from), i.id)); err != nil {
				return err
			}
			r.result.Depends[i.id] = append(r.result.Depends[i.id], n.id)
		}
		i.visited = 2
		out = append(out, i)
		return nil
	}
	for _, i := range r.instances {
		if err := visit(i, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dependencies returns what i must come behind: what it says, the resource
// around it, and what its expressions refer to.
func (r *run) dependencies(i *instance) ([]*instance, error) {
	seen := map[*instance]bool{i: true}
	var out []*instance
	add := func(found []*instance) {
		for _, f := range found {
			if !seen[f] {
				seen[f] = true
				out = append(out, f)
			}
		}
	}
	if n := i.node.get("dependsOn"); n != nil {
		if n.kind != array {
			return nil, &Error{Path: i.path + ".dependsOn", Line: n.line, Message: "dependsOn must be a list."}
		}
		for k, item := range n.items {
			path := fmt.Sprintf("%s.dependsOn[%d]", i.path, k)
			name, err := i.scope.string(item, path)
			if err != nil {
				return nil, err
			}
			found := r.findAll(name)
			if len(found) == 0 {
				return nil, &Error{Path: path, Line: item.line, Message: fmt.Sprintf("There is no resource '%s' in the template.", name)}
			}
			add(found)
		}
	}
	// Of a nested resource the parent comes first, whatever the template says.
	for _, other := range r.instances {
		if other != i && !other.skip && strings.HasPrefix(strings.ToLower(i.id), strings.ToLower(other.id)+"/") {
			add([]*instance{other})
		}
	}
	if err := r.references(i, i.node, add); err != nil {
		return nil, err
	}
	return out, nil
}

// references adds the resources that the expressions below n refer to.
func (r *run) references(i *instance, n *node, add func([]*instance)) error {
	if n == nil {
		return nil
	}
	if n.kind == text && isExpression(n.text) {
		if n.expr == nil {
			e, err := parseExpression(n.text)
			if err != nil {
				return at(err, i.path, n.line)
			}
			n.expr = e
		}
		r.referred(i, n.expr, add)
	}
	for _, item := range n.items {
		if err := r.references(i, item, add); err != nil {
			return err
		}
	}
	for _, f := range n.fields {
		switch strings.ToLower(f.name) {
		case "resources", "dependson", "template":
			continue
		}
		if err := r.references(i, f.value, add); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) referred(i *instance, e expression, add func([]*instance)) {
	switch e := e.(type) {
	case *access:
		r.referred(i, e.of, add)
		r.referred(i, e.key, add)
	case *call:
		if (e.name == "reference" || strings.HasPrefix(e.name, "list")) && len(e.args) > 0 {
			// A name that needs a loop's index or another reference is not known
			// here; the template then has to name it in dependsOn.
			if v, err := e.args[0].eval(i.scope); err == nil {
				if name, ok := v.(string); ok {
					add(r.findAll(name))
				}
			}
		}
		for _, arg := range e.args {
			r.referred(i, arg, add)
		}
	}
}
