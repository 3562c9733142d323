package store

import (
	"cmp"
	"slices"

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
	// All may be very many, and are in order; the writes are few. So only they are
	// looked for and put in order.
	within := scope.Key()
	var changed []string
	for key := range t.writes {
		if below(key, within) {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	out := make([]*resource.Resource, 0, len(all)+len(changed))
	for _, key := range changed {
		at, found := slices.BinarySearchFunc(all, key, func(r *resource.Resource, key string) int { return cmp.Compare(r.ID.Key(), key) })
		out = append(out, all[:at]...)
		if all = all[at:]; found {
			all = all[1:]
		}
		if r := t.writes[key].resource; r != nil && (typ == "" || equalType(r.Type, typ)) {
			out = append(out, r)
		}
	}
	return append(out, all...)
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
