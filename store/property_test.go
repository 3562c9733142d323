package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/resource"
)

// mirror is what an observer makes of what it is told.
type mirror map[string]string

func (m mirror) told(cs []Change) {
	for _, c := range cs {
		if c.New == nil {
			delete(m, c.Old.ID.Name())
			continue
		}
		m[c.New.ID.Name()] = valueOf(c.New)
	}
}

// Whatever two nodes write, and whenever a process ends: all readers, all observers
// and the next process know the same, and it is what was written.
func TestEverybodyKnowsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := memory(t)
		e := openEngine(t, fs)
		type node struct {
			*Store
			mirror mirror
		}
		open := func() *node {
			n := &node{openStore(t, e), make(mirror)}
			n.Observe(n.mirror.told)
			return n
		}
		nodes := []*node{open(), open()}
		want := make(map[string]string)
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			at := rapid.IntRange(0, 1).Draw(rt, "node")
			switch rapid.IntRange(0, 7).Draw(rt, "what") {
			case 0: // that process ends, and another one begins
				nodes[at].Close()
				nodes[at] = open()
			case 1: // all do
				for _, n := range nodes {
					n.Close()
				}
				if err := e.Close(); err != nil {
					rt.Fatal(err)
				}
				e = openEngine(t, fs)
				nodes = []*node{open(), open()}
			default:
				names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4).Draw(rt, "names")
				before := maps.Clone(want)
				commit(t, nodes[at].Store, func(tx resource.Tx) error {
					want = maps.Clone(before) // it may decide again
					if diff := cmp.Diff(want, values(tx, resource.ID{})); diff != "" {
						rt.Fatalf("step %d is decided on (-want +got):\n%s", step, diff)
					}
					for i, name := range names {
						if _, ok := want[name]; ok && i%2 == 1 {
							tx.Delete(topicID("rg", name))
							delete(want, name)
						} else {
							want[name] = fmt.Sprint(step, "/", i)
							tx.Put(topic("rg", name, want[name]))
						}
					}
					return nil
				})
			}
			catchUp(t, nodes[1-at].Store, nodes[at].Store)
			for i, n := range nodes {
				if diff := cmp.Diff(want, values(n, resource.ID{})); diff != "" {
					rt.Fatalf("step %d, node %d (-want +got):\n%s", step, i, diff)
				}
				if diff := cmp.Diff(want, map[string]string(n.mirror)); diff != "" {
					rt.Fatalf("step %d, observer of node %d (-want +got):\n%s", step, i, diff)
				}
				all := n.List("", resource.ID{})
				byKey := func(a, b *resource.Resource) int { return strings.Compare(a.ID.Key(), b.ID.Key()) }
				if !slices.IsSortedFunc(all, byKey) || len(all) != len(want) {
					rt.Fatalf("step %d, node %d: %d resources, or not in order", step, i, len(all))
				}
			}
		}
	})
}
