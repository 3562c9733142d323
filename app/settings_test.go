package app

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// Whichever node is first makes the settings; all have the same, and only that
// one knows the secret.
func TestNodesAgreeOnTheSettings(t *testing.T) {
	stores := openStores(t, 3)
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	all, secrets := make([]*settings, len(stores)), make([]string, len(stores))
	var wg sync.WaitGroup
	for i, st := range stores {
		wg.Go(func() {
			var err error
			if all[i], secrets[i], err = loadSettings(t.Context(), st, now); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	known := 0
	for i := range all {
		if diff := cmp.Diff(all[0], all[i], cmp.AllowUnexported(settings{})); diff != "" {
			t.Errorf("node %d: %s", i, diff)
		}
		if secrets[i] != "" {
			known++
		}
	}
	if known != 1 {
		t.Errorf("%d nodes believe that they made the secret", known)
	}
	again, secret, err := loadSettings(t.Context(), stores[0], now)
	if err != nil || secret != "" || cmp.Diff(all[0], again, cmp.AllowUnexported(settings{})) != "" {
		t.Errorf("later: %+v, %q, %v", again, secret, err)
	}
	for typ, want := range map[string]int{resource.TypeSubscription: 1, resource.TypeRoleAssignment: 1, typePrincipal: 1} {
		if got := len(stores[0].List(typ, resource.ID{})); got != want {
			t.Errorf("%d of %s", got, typ)
		}
	}
}

func TestDirectoryFollowsTheStore(t *testing.T) {
	st := openStores(t, 1)[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	d := newDirectory(st, func() time.Time { return now })
	st.Observe(func(cs []store.Change) {
		for _, c := range cs {
			if err := d.observe(c); err != nil {
				t.Error(err)
			}
		}
	})
	sp := access.NewServicePrincipal("tenant", "one", now)
	secret, stored := access.NewSecret("first", now, time.Time{})
	sp.Secrets = []access.Secret{stored}
	if err := d.Put(t.Context(), sp); err != nil {
		t.Fatal(err)
	}
	got, ok := d.ByAppID(sp.AppID)
	if !ok || got.VerifySecret(secret, now) != nil || got.Revision == 0 {
		t.Errorf("got %+v, %v", got, ok)
	}
	if byObject, ok := d.ByObjectID(sp.ObjectID); !ok || byObject.AppID != sp.AppID {
		t.Errorf("got %+v, %v", byObject, ok)
	}
	// What is found is the caller's own.
	got.Secrets[0] = access.Secret{}
	if again, _ := d.ByAppID(sp.AppID); again.VerifySecret(secret, now) != nil {
		t.Error("a caller changed what the directory knows")
	}
	// Two who read the same version cannot both write.
	got, _ = d.ByAppID(sp.AppID)
	if err := d.Put(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), got); !errors.Is(err, access.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if err := d.Put(t.Context(), sp); !errors.Is(err, access.ErrConflict) {
		t.Errorf("a second of the same id: %v", err)
	}
	all, err := d.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("got %v, %v", all, err)
	}
	err = st.Commit(t.Context(), func(tx resource.Tx) error { tx.Delete(principalID(sp)); return nil })
	if _, ok := d.ByAppID(sp.AppID); ok || err != nil {
		t.Errorf("still there, %v", err)
	}
	if _, ok := d.ByObjectID(sp.ObjectID); ok {
		t.Error("still there by object id")
	}
}
