package store

import (
	"sort"
	"strings"
	"sync"

	"github.com/intertie/intertie/resource"
)

// Change is one resource before and after a commit: Old is nil for a created
// resource, New for a deleted one.
type Change struct{ Old, New *resource.Resource }

// snapshot is the complete state in memory, with the indexes that reads need.
type snapshot struct {
	mu       sync.RWMutex // protects the fields below; held only for map work
	byKey    map[string]*resource.Resource
	byType   map[string]map[string]*resource.Resource // lower-case type → key
	revision map[string]uint64                        // last sequence per key, deletions included
}

func newSnapshot() *snapshot {
	return &snapshot{
		byKey:    make(map[string]*resource.Resource),
		byType:   make(map[string]map[string]*resource.Resource),
		revision: make(map[string]uint64),
	}
}

// apply makes a group of writes visible at once and returns what changed.
func (s *snapshot) apply(writes []write) []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := make([]Change, 0, len(writes))
	for _, w := range writes {
		if w.revision <= s.revision[w.key] {
			continue // seen already, after the watch was renewed
		}
		s.revision[w.key] = w.revision
		old := s.byKey[w.key]
		if old != nil {
			s.remove(w.key, old)
		}
		if w.resource != nil {
			s.insert(w.key, w.resource)
		}
		if old != nil || w.resource != nil {
			changes = append(changes, Change{Old: old, New: w.resource})
		}
	}
	return changes
}

func (s *snapshot) insert(key string, r *resource.Resource) {
	s.byKey[key] = r
	typ := strings.ToLower(r.Type)
	of := s.byType[typ]
	if of == nil {
		of = make(map[string]*resource.Resource)
		s.byType[typ] = of
	}
	of[key] = r
}

func (s *snapshot) remove(key string, r *resource.Resource) {
	delete(s.byKey, key)
	delete(s.byType[strings.ToLower(r.Type)], key)
}

func (s *snapshot) get(key string) (*resource.Resource, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byKey[key], s.revision[key]
}

// list returns the resources of one type (any type when empty) at or below a
// scope, ordered by id.
func (s *snapshot) list(typ string, scope resource.ID) []*resource.Resource {
	within := scope.Key()
	s.mu.RLock()
	from := s.byKey
	if typ != "" {
		from = s.byType[strings.ToLower(typ)]
	}
	var found []keyed
	for key, r := range from {
		if below(key, within) {
			found = append(found, keyed{key, r})
		}
	}
	s.mu.RUnlock()
	sort.Slice(found, func(i, j int) bool { return found[i].key < found[j].key })
	out := make([]*resource.Resource, len(found))
	for i, f := range found {
		out[i] = f.resource
	}
	return out
}

type keyed struct {
	key      string
	resource *resource.Resource
}

// below reports whether key is scope or lies in it, by whole segments.
func below(key, scope string) bool {
	if scope == "/" {
		return true
	}
	return strings.HasPrefix(key, scope) && (len(key) == len(scope) || key[len(scope)] == '/')
}
