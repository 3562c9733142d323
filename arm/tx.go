package arm

import (
	"cmp"
	"slices"
	"strings"

	"github.com/intertie/intertie/resource"
)

// readOnly is the view of a request that changes nothing.
type readOnly struct{ store Store }

func (t readOnly) Get(id resource.ID) (*resource.Resource, bool) { return t.store.Get(id) }

func (t readOnly) List(typ string, scope resource.ID) []*resource.Resource {
	return t.store.List(typ, scope)
}

// Put panics: an action that declares Reads has written.
func (readOnly) Put(r *resource.Resource) {
	panic("arm: write in a reading action on " + r.ID.String())
}

// Delete panics, as Put does.
func (readOnly) Delete(id resource.ID) { panic("arm: delete in a reading action on " + id.String()) }

// draft is the transaction of a dry run: it shows its own writes, and they go
// nowhere.
type draft struct {
	store  Store
	writes map[string]*resource.Resource // by key; nil: deleted
}

func newDraft(store Store) *draft {
	return &draft{store: store, writes: make(map[string]*resource.Resource)}
}

// Get implements [resource.Tx], as do the others.
func (d *draft) Get(id resource.ID) (*resource.Resource, bool) {
	if r, ok := d.writes[id.Key()]; ok {
		return r, r != nil
	}
	return d.store.Get(id)
}

func (d *draft) List(typ string, scope resource.ID) []*resource.Resource {
	all := d.store.List(typ, scope)
	if len(d.writes) == 0 {
		return all
	}
	// All may be very many, and are in order; the writes are few. So only they are
	// looked for and put in order.
	around := strings.TrimSuffix(scope.Key(), "/")
	var changed []string
	for key := range d.writes {
		if rest, ok := strings.CutPrefix(key, around); ok && (rest == "" || rest[0] == '/') {
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
		if r := d.writes[key]; r != nil && (typ == "" || strings.EqualFold(typ, r.Type)) {
			out = append(out, r)
		}
	}
	return append(out, all...)
}

// byID is the order of lists.
func byID(a, b *resource.Resource) int { return cmp.Compare(a.ID.Key(), b.ID.Key()) }

func (d *draft) Put(r *resource.Resource) { d.writes[r.ID.Key()] = r }

func (d *draft) Delete(id resource.ID) { d.writes[id.Key()] = nil }
