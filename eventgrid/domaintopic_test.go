package eventgrid

import (
	"fmt"
	"testing"
	"time"

	"github.com/intertie/intertie/resource"
)

func withDomain(t *testing.T, properties string) *world {
	w := newWorld(t)
	w.must(w.put(domainID, `{"location":"westeurope","properties":`+properties+`}`))
	return w
}

// Domain topics come with the first subscription and go with the last, whatever
// created them, unless the domain says otherwise.
func TestDomainTopicsComeAndGo(t *testing.T) {
	const off = `"autoCreateTopicWithFirstSubscription":false`
	const keep = `"autoDeleteTopicWithLastSubscription":false`
	for name, c := range map[string]struct {
		domain            string
		explicit          bool
		created, survives bool
	}{
		"by default":           {`{}`, false, true, false},
		"made by hand":         {`{}`, true, true, false},
		"kept":                 {`{` + keep + `}`, false, true, true},
		"made by hand, kept":   {`{` + keep + `}`, true, true, true},
		"never by itself":      {`{` + off + `}`, false, false, false},
		"by hand, not by self": {`{` + off + `}`, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := withDomain(t, c.domain)
			if c.explicit {
				w.must(w.put(tenantTopicID, `{}`))
			}
			if !c.created {
				w.wantError(w.write(w.on(tenantTopicID, "es1"), hookBody("https://x.example", ""), false), resource.ParentNotFound,
					"The domain topic 'tenant-017' could not be found", "autoCreateTopicWithFirstSubscription")
				return
			}
			first := w.subscribe(tenantTopicID, "es1", "")
			second := w.subscribe(tenantTopicID, "es2", "")
			if !first.Parent().Equal(tenantTopicID) || w.get(tenantTopicID).Type != TypeDomainTopic {
				t.Fatalf("stored at %s", first)
			}
			w.must(w.delete(first))
			if !w.exists(tenantTopicID) {
				t.Fatal("gone before its last subscription")
			}
			w.must(w.delete(second))
			if w.exists(tenantTopicID) != c.survives {
				t.Errorf("there afterwards: %v", !c.survives)
			}
		})
	}
}

func TestADomainTopicNeedsADomain(t *testing.T) {
	w := newWorld(t)
	w.wantError(w.put(tenantTopicID, `{}`), resource.ParentNotFound, "The domain 'acme-tenants' could not be found.")
	w = withDomain(t, `{}`)
	w.wantError(w.write(w.on(domainID.Child("topics", "t_1"), "es1"), hookBody("https://x.example", ""), false), resource.InvalidRequest, "'t_1'", "3 to 128 letters")
}

// The id keeps the casing of creation, whoever asks in which casing.
func TestHomeKeepsTheCasing(t *testing.T) {
	w := withDomain(t, `{}`)
	w.must(w.put(tenantTopicID, `{}`))
	shouted, err := resource.ParseID("/SUBSCRIPTIONS/" + customerSub + "/RESOURCEGROUPS/RG-C/PROVIDERS/MICROSOFT.EVENTGRID/DOMAINS/ACME-TENANTS/TOPICS/TENANT-017")
	w.must(err)
	if home, ok := Home(w.all, shouted); !ok || home.String() != tenantTopicID.String() {
		t.Errorf("got %s", home)
	}
	w.must(w.delete(tenantTopicID))
	home, err := w.rules.MakeHome(w.all, shouted, "me", w.now)
	if err != nil || home.String() != domainID.Child("topics", "TENANT-017").String() {
		t.Errorf("made %s, %v", home, err)
	}
}

func TestExpiryReleasesTheTopicAsWell(t *testing.T) {
	w := withDomain(t, `{}`)
	soon := `,"expirationTimeUtc":"2026-03-01T10:00:00Z"`
	ids := []resource.ID{w.subscribe(tenantTopicID, "es1", soon), w.subscribe(accountID, "es1", soon)}
	for _, es := range ids {
		w.all.Put(&resource.Resource{ID: es.Provider(resource.TypeRoleAssignment, "r1"), Type: resource.TypeRoleAssignment})
	}
	w.now = w.now.Add(time.Hour)
	for _, es := range ids {
		w.expire(es)
		if w.exists(es) || w.exists(es.Parent()) || w.exists(es.Provider(resource.TypeRoleAssignment, "r1")) {
			t.Errorf("%s left something", es)
		}
	}
}

func TestDeletingATopicTakesEverythingAlong(t *testing.T) {
	w := withDomain(t, `{"autoDeleteTopicWithLastSubscription":false}`)
	w.must(w.put(customTopicID, `{"location":"westeurope"}`))
	w.must(w.put(systemTopicID, systemBody("westeurope", account, "Microsoft.Storage.StorageAccounts")))
	before := len(w.all)
	for _, scope := range []resource.ID{domainID, tenantTopicID, customTopicID, accountID} {
		es := w.subscribe(scope, "es1", "")
		for _, at := range []resource.ID{es, es.Parent()} {
			w.all.Put(&resource.Resource{ID: at.Provider(resource.TypeRoleAssignment, "r1"), Type: resource.TypeRoleAssignment})
		}
	}
	for _, id := range []resource.ID{domainID, customTopicID, systemTopicID} {
		w.must(w.delete(id))
	}
	if len(w.all) != before-3 {
		for _, r := range w.all {
			t.Logf("left: %s", r.ID)
		}
		t.Errorf("%d resources, want %d", len(w.all), before-3)
	}
}

// More topics than one transaction takes: the domain goes last.
func TestDeletingALargeDomain(t *testing.T) {
	w := withDomain(t, `{}`)
	const topics = 3*maxTogether + 1
	for i := range topics {
		id := domainID.Child("topics", fmt.Sprintf("t%d", i))
		w.must(put(w.all, newResource(id, TypeDomainTopic, "", "me", w.now), &DomainTopic{}))
	}
	kind, rounds := w.kinds[TypeDomain], 0
	for done := false; !done; rounds++ {
		before := len(w.all)
		w.must(w.change(func(tx resource.Tx) error {
			var err error
			done, err = kind.Remove(&resource.Deletion{Tx: tx, Now: w.now}, w.get(domainID))
			return err
		}))
		if gone := before - len(w.all); gone > maxTogether+1 {
			t.Fatalf("%d at once", gone)
		}
		if w.exists(domainID) == done {
			t.Fatalf("round %d: the domain is there: %v", rounds, !done)
		}
	}
	if rounds != 4 || len(w.all.List(TypeDomainTopic, domainID)) != 0 {
		t.Errorf("%d rounds, %d topics left", rounds, len(w.all.List(TypeDomainTopic, domainID)))
	}
}
