package publish

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/intertie/intertie/resource"
)

// Table holds the endpoints that can be published to. Readers take a snapshot
// and never wait. The zero Table is empty and ready. It is safe for concurrent
// use.
type Table struct {
	// mu orders writers; each replaces the snapshot as a whole.
	mu   sync.Mutex
	snap atomic.Pointer[snapshot]
}

// snapshot is never changed once stored.
type snapshot struct {
	byKey map[string]*Source
	keys  map[resource.UID]string
}

// Set adds sources, or replaces those of the same UID or the same endpoint. The
// next request sees them. A call copies the whole table, so many sources are
// best set in one call.
func (t *Table) Set(sources ...*Source) {
	t.change(func(s *snapshot) {
		for _, src := range sources {
			s.remove(src.UID)
			key := src.key()
			if old, ok := s.byKey[key]; ok {
				s.remove(old.UID)
			}
			s.byKey[key] = src
			s.keys[src.UID] = key
		}
	})
}

// Remove takes an endpoint away. A namespace that was created anew under the
// same name has another UID and stays.
func (t *Table) Remove(uid resource.UID) {
	t.change(func(s *snapshot) { s.remove(uid) })
}

func (t *Table) change(f func(*snapshot)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := &snapshot{byKey: map[string]*Source{}, keys: map[resource.UID]string{}}
	if old := t.snap.Load(); old != nil {
		next.byKey, next.keys = maps.Clone(old.byKey), maps.Clone(old.keys)
	}
	f(next)
	t.snap.Store(next)
}

func (s *snapshot) remove(uid resource.UID) {
	if key, ok := s.keys[uid]; ok {
		delete(s.byKey, key)
		delete(s.keys, uid)
	}
}

// lookup returns the source whose endpoint begins with key, a lower-case
// name.region-1, or nil.
func (t *Table) lookup(key string) *Source {
	s := t.snap.Load()
	if s == nil {
		return nil
	}
	return s.byKey[key]
}
