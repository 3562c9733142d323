package arm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
)

func subscriptionsOf(a *answer) []string {
	out := []string{}
	values, _ := a.body["value"].([]any)
	for _, v := range values {
		m, _ := v.(map[string]any)
		id, _ := m["subscriptionId"].(string)
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func TestOnlyVisibleSubscriptionsAreListed(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.role("reader", access.RoleReader, "/subscriptions/"+customerSub)
	f.role("of a topic", access.RoleReader, topic) // a role anywhere below is enough
	f.principal("nobody")
	for who, want := range map[string][]string{"owner": {partnerSub, customerSub}, "reader": {customerSub}, "of a topic": {customerSub}, "nobody": {}} {
		a := f.get(who, "/subscriptions").want(200)
		if diff := cmp.Diff(want, subscriptionsOf(a)); diff != "" {
			t.Errorf("%s: %s", who, diff)
		}
		for _, s := range []string{partnerSub, customerSub} {
			f.get(who, "/subscriptions/"+s).want(map[bool]int{true: 200, false: 403}[slices.Contains(want, s)])
		}
	}
	if raw := f.get("nobody", "/subscriptions").raw; !strings.Contains(raw, `"value":[]`) {
		t.Errorf("got %s", raw)
	}
	want := map[string]any{
		"id": "/subscriptions/" + customerSub, "subscriptionId": customerSub, "tenantId": tenant, "displayName": "Subscription of c", "state": "Enabled",
		"subscriptionPolicies": map[string]any{"locationPlacementId": "Public_2014-09-01", "quotaId": "Intertie", "spendingLimit": "Off"},
		"authorizationSource":  "RoleBased", "managedByTenants": []any{}, "tags": map[string]any{},
	}
	if diff := cmp.Diff(want, f.get("reader", "/subscriptions/"+customerSub).body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.put("owner", "/subscriptions/"+customerSub, `{}`).wantError(405, "HttpMethodNotAllowed")
	f.post("owner", "/subscriptions", ``).wantError(405, "HttpMethodNotAllowed")
}

func TestTenantsAndLocations(t *testing.T) {
	f := newFixture(t)
	f.principal("nobody")
	if a := f.get("nobody", "/tenants").want(200); !strings.Contains(a.raw, `"tenantId":"`+tenant+`"`) {
		t.Errorf("got %s", a.raw)
	}
	at := "/subscriptions/" + customerSub + "/locations"
	if names := f.get("owner", at).want(200).names(); !slices.Contains(names, "westeurope") {
		t.Errorf("got %v", names)
	}
	f.Rules.Regions = []string{"uksouth", "moonbase"}
	a := f.get("owner", at).want(200)
	if diff := cmp.Diff([]string{"uksouth", "moonbase"}, a.names()); diff != "" || !strings.Contains(a.raw, "UK South") {
		t.Errorf("%s %s", diff, a.raw)
	}
	f.get("owner", "/subscriptions/"+noSub+"/locations").wantError(404, "SubscriptionNotFound")
}

func TestAliasesMakeOneSubscription(t *testing.T) {
	f := newFixture(t)
	f.role("founder", access.RoleContributor, "/")
	f.principal("nobody")
	at := "/providers/Microsoft.Subscription/aliases/my.alias_1-x"
	body := `{"properties":{"displayName":"Acme","workload":"Production","subscriptionId":"` + noSub + `"}}`
	f.get("founder", at).wantError(404, "ResourceNotFound", "'my.alias_1-x'")
	f.put("nobody", at, body).wantError(403, "AuthorizationFailed")
	f.put("founder", at, `{"properties":{}}`).wantError(400, "InvalidRequest", "displayName")
	f.put("founder", at, ``).wantError(400, "InvalidRequestContent")
	f.put("founder", strings.TrimSuffix(at, "my.alias_1-x")+strings.Repeat("x", 65), body).wantError(400, "InvalidRequest", "64")
	first := f.put("founder", at, body).want(201)
	id, _ := first.at("properties", "subscriptionId").(string)
	if id == "" || id == noSub || first.at("properties", "provisioningState") != "Succeeded" || first.at("name") != "my.alias_1-x" {
		t.Errorf("got %s", first.raw)
	}
	for range 2 {
		if a := f.put("founder", strings.ToUpper(at), body).want(200); a.at("properties", "subscriptionId") != id {
			t.Errorf("another subscription: %s", a.raw)
		}
	}
	if a := f.get("founder", at).want(200); a.at("properties", "subscriptionId") != id {
		t.Errorf("got %s", a.raw)
	}
	f.delete("founder", at).wantError(405, "HttpMethodNotAllowed")
	if diff := cmp.Diff(3, len(subscriptionsOf(f.get("owner", "/subscriptions")))); diff != "" {
		t.Error("not one more subscription")
	}
	if a := f.get("founder", "/subscriptions/"+id).want(200); a.at("displayName") != "Acme" {
		t.Errorf("got %s", a.raw)
	}
	// Whoever made it owns it, and may give access.
	role := "/subscriptions/" + id + "/providers/Microsoft.Authorization/roleAssignments/" + noSub
	f.put("founder", role, `{"properties":{"roleDefinitionId":"`+access.RoleReader+`","principalId":"`+f.principal("nobody")+`"}}`).want(201)
	f.get("nobody", "/subscriptions/"+id).want(200)
}

func TestProviders(t *testing.T) {
	f := newFixture(t)
	at := "/subscriptions/" + customerSub + provider
	a := f.get("owner", strings.ToLower(at)).want(200)
	if a.at("namespace") != "Microsoft.EventGrid" || a.at("registrationState") != "Registered" || a.at("registrationPolicy") != "RegistrationRequired" || a.at("id") != at {
		t.Errorf("got %.300s", a.raw)
	}
	types := map[string]map[string]any{}
	list, _ := a.at("resourceTypes").([]any)
	for _, v := range list {
		m, _ := v.(map[string]any)
		name, _ := m["resourceType"].(string)
		types[name] = m
	}
	for _, name := range []string{"partnerRegistrations", "partnerNamespaces", "partnerNamespaces/channels", "partnerTopics", "partnerTopics/eventSubscriptions", "partnerConfigurations"} {
		versions, _ := types[name]["apiVersions"].([]any)
		if len(versions) == 0 || versions[0] != "2025-07-15-preview" {
			t.Errorf("%s: versions %v", name, versions)
		}
		// az takes the first one that is not a preview.
		i := slices.IndexFunc(versions, func(v any) bool { return !strings.Contains(v.(string), "preview") })
		if i < 0 || versions[i] != "2025-02-15" {
			t.Errorf("%s: versions %v", name, versions)
		}
	}
	if diff := cmp.Diff([]any{"global"}, types["partnerConfigurations"]["locations"]); diff != "" {
		t.Error(diff)
	}
	f.get("owner", strings.Replace(at, "EventGrid", "Flowers", 1)).wantError(404, "InvalidResourceNamespace", "'Microsoft.Flowers'")
	f.post("owner", strings.Replace(at, "EventGrid", "Flowers", 1)+"/register", "").wantError(404, "InvalidResourceNamespace")
	f.put("owner", at, `{}`).wantError(405, "HttpMethodNotAllowed")
	f.get("owner", at+"/register").wantError(405, "HttpMethodNotAllowed")
	f.get("owner", strings.Replace(at, customerSub, noSub, 1)).wantError(404, "SubscriptionNotFound")
	f.post("owner", strings.Replace(at, customerSub, noSub, 1)+"/register", "").wantError(404, "SubscriptionNotFound")

	for range 2 {
		if a := f.post("owner", at+"/unregister", "").want(200); a.at("registrationState") != "NotRegistered" {
			t.Errorf("got %.200s", a.raw)
		}
	}
	for range 2 {
		if a := f.post("owner", at+"/REGISTER", `{"thirdPartyProviderConsent":{}}`).want(200); a.at("registrationState") != "Registered" {
			t.Errorf("got %.200s", a.raw)
		}
	}
	f.put("owner", config, `{}`).want(200)
	f.post("owner", at+"/unregister", "").wantError(409, "Conflict", config)
	if a := f.post("owner", "/subscriptions/"+customerSub+"/providers/microsoft.resources/unregister", "").want(200); a.at("registrationState") != "Registered" {
		t.Errorf("a built-in provider was unregistered: %s", a.raw)
	}
	if a := f.get("owner", "/subscriptions/"+customerSub+"/providers").want(200); strings.Count(a.raw, `"registrationState":"Registered"`) != 1+len(freeProviders()) {
		t.Errorf("got %.300s", a.raw)
	}
	f.principal("nobody")
	if a := f.get("nobody", "/providers").want(200); strings.Contains(a.raw, "registrationState") {
		t.Errorf("got %.300s", a.raw)
	}
	if a := f.get("nobody", provider).want(200); a.at("registrationState") != nil || a.at("id") != provider {
		t.Errorf("got %.300s", a.raw)
	}
}
