package arm

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

const (
	gallery     = provider + "/verifiedPartners"
	galleryBody = `{"properties":{"partnerRegistrationImmutableId":"804a11ca-ce9b-4158-8e94-3c8dc7a072ec","partnerDisplayName":"Northwave"}}`
)

func TestGalleryOfPartners(t *testing.T) {
	f := newFixture(t)
	f.principal("anybody")
	f.role("customer", access.RoleOwner, customerRG) // as much as a customer can have
	f.role("reader", access.RoleReader, "/")
	for _, name := range []string{"Northwave", "Auth0", "Tribal Group"} {
		a := f.put("owner", gallery+"/"+url.PathEscape(name), galleryBody).want(200)
		if a.at("id") != gallery+"/"+name || a.at("type") != "Microsoft.EventGrid/verifiedPartners" || a.at("properties", "provisioningState") != "Succeeded" {
			t.Errorf("got %s", a.raw)
		}
	}
	f.put("owner", gallery+"/Unknown", strings.Replace(galleryBody, `{"partner`, `{"verified":false,"partner`, 1)).want(200)
	for _, who := range []string{"anybody", "customer", "reader", "owner"} {
		want := []string{"Auth0", "Northwave", "Tribal Group"}
		status, code := 404, resource.NotFound
		if who == "owner" {
			want, status = append(want, "Unknown"), 200
		}
		if diff := cmp.Diff(want, f.get(who, gallery).want(200).names()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", who, diff)
		}
		f.get(who, gallery+"/auth0").want(200)
		f.do(who, "HEAD", gallery+"/Auth0", "").want(204)
		if a := f.get(who, gallery+"/Unknown").want(status); status != 200 {
			a.wantError(status, code)
			for method, b := range map[string]string{"PUT": galleryBody, "PATCH": galleryBody, "DELETE": ""} {
				f.do(who, method, gallery+"/Auth0", b).wantError(403, "AuthorizationFailed", "over scope '/'")
				f.do(who, method, gallery+"/Unknown", b).wantError(403, "AuthorizationFailed", "over scope '/'")
			}
		}
	}
	f.get("", gallery).wantError(401, "AuthenticationFailed")
	for filter, want := range map[string][]string{"name eq 'auth0'": {"Auth0"}, "contains(name,'North')": {"Northwave"}, "name eq 'Unknown'": {}} {
		if diff := cmp.Diff(want, f.get("anybody", gallery+"?$filter="+url.QueryEscape(filter)).want(200).names()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
	names, pages := f.follow(gallery + "?$top=1")
	if diff := cmp.Diff([]string{"Auth0", "Northwave", "Tribal Group", "Unknown"}, names); diff != "" || pages != 4 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	f.patch("owner", gallery+"/Unknown", `{"properties":{"verified":true}}`).want(200)
	f.get("anybody", gallery+"/Unknown").want(200)
	f.delete("owner", gallery+"/Unknown").want(200)
	f.delete("owner", gallery+"/Unknown").want(204)
	f.get("owner", gallery+"/Unknown").wantError(404, "ResourceNotFound")
	f.put("owner", gallery+"/x%2Fy", galleryBody).want(404)
	f.put("owner", gallery+"/-", galleryBody).wantError(400, "InvalidRequest", "verifiedPartners")
	f.post("owner", gallery+"/Auth0/activate", "").wantError(404, "InvalidResourceType")
	f.get("owner", gallery+"?api-version=2020-06-01").wantError(400, "NoRegisteredProviderFound")
	for _, at := range []string{"/subscriptions/" + customerSub, customerRG} {
		f.get("owner", at+gallery).wantError(404, "InvalidResourceType")
		f.put("owner", at+gallery+"/x", galleryBody).wantError(404, "InvalidResourceType", "no subscription")
	}
}

func TestOperationsList(t *testing.T) {
	f := newFixture(t)
	f.principal("anybody")
	a := f.get("anybody", provider+"/operations").want(200)
	if diff := cmp.Diff(len(f.Rules.Operations()), len(a.names())); diff != "" || len(a.body) != 1 {
		t.Errorf("got %s", a.raw)
	}
	for _, part := range []string{
		`{"name":"Microsoft.EventGrid/partnerTopics/activate/action","display":{"provider":"Microsoft Event Grid","resource":"Partner topic",`,
		`"Microsoft.EventGrid/topics/privateLinkResources/read"`, `"Microsoft.EventGrid/verifiedPartners/write"`, `"isDataAction":true`,
	} {
		if !strings.Contains(a.raw, part) {
			t.Errorf("no %s", part)
		}
	}
	f.get("", provider+"/operations").wantError(401, "AuthenticationFailed")
	f.get("anybody", provider+"/operations?api-version=2099-01-01").wantError(400, "NoRegisteredProviderFound")
	f.put("owner", provider+"/operations", "").wantError(405, "HttpMethodNotAllowed")
	f.get("owner", "/subscriptions/"+customerSub+provider+"/operations").wantError(404, "InvalidResourceType")
}

// Each caller sees the registrations of those subscriptions alone that a role
// lets it read.
func TestRegistrationsOfAllSubscriptions(t *testing.T) {
	f := newFixture(t)
	f.put("owner", registration, `{}`).want(200)
	f.put("owner", customerRG+provider+"/partnerRegistrations/other", `{}`).want(200)
	f.principal("anybody")
	f.role("partner", access.RoleContributor, "/subscriptions/"+partnerSub)
	f.role("one", access.RoleReader, registration)
	const at = provider + "/partnerRegistrations?api-version=2020-04-01-preview"
	for who, want := range map[string][]string{"owner": {"reg", "other"}, "partner": {"reg"}, "one": {"reg"}, "anybody": {}} {
		got := f.get(who, at).want(200).names()
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", who, diff)
		}
	}
	if got := f.get("owner", at+"&$filter="+url.QueryEscape("name eq 'other'")).names(); len(got) != 1 {
		t.Errorf("filtered: %v", got)
	}
	f.post("owner", at, "").wantError(405, "HttpMethodNotAllowed")
	f.get("owner", provider+"/partnerRegistrations").wantError(404, "InvalidResourceType")
}

func TestGroupsOfASubscriptionAreLimited(t *testing.T) {
	f := newFixture(t)
	f.Rules.Limits.GroupsPerSubscription = 3 // one is there
	at := "/subscriptions/" + customerSub + "/resourceGroups/g-"
	for i := range 2 {
		f.put("owner", fmt.Sprint(at, i), `{"location":"westeurope"}`).want(201)
	}
	f.put("owner", at+"2", `{"location":"westeurope"}`).wantError(409, "Conflict", "has 3 resource groups, as many as it can have")
	f.put("owner", at+"1", `{"location":"westeurope"}`).want(200)
	f.put("owner", "/subscriptions/"+partnerSub+"/resourceGroups/g-0", `{"location":"westeurope"}`).want(201)
	f.delete("owner", at+"0").want(200)
	f.put("owner", at+"2", `{"location":"westeurope"}`).want(201)
}
