package activity

import "github.com/intertie/intertie/resource"

// Change is one resource before and after a transaction: Old is nil for one
// that was created, New for one that was deleted.
type Change struct{ Old, New *resource.Resource }

// Journal is a transaction that remembers what was put and deleted in it. As a
// store may run the function of a commit again, that function makes a fresh
// Journal each time; the last one counts, and only if the commit succeeded.
//
// Like every transaction it is used by one goroutine.
type Journal struct {
	resource.Tx
	changes []Change
	index   map[string]int // by key, into changes
}

// NewJournal returns a journal over tx.
func NewJournal(tx resource.Tx) *Journal {
	return &Journal{Tx: tx, index: make(map[string]int)}
}

// Put writes a resource, which must not be modified afterwards.
func (j *Journal) Put(r *resource.Resource) {
	j.note(r.ID, r)
	j.Tx.Put(r)
}

// Delete removes a resource if it is there.
func (j *Journal) Delete(id resource.ID) {
	j.note(id, nil)
	j.Tx.Delete(id)
}

func (j *Journal) note(id resource.ID, next *resource.Resource) {
	key := id.Key()
	if i, ok := j.index[key]; ok {
		j.changes[i].New = next
		return
	}
	old, _ := j.Get(id)
	j.index[key] = len(j.changes)
	j.changes = append(j.changes, Change{Old: old, New: next})
}

// Changes returns the changes so far in the order in which each resource was
// first touched. What came and went within the transaction never was.
func (j *Journal) Changes() []Change {
	var out []Change
	for _, c := range j.changes {
		if c.Old != nil || c.New != nil {
			out = append(out, c)
		}
	}
	return out
}
