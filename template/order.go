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

// index finds resources by what templates call them, each under its lower-case
// name. They come in the order in which a name is looked up.
type index [5]map[string][]*instance

const (
	byID = iota
	bySymbol
	byLoop
	byName
	byRelative // type and name, in either of their forms
)

func (x *index) add(i *instance) {
	put := func(which int, name string) {
		if name == "" {
			return
		}
		if x[which] == nil {
			x[which] = map[string][]*instance{}
		}
		key := strings.ToLower(name)
		if has := x[which][key]; len(has) == 0 || has[len(has)-1] != i {
			x[which][key] = append(has, i)
		}
	}
	put(byID, i.id)
	if around, name, ok := strings.Cut(i.id, "/resourceGroups/"); ok && strings.EqualFold(i.typ, typeGroup) {
		put(byID, around+"/providers/"+typeGroup+"/"+name) // what subscriptionResourceId and Bicep call a group
	}
	put(bySymbol, i.symbol)
	put(byLoop, i.loop)
	put(byName, i.name)
	put(byRelative, i.typ+"/"+i.name)
	if _, tail, ok := strings.Cut(i.id, "/providers/"); ok {
		put(byRelative, tail)
	}
}

// findAll returns the resources that an item of dependsOn names: by id (also
// one without the scope in front), by symbol, by the name of a loop, by name.
func (r *run) findAll(name string) []*instance {
	key := strings.ToLower(strings.TrimRight(name, "/"))
	for which, names := range r.index {
		if which == byRelative {
			key = strings.TrimPrefix(strings.TrimPrefix(key, "/"), "providers/")
		}
		if found := names[key]; len(found) > 0 {
			return found
		}
	}
	return nil
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
			r.result.Depends[i.id] = append(r.result.Depends[i.id], n.resource())
		}
		i.needs = needs
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
	b := i.scope.budget
	add := func(found []*instance) {
		if b.array(len(found)) != nil {
			return // the walk ends with it
		}
		for _, f := range found {
			if !seen[f] && b.allot(neededBytes) == nil {
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
				return nil, &Error{Path: path, Line: item.line, Message: fmt.Sprintf("There is no resource '%s' in the template.", cut(name))}
			}
			add(found)
		}
	}
	// Of a nested resource the parent comes first, whatever the template says.
	for around := parentID(i.id); around != ""; around = parentID(around) {
		for _, other := range r.index[byID][strings.ToLower(around)] {
			if !other.skip {
				add([]*instance{other})
			}
		}
	}
	if err := r.references(i, add); err != nil {
		return nil, err
	}
	return out, at(b.over(), i.path, i.node.line)
}

// neededBytes is what is remembered of each resource that another one needs.
const neededBytes = 128

// parentID cuts the last two segments off an id; "" when none are left.
func parentID(id string) string {
	for range 2 {
		cut := strings.LastIndexByte(id, '/')
		if cut <= 0 {
			return ""
		}
		id = id[:cut]
	}
	return id
}

// references adds the resources that the expressions of i refer to.
func (r *run) references(i *instance, add func([]*instance)) error {
	b, d := i.scope.budget, i.declared
	if !d.looked {
		// Once for all rounds of a loop.
		d.refers = nil
		if err := d.look(b, d.node); err != nil {
			return err
		}
		d.looked = true
	}
	for _, c := range d.refers {
		// A name that needs a loop's index or another reference is not known here;
		// the template then has to name it in dependsOn.
		if v, err := c.args[0].eval(i.scope); err == nil {
			if name, ok := v.(string); ok {
				add(r.findAll(name))
			}
		}
	}
	return nil
}

// look finds the calls below n that refer to resources.
func (d *declared) look(b *budget, n *node) error {
	if n == nil {
		return nil
	}
	if err := b.spend(1 + len(n.fields)); err != nil {
		return at(err, d.path, n.line)
	}
	if n.kind == text && isExpression(n.text) {
		if err := b.parse(n); err != nil {
			return at(err, d.path, n.line)
		}
		d.lookInto(n.expr)
	}
	for _, item := range n.items {
		if err := d.look(b, item); err != nil {
			return err
		}
	}
	for _, f := range n.fields {
		switch strings.ToLower(f.name) {
		case "resources", "dependson", "template":
			continue
		}
		if err := d.look(b, f.value); err != nil {
			return err
		}
	}
	return nil
}

func (d *declared) lookInto(e expression) {
	switch e := e.(type) {
	case *access:
		d.lookInto(e.of)
		d.lookInto(e.key)
	case *call:
		if (e.name == "reference" || e.name == "references" || strings.HasPrefix(e.name, "list")) && len(e.args) > 0 {
			d.refers = append(d.refers, e)
		}
		for _, arg := range e.args {
			d.lookInto(arg)
		}
	}
}
