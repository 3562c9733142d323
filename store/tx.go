package store

import (
	"sort"

	"github.com/intertie/intertie/resource"
)

// Tx is the view that the function given to [Store.Commit] works on: the
// snapshot with the transaction's own writes over it. It is used by one
// goroutine and not after the function returned.
type Tx struct {
	store  *Store
	writes map[string]*pending
	order  []string
}

type pending struct {
	key      string
	resource *resource.Resource // nil: deleted
}

// Get returns a resource; it must not be modified.
func (t *Tx) Get(id resource.ID) (*resource.Resource, bool) {
	if p, ok := t.writes[id.Key()]; ok {
		return p.resource, p.resource != nil
	}
	return t.store.Get(id)
}

// List returns the resources of one type (any type when empty) at or below a
// scope, ordered by id.
func (t *Tx) List(typ string, scope resource.ID) []*resource.Resource {
	all := t.store.List(typ, scope)
	if len(t.writes) == 0 {
		return all
	}
	within := scope.Key()
	var out []*resource.Resource
	for _, r := range all {
		if _, changed := t.writes[r.ID.Key()]; !changed {
			out = append(out, r)
		}
	}
	for key, p := range t.writes {
		if p.resource != nil && below(key, within) && (typ == "" || equalType(p.resource.Type, typ)) {
			out = append(out, p.resource)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID.Key() < out[j].ID.Key() })
	return out
}

// Put writes a resource, which must not be modified afterwards.
func (t *Tx) Put(r *resource.Resource) { t.set(r.ID.Key(), r) }

// Delete removes a resource; one that is not there is none of its business.
func (t *Tx) Delete(id resource.ID) {
	if _, ok := t.Get(id); ok {
		t.set(id.Key(), nil)
	}
}

func (t *Tx) set(key string, r *resource.Resource) {
	if p, ok := t.writes[key]; ok {
		p.resource = r
		return
	}
	t.writes[key] = &pending{key: key, resource: r}
	t.order = append(t.order, key)
}
