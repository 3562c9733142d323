package resource

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	sub   = "/subscriptions/11111111-aaaa-4bbb-8ccc-000000000001"
	group = sub + "/resourceGroups/rg"
	eg    = "/providers/Microsoft.EventGrid"
)

func TestParseIDReadsEveryForm(t *testing.T) {
	type parts struct {
		String, Type, Name, Parent, Scope, Group string
		Root                                     bool
	}
	topic := group + eg + "/partnerTopics/pt"
	for in, want := range map[string]parts{
		"/":   {String: "/", Type: TypeTenant, Parent: "/", Scope: "/", Group: "/", Root: true},
		"":    {String: "/", Type: TypeTenant, Parent: "/", Scope: "/", Group: "/", Root: true},
		sub:   {String: sub, Type: TypeSubscription, Name: sub[15:], Parent: "/", Scope: sub, Group: sub},
		group: {String: group, Type: TypeGroup, Name: "rg", Parent: sub, Scope: group, Group: group},
		topic: {String: topic, Type: "Microsoft.EventGrid/partnerTopics", Name: "pt", Parent: group, Scope: group, Group: group},
		topic + "/eventSubscriptions/es": {
			String: topic + "/eventSubscriptions/es", Type: "Microsoft.EventGrid/partnerTopics/eventSubscriptions", Name: "es",
			Parent: topic, Scope: group, Group: group,
		},
		topic + "/providers/Microsoft.Authorization/roleAssignments/ra": {
			String: topic + "/providers/Microsoft.Authorization/roleAssignments/ra", Type: TypeRoleAssignment, Name: "ra",
			Parent: topic, Scope: topic, Group: group,
		},
		"/providers/Microsoft.Subscription/aliases/a": {
			String: "/providers/Microsoft.Subscription/aliases/a", Type: "Microsoft.Subscription/aliases", Name: "a", Parent: "/", Scope: "/", Group: "/",
		},
		sub + eg + "/locations/westeurope/operationsStatus/x": {
			String: sub + eg + "/locations/westeurope/operationsStatus/x", Type: "Microsoft.EventGrid/locations/operationsStatus", Name: "x",
			Parent: sub + eg + "/locations/westeurope", Scope: sub, Group: sub,
		},
		// Keywords in any case and doubled slashes, as clients send them.
		"//SUBSCRIPTIONS//11111111-aaaa-4bbb-8ccc-000000000001/resourcegroups/rg/PROVIDERS/Microsoft.EventGrid//partnerTopics/pt/": {
			String: topic, Type: "Microsoft.EventGrid/partnerTopics", Name: "pt", Parent: group, Scope: group, Group: group,
		},
		// A name may look like a keyword.
		group + eg + "/partnerTopics/providers": {
			String: group + eg + "/partnerTopics/providers", Type: "Microsoft.EventGrid/partnerTopics", Name: "providers", Parent: group, Scope: group, Group: group,
		},
	} {
		id, err := ParseID(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		got := parts{
			String: id.String(), Type: id.Type(), Name: id.Name(), Parent: id.Parent().String(), Scope: id.Scope().String(),
			Group: id.GroupScope().String(), Root: id.IsRoot(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func TestParseIDRefusesWhatIsNoResource(t *testing.T) {
	for _, in := range []string{
		"/subscriptions",
		sub + "/resourceGroups",
		sub + "/locations",
		group + eg,
		group + eg + "/partnerTopics",
		group + eg + "/partnerTopics/pt/eventSubscriptions",
		// The provider after a resource is another thing than the resource, also
		// when it is the same provider.
		group + eg + "/partnerTopics/pt" + eg,
		group + eg + "/partnerTopics/pt/providers",
		// A provider without a type in the middle would vanish from the id.
		group + "/providers/Some.Thing" + eg + "/partnerTopics/pt",
		group + eg + "/partnerTopics/pt/odd" + eg + "/x/y",
		"/foo/bar",
		sub + "/foo/bar",
		"/resourceGroups/rg",
	} {
		if id, err := ParseID(in); !errors.Is(err, ErrMalformedID) {
			t.Errorf("%q: got %v, %v", in, id, err)
		}
	}
}

func TestParsePathFindsCollectionsAndActions(t *testing.T) {
	type path struct {
		ID, Namespace, Tail string
		Beyond              bool
	}
	ns := "Microsoft.EventGrid"
	topic := group + eg + "/partnerTopics/pt"
	for in, want := range map[string]path{
		"/":                                {ID: "/"},
		"/subscriptions":                   {ID: "/", Tail: "subscriptions"},
		"/tenants":                         {ID: "/", Tail: "tenants"},
		"/providers":                       {ID: "/", Tail: "providers", Beyond: true},
		eg:                                 {ID: "/", Namespace: ns, Beyond: true},
		eg + "/topicTypes":                 {ID: "/", Namespace: ns, Tail: "topicTypes", Beyond: true},
		sub + "/locations":                 {ID: sub, Tail: "locations"},
		sub + eg + "/register":             {ID: sub, Namespace: ns, Tail: "register", Beyond: true},
		sub + "/RESOURCEGROUPS/":           {ID: sub, Tail: "resourceGroups"},
		group + eg + "/partnerTopics":      {ID: group, Namespace: ns, Tail: "partnerTopics", Beyond: true},
		topic:                              {ID: topic, Namespace: ns},
		topic + "/activate":                {ID: topic, Namespace: ns, Tail: "activate"},
		topic + eg:                         {ID: topic, Namespace: ns, Beyond: true},
		topic + eg + "/eventSubscriptions": {ID: topic, Namespace: ns, Tail: "eventSubscriptions", Beyond: true},
		topic + "/providers/Microsoft.Authorization/roleAssignments": {
			ID: topic, Namespace: "Microsoft.Authorization", Tail: "roleAssignments", Beyond: true,
		},
	} {
		p, err := ParsePath(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, path{p.ID.String(), p.Namespace, p.Tail, p.Beyond}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func TestChildAndParentDoNotShareMemory(t *testing.T) {
	ns := GroupID("s", "g").Provider("Microsoft.EventGrid/partnerNamespaces", "ns")
	a, b := ns.Child("channels", "a"), ns.Child("channels", "b")
	c := a.Parent().Child("channels", "c")
	want := []string{"a", "b", "c"}
	if diff := cmp.Diff(want, []string{a.Name(), b.Name(), c.Name()}); diff != "" {
		t.Error(diff)
	}
}

func TestProviderWantsANamePerType(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("did not panic")
		}
	}()
	ID{}.Provider("Microsoft.EventGrid/partnerNamespaces/channels", "ns")
}

func TestIDsCompareWithoutCase(t *testing.T) {
	a, b := GroupID("S", "Gruppe-Ä"), GroupID("s", "gruppe-ä")
	if !a.Equal(b) || a.Key() != b.Key() {
		t.Error("case counts")
	}
	// U+017F folds to s but lowers to itself: equal must mean the same key, or
	// one place in the store would hold two resources that count as one.
	c, d := GroupID("x", "gro\u017fs"), GroupID("x", "gross")
	if c.Equal(d) != (c.Key() == d.Key()) {
		t.Error("Equal and Key disagree")
	}
}

func TestIDsAreQuickToTellApart(t *testing.T) {
	if GroupID("s", "rg-1").Equal(GroupID("s", "rg-10")) || (ID{}).Equal(SubscriptionID("s")) {
		t.Error("different ids are equal")
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/", sub, group, group + eg + "/partnerTopics/pt/activate", group + eg + eg, sub + "//resourcegroups//x/providers",
		group + eg + "/a/b/c" + eg + "/d/e", "/providers/a/b/c/providers/providers/x/y", "\xff/\x00", "/subscriptions/\u017f/resourceGroups/İ",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			if !errors.Is(err, ErrMalformedID) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if strings.Contains(p.Tail, "/") || strings.Contains(p.Namespace, "/") {
			t.Fatalf("%q: %+v", s, p)
		}
		again, err := ParseID(p.ID.String())
		if err != nil {
			t.Fatalf("%q: id %q does not parse: %v", s, p.ID, err)
		}
		if !again.Equal(p.ID) || again.String() != p.ID.String() || again.Type() != p.ID.Type() {
			t.Fatalf("%q: %q became %q", s, p.ID, again)
		}
		// Going up ends at the root, and never leaves the scope.
		for id, steps := p.ID, 0; !id.IsRoot(); steps++ {
			up := id.Parent()
			if steps > len(s) || len(up.String()) >= len(id.String()) {
				t.Fatalf("%q: parent of %q is %q", s, id, up)
			}
			id = up
		}
		whole, err := ParseID(s)
		if (err == nil) != (p.Tail == "" && !p.Beyond) {
			t.Fatalf("%q: path %+v, id %q, %v", s, p, whole, err)
		}
	})
}
