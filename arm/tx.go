package arm

import "github.com/intertie/intertie/resource"

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

// draftTx is the transaction of a dry run: its writes go nowhere.
type draftTx struct{ readOnly }

func (draftTx) Put(*resource.Resource) {}
func (draftTx) Delete(resource.ID)     {}
