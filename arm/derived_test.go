package arm

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
)

func TestPrivateLinkResources(t *testing.T) {
	f := newFixture(t)
	f.put("owner", customTopic, `{"location":"westeurope"}`).want(201)
	f.role("reader", access.RoleReader, customTopic)
	f.principal("anybody")
	links := customTopic + "/privateLinkResources"
	const want = `{"id":"` + customTopic + `/privateLinkResources/topic","name":"topic","type":"Microsoft.EventGrid/topics/privateLinkResources",` +
		`"properties":{"groupId":"topic","displayName":"Event Grid topic","requiredMembers":["topic"],"requiredZoneNames":["privatelink.eventgrid.azure.net"]}}`
	for _, who := range []string{"owner", "reader"} {
		if got := f.get(who, links).want(200).raw; strings.TrimSpace(got) != `{"value":[`+want+`]}` {
			t.Errorf("got %s", got)
		}
		if got := f.get(who, strings.ToUpper(links)+"/TOPIC").want(200).raw; strings.TrimSpace(got) != want {
			t.Errorf("got %s", got)
		}
	}
	if diff := cmp.Diff([]string{}, f.get("owner", links+"?$filter="+url.QueryEscape("name ne 'topic'")).want(200).names()); diff != "" {
		t.Error(diff)
	}
	for _, path := range []string{links, links + "/topic", links + "/none", strings.Replace(links, "topic1", "never", 1)} {
		f.get("anybody", path).wantError(403, "AuthorizationFailed", "Microsoft.EventGrid/topics/privateLinkResources/read")
		f.get("", path).wantError(401, "AuthenticationFailed")
	}
	f.get("owner", links+"/none").wantError(404, "ResourceNotFound", "none")
	for _, path := range []string{"", "/topic"} {
		f.get("owner", strings.Replace(links, "topic1", "never", 1)+path).wantError(404, "ResourceNotFound", "never")
		f.get("owner", strings.Replace(links, "rg-c", "never", 1)+path).wantError(404, "ResourceGroupNotFound")
		f.get("owner", links+path+"?api-version=2019-01-01").wantError(400, "NoRegisteredProviderFound", "topics/privateLinkResources")
		f.put("owner", links+path, "{}").wantError(405, "HttpMethodNotAllowed")
	}
	f.get("owner", links+"?$top=0").wantError(400, "InvalidRequest", "$top")
	f.post("owner", links+"/topic/reconcile", "").wantError(404, "InvalidResourceType", "no action 'reconcile'")
	f.get("owner", "/subscriptions/"+customerSub+provider+"/topics/topic1/privateLinkResources").wantError(404, "InvalidResourceType")
	f.get("owner", customTopic+provider+"/privateLinkResources").wantError(404, "InvalidResourceType")
}

func TestPerimeterConfigurations(t *testing.T) {
	f := newFixture(t)
	f.put("owner", customTopic, `{"location":"westeurope"}`).want(201)
	f.role("reader", access.RoleReader, customTopic)
	at, version := customTopic+"/networkSecurityPerimeterConfigurations", "?api-version=2025-07-15-preview"
	if got := f.get("owner", at+version).want(200).raw; strings.TrimSpace(got) != `{"value":[]}` {
		t.Errorf("got %s", got)
	}
	one := at + "/" + guid1 + ".default"
	f.get("owner", one+version).wantError(404, "ResourceNotFound", guid1)
	f.post("owner", one+"/reconcile"+version, "").wantError(404, "ResourceNotFound", guid1)
	f.post("reader", one+"/reconcile"+version, "").wantError(403, "AuthorizationFailed", "networkSecurityPerimeterConfigurations/reconcile/action")
	f.post("owner", one+"/other"+version, "").wantError(404, "InvalidResourceType", "other")
	f.get("owner", one+"/reconcile"+version).wantError(405, "HttpMethodNotAllowed")
	f.get("owner", at).wantError(400, "NoRegisteredProviderFound")
}

// The older gallery is anybody's to read, and has ids of its own form.
func TestPartnerTopicTypes(t *testing.T) {
	f := newFixture(t)
	f.principal("anybody")
	for _, name := range []string{"b", "A", "C"} {
		f.put("owner", registration+name, `{"properties":{"partnerName":"P`+name+`","partnerResourceTypeName":"`+name+`","visibilityState":"PublicPreview"}}`).want(200)
	}
	const at, version = provider + "/partnerTopicTypes", "?api-version=2020-04-01-preview"
	a := f.get("anybody", at+version).want(200)
	if diff := cmp.Diff([]string{"A", "b", "C"}, a.names()); diff != "" || !strings.Contains(a.raw, `"id":"providers/Microsoft.EventGrid/partnerTopicTypes/A"`) {
		t.Errorf("(-want +got):\n%s\n%s", diff, a.raw)
	}
	if got := f.get("anybody", at+"/a"+version).want(200).at("properties", "partnerName"); got != "PA" {
		t.Errorf("got %v", got)
	}
	a = f.get("anybody", at+version+"&$top=2")
	next, _ := a.at("nextLink").(string)
	if diff := cmp.Diff([]string{"C"}, f.get("anybody", strings.TrimPrefix(next, base)).want(200).names()); diff != "" {
		t.Errorf("%s: %s", next, diff)
	}
	f.get("anybody", at+"/none"+version).wantError(404, "ResourceNotFound")
	f.get("anybody", at).wantError(400, "NoRegisteredProviderFound")
	f.get("", at+version).wantError(401, "AuthenticationFailed")
	f.get("owner", customerRG+at+version).wantError(404, "InvalidResourceType", "no subscription")
	f.get("owner", customerRG+at+"/a"+version).wantError(404, "InvalidResourceType", "no subscription")
}

func TestProviderDocumentKnowsEverythingThatIsServed(t *testing.T) {
	f := newFixture(t)
	known := make(map[string]map[string]any)
	types, _ := f.get("owner", provider).want(200).at("resourceTypes").([]any)
	for _, v := range types {
		m, _ := v.(map[string]any)
		name, _ := m["resourceType"].(string)
		known[name] = m
	}
	for name, want := range map[string]string{
		"operations": "2025-02-15", "verifiedPartners": "2025-02-15", "partnerTopicTypes": "2020-10-15-preview", "topics/privateLinkResources": "2025-02-15",
		"topics/networkSecurityPerimeterConfigurations": "2025-07-15-preview", "partnerNamespaces/privateEndpointConnections": "2025-02-15",
	} {
		if got := known[name]["defaultApiVersion"]; got != want {
			t.Errorf("%s: default %v, want %s", name, got, want)
		}
	}
	for _, name := range []string{"verifiedPartners", "partnerTopicTypes"} {
		if diff := cmp.Diff([]any{}, known[name]["locations"]); diff != "" {
			t.Errorf("%s is somewhere: %s", name, diff)
		}
	}
	for _, types := range []map[string]bool{typesOf(f.kinds), typesOf(f.extensions), typesOf(f.derived)} {
		for typ := range types {
			found := false
			for name := range known {
				found = found || strings.EqualFold(typ, "Microsoft.EventGrid/"+name)
			}
			if !found {
				t.Errorf("no %s", typ)
			}
		}
	}
}

func typesOf[T any](m map[string]T) map[string]bool {
	types := make(map[string]bool)
	for key := range m {
		types[key] = true
	}
	return types
}
