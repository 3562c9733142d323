package store

import (
	"sort"
	"strings"
	"sync"

	"github.com/google/btree"

	"github.com/intertie/intertie/resource"
)

// Change is one resource before and after a commit: Old is nil for a created
// resource, New for a deleted one.
type Change struct{ Old, New *resource.Resource }

// snapshot is the complete state in memory, with the indexes that reads need.
type snapshot struct {
	mu     sync.RWMutex // protects the fields below; held only for map work
	byKey  map[string]*resource.Resource
	all    *ordered            // every resource
	byType map[string]*ordered // by lower-case type
}

func newSnapshot() *snapshot {
	return &snapshot{
		byKey:  make(map[string]*resource.Resource),
		all:    newOrdered(),
		byType: make(map[string]*ordered),
	}
}

// change is the new value of a resource, nil for none.
type change struct {
	key      string
	resource *resource.Resource
}

// apply makes a group of writes visible at once and returns what changed.
func (s *snapshot) apply(writes []change) []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := make([]Change, 0, len(writes))
	for _, w := range writes {
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

// replace makes s what fresh is, which nobody else has, and returns how they
// differ: first what is gone, then the rest in the order it was written.
func (s *snapshot) replace(fresh *snapshot) []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone, rest []Change
	for key, old := range s.byKey {
		if fresh.byKey[key] == nil {
			gone = append(gone, Change{Old: old})
		}
	}
	for key, r := range fresh.byKey {
		// A revision says what was written, unless the engine has lost its end.
		if old := s.byKey[key]; old == nil || old.Revision != r.Revision || !old.ModifiedAt.Equal(r.ModifiedAt) {
			rest = append(rest, Change{Old: old, New: r})
		}
	}
	sort.Slice(rest, func(i, j int) bool { return rest[i].New.Revision < rest[j].New.Revision })
	s.byKey, s.all, s.byType = fresh.byKey, fresh.all, fresh.byType
	return append(gone, rest...)
}

func (s *snapshot) insert(key string, r *resource.Resource) {
	s.byKey[key] = r
	typ := strings.ToLower(r.Type)
	of := s.byType[typ]
	if of == nil {
		of = newOrdered()
		s.byType[typ] = of
	}
	of.ReplaceOrInsert(keyed{key, r})
	s.all.ReplaceOrInsert(keyed{key, r})
}

func (s *snapshot) remove(key string, r *resource.Resource) {
	delete(s.byKey, key)
	s.byType[strings.ToLower(r.Type)].Delete(keyed{key: key})
	s.all.Delete(keyed{key: key})
}

func (s *snapshot) get(key string) *resource.Resource {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byKey[key]
}

// list returns the resources of one type (any type when empty) at or below a
// scope, ordered by id. It costs what it returns, however many others there are.
func (s *snapshot) list(typ string, scope resource.ID) []*resource.Resource {
	within := scope.Key()
	s.mu.RLock()
	defer s.mu.RUnlock()
	from := s.all
	if typ != "" {
		from = s.byType[strings.ToLower(typ)]
	}
	out := []*resource.Resource{}
	if from == nil {
		return out
	}
	take := func(k keyed) bool {
		out = append(out, k.resource)
		return true
	}
	if within == "/" {
		from.Ascend(take)
		return out
	}
	if k, ok := from.Get(keyed{key: within}); ok {
		take(k)
	}
	// What is below begins with the scope and a slash; '0' is what follows it.
	from.AscendRange(keyed{key: within + "/"}, keyed{key: within + "0"}, take)
	return out
}

// types returns the types, in lower case, of which there is a resource.
func (s *snapshot) types() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []string
	for typ, of := range s.byType {
		if of.Len() > 0 {
			all = append(all, typ)
		}
	}
	return all
}

// ordered holds resources by key, so that those below a scope lie together.
type ordered = btree.BTreeG[keyed]

func newOrdered() *ordered {
	return btree.NewG(32, func(a, b keyed) bool { return a.key < b.key })
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
