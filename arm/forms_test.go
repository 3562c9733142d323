package arm

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	customerID  = "/subscriptions/" + customerSub
	customTopic = customerRG + provider + "/topics/topic1"
	domain      = customerRG + provider + "/domains/domain1"
	domainTopic = domain + "/topics/tenant1"
	storage     = customerRG + "/providers/Microsoft.Storage/storageAccounts/acc1"
	systemTopic = customerRG + provider + "/systemTopics/blobs"
)

// topics makes one of every kind of topic beside the partner topic.
func (f *fixture) topics() *fixture {
	f.t.Helper()
	f.partnerFlow()
	f.delete("owner", eventSub).want(200)
	f.put("owner", customTopic, `{"location":"westeurope"}`).want(201)
	f.put("owner", domain, `{"location":"northeurope"}`).want(201)
	f.put("owner", domainTopic, ``).want(201)
	f.put("owner", systemTopic, `{"location":"westeurope","properties":{"source":"`+storage+`","topicType":"Microsoft.Storage.StorageAccounts"}}`).want(200)
	return f
}

// forms are all ways to an event subscription: what it hangs on, and by which
// types roles know it.
var forms = map[string]struct{ scope, path, typ, stored string }{
	"topic":              {customTopic, customTopic + "/eventSubscriptions/", eventgrid.TypeTopicEventSubscription, customTopic},
	"domain":             {domain, domain + "/eventSubscriptions/", eventgrid.TypeDomainEventSubscription, domain},
	"domain topic":       {domainTopic, domainTopic + "/eventSubscriptions/", eventgrid.TypeDomainTopicEventSubscription, domainTopic},
	"system topic":       {systemTopic, systemTopic + "/eventSubscriptions/", eventgrid.TypeSystemTopicEventSubscription, systemTopic},
	"partner topic":      {topic, topic + "/eventSubscriptions/", eventgrid.TypePartnerTopicEventSubscription, topic},
	"on a topic":         {customTopic, customTopic + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, customTopic},
	"on a domain":        {domain, domain + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, domain},
	"on a domain topic":  {domainTopic, domainTopic + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, domainTopic},
	"on a system topic":  {systemTopic, systemTopic + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, systemTopic},
	"on a partner topic": {topic, topic + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, topic},
	"on a resource":      {storage, storage + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, systemTopic},
	"on a group":         {customerRG, customerRG + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, ""},
	"on a subscription":  {customerID, customerID + provider + "/eventSubscriptions/", eventgrid.TypeEventSubscription, ""},
}

// encoded is a path as the SDKs for Python and JavaScript send some scopes.
func encoded(path string) string {
	i := strings.LastIndex(path, "/providers/")
	return "/" + strings.ReplaceAll(path[:i], "/", "%2F") + path[i:]
}

// Every form times every verb.
func TestEveryWayToAnEventSubscription(t *testing.T) {
	whole := newFixture(t).topics()
	state := whole.store.view()
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			f := whole
			f.t = t
			f.store.replace(state)
			path := form.path + "Es-1"
			check := func(a *answer) {
				t.Helper()
				scope := strings.TrimSuffix(strings.TrimSuffix(path, "/eventSubscriptions/Es-1"), provider)
				got := map[string]any{"id": a.at("id"), "name": a.at("name"), "type": a.at("type"), "topic": strings.ToLower(a.at("properties", "topic").(string)), "state": a.at("properties", "provisioningState")}
				want := map[string]any{"id": path, "name": "Es-1", "type": form.typ, "topic": strings.ToLower(scope), "state": "Succeeded"}
				if name == "system topic" {
					want["topic"] = got["topic"] // shows the source or the topic: the kind's affair
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", a.what, diff)
				}
			}
			f.get("owner", path).wantError(404, "ResourceNotFound")
			f.patch("owner", path, `{"labels":["x"]}`).wantError(404, "ResourceNotFound")
			f.post("owner", path+"/getFullUrl", "").wantError(404, "ResourceNotFound")
			f.delete("owner", path).want(204)
			check(f.put("owner", path, hookBody).want(201))
			check(f.put("owner", path, hookBody).want(201))
			check(f.get("owner", path).want(200))
			check(f.get("owner", strings.ToUpper(path)).want(200))
			check(f.get("owner", "/"+path).want(200))
			check(f.get("owner", encoded(path)).want(200))
			f.do("owner", "HEAD", path, "").want(204)
			check(f.patch("owner", path, `{"labels":["x"]}`).want(201))
			if a := f.post("owner", path+"/getFullUrl", "").want(200); a.at("endpointUrl") != "https://erp.example/hook?code=secret" {
				t.Errorf("got %s", a.raw)
			}
			if a := f.post("owner", path+"/getDeliveryAttributes", "").want(200); a.at("value") == nil {
				t.Errorf("got %s", a.raw)
			}
			f.post("owner", path+"/getDeliveryStatus", "").want(200)
			f.post("owner", path+"/explode", "").wantError(404, "InvalidResourceType")
			f.do("owner", "OPTIONS", path, "").wantError(405, "HttpMethodNotAllowed")
			if form.stored != "" { // the other way there
				other := form.stored + "/eventSubscriptions/es-1"
				if a := f.get("owner", other).want(200); a.at("name") != "Es-1" || !strings.EqualFold(a.at("id").(string), other) {
					t.Errorf("got %s", a.raw)
				}
				ext := form.scope + provider + "/eventSubscriptions/es-1"
				if a := f.get("owner", ext).want(200); a.at("name") != "Es-1" || a.at("type") != eventgrid.TypeEventSubscription {
					t.Errorf("got %s", a.raw)
				}
				f.put("owner", ext, hookBody).want(201)
				if n := len(f.store.view().List("", resource.ID{})) - len(state); n != 1 {
					t.Errorf("%d resources more than before", n)
				}
			}
			f.delete("owner", path).want(200)
			f.delete("owner", path).want(204)
			f.get("owner", path).wantError(404, "ResourceNotFound")
			if n := len(f.store.view()) - len(state); n > 1 { // the default group stays
				t.Errorf("%d resources are left", n)
			}
		})
	}
}

// A source gets its system topic with its first subscription and loses it with
// the last.
func TestSystemTopicsThatComeUnasked(t *testing.T) {
	f := newFixture(t)
	queue := customerRG + "/providers/Microsoft.ServiceBus/namespaces/Bus1"
	for scope, group := range map[string]string{queue: customerRG, customerRG: customerRG, customerID: customerID + "/resourceGroups/Default-EventGrid"} {
		at := scope + provider
		f.get("owner", at+"/extensionTopics/default").wantError(404, "ResourceNotFound")
		f.put("owner", at+"/eventSubscriptions/es1", hookBody).want(201)
		f.put("owner", strings.ToLower(at)+"/eventSubscriptions/es2", hookBody).want(201)
		a := f.get("owner", encoded(at+"/extensionTopics/default")).want(200)
		st, _ := a.at("properties", "systemTopic").(string)
		want := map[string]any{"id": at + "/extensionTopics/default", "name": "default", "type": "Microsoft.EventGrid/extensionTopics"}
		got := map[string]any{"id": a.at("id"), "name": a.at("name"), "type": a.at("type")}
		if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(st, group+provider+"/systemTopics/") {
			t.Errorf("%s: %s %s", scope, diff, a.raw)
		}
		if a := f.get("owner", st).want(200); a.at("properties", "source") != scope {
			t.Errorf("got %s", a.raw)
		}
		if diff := cmp.Diff([]string{"es1", "es2"}, f.get("owner", st+"/eventSubscriptions").want(200).names()); diff != "" {
			t.Error(diff)
		}
		f.delete("owner", at+"/eventSubscriptions/es1").want(200)
		f.get("owner", st).want(200)
		f.delete("owner", at+"/eventSubscriptions/es2").want(200)
		f.get("owner", st).want(404)
		f.get("owner", at+"/extensionTopics/default").wantError(404, "ResourceNotFound")
	}
	f.do("owner", "PUT", customerRG+provider+"/extensionTopics/default", `{}`).wantError(405, "HttpMethodNotAllowed")
	f.get("owner", customerRG+provider+"/extensionTopics").wantError(404, "InvalidResourceType")
	f.put("owner", customTopic, `{"location":"westeurope"}`).want(201)
	f.get("owner", customTopic+provider+"/extensionTopics/default").wantError(404, "ResourceNotFound")
}

func TestScopesThatAreNotThere(t *testing.T) {
	f := newFixture(t).topics()
	noGroup, noSubscription := customerID+"/resourceGroups/rg-9", "/subscriptions/"+noSub
	for scope, code := range map[string]resource.Code{
		noSubscription: "SubscriptionNotFound", noSubscription + "/resourceGroups/x": "SubscriptionNotFound", noGroup: "ResourceGroupNotFound",
		noGroup + "/providers/Microsoft.Storage/storageAccounts/a": "ResourceGroupNotFound",
	} {
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			f.do("owner", method, scope+provider+"/eventSubscriptions/es1", hookBody).wantError(404, code)
		}
		f.get("owner", scope+provider+"/eventSubscriptions").wantError(404, code)
		f.get("owner", scope+provider+"/extensionTopics/default").wantError(404, code)
		f.get("owner", scope+provider+"/eventTypes").wantError(404, code)
	}
	for _, scope := range []string{customTopic + "9", domain + "9", domain + "9/topics/x", systemTopic + "9", topic + "9"} {
		f.put("owner", scope+provider+"/eventSubscriptions/es1", hookBody).want(404)
		for _, method := range []string{"GET", "PATCH"} {
			f.do("owner", method, scope+provider+"/eventSubscriptions/es1", hookBody).wantError(404, "ResourceNotFound")
		}
		f.delete("owner", scope+provider+"/eventSubscriptions/es1").want(204)
		f.get("owner", scope+provider+"/eventSubscriptions").wantError(404, "ResourceNotFound")
		f.get("owner", scope+"/eventSubscriptions").wantError(404, "ResourceNotFound")
	}
	// The domain makes its topics when they are first subscribed to.
	f.put("owner", domain+"/topics/fresh"+provider+"/eventSubscriptions/es1", hookBody).want(201)
	f.get("owner", domain+"/topics/fresh").want(200)
	f.delete("owner", domain+"/topics/fresh"+provider+"/eventSubscriptions/es1").want(200)
	f.get("owner", domain+"/topics/fresh").wantError(404, "ResourceNotFound")
	// What raises no events is no scope, there or not.
	for _, scope := range []string{namespace, customerRG + provider + "/flowers/x", storage + "/blobServices/default", customerRG + "/providers/Microsoft.Flowers/pots/x"} {
		if a := f.put("owner", scope+provider+"/eventSubscriptions/es1", hookBody); a.status != 400 && a.status != 404 {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
	}
	f.put("owner", provider+"/eventSubscriptions/es1", hookBody).wantError(404, "InvalidResourceType", "subscription")
	f.get("owner", provider+"/eventSubscriptions").wantError(404, "InvalidResourceType")
}

// A refused write leaves nothing behind: no system topic, no group, no domain
// topic.
func TestRefusedWritesMakeNoTopics(t *testing.T) {
	f := newFixture(t).topics()
	before := len(f.store.view())
	for _, at := range []string{customerID, customerRG + "/providers/Microsoft.ServiceBus/namespaces/b", domain + "/topics/fresh"} {
		f.put("owner", at+provider+"/eventSubscriptions/es1", `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":""}}}}`).want(400)
		f.put("owner", at+provider+"/eventSubscriptions/a_b", hookBody).wantError(400, "InvalidRequest", "a_b")
		f.hooks.fail = errors.New("it said no")
		f.put("owner", at+provider+"/eventSubscriptions/es1", hookBody).wantError(400, "Url validation")
		f.hooks.fail = nil
	}
	if n := len(f.store.view()) - before; n != 0 {
		t.Errorf("%d resources came of refused requests", n)
	}
}

// The link by which an endpoint consents speaks of what was then stored, by
// whichever way the subscription was made; and whoever made it can follow it.
func TestConsentByEveryWay(t *testing.T) {
	whole := newFixture(t).topics()
	whole.role("sub", access.RoleEventSubscriptionContributor, customerID)
	whole.role("all", access.RoleContributor, customerID)
	whole.role("keys", access.RoleEventGridDataSender, customerID)
	state := whole.store.view()
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			f := whole
			f.t = t
			f.store.replace(state)
			f.hooks.granted = false
			who := "all"
			if form.typ == eventgrid.TypeEventSubscription {
				who = "sub"
			}
			a := f.put(who, form.path+"es1", hookBody).want(201)
			poll := strings.TrimPrefix(a.header.Get("Azure-AsyncOperation"), base)
			if a.at("properties", "provisioningState") != "AwaitingManualAction" || poll == "" {
				t.Fatalf("got %v %s", a.header, a.raw)
			}
			if a := f.get(who, poll).want(200); a.at("status") != "InProgress" {
				t.Errorf("got %s", a.raw)
			}
			f.get("keys", poll).wantError(404, "ResourceNotFound")
			f.open("GET", f.link()).want(200)
			if a := f.get(who, poll).want(200); a.at("status") != "Succeeded" {
				t.Errorf("got %s", a.raw)
			}
			if a := f.get(who, form.path+"es1").want(200); a.at("properties", "provisioningState") != "Succeeded" {
				t.Errorf("got %s", a.raw)
			}
		})
	}
}

func TestPathsThatAreNoText(t *testing.T) {
	f := newFixture(t)
	for _, bad := range []string{"a%FFb", "a%00b", "a%0Ab", "a%7Fb"} {
		r := httptest.NewRequest(http.MethodPut, base+customerRG+"/providers/Microsoft.ServiceBus/namespaces/"+bad+provider+"/eventSubscriptions/es1?api-version="+version, strings.NewReader(hookBody))
		r.Header.Set("Authorization", "Bearer "+f.token("owner", base))
		f.send(r).wantError(400, "InvalidRequest", "plain text")
	}
	f.get("owner", "/subscriptions/"+strings.Repeat("x/", 5000)).wantError(400, "InvalidRequest", "at most 8192")
	path := customerRG + "/providers/Microsoft.ServiceBus/namespaces/" + url.PathEscape("größe") + provider + "/eventSubscriptions/es1"
	if a := f.put("owner", path, hookBody).want(201); !strings.Contains(a.at("id").(string), "größe") {
		t.Errorf("got %s", a.raw)
	}
}

func TestVersionsOfTheExtensionForm(t *testing.T) {
	f := newFixture(t).topics()
	path := customTopic + provider + "/eventSubscriptions/es1"
	f.put("owner", path+"?api-version=2018-01-01", hookBody).want(201)
	f.get("owner", customTopic+"/eventSubscriptions/es1?api-version=2018-01-01").wantError(400, "NoRegisteredProviderFound")
	f.get("owner", path+"?api-version=2031-01-01").wantError(400, "NoRegisteredProviderFound", "Microsoft.EventGrid/eventSubscriptions")
	f.get("owner", customerRG+provider+"/locations/westeurope/eventSubscriptions?api-version=2031-01-01").wantError(400, "NoRegisteredProviderFound")
	types, _ := f.get("owner", customerID+provider).want(200).at("resourceTypes").([]any)
	listed := map[string]bool{}
	for _, v := range types {
		m, _ := v.(map[string]any)
		name, _ := m["resourceType"].(string)
		listed[name] = true
	}
	for _, want := range []string{"eventSubscriptions", "extensionTopics", "topics", "domains/topics", "systemTopics/eventSubscriptions"} {
		if !listed[want] {
			t.Errorf("%s is not among %v", want, listed)
		}
	}
}
