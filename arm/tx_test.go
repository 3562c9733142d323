package arm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

// A draft, also one over another, lists what the store would once it is written.
func TestADraftListsWhatWouldBeThere(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const storage = "/providers/Microsoft.Storage/storageAccounts/"
	pick := func() *resource.Resource {
		group := []string{customerRG, customerRG + "-2", partnerRG}[rnd.IntN(3)]
		id := mustID(t, group)
		switch n := rnd.IntN(30); {
		case n > 20:
			id = mustID(t, fmt.Sprint(group, provider, "/topics/t", n))
		case n > 0:
			id = mustID(t, fmt.Sprint(group, storage, "a", n))
		}
		return &resource.Resource{ID: id, UID: resource.NewUID(), Type: id.Type()}
	}
	for range 200 {
		f := &memoryStore{all: memory{}}
		change := func(tx resource.Tx) {
			for range rnd.IntN(20) {
				if r := pick(); rnd.IntN(3) == 0 {
					tx.Delete(r.ID)
				} else {
					tx.Put(r)
				}
			}
		}
		change(f.all)
		d := newDraft(f)
		change(d)
		over := newDraft(draftStore{d, f})
		change(over)
		want := memory{}
		for _, writes := range []map[string]*resource.Resource{f.all, d.writes, over.writes} {
			for key, r := range writes {
				if want[key] = r; r == nil {
					delete(want, key)
				}
			}
		}
		for _, scope := range []resource.ID{{}, mustID(t, customerRG), resource.SubscriptionID(customerSub), mustID(t, customerRG+storage+"a3"), resource.SubscriptionID(noSub)} {
			for _, typ := range []string{"", typeStorageAccount, resource.TypeGroup} {
				if diff := cmp.Diff(idsOf(want.List(typ, scope)), idsOf(over.List(typ, scope))); diff != "" {
					t.Fatalf("%q at %s (-want +got):\n%s", typ, scope, diff)
				}
			}
		}
	}
}

func idsOf(all []*resource.Resource) []string {
	out := []string{}
	for _, r := range all {
		out = append(out, r.ID.String()+" "+r.UID.String())
	}
	return out
}
