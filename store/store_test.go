package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/intertie/intertie/resource"
)

func TestWhatIsPutCanBeReadAlsoAfterReopening(t *testing.T) {
	fs := memory(t)
	e := openEngine(t, fs)
	s := openStore(t, e)
	want := topic("rg", "Topic-1", "v")
	want.Tags = map[string]string{"a": "b"}
	want.Identity = []byte(`{"type":"None"}`)
	want.Secret("key1", "secret text")
	put(t, s, want)
	check := func(s *Store) {
		t.Helper()
		got, ok := s.Get(resource.GroupID("S1", "RG").Provider(strings.ToUpper(testType), "TOPIC-1"))
		if !ok {
			t.Fatal("not found in another case")
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(resource.Resource{}, "Revision"), cmp.AllowUnexported(resource.ID{}), cmpopts.IgnoreFields(resource.ID{}, "scope")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got.ID.String() != want.ID.String() || got.Revision == 0 {
			t.Errorf("id %s, revision %d", got.ID, got.Revision)
		}
	}
	check(s)
	s.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	check(openStore(t, openEngine(t, fs)))
}

func TestListIsByTypeAndWholeSegments(t *testing.T) {
	s := newStore(t)
	group := &resource.Resource{ID: groupID("rg"), UID: resource.NewUID(), Type: resource.TypeGroup}
	nested := &resource.Resource{ID: topicID("rg", "b").Child("eventSubscriptions", "es"), UID: resource.NewUID(), Type: testType + "/eventSubscriptions"}
	put(t, s, group, topic("rg", "b", "1"), topic("rg", "a", "2"), topic("rg-2", "c", "3"), nested)
	types := func() []string { return slices.Sorted(slices.Values(s.Types())) }
	if diff := cmp.Diff([]string{strings.ToLower(testType), strings.ToLower(nested.Type), strings.ToLower(resource.TypeGroup)}, types()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	commit(t, s, func(tx resource.Tx) error { tx.Delete(nested.ID); return nil })
	if slices.Contains(types(), strings.ToLower(nested.Type)) {
		t.Errorf("a type without resources is left: %v", types())
	}
	put(t, s, nested)
	names := func(rs []*resource.Resource) []string {
		out := []string{}
		for _, r := range rs {
			out = append(out, r.ID.Name())
		}
		return out
	}
	for name, c := range map[string]struct {
		typ   string
		scope resource.ID
		want  []string
	}{
		"type in a group":            {testType, groupID("rg"), []string{"a", "b"}},
		"type in another case":       {strings.ToLower(testType), groupID("RG"), []string{"a", "b"}},
		"type in a subscription":     {testType, resource.SubscriptionID("s1"), []string{"c", "a", "b"}}, // rg-2 before rg/
		"type everywhere":            {testType, resource.ID{}, []string{"c", "a", "b"}},
		"type elsewhere":             {testType, resource.SubscriptionID("s"), []string{}},
		"all in a group, itself too": {"", groupID("rg"), []string{"rg", "a", "b", "es"}},
		"below a resource":           {"", topicID("rg", "b"), []string{"b", "es"}},
		"unknown type":               {"No.Such/type", resource.ID{}, []string{}},
	} {
		if diff := cmp.Diff(c.want, names(s.List(c.typ, c.scope))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		commit(t, s, func(tx resource.Tx) error { // the same view inside a transaction
			if diff := cmp.Diff(c.want, names(tx.List(c.typ, c.scope))); diff != "" {
				t.Errorf("%s in a transaction (-want +got):\n%s", name, diff)
			}
			return nil
		})
	}
}

func TestTransactionSeesItsOwnWrites(t *testing.T) {
	s := newStore(t)
	put(t, s, topic("rg", "kept", "1"), topic("rg", "gone", "2"), topic("rg", "changed", "3"))
	commit(t, s, func(tx resource.Tx) error {
		tx.Delete(topicID("rg", "gone"))
		tx.Delete(topicID("rg", "never was"))
		tx.Put(topic("rg", "changed", "4"))
		tx.Put(topic("rg", "new", "5"))
		tx.Put(topic("rg", "short-lived", "6"))
		tx.Delete(topicID("rg", "SHORT-LIVED"))
		want := map[string]string{"kept": "1", "changed": "4", "new": "5"}
		if diff := cmp.Diff(want, values(tx, groupID("rg"))); diff != "" {
			t.Errorf("inside (-want +got):\n%s", diff)
		}
		if _, ok := tx.Get(topicID("rg", "gone")); ok {
			t.Error("a deleted resource is still there")
		}
		if r, ok := tx.Get(topicID("rg", "NEW")); !ok || valueOf(r) != "5" {
			t.Error("a written resource is not there")
		}
		if diff := cmp.Diff(map[string]string{"kept": "1", "gone": "2", "changed": "3"}, values(s, groupID("rg"))); diff != "" {
			t.Errorf("outside, before the end (-want +got):\n%s", diff)
		}
		return nil
	})
	if diff := cmp.Diff(map[string]string{"kept": "1", "changed": "4", "new": "5"}, values(s, groupID("rg"))); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

func TestErrorOfTheFunctionWritesNothing(t *testing.T) {
	s := newStore(t)
	failure := errors.New("no")
	err := s.Commit(t.Context(), func(tx resource.Tx) error {
		tx.Put(topic("rg", "a", "1"))
		return failure
	})
	if err != failure { //nolint:errorlint // the very error is promised
		t.Errorf("got %v", err)
	}
	if _, ok := s.Get(topicID("rg", "a")); ok {
		t.Error("it was written")
	}
}

func TestDeletedAndCreatedAgain(t *testing.T) {
	fs := memory(t)
	e := openEngine(t, fs)
	s := openStore(t, e)
	first := topic("rg", "a", "1")
	put(t, s, first)
	remove(t, s, first.ID)
	if _, ok := s.Get(first.ID); ok {
		t.Error("still there")
	}
	second := topic("rg", "a", "2")
	put(t, s, second)
	remove(t, s, topicID("rg", "b")) // nothing to do
	s.Close()
	if r, ok := openStore(t, e).Get(first.ID); !ok || r.UID != second.UID {
		t.Errorf("after reopening: %v", r)
	}
}

func TestTooLargeTransactions(t *testing.T) {
	s := newStore(t)
	err := s.Commit(t.Context(), func(tx resource.Tx) error {
		tx.Put(topic("rg", "a", ""))
		tx.Put(topic("rg", "b", strings.Repeat("x", 5<<20)))
		return nil
	})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if e, ok := errors.AsType[*resource.Error](err); !ok || e.Code != resource.RequestTooLarge {
		t.Error("the management API cannot say what is wrong")
	}
	if got := len(s.List("", resource.ID{})); got != 0 {
		t.Errorf("%d resources were written", got)
	}
	const n = 1000
	commit(t, s, func(tx resource.Tx) error {
		for i := range n {
			tx.Put(topic("rg", fmt.Sprintf("t%04d", i), ""))
		}
		return nil
	})
	if got := len(s.List("", resource.ID{})); got != n {
		t.Errorf("%d resources of a large transaction are there", got)
	}
}

func TestRevisionsGrow(t *testing.T) {
	fs := memory(t)
	e := openEngine(t, fs)
	s := openStore(t, e)
	var last uint64
	grows := func(s *Store, what string) {
		t.Helper()
		r, ok := s.Get(topicID("rg", "a"))
		if !ok || r.Revision <= last {
			t.Errorf("%s: revision %d after %d", what, r.Revision, last)
		}
		last = r.Revision
	}
	a := func() { put(t, s, topic("rg", "a", "")) }
	a()
	grows(s, "created")
	a()
	grows(s, "changed")
	put(t, s, topic("rg", "b", ""))
	if r, _ := s.Get(topicID("rg", "a")); r.Revision != last {
		t.Error("the revision changes with another resource")
	}
	remove(t, s, topicID("rg", "a"))
	a()
	grows(s, "created again")
	s.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, openEngine(t, fs))
	if r, _ := s.Get(topicID("rg", "a")); r.Revision != last {
		t.Errorf("revision %d after reopening, want %d", r.Revision, last)
	}
	a()
	grows(s, "changed after reopening")
}

func TestCommitAfterCloseWritesNothing(t *testing.T) {
	e := openEngine(t, memory(t))
	s := openStore(t, e)
	if s.Healthy() != nil {
		t.Error("not healthy")
	}
	s.Close()
	s.Close()
	if s.Healthy() == nil {
		t.Error("healthy after Close")
	}
	err := s.Commit(t.Context(), func(tx resource.Tx) error { tx.Put(topic("rg", "a", "")); return nil })
	if err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v", err)
	}
	if got := values(openStore(t, e), resource.ID{}); len(got) != 0 {
		t.Errorf("it was written: %v", got)
	}
}

func TestReadersUnderWrites(t *testing.T) {
	s := newStore(t)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// Both or neither: they are written together.
				all := values(s, groupID("rg"))
				if all["a"] != all["b"] {
					t.Errorf("half a transaction: %v", all)
					return
				}
				s.Get(topicID("rg", "a"))
			}
		})
	}
	for i := range 20 {
		put(t, s, topic("rg", "a", fmt.Sprint(i)), topic("rg", "b", fmt.Sprint(i)))
	}
	close(stop)
	readers.Wait()
}

func TestOddNamesSurviveReopening(t *testing.T) {
	e := openEngine(t, memory(t))
	s := openStore(t, e)
	names := []string{"a.b", "a(b)", "a*b", "a>b", "ä", "İ", "a=2Eb", "a b", "名前", strings.Repeat("e", 2000)}
	for _, n := range names {
		put(t, s, &resource.Resource{ID: groupID(n), UID: resource.NewUID(), Type: resource.TypeGroup})
	}
	remove(t, s, groupID("a*b"))
	s.Close()
	s = openStore(t, e)
	for _, n := range names {
		if r, ok := s.Get(groupID(n)); ok == (n == "a*b") || ok && r.ID.Group != n {
			t.Errorf("%q: %v, %v", n, ok, r)
		}
	}
}
