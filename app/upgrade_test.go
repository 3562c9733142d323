package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

func keysOf(st *store.Store) (keys []string) {
	for _, r := range st.List("", resource.ID{}) {
		keys = append(keys, r.ID.Key())
	}
	return keys
}

// A start finds what earlier versions have let in.
func TestImpostorsGoAtTheStart(t *testing.T) {
	st := openStores(t, 1)[0]
	root, group := resource.ID{}, resource.GroupID("11111111-aaaa-4bbb-8ccc-000000000001", "rg")
	disguised, err := resource.ParseID(group.String() + "/providers/Microsoft.Resources/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002/resourceGroups/x")
	if err != nil {
		t.Fatal(err)
	}
	impostor := group.Provider("INTERTIE.directory/servicePrincipals", "x")
	stay := []*resource.Resource{
		{ID: root.Provider(typePrincipal, "x"), Type: typePrincipal},
		{ID: settingsID, Type: "Intertie.Server/settings"},
		{ID: group, Type: resource.TypeGroup},
		{ID: group.Provider("Microsoft.Storage/storageAccounts", "x"), Type: "Microsoft.Storage/storageAccounts"},
		{ID: group.Provider(resource.TypeLock, "l"), Type: resource.TypeLock},
	}
	leave := []*resource.Resource{
		{ID: impostor, Type: "INTERTIE.directory/servicePrincipals"},
		{ID: impostor.Provider(resource.TypeLock, "l"), Type: resource.TypeLock},
		{ID: root.Provider("Microsoft.Storage/storageAccounts", "x").Provider(typePrincipal, "x"), Type: typePrincipal},
		{ID: disguised, Type: resource.TypeGroup},
		{ID: disguised.Provider("Microsoft.Storage/storageAccounts", "x"), Type: "Microsoft.Storage/storageAccounts"},
	}
	var want []string
	for i, all := range [][]*resource.Resource{stay, leave} {
		for _, r := range all {
			r.UID = resource.NewUID()
			if err := st.Commit(t.Context(), func(tx resource.Tx) error { tx.Put(r); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			want = keysOf(st)
		}
	}
	for range 2 {
		if err := upgrade(t.Context(), st, time.Now(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, keysOf(st)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestNamesAreBoundAtTheStart(t *testing.T) {
	st := openStores(t, 1)[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	put := func(group, typ, name, properties string) {
		t.Helper()
		r := &resource.Resource{
			ID: resource.GroupID("11111111-aaaa-4bbb-8ccc-000000000001", group).Provider(typ, name), UID: resource.NewUID(), Type: typ, CreatedAt: now,
			Properties: []byte(properties),
		}
		if err := st.Commit(t.Context(), func(tx resource.Tx) error { tx.Put(r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	put("p", eventgrid.TypePartnerRegistration, "reg", `{"partnerName":"Northwave","partnerRegistrationImmutableId":"1"}`)
	for _, group := range []string{"a", "b"} {
		put(group, eventgrid.TypePartnerConfiguration, "default", `{"partnerAuthorization":{"authorizedPartnersList":[{"partnerName":"northwave"}]}}`)
	}
	if n := len(eventgrid.UnboundNames(st)); n != 3 {
		t.Errorf("%d records are to be bound, want 3", n)
	}
	for range 2 {
		if err := upgrade(t.Context(), st, now, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if n := len(eventgrid.UnboundNames(st)); n != 0 {
			t.Errorf("%d records are left", n)
		}
	}
	for _, r := range st.List(eventgrid.TypePartnerConfiguration, resource.ID{}) {
		p, err := resource.Properties[eventgrid.PartnerConfiguration](r)
		if err != nil {
			t.Fatal(err)
		}
		if holder := p.Authorization.Partners[0].Holder; holder == nil || *holder != "1" {
			t.Errorf("%s: the name is bound to %v", r.ID, holder)
		}
	}
}
