package arm

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

func TestErrorsOfARM(t *testing.T) {
	f := newFixture(t).partnerFlow()
	old := "?api-version=2018-01-01"
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code               resource.Code
		texts              []string
	}{
		"no api-version":        {"GET", topic + "?api-version=", ``, 400, "MissingApiVersionParameter", nil},
		"unknown api-version":   {"GET", topic + "?api-version=2031-01-01", ``, 400, "NoRegisteredProviderFound", []string{"2031-01-01", "Microsoft.EventGrid/partnerTopics", "2022-06-15"}},
		"version without it":    {"GET", topic + old, ``, 400, "NoRegisteredProviderFound", nil},
		"unknown type":          {"GET", customerRG + provider + "/flowerpots/x", ``, 404, "InvalidResourceType", []string{"'flowerpots'", "'Microsoft.EventGrid'", version}},
		"unknown collection":    {"GET", customerRG + provider + "/flowerpots", ``, 404, "InvalidResourceType", []string{"'flowerpots'"}},
		"MQTT":                  {"GET", customerRG + provider + "/namespaces/n/clients/c", ``, 404, "InvalidResourceType", nil},
		"unknown action":        {"POST", topic + "/explode", ``, 404, "InvalidResourceType", []string{"'explode'"}},
		"unknown type of ours":  {"GET", customerRG + "/providers/Microsoft.Authorization/pots/x", ``, 404, "InvalidResourceType", []string{"'Microsoft.Authorization'"}},
		"no provider at all":    {"GET", customerRG + "/providers/Flowers/pots/x", ``, 404, "InvalidResourceType", []string{"'Flowers'"}},
		"no foreign resource":   {"GET", customerRG + "/providers/Microsoft.Flowers/pots/x", ``, 404, "ResourceNotFound", []string{"'Microsoft.Flowers/pots/x'"}},
		"not an api-version":    {"GET", customerRG + "/providers/Microsoft.Flowers/pots/x?api-version=tomorrow", ``, 400, "InvalidApiVersionParameter", []string{"'tomorrow'"}},
		"odd path":              {"GET", "/subscriptions/" + customerSub + "/a/b/c", ``, 404, "InvalidResourceType", nil},
		"wrong place":           {"GET", "/subscriptions/" + customerSub + provider + "/partnerTopics/pt1", ``, 404, "InvalidResourceType", []string{"resource group"}},
		"under a resource":      {"GET", topic + provider + "/partnerTopics/pt1", ``, 404, "InvalidResourceType", nil},
		"list under a resource": {"GET", topic + provider + "/partnerTopics", ``, 404, "InvalidResourceType", nil},
		"list at the root":      {"GET", provider + "/partnerTopics", ``, 404, "InvalidResourceType", nil},
		"nested without parent": {"GET", customerRG + provider + "/channels", ``, 404, "InvalidResourceType", nil},
		// Not a request about the partner topic, however little stands behind it.
		"provider after it":    {"DELETE", topic + provider, ``, 404, "InvalidResourceType", nil},
		"subscription id":      {"GET", "/subscriptions/mine/resourceGroups/x", ``, 400, "InvalidSubscriptionId", []string{"'mine'"}},
		"no such subscription": {"GET", "/subscriptions/" + noSub, ``, 404, "SubscriptionNotFound", []string{"'" + noSub + "'"}},
		"nor anything in it":   {"GET", strings.Replace(topic, customerSub, noSub, 1), ``, 404, "SubscriptionNotFound", []string{"'" + noSub + "'"}},
		"no such group":        {"GET", strings.Replace(topic, "rg-c", "rg-9", 1), ``, 404, "ResourceGroupNotFound", []string{"'rg-9'"}},
		"delete in no group":   {"DELETE", strings.Replace(topic, "rg-c", "rg-9", 1), ``, 404, "ResourceGroupNotFound", nil},
		"list in no group":     {"GET", customerRG + "9" + provider + "/partnerTopics", ``, 404, "ResourceGroupNotFound", nil},
		"no such resource":     {"GET", strings.Replace(topic, "pt1", "pt9", 1), ``, 404, "ResourceNotFound", []string{"'Microsoft.EventGrid/partnerTopics/pt9'", "'rg-c'", "https://aka.ms/ARMResourceNotFoundFix"}},
		"no such nested one":   {"GET", eventSub + "9", ``, 404, "ResourceNotFound", []string{"'Microsoft.EventGrid/partnerTopics/eventSubscriptions/pt1/es19'"}},
		"patch of none":        {"PATCH", registration + "9", `{}`, 404, "ResourceNotFound", nil},
		"action on none":       {"POST", topic + "9/activate", ``, 404, "ResourceNotFound", nil},
		"list in no parent":    {"GET", topic + "9/eventSubscriptions", ``, 404, "ResourceNotFound", nil},
		"no parent":            {"PUT", namespace + "9/channels/ch1", channelBody("x"), 404, "ParentResourceNotFound", []string{"nested resource", "'ns19'"}},
		"created by no client": {"PUT", topic + "9", `{"location":"westeurope"}`, 400, "InvalidRequest", []string{"created by the service"}},
		"name":                 {"PUT", partnerRG + provider + "/partnerRegistrations/a_b", `{}`, 400, "InvalidRequest", []string{"'a_b'", "3 to 50"}},
		"config name":          {"PUT", strings.Replace(config, "default", "other", 1), `{}`, 400, "InvalidRequest", []string{"'default'"}},
		"no location":          {"PUT", namespace + "9", `{}`, 400, "LocationRequired", nil},
		"another location":     {"PUT", namespace, `{"location":"northeurope"}`, 409, "InvalidResourceLocation", []string{"'ns1'", "'westeurope'", "'northeurope'"}},
		"wrong verb":           {"PUT", customerRG + provider + "/partnerTopics", `{}`, 405, "HttpMethodNotAllowed", []string{"'PUT'"}},
		"wrong verb on one":    {"OPTIONS", topic, ``, 405, "HttpMethodNotAllowed", nil},
		"post on one":          {"POST", topic + "/", ``, 405, "HttpMethodNotAllowed", nil},
		"delete a collection":  {"DELETE", topic + "/eventSubscriptions", ``, 405, "HttpMethodNotAllowed", nil},
		"in use":               {"DELETE", namespace, ``, 409, "Conflict", []string{"'ch1'"}},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			a := f.do("owner", c.method, c.path, c.body).wantError(c.status, c.code, c.texts...)
			if c.status == 405 && a.header.Get("Allow") == "" {
				t.Error("no Allow header")
			}
			if gateway := a.header.Get("X-Ms-Failure-Cause") == "gateway"; gateway != gatewayErrors[c.code] {
				t.Errorf("failure cause: %v", a.header)
			}
		})
	}
	f.t = t
	f.get("owner", topic).want(200)
}

func TestPartnerNotAuthorizedOverHTTP(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.post("owner", config+"/unauthorizePartner", `{"partnerName":"NORTHWAVE"}`).want(200)
	f.put("owner", namespace+"/channels/ch2", channelBody("pt2")).wantError(403, "PartnerNotAuthorized", "rg-c", customerSub)
	f.delete("owner", channel).wantError(403, "PartnerNotAuthorized")
	f.get("owner", channel).want(200)
}

func TestWebhookRefusalOverHTTP(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.hooks.fail = errors.New("It answered 404.")
	a := f.put("owner", eventSub, hookBody).wantError(400, "Url validation", "https://erp.example/hook", "aka.ms/esvalidation")
	if strings.Contains(a.raw, "secret") {
		t.Errorf("the secret of the URL is shown: %s", a.raw)
	}
}

// Clients register the provider by themselves when they find its name as the
// last quoted word (Python) or as the target of the detail (Go).
func TestMissingRegistrationIsReadByClients(t *testing.T) {
	f := newFixture(t)
	f.post("owner", "/subscriptions/"+customerSub+provider+"/unregister", ``).want(200)
	for _, a := range []*answer{f.put("owner", config, `{}`), f.get("owner", config), f.delete("owner", config), f.post("owner", topic+"/activate", ""), f.get("owner", customerRG+provider+"/partnerTopics")} {
		a.wantError(409, "MissingSubscriptionRegistration", customerSub)
		message, _ := a.at("error", "message").(string)
		words := strings.Split(message, "'")
		if len(words) < 3 || words[len(words)-2] != eventgrid.Namespace {
			t.Errorf("last quoted word of %q", message)
		}
		want := []any{map[string]any{"code": "MissingSubscriptionRegistration", "target": eventgrid.Namespace, "message": message}}
		if diff := cmp.Diff(want, a.at("error", "details")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f.post("owner", "/subscriptions/"+customerSub+provider+"/register", ``).want(200)
	f.put("owner", config, `{}`).want(200)
}

func TestErrorEnvelope(t *testing.T) {
	f := newFixture(t).partnerFlow()
	a := f.put("owner", eventSub, `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://x"}},"filter":{"advancedFilters":[{"operatorType":"StringIn","key":"x","values":5}]}}}`)
	a.wantError(400, "InvalidRequest")
	if a.at("error", "target") == nil {
		t.Errorf("the filter is not named: %s", a.raw)
	}
	plain := f.get("owner", topic+"9")
	if diff := cmp.Diff([]string{"code", "message"}, keys(plain.at("error"))); diff != "" || len(plain.body) != 1 {
		t.Errorf("members: %s %s", diff, plain.raw)
	}
}

// cancelledStore is a store that gives up because its caller did.
type cancelledStore struct{ Store }

func (cancelledStore) Commit(ctx context.Context, _ func(resource.Tx) error) error { return ctx.Err() }

// A handler that writes nothing is a 200: of all answers the wrong one for a
// write that was given up.
func TestCancelledWriteIsNoSuccess(t *testing.T) {
	f := newFixture(t)
	f.Store = cancelledStore{f.Store}
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPut, base+partnerRG+"?api-version="+version, strings.NewReader(`{"location":"westus"}`))
	r.Header.Set("Authorization", "Bearer "+f.token("owner", "https://management.azure.com/"))
	cancel()
	f.send(r).wantError(503, "ServiceUnavailable")
}
