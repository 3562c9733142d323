package graph

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
)

func (w *world) createPrincipal(t *testing.T, name string) (application, servicePrincipal) {
	t.Helper()
	app := w.createApp(t, name)
	return app, must[servicePrincipal](t, w.do(owner, "POST", "servicePrincipals", `{"appId":"`+app.AppID+`","accountEnabled":true}`), 201)
}

func TestDeletePrincipal(t *testing.T) {
	w := newWorld(t)
	app, sp := w.createPrincipal(t, "acme")
	must[struct{}](t, w.do(owner, "DELETE", "servicePrincipals/"+sp.ID, ""), http.StatusNoContent)
	wantError(t, w.do(owner, "GET", "servicePrincipals/"+sp.ID, ""), 404, "Request_ResourceNotFound")
	wantError(t, w.do(owner, "DELETE", "servicePrincipals/"+sp.ID, ""), 404, "Request_ResourceNotFound")
	if _, ok := w.dir.ByObjectID(sp.ID); ok {
		t.Error("it is still there")
	}
	// The application is left, and a new principal of it is another one.
	if got := must[application](t, w.do(owner, "GET", "applications/"+app.ID, ""), 200); got.AppID != app.AppID {
		t.Errorf("application %+v", got)
	}
	again := must[servicePrincipal](t, w.do(owner, "POST", "servicePrincipals", `{"appId":"`+app.AppID+`"}`), 201)
	if again.ID == sp.ID {
		t.Error("the roles of a deleted principal come back to life")
	}
	must[struct{}](t, w.do(owner, "DELETE", "applications(appId='"+app.AppID+"')", ""), http.StatusNoContent)
	if len(w.dir.byApp) != 0 {
		t.Error("the principal outlives its application")
	}
	for _, want := range []string{"service principal deleted", "application deleted", "principal=" + owner, "request="} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("%q is not in the log", want)
		}
	}
}

func TestNobodyDeletesThemselves(t *testing.T) {
	w := newWorld(t)
	w.dir.byApp["app"] = access.ServicePrincipal{ObjectID: owner, AppID: "app", ApplicationID: "a1", DisplayName: "admin"}
	for _, op := range [][3]string{
		{"DELETE", "servicePrincipals/" + owner, ""},
		{"DELETE", "applications/a1", ""},
		{"PATCH", "servicePrincipals/" + owner, `{"accountEnabled":false}`},
	} {
		wantError(t, w.do(owner, op[0], op[1], op[2]), 400, "Request_BadRequest")
	}
	wantError(t, w.do(owner, "GET", "me", ""), 400, "BadRequest")
}

func TestDisablePrincipal(t *testing.T) {
	w := newWorld(t)
	app, sp := w.createPrincipal(t, "acme")
	for _, c := range []struct {
		body     string
		disabled bool
	}{{`{"accountEnabled":false}`, true}, {`{"displayName":"b"}`, true}, {`{"accountEnabled":"true"}`, false}, {`{"accountEnabled":null}`, false}} {
		must[struct{}](t, w.do(owner, "PATCH", "servicePrincipals/"+sp.ID, c.body), http.StatusNoContent)
		p, _ := w.dir.ByAppID(app.AppID)
		got := must[servicePrincipal](t, w.do(reader, "GET", "servicePrincipals/"+sp.ID, ""), 200)
		if p.Disabled != c.disabled || got.Enabled == c.disabled {
			t.Errorf("%s: disabled %v, shown %v", c.body, p.Disabled, got.Enabled)
		}
	}
	wantError(t, w.do(owner, "PATCH", "servicePrincipals/"+sp.ID, `{"accountEnabled":7}`), 400, "Request_BadRequest")
}

func TestOwners(t *testing.T) {
	w := newWorld(t)
	app, _ := w.createPrincipal(t, "acme")
	_, other := w.createPrincipal(t, "other")
	list := func(path string) []string {
		t.Helper()
		var ids []string
		for _, o := range must[list[servicePrincipal]](t, w.do(reader, "GET", path, ""), 200).Value {
			ids = append(ids, o.ID)
		}
		return ids
	}
	owners := "applications/" + app.ID + "/owners"
	if got := list(owners); got != nil { // the creator has no principal in this test
		t.Errorf("owners %v", got)
	}
	reference := `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/` + other.ID + `"}`
	must[struct{}](t, w.do(owner, "POST", owners+"/$ref", reference), http.StatusNoContent)
	wantError(t, w.do(owner, "POST", owners+"/$ref", reference), 400, "Request_BadRequest")
	for _, bad := range []string{"x", other.ID, "https://graph.microsoft.com/v1.0/applications/" + other.ID, "https://graph.microsoft.com/" + other.ID} {
		wantError(t, w.do(owner, "POST", owners+"/$ref", `{"@odata.id":"`+bad+`"}`), 404, "Request_ResourceNotFound")
	}
	if diff := cmp.Diff([]string{other.ID}, list("servicePrincipals(appId='"+app.AppID+"')/owners")); diff != "" {
		t.Error(diff)
	}
	wantError(t, w.do(reader, "DELETE", owners+"/"+other.ID+"/$ref", ""), 403, "Authorization_RequestDenied")
	must[struct{}](t, w.do(owner, "DELETE", owners+"/"+other.ID+"/$ref", ""), http.StatusNoContent)
	wantError(t, w.do(owner, "DELETE", owners+"/"+other.ID+"/$ref", ""), 404, "Request_ResourceNotFound")
	// What a stranger to the directory owns is still theirs to see.
	if got := must[list2](t, w.do("stranger", "GET", "me/ownedObjects", ""), 200); len(got.Value) != 0 {
		t.Errorf("a stranger owns %v", got)
	}
	if got := must[list2](t, w.do(owner, "GET", "me/ownedObjects", ""), 200); len(got.Value) != 4 {
		t.Errorf("the creator owns %d objects", len(got.Value))
	}
}

type list2 struct {
	Value []map[string]any `json:"value"`
}

// The bytes that clients see.
func TestGoldenAnswers(t *testing.T) {
	w := newWorld(t)
	w.dir.byApp["a1"] = access.ServicePrincipal{
		ObjectID: "o1", AppID: "a1", ApplicationID: "x1", Tenant: tenant, DisplayName: "acme", Created: w.h.Now(),
		Secrets: []access.Secret{{KeyID: "k1", DisplayName: "rbac", Hint: "it_abc", Start: w.h.Now(), End: w.h.Now().AddDate(1, 0, 0)}},
	}
	const context = base + "/graph/v1.0/$metadata#"
	const password = `{"keyId":"k1","displayName":"rbac","hint":"it_abc","secretText":null,"startDateTime":"2026-03-01T08:00:00Z","endDateTime":"2027-03-01T08:00:00Z"}`
	principal := func(head string) string {
		return `{` + head + `"id":"o1","appId":"a1","displayName":"acme","appDisplayName":"acme","appOwnerOrganizationId":"` + tenant +
			`","accountEnabled":true,"createdDateTime":"2026-03-01T08:00:00Z","servicePrincipalType":"Application","servicePrincipalNames":["a1"],` +
			`"passwordCredentials":[` + password + `],"keyCredentials":[]}`
	}
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "servicePrincipals/o1", "", principal(`"@odata.context":"` + context + `servicePrincipals/$entity",`)},
		{
			"GET", "servicePrincipals?$filter=" + url.QueryEscape("servicePrincipalNames/any(c:c eq 'a1') and startswith(displayName,'AC')"), "",
			`{"@odata.context":"` + context + `servicePrincipals","value":[` + principal("") + `]}`,
		},
		{
			"POST", "directoryObjects/getByIds", `{"ids":["o1"],"types":["user","group","servicePrincipal","directoryObjectPartnerReference"]}`,
			`{"@odata.context":"` + context + `directoryObjects","value":[` + principal(`"@odata.type":"#microsoft.graph.servicePrincipal",`) + `]}`,
		},
		{
			"GET", "applications/x1", "", `{"@odata.context":"` + context + `applications/$entity","id":"x1","appId":"a1","displayName":"acme","createdDateTime":"2026-03-01T08:00:00Z",` +
				`"signInAudience":"AzureADMyOrg","identifierUris":[],"passwordCredentials":[` + password + `],"keyCredentials":[]}`,
		},
		{"GET", "applications?$filter=" + url.QueryEscape("identifierUris/any(s:s eq 'api://x')"), "", `{"@odata.context":"` + context + `applications","value":[]}`},
		{"GET", "users?$filter=" + url.QueryEscape("userPrincipalName eq 'a@b'"), "", `{"@odata.context":"` + context + `users","value":[]}`},
		{"GET", "groups", "", `{"@odata.context":"` + context + `groups","value":[]}`},
		{"GET", "me", "", `{"@odata.context":"` + context + `users/$entity","@odata.type":"#microsoft.graph.user","id":"` + owner + `","displayName":"","userPrincipalName":""}`},
		{
			"GET", "organization", "", `{"@odata.context":"` + context + `organization","value":[{"id":"` + tenant + `","displayName":"Intertie","tenantType":"AAD","verifiedDomains":[]}]}`,
		},
	} {
		rec := w.do(owner, c.method, c.path, c.body)
		if got := strings.TrimSpace(rec.Body.String()); rec.Code != 200 || got != c.want {
			t.Errorf("%s %s: %d\n got %s\nwant %s", c.method, c.path, rec.Code, got, c.want)
		}
	}
}

func TestFiltersJoined(t *testing.T) {
	w := newWorld(t)
	app, _ := w.createPrincipal(t, "salt and pepper")
	for filter, want := range map[string]int{
		"displayName eq 'salt and pepper'":                                   1,
		"displayName eq 'salt and pepper' and appId eq '" + app.AppID + "'":  1,
		"displayName eq 'salt and pepper' and appId eq 'x'":                  0,
		"startswith(displayName,'salt and') AND startswith(displayName,'s')": 1,
	} {
		got := must[list[servicePrincipal]](t, w.do(reader, "GET", "servicePrincipals?$filter="+url.QueryEscape(filter), ""), 200)
		if len(got.Value) != want {
			t.Errorf("%s: %d", filter, len(got.Value))
		}
	}
	for _, bad := range []string{"displayName eq 'a' and ", " and ", "displayName eq 'a' and or appId eq 'b'", "tags/any(t:t eq 'a') and appId eq 'b'"} {
		wantError(t, w.do(reader, "GET", "servicePrincipals?$filter="+url.QueryEscape(bad), ""), 400, "Request_UnsupportedQuery")
	}
}
