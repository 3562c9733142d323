package activity

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/resource"
)

// memory is the least a transaction can be.
type memory map[string]*resource.Resource

func (m memory) Get(id resource.ID) (*resource.Resource, bool)       { r, ok := m[id.Key()]; return r, ok }
func (m memory) List(string, resource.ID) (all []*resource.Resource) { return nil }
func (m memory) Put(r *resource.Resource)                            { m[r.ID.Key()] = r }
func (m memory) Delete(id resource.ID)                               { delete(m, id.Key()) }

func mustID(t testing.TB, s string) resource.ID {
	t.Helper()
	id, err := resource.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newResource(t testing.TB, id, properties string) *resource.Resource {
	t.Helper()
	parsed := mustID(t, id)
	return &resource.Resource{ID: parsed, UID: resource.NewUID(), Type: parsed.Type(), Properties: []byte(properties)}
}

func TestJournalRemembersFirstAndLast(t *testing.T) {
	at := func(name string) string { return group1 + "/providers/Microsoft.EventGrid/topics/" + name }
	before := map[string]*resource.Resource{}
	for _, name := range []string{"changed", "deleted", "again", "kept"} {
		before[name] = newResource(t, at(name), `{}`)
	}
	store := memory{}
	for _, r := range before {
		store.Put(r)
	}
	j := NewJournal(store)
	changed, created, again := newResource(t, at("CHANGED"), `{"a":1}`), newResource(t, at("created"), `{}`), newResource(t, at("again"), `{}`)
	j.Put(newResource(t, at("changed"), `{"a":0}`))
	j.Delete(before["deleted"].ID)
	j.Put(created)
	j.Put(changed) // another casing of the same
	j.Delete(mustID(t, at("never")))
	j.Put(newResource(t, at("came-and-went"), `{}`))
	j.Delete(mustID(t, at("came-and-went")))
	j.Delete(before["again"].ID)
	j.Put(again)
	want := []Change{{before["changed"], changed}, {before["deleted"], nil}, {nil, created}, {before["again"], again}}
	if diff := cmp.Diff(want, j.Changes(), cmp.Comparer(func(a, b *resource.Resource) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if r, ok := j.Get(changed.ID); !ok || r != changed {
		t.Error("the journal kept a write from the transaction")
	}
	if _, ok := j.Get(before["deleted"].ID); ok {
		t.Error("the journal kept a deletion from the transaction")
	}
}

// Whatever a transaction does, its journal is the difference between before and
// after; and what it says was written was written.
func TestJournalIsTheDifference(t *testing.T) {
	names := []string{"a", "A", "b", "c", "d"}
	rapid.Check(t, func(rt *rapid.T) {
		store := memory{}
		id := func(label string) resource.ID {
			return resource.GroupID("s", "g").Provider("Microsoft.EventGrid/topics", rapid.SampledFrom(names).Draw(rt, label))
		}
		fresh := func(label string) *resource.Resource {
			return &resource.Resource{ID: id(label), UID: resource.NewUID(), Type: "Microsoft.EventGrid/topics"}
		}
		for range rapid.IntRange(0, 4).Draw(rt, "before") {
			store.Put(fresh("had"))
		}
		before := maps.Clone(store)
		j := NewJournal(store)
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "put") {
				j.Put(fresh("put"))
			} else {
				j.Delete(id("delete"))
			}
		}
		seen := map[string]bool{}
		for _, c := range j.Changes() {
			key := c.resource().ID.Key()
			if seen[key] {
				rt.Fatalf("%s is listed twice", key)
			}
			seen[key] = true
			if before[key] != c.Old || store[key] != c.New {
				rt.Fatalf("%s: %+v, but before %v and after %v", key, c, before[key], store[key])
			}
		}
		for key := range before {
			if before[key] != store[key] && !seen[key] {
				rt.Fatalf("the change of %s is missing", key)
			}
		}
		for key := range store {
			if before[key] == nil && !seen[key] {
				rt.Fatalf("the creation of %s is missing", key)
			}
		}
	})
}
