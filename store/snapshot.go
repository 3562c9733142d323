package store

import (
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/google/btree"

	"github.com/intertie/intertie/resource"
)

// Change is one resource before and after a commit: Old is nil for a created
// resource, New for a deleted one.
type Change struct{ Old, New *resource.Resource }

// snapshot is the complete state in memory, with the indexes that reads need.
type snapshot struct {
	mu      sync.RWMutex // protects the fields below; held only for map work
	byKey   map[string]*resource.Resource
	all     *ordered            // every resource
	byType  map[string]*ordered // by lower-case type
	deleted map[string]marker
	redo    map[string]bool // keys of the newest transaction
}

// marker is the message that says that a resource was deleted.
type marker struct {
	revision uint64
	at       time.Time
}

func newSnapshot() *snapshot {
	return &snapshot{
		byKey:   make(map[string]*resource.Resource),
		all:     newOrdered(),
		byType:  make(map[string]*ordered),
		deleted: make(map[string]marker),
	}
}

// apply makes a group of writes visible at once and returns what changed. redo,
// unless nil, are the keys of a newer transaction than those before.
func (s *snapshot) apply(writes []write, redo map[string]bool) []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	if redo != nil {
		s.redo = redo
	}
	changes := make([]Change, 0, len(writes))
	for _, w := range writes {
		old := s.byKey[w.key]
		if old != nil {
			s.remove(w.key, old)
		}
		if w.resource != nil {
			delete(s.deleted, w.key)
			s.insert(w.key, w.resource)
		} else {
			s.deleted[w.key] = marker{w.revision, w.at}
		}
		if old != nil || w.resource != nil {
			changes = append(changes, Change{Old: old, New: w.resource})
		}
	}
	return changes
}

// setRedo is apply without a write.
func (s *snapshot) setRedo(redo map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redo = redo
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
		// A revision says what was written, unless the stream has lost its end.
		if old := s.byKey[key]; old == nil || old.Revision != r.Revision || !old.ModifiedAt.Equal(r.ModifiedAt) {
			rest = append(rest, Change{Old: old, New: r})
		}
	}
	sort.Slice(rest, func(i, j int) bool { return rest[i].New.Revision < rest[j].New.Revision })
	s.byKey, s.all, s.byType, s.deleted, s.redo = fresh.byKey, fresh.all, fresh.byType, fresh.deleted, fresh.redo
	return append(gone, rest...)
}

// stale returns at most n markers from before a time that recovery does not
// need: it completes the newest transaction, and a resource of that which has no
// newer message it takes for missing.
func (s *snapshot) stale(before time.Time, n int) map[string]marker {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := make(map[string]marker)
	for key, m := range s.deleted {
		if len(found) == n {
			break
		}
		if m.at.Before(before) && !s.redo[key] {
			found[key] = m
		}
	}
	return found
}

// forget drops a marker that is no longer in the stream.
func (s *snapshot) forget(key string, m marker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleted[key] == m {
		delete(s.deleted, key)
	}
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
