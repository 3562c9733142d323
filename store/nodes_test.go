package store

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

// Two stores on one engine are two nodes of one cluster.

func TestAnotherNodeSeesWhatIsWritten(t *testing.T) {
	e := openEngine(t, memory(t))
	a, b := openStore(t, e), openStore(t, e)
	seen := make(chan Change, 10)
	b.Observe(func(cs []Change) {
		for _, c := range cs {
			seen <- c
		}
	})
	put(t, a, topic("rg", "x", "1"))
	catchUp(t, b, a)
	if c := <-seen; c.Old != nil || valueOf(c.New) != "1" {
		t.Errorf("got %v", c)
	}
	put(t, b, topic("rg", "x", "2"))
	if c := <-seen; valueOf(c.Old) != "1" || valueOf(c.New) != "2" {
		t.Errorf("got %v", c)
	}
	remove(t, a, topicID("rg", "x"))
	if c := <-seen; valueOf(c.Old) != "2" || c.New != nil {
		t.Errorf("got %v", c)
	}
}

func TestFunctionRunsAgainWhenAnotherNodeWasFaster(t *testing.T) {
	e := openEngine(t, memory(t))
	a, b := openStore(t, e), openStore(t, e)
	put(t, a, topic("rg", "x", "0"))
	catchUp(t, b, a)
	for _, batch := range []bool{false, true} {
		var seen []string
		commit(t, b, func(tx resource.Tx) error {
			r, _ := tx.Get(topicID("rg", "x"))
			seen = append(seen, valueOf(r))
			if len(seen) == 1 { // meanwhile, on the other node
				put(t, a, topic("rg", "x", "from a"))
			}
			tx.Put(topic("rg", "x", valueOf(r)+", then b"))
			if batch {
				tx.Put(topic("rg", "y", "with it"))
			}
			return nil
		})
		if len(seen) != 2 || seen[1] != "from a" {
			t.Errorf("batch %v: fn saw %q", batch, seen)
		}
		if r, _ := b.Get(topicID("rg", "x")); valueOf(r) != "from a, then b" {
			t.Errorf("batch %v: got %s", batch, valueOf(r))
		}
	}
}

// What fn has read and not written counts as well: the parent that it found,
// the name that it did not find.
func TestWhatWasOnlyReadIsStillTrue(t *testing.T) {
	e := openEngine(t, memory(t))
	a, b := openStore(t, e), openStore(t, e)
	put(t, a, topic("rg", "parent", ""))
	catchUp(t, b, a)
	runs := 0
	commit(t, b, func(tx resource.Tx) error {
		if runs++; runs == 1 {
			if _, ok := tx.Get(topicID("rg", "parent")); !ok {
				t.Error("no parent")
			}
			remove(t, a, topicID("rg", "parent"))
			tx.Put(topic("rg", "child", ""))
			return nil
		}
		if _, ok := tx.Get(topicID("rg", "parent")); ok {
			t.Error("the parent is still there")
		}
		return nil
	})
	if _, ok := b.Get(topicID("rg", "child")); ok || runs != 2 {
		t.Errorf("child %v after %d runs", ok, runs)
	}
}

func TestCountingOnTwoNodesLosesNothing(t *testing.T) {
	e := openEngine(t, memory(t))
	nodes := []*Store{openStore(t, e), openStore(t, e)}
	put(t, nodes[0], topic("rg", "n", "0"))
	catchUp(t, nodes[1], nodes[0])
	const each = 25
	var wg sync.WaitGroup
	for i, s := range nodes {
		for w := range 2 {
			wg.Go(func() {
				for k := range each {
					commit(t, s, func(tx resource.Tx) error {
						r, _ := tx.Get(topicID("rg", "n"))
						n, err := strconv.Atoi(valueOf(r))
						if err != nil {
							return err
						}
						tx.Put(topic("rg", "n", strconv.Itoa(n+1)))
						tx.Put(topic("rg", fmt.Sprintf("w-%d-%d-%d", i, w, k), strconv.Itoa(n+1)))
						return nil
					})
				}
			})
		}
	}
	wg.Wait()
	want := strconv.Itoa(2 * 2 * each)
	catchUp(t, nodes[0], nodes[1])
	catchUp(t, nodes[1], nodes[0])
	for _, s := range nodes {
		got := values(s, groupID("rg"))
		if got["n"] != want {
			t.Errorf("counted %s, want %s", got["n"], want)
		}
		seen := map[string]bool{}
		for name, v := range got {
			if name != "n" && seen[v] {
				t.Errorf("two transactions made %s", v)
			}
			if name != "n" {
				seen[v] = true
			}
		}
	}
}

func TestObserversSeeATransactionAtOnceAndBeforeCommitReturns(t *testing.T) {
	s := newStore(t)
	put(t, s, topic("rg", "old", "1"))
	type change struct{ Old, New string }
	var calls [][]change
	s.Observe(func(cs []Change) {
		var got []change
		for _, c := range cs {
			var v change
			if c.Old != nil {
				v.Old = c.Old.ID.Name() + "=" + valueOf(c.Old)
			}
			if c.New != nil {
				v.New = c.New.ID.Name() + "=" + valueOf(c.New)
				if r, ok := s.Get(c.New.ID); !ok || r != c.New {
					t.Error("an observer cannot read what it is told")
				}
			}
			got = append(got, v)
		}
		calls = append(calls, got)
	})
	// No lock around calls: Commit must not return before the observer has.
	commit(t, s, func(tx resource.Tx) error {
		tx.Put(topic("rg", "new", "1"))
		tx.Put(topic("rg", "old", "2"))
		return nil
	})
	put(t, s, topic("rg", "new", "2"))
	remove(t, s, topicID("rg", "new"), topicID("rg", "old"))
	commit(t, s, func(resource.Tx) error { return nil })
	want := [][]change{
		{{"", "old=1"}},
		{{"", "new=1"}, {"old=1", "old=2"}},
		{{"new=1", "new=2"}},
		{{"new=2", ""}, {"old=2", ""}},
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReopeningNeverShowsADeletedResource(t *testing.T) {
	e := openEngine(t, memory(t))
	s := openStore(t, e)
	put(t, s, topic("rg", "a", "1"), topic("rg", "b", "1"))
	remove(t, s, topicID("rg", "a"))
	s.Close()
	s = openStore(t, e)
	var got []string
	s.Observe(func(cs []Change) {
		for _, c := range cs {
			got = append(got, c.New.ID.Name())
		}
	})
	if diff := cmp.Diff([]string{"b"}, got); diff != "" {
		t.Error(diff)
	}
}
