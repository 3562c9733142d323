package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefusedManagement sends what the management API must refuse, each with
// the status and the code that Azure's clients read.
func TestRefusedManagement(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	admin := s.admin(t)
	owner := signIn(t, s, partner.principal, "adfs", partner.subscription, partner.group)
	owner.principal.AppID, owner.principal.Secret = admin.ClientID, admin.ClientSecret
	owner = signIn(t, s, owner.principal, "adfs", partner.subscription, partner.group)

	const stranger = "00000000-0000-4000-8000-000000000000"
	inGroup := "/subscriptions/" + partner.subscription + "/resourceGroups/" + partner.group
	eg := inGroup + "/providers/Microsoft.EventGrid"
	ns, sub := eg+"/partnerNamespaces/", customer.id("partnerTopics", "orders", "eventSubscriptions", "new")
	reg := fmt.Sprintf(`"partnerRegistrationFullyQualifiedId":%q`, eg+"/partnerRegistrations/"+registration)
	hookBody := func(extra string) string {
		return fmt.Sprintf(`{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":%q}}%s}}`, hook.URL+"/orders", extra)
	}
	numbers := func(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		code, says               string
	}{
		{"no version", "GET", ns + namespace + "?x=1", "", 400, "MissingApiVersionParameter", ""},
		{"unknown version", "GET", ns + namespace + "?api-version=2015-01-01", "", 400, "NoRegisteredProviderFound", "2022-06-15"},
		{"unknown type", "GET", eg + "/nothings/x", "", 404, "InvalidResourceType", "nothings"},
		{"no GUID", "GET", "/subscriptions/mine/resourceGroups", "", 400, "InvalidSubscriptionId", "mine"},
		{"unknown subscription", "GET", "/subscriptions/" + stranger + "/resourceGroups", "", 404, "SubscriptionNotFound", "'" + stranger + "'"},
		{"unknown group", "GET", "/subscriptions/" + partner.subscription + "/resourceGroups/nowhere/providers/Microsoft.EventGrid/partnerNamespaces/x1x", "", 404, "ResourceGroupNotFound", "'nowhere'"},
		{"unknown resource", "GET", ns + "nobody", "", 404, "ResourceNotFound", "partnerNamespaces/nobody"},
		{"patch of nothing", "PATCH", ns + "nobody", "{}", 404, "ResourceNotFound", ""},
		{"action on nothing", "POST", ns + "nobody/listKeys", "", 404, "ResourceNotFound", ""},
		{"delete of nothing", "DELETE", ns + "nobody", "", 204, "", ""},
		{"delete in no group", "DELETE", strings.Replace(ns, partner.group, "nowhere", 1) + "nobody", "", 404, "ResourceGroupNotFound", ""},
		{"no parent", "PUT", ns + "nobody/channels/abc", "{}", 404, "ParentResourceNotFound", "nobody"},
		{"no json", "PUT", ns + "new", `{"location":`, 400, "InvalidRequestContent", ""},
		{"properties of a wrong type", "PUT", ns + "new", `{"location":"westeurope","properties":[]}`, 400, "InvalidRequestContent", ""},
		{"no location", "PUT", ns + "new", `{"properties":{` + reg + `}}`, 400, "LocationRequired", ""},
		{"other location", "PUT", ns + namespace, `{"location":"eastus","properties":{` + reg + `}}`, 409, "InvalidResourceLocation", "westeurope"},
		{"other routing mode", "PUT", ns + namespace, `{"location":"westeurope","properties":{` + reg + `,"partnerTopicRoutingMode":"SourceEventAttribute"}}`, 400, "InvalidRequest", ""},
		{"short name", "PUT", ns + "ab", `{"location":"westeurope","properties":{` + reg + `}}`, 400, "InvalidRequest", "3 to 50"},
		{"no registration", "PUT", ns + "new", `{"location":"westeurope","properties":{}}`, 400, "InvalidRequest", "partnerRegistrationFullyQualifiedId"},
		{"group without location", "PUT", inGroup + "-new", `{}`, 400, "LocationRequired", ""},
		{"wrong verb", "PUT", eg + "/partnerNamespaces", `{}`, 405, "", ""},
		{"topic by customer", "PUT", customer.id("partnerTopics", "mine"), `{"location":"westeurope"}`, 400, "InvalidRequest", ""},
		{"grant for nobody", "POST", customer.id("partnerConfigurations", "default") + "/authorizePartner", `{}`, 400, "InvalidRequest", ""},
		{
			"grant for too long", "POST", customer.id("partnerConfigurations", "default") + "/authorizePartner",
			`{"partnerRegistrationImmutableId":"` + stranger + `","authorizationExpirationTimeInUtc":"` + time.Now().Add(800*time.Hour).UTC().Format(time.RFC3339) + `"}`, 400, "InvalidRequest", "7",
		},
		{
			"grant in the past", "POST", customer.id("partnerConfigurations", "default") + "/authorizePartner",
			`{"partnerRegistrationImmutableId":"` + stranger + `","authorizationExpirationTimeInUtc":"2020-01-01T00:00:00Z"}`, 400, "InvalidRequest", "",
		},
		{"another configuration", "PUT", customer.id("partnerConfigurations", "mine"), `{}`, 400, "InvalidRequest", "default"},
		{"no URL", "PUT", sub, `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":""}}}}`, 400, "InvalidRequest", "HTTPS"},
		{"attempts", "PUT", sub, hookBody(`,"retryPolicy":{"maxDeliveryAttempts":31}`), 400, "InvalidRequest", "30"},
		{"time to live", "PUT", sub, hookBody(`,"retryPolicy":{"eventTimeToLiveInMinutes":1441}`), 400, "InvalidRequest", "1440"},
		{"schema", "PUT", sub, hookBody(`,"eventDeliverySchema":"EventGridSchema"`), 400, "InvalidRequest", "CloudEvent"},
		{"expired", "PUT", sub, hookBody(`,"expirationTimeUtc":"2020-01-01T00:00:00Z"`), 400, "InvalidRequest", ""},
		{"26 filter values", "PUT", sub, hookBody(`,"filter":{"advancedFilters":[{"operatorType":"NumberIn","key":"data.n","values":[` + numbers(26) + `]}]}`), 400, "InvalidRequest", "25"},
		{"unknown operator", "PUT", sub, hookBody(`,"filter":{"advancedFilters":[{"operatorType":"Resembles","key":"data.n","value":1}]}`), 400, "InvalidRequest", ""},
		{"25 filter values", "PUT", sub, hookBody(`,"filter":{"advancedFilters":[{"operatorType":"NumberIn","key":"data.n","values":[` + numbers(25) + `]}]}`), 201, "", ""},
		{"26 event types", "PUT", sub, hookBody(`,"filter":{"includedEventTypes":["t` + strings.ReplaceAll(numbers(26), ",", `","t`) + `"]}`), 201, "", ""},
		{"top", "GET", eg + "/partnerNamespaces?api-version=2022-06-15&$top=101", "", 400, "InvalidRequest", "100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := owner.call(t, tt.method, tt.path, tt.body)
			if a.status != tt.status || (tt.code != "" && a.code() != tt.code) || !strings.Contains(a.error().Message, tt.says) {
				t.Errorf("%d %s, want %d %s %q\n%s", a.status, a.code(), tt.status, tt.code, tt.says, a.body)
			}
		})
	}
	t.Run("not registered", func(t *testing.T) {
		fresh := newSide(t, s, "fresh", "Contributor")
		fresh.makeGroup(t)
		a := fresh.call(t, "GET", fresh.id("partnerTopics", "abc"), "")
		e := a.error()
		if a.status != 409 || e.Code != "MissingSubscriptionRegistration" || len(e.Details) != 1 || e.Details[0].Target != "Microsoft.EventGrid" || !strings.HasSuffix(e.Message, "'Microsoft.EventGrid'") {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("bad tokens", func(t *testing.T) {
		for token, code := range map[string]string{
			"": "AuthenticationFailed", "Bearer x": "InvalidAuthenticationToken",
			"Bearer " + owner.token(t, "https://eventgrid.azure.net/.default"): "InvalidAuthenticationToken",
		} {
			a, err := s.send(t.Context(), http.MethodGet, s.url+ns+namespace+"?api-version=2022-06-15", map[string]string{"Authorization": token}, nil)
			if err != nil || a.status != 401 || a.code() != code || !strings.Contains(a.header.Get("WWW-Authenticate"), `authorization_uri="`+s.url+"/"+s.tenant(t)) {
				t.Errorf("%.20s: %d %s %v %v, want 401 %s", token, a.status, a.code(), a.header["Www-Authenticate"], err, code)
			}
		}
	})
}

// TestRegions limits a server to one region.
func TestRegions(t *testing.T) {
	t.Parallel()
	s := serve(t, "--regions", "westeurope,northeurope")
	partner, _ := pair(t, s)
	a := partner.call(t, "PUT", partner.id("partnerNamespaces", "elsewhere"), fmt.Sprintf(`{"location":"eastus","properties":{"partnerRegistrationFullyQualifiedId":%q}}`,
		partner.id("partnerRegistrations", registration)))
	if a.status != 400 || a.code() != "LocationNotAvailableForResourceType" || !strings.Contains(a.error().Message, "northeurope") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
