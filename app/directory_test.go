package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// A record of the type of principals that somebody got into a subscription, and one
// that cannot be read, change nothing for anybody else.
func TestOnlyWhatIsAtTheRootIsAPrincipal(t *testing.T) {
	st := openStores(t, 1)[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	d := newDirectory(st, func() time.Time { return now })
	var unreadable []string
	st.Observe(func(changes []store.Change) {
		for _, c := range changes {
			r := c.New
			if r == nil {
				r = c.Old
			}
			if strings.EqualFold(r.Type, typePrincipal) {
				if err := d.observe(c); err != nil {
					unreadable = append(unreadable, r.ID.Name())
				}
			}
		}
	})
	put := func(r *resource.Resource) {
		t.Helper()
		if err := st.Commit(t.Context(), func(tx resource.Tx) error { tx.Put(r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	admin, other := access.NewServicePrincipal("t", "admin", now), access.NewServicePrincipal("t", "other", now)
	for _, sp := range []access.ServicePrincipal{admin, other} {
		if err := d.Put(t.Context(), sp); err != nil {
			t.Fatal(err)
		}
	}
	still := func(when string) {
		t.Helper()
		for _, sp := range []access.ServicePrincipal{admin, other} {
			byObject, ok := d.ByObjectID(strings.ToUpper(sp.ObjectID))
			byApp, ok2 := d.ByAppID(sp.AppID)
			if !ok || !ok2 || byObject.DisplayName != sp.DisplayName || byApp.ObjectID != sp.ObjectID || !byApp.MaySignIn() {
				t.Errorf("%s: %s is %+v and %+v", when, sp.DisplayName, byObject, byApp)
			}
		}
		if all, err := d.List(t.Context()); err != nil || len(all) != 2 {
			t.Errorf("%s: the list holds %d: %v", when, len(all), err)
		}
	}
	still("before")
	group := resource.GroupID("11111111-aaaa-4bbb-8ccc-000000000001", "rg")
	for _, id := range []resource.ID{
		group.Provider(typePrincipal, admin.ObjectID), resource.SubscriptionID(group.Subscription).Provider(typePrincipal, admin.ObjectID),
		group.Provider("Microsoft.Storage/storageAccounts", "a").Provider(strings.ToLower(typePrincipal), admin.ObjectID),
		resource.ID{}.Provider("Other.Directory/servicePrincipals", admin.ObjectID),
		resource.ID{}.Provider(typePrincipal, admin.ObjectID).Child("keys", other.ObjectID),
	} {
		for _, properties := range []string{`{}`, `{"AppID":["x"]}`, `{"ObjectID":"` + admin.ObjectID + `","AppID":"` + other.AppID + `"}`} {
			r := &resource.Resource{ID: id, UID: resource.NewUID(), Type: typePrincipal, Properties: []byte(properties)}
			r.Secret(secretCredentials, `{}`)
			put(r)
			still("with " + id.String())
		}
		if err := st.Commit(t.Context(), func(tx resource.Tx) error { tx.Delete(id); return nil }); err != nil {
			t.Fatal(err)
		}
		still("without " + id.String())
	}
	// One at the root that cannot be read, or is not who its id says.
	lost := access.NewServicePrincipal("t", "lost", now)
	for _, properties := range []string{`{"AppID":["x"]}`, `{"ObjectID":"` + admin.ObjectID + `","AppID":"` + admin.AppID + `"}`} {
		r := &resource.Resource{ID: principalID(lost), UID: resource.NewUID(), Type: typePrincipal, Properties: []byte(properties)}
		r.Secret(secretCredentials, `{}`)
		put(r)
		still("with one that cannot be read")
		if p, ok := d.ByObjectID(lost.ObjectID); !ok || p.MaySignIn() {
			t.Errorf("the id of a principal that cannot be read is %+v, %v: somebody else could take it", p, ok)
		}
	}
	if len(unreadable) != 2 {
		t.Errorf("told of %v", unreadable)
	}
	if p, _ := d.ByObjectID(lost.ObjectID); d.Remove(t.Context(), p, nil) != nil {
		t.Error("it cannot be deleted")
	}
	still("after")
	if _, ok := d.ByObjectID(lost.ObjectID); ok {
		t.Error("it is still there")
	}
	if err := d.Put(t.Context(), admin); !errors.Is(err, access.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

// Whoever another issuer calls like a deleted principal gets none of its roles.
func TestTheRolesOfAPrincipalGoWithIt(t *testing.T) {
	st := openStores(t, 1)[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	d := newDirectory(st, func() time.Time { return now })
	st.Observe(func(changes []store.Change) {
		for _, c := range changes {
			if c.New != nil && c.New.Type == typePrincipal || c.Old != nil && c.Old.Type == typePrincipal {
				if err := d.observe(c); err != nil {
					t.Error(err)
				}
			}
		}
	})
	leaves, stays := access.NewServicePrincipal("t", "leaves", now), access.NewServicePrincipal("t", "stays", now)
	for i, sp := range []access.ServicePrincipal{leaves, stays} {
		if err := d.Put(t.Context(), sp); err != nil {
			t.Fatal(err)
		}
		for range []int{assignmentsAtOnce + 1, 2}[i] {
			r, err := arm.NewRoleAssignment(resource.ID{}, resource.NewUID().String(), access.RoleReader, strings.ToUpper(sp.ObjectID), resource.Time(now), "setup")
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Commit(t.Context(), func(tx resource.Tx) error { tx.Put(r); return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.Remove(t.Context(), leaves, nil); !errors.Is(err, access.ErrConflict) {
		t.Errorf("an old version: %v", err)
	}
	if n := len(st.List(resource.TypeRoleAssignment, resource.ID{})); n != assignmentsAtOnce+3 {
		t.Errorf("%d roles are left of a deletion that was refused", n)
	}
	newest, _ := d.ByObjectID(leaves.ObjectID)
	if err := d.Remove(t.Context(), newest, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(st.List(resource.TypeRoleAssignment, resource.ID{})); n != 2 {
		t.Errorf("%d roles are left, want 2", n)
	}
}
