package publish

import (
	"sync"

	"github.com/intertie/intertie/resource"
)

// Table holds the endpoints that can be published to. Readers never wait, and a
// change costs the same however many endpoints there are. The zero Table is empty
// and ready. It is safe for concurrent use.
type Table struct {
	byKey sync.Map // Source.key → *Source

	// mu orders writers and protects keys.
	mu   sync.Mutex
	keys map[resource.UID]string
}

// Set adds a source, or replaces that of the same UID or the same endpoint. The
// next request sees it.
func (t *Table) Set(src *Source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys == nil {
		t.keys = make(map[resource.UID]string)
	}
	key := src.key()
	if old, ok := t.keys[src.UID]; ok && old != key {
		t.byKey.Delete(old)
	}
	if old, ok := t.byKey.Swap(key, src); ok && old.(*Source).UID != src.UID {
		delete(t.keys, old.(*Source).UID)
	}
	t.keys[src.UID] = key
}

// Remove takes an endpoint away. A namespace that was created anew under the
// same name has another UID and stays.
func (t *Table) Remove(uid resource.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key, ok := t.keys[uid]; ok {
		t.byKey.Delete(key)
		delete(t.keys, uid)
	}
}

// lookup returns the source whose endpoint begins with key, a lower-case
// name.region-1, or nil.
func (t *Table) lookup(key string) *Source {
	v, ok := t.byKey.Load(key)
	if !ok {
		return nil
	}
	return v.(*Source)
}
