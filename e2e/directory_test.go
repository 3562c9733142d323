package e2e

import (
	"strings"
	"testing"
)

// TestNoTenantReachesTheDirectory: the Owner of one subscription cannot make, in any
// spelling, a record that this server takes for one of its own, and everybody else
// signs in as before.
func TestNoTenantReachesTheDirectory(t *testing.T) {
	t.Parallel()
	s := serve(t)
	tenant := newSide(t, s, "tenant", "Owner")
	tenant.makeGroup(t)
	victim := newMember(t, s, "victim", "Reader", tenant.subscription, "")
	for _, scope := range []string{"/subscriptions/" + tenant.subscription, "/subscriptions/" + tenant.subscription + "/resourceGroups/" + tenant.group} {
		for _, typ := range []string{"Intertie.Directory/servicePrincipals", "intertie.directory/serviceprincipals", "INTERTIE.DIRECTORY//SERVICEPRINCIPALS", "Intertie.Directory%2FservicePrincipals"} {
			path := scope + "/providers/" + typ + "/" + victim.principal.ObjectID
			for _, body := range []string{`{}`, `{"location":"global","properties":{"ObjectID":"` + victim.principal.ObjectID + `","AppID":["x"]}}`} {
				if a := tenant.call(t, "PUT", path, body); a.status != 404 || !strings.Contains(string(a.body), "InvalidResourceType") {
					t.Errorf("PUT %s: %d %.200s", path, a.status, a.body)
				}
			}
			if a := tenant.call(t, "DELETE", path, ""); a.status != 404 {
				t.Errorf("DELETE %s: %d %.200s", path, a.status, a.body)
			}
		}
	}
	again := signIn(t, s, victim.principal, "adfs", tenant.subscription, tenant.group)
	if a := again.call(t, "GET", "/subscriptions/"+tenant.subscription+"/resourceGroups", ""); a.status != 200 {
		t.Errorf("the victim is answered %d: %.200s", a.status, a.body)
	}
	newMember(t, s, "another", "Reader", tenant.subscription, "") // the admin still makes principals
}
