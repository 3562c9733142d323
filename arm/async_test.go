package arm

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// link is the validation link as the endpoint gets it, below the host.
func (f *fixture) link() string {
	return strings.TrimPrefix(ValidationURL(base, f.hooks.asked[len(f.hooks.asked)-1], "2025-02-15"), base)
}

func (f *fixture) open(method, path string) *answer {
	f.t.Helper()
	return f.send(httptest.NewRequestWithContext(f.t.Context(), method, base+path, nil))
}

func TestAnEventSubscriptionThatWaitsForConsent(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.hooks.granted = false
	a := f.put("owner", eventSub, hookBody).want(201)
	poll := a.header.Get("Azure-AsyncOperation")
	if a.at("properties", "provisioningState") != "AwaitingManualAction" || a.header.Get("Retry-After") != "1" || a.header.Get("Location") != "" {
		t.Errorf("got %v %s", a.header, a.raw)
	}
	prefix := base + "/subscriptions/" + customerSub + provider + "/locations/global/operationsStatus/"
	id, ok := strings.CutPrefix(poll, prefix)
	id, query, _ := strings.Cut(id, "?")
	if !ok || id != strings.ToUpper(id) || query != "api-version="+version {
		t.Fatalf("poll at %q", poll)
	}
	path := strings.TrimPrefix(poll, base)
	a = f.get("owner", path).want(200)
	want := map[string]any{"id": poll, "name": strings.ToLower(id), "status": "InProgress"}
	if diff := cmp.Diff(want, a.body); diff != "" || a.header.Get("Retry-After") != "1" {
		t.Errorf("(-want +got):\n%s %v", diff, a.header)
	}
	if got := f.get("owner", eventSub).header.Get("Azure-AsyncOperation"); got != "" {
		t.Errorf("a read tells to wait: %s", got)
	}
	f.open("GET", strings.Replace(f.link(), "token=", "token=x", 1)).wantError(400, "InvalidRequest", "not valid")
	f.open("PUT", f.link()).wantError(405, "HttpMethodNotAllowed")
	for _, method := range []string{"GET", "POST"} { // twice is fine
		if a := f.open(method, f.link()).want(200); a.raw != `"Webhook successfully validated as a subscription endpoint"` {
			t.Errorf("got %s", a.raw)
		}
	}
	if a := f.get("owner", path).want(200); a.at("status") != "Succeeded" || a.header.Get("Retry-After") != "" {
		t.Errorf("got %s", a.raw)
	}
	if a := f.get("owner", eventSub); a.at("properties", "provisioningState") != "Succeeded" {
		t.Errorf("got %s", a.raw)
	}
}

// consentWindow is the default of the rules.
const consentWindow = 10 * time.Minute

func TestAnEventSubscriptionWhoseConsentDoesNotCome(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.hooks.granted = false
	poll := strings.TrimPrefix(f.put("owner", eventSub, hookBody).want(201).header.Get("Azure-AsyncOperation"), base)
	f.now = f.now.Add(consentWindow + time.Second)
	f.open("GET", f.link()).wantError(400, "InvalidRequest", "time has passed")
	id, err := resource.ParseID(eventSub)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Commit(t.Context(), func(tx resource.Tx) error { return f.Rules.Expire(tx, id, f.now) }); err != nil {
		t.Fatal(err)
	}
	a := f.get("owner", poll).want(200)
	details, _ := a.at("error", "details").([]any)
	if a.at("status") != "Failed" || a.at("error", "code") != "ResourceOperationFailure" || len(details) != 1 {
		t.Fatalf("got %s", a.raw)
	}
	if d, _ := details[0].(map[string]any); d["code"] != "Url validation" {
		t.Errorf("got %s", a.raw)
	}
}

func TestOperationsOfOthersDoNotExist(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.hooks.granted = false
	poll := strings.TrimPrefix(f.put("owner", eventSub, hookBody).want(201).header.Get("Azure-AsyncOperation"), base)
	f.role("reader", access.RoleReader, topic)
	f.role("partner", access.RoleOwner, "/subscriptions/"+partnerSub)
	f.principal("stranger")
	f.get("reader", poll).want(200)
	id, _, _ := strings.Cut(poll[strings.LastIndexByte(poll, '/')+1:], "?")
	for _, who := range []string{"stranger", "partner"} {
		f.get(who, poll).wantError(404, "ResourceNotFound", id)
	}
	for _, path := range []string{
		strings.Replace(poll, customerSub, partnerSub, 1),
		strings.Replace(poll, id, guid1, 1),
		strings.Replace(poll, id, "nonsense", 1),
		strings.Replace(poll, "operationsStatus", "operationResults", 1) + "&x=1",
	} {
		want := 404
		if strings.Contains(path, "operationResults") {
			want = 200
		}
		f.get("owner", path).want(want)
	}
	f.delete("owner", poll).wantError(405, "HttpMethodNotAllowed")
	f.delete("owner", eventSub).want(200)
	f.get("owner", poll).wantError(404, "ResourceNotFound")
}

func TestValidationLinksThatAreNone(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.hooks.granted = false
	f.put("owner", eventSub, hookBody).want(201)
	for _, path := range []string{
		"/eventsubscriptions/es1/validate",
		"/eventSubscriptions/es1/validate?id=&token=&resource=" + eventSub,
		"/eventsubscriptions/es1/validate?id=x&token=y&resource=/foo/bar",
		"/eventsubscriptions/es1/validate?id=x&token=y&resource=" + topic,
		"/eventsubscriptions//validate?resource=" + eventSub,
	} {
		f.open("GET", path).wantError(400, "InvalidRequest", "not valid")
	}
	if a := f.get("owner", eventSub); a.at("properties", "provisioningState") != "AwaitingManualAction" {
		t.Errorf("got %s", a.raw)
	}
}

func TestMetadataInAllShapes(t *testing.T) {
	f := newFixture(t)
	audiences := []any{"https://management.azure.com/", "https://management.core.windows.net/"}
	authentication := map[string]any{"loginEndpoint": base + "/adfs", "audiences": audiences, "tenant": tenant, "identityProvider": "AAD"}
	oldest := map[string]any{"galleryEndpoint": base + "/", "graphEndpoint": base + "/graph/", "portalEndpoint": base + "/", "authentication": authentication}
	for _, path := range []string{"/metadata/endpoints?api-version=2015-01-01", "//metadata/endpoints/?api-version=2018-05-01", "/metadata/endpoints?api-version="} {
		r := httptest.NewRequest(http.MethodGet, base+"/", nil)
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
		if diff := cmp.Diff(oldest, f.send(r).want(200).body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for _, version := range []string{"2019-05-01", "2020-06-01", "2022-08-31"} {
		a := f.open("GET", "/Metadata/Endpoints?api-version="+version).want(200)
		for _, part := range []string{`[{`, `"name":"Intertie"`, `"resourceManager":"` + base + `"`, `"suffixes":{}`, `"microsoftGraphResourceId":"` + base + `/graph/"`, `"loginEndpoint":"` + base + `/adfs"`, `"graphAudience":"`, `"portal":"`} {
			if !strings.Contains(a.raw, part) {
				t.Errorf("%s: no %s in %s", version, part, a.raw)
			}
		}
	}
	newest := map[string]any{
		"name": "Intertie", "resourceManager": base, "portal": base + "/",
		"authentication": map[string]any{"loginEndpoint": base + "/adfs", "audiences": audiences, "tenant": "common", "identityProvider": "AAD"},
		"graph":          base + "/graph/", "graphAudience": base + "/graph/", "microsoftGraphResourceId": base + "/graph/",
		"suffixes": map[string]any{"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
	}
	for _, version := range []string{"2022-09-01", "2023-11-01-preview"} {
		if diff := cmp.Diff(newest, f.open("GET", "/metadata/endpoints?api-version="+version).want(200).body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
	f.open("POST", "/metadata/endpoints").wantError(405, "HttpMethodNotAllowed")
}

func TestWhatBelongsToTheManagementAPI(t *testing.T) {
	f := newFixture(t)
	for path, want := range map[string]bool{
		"/subscriptions": true, "//Subscriptions/x": true, "/providers/x": true, "/tenants": true, "/metadata/endpoints": true, "/EventSubscriptions/x/validate": true,
		"/": false, "": false, "/adfs/oauth2/token": false, "/graph/v1.0/x": false, "/subscriptionsx": false, "/ns1.westeurope-1/api/events": false, "/healthz": false,
	} {
		if got := f.Match(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}
