package eventgrid

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

func namespaceBody(more string) string {
	return `{"location":"West Europe","properties":{"partnerRegistrationFullyQualifiedId":"` + registrationID.String() + `"` + more + `}}`
}

func TestPartnerNamespaceDefaults(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(registrationID, `{}`))
	w.must(w.put(namespaceID, namespaceBody(`,"endpoint":"https://forged","provisioningState":"Failed"`)))
	want := &PartnerNamespace{
		ProvisioningState: Succeeded, Registration: registrationID.String(), RoutingMode: SourceEventAttribute, PublicNetworkAccess: AccessEnabled,
	}
	if diff := cmp.Diff(want, props[PartnerNamespace](w, namespaceID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r := w.get(namespaceID)
	if k1, k2 := r.Secrets[SecretKey1], r.Secrets[SecretKey2]; len(k1) != 44 || len(k2) != 44 || k1 == k2 {
		t.Errorf("keys of %d and %d characters", len(k1), len(k2))
	}
}

func TestPartnerNamespaceEndpoint(t *testing.T) {
	w := newWorld(t).withNamespace()
	for name, c := range map[string]struct {
		view resource.View
		want string
	}{
		"by path":                    {resource.View{BaseURL: "https://127.0.0.1:8443"}, "https://127.0.0.1:8443/ns1.westeurope-1/api/events"},
		"by host":                    {resource.View{BaseURL: "https://x.example:8443", PublishDomain: "eg.example"}, "https://ns1.westeurope-1.eg.example:8443/api/events"},
		"by host, default port":      {resource.View{BaseURL: "https://x.example", PublishDomain: "eg.example"}, "https://ns1.westeurope-1.eg.example/api/events"},
		"by host, IPv6":              {resource.View{BaseURL: "https://[::1]", PublishDomain: "eg.example"}, "https://ns1.westeurope-1.eg.example/api/events"},
		"by host, IPv6 and a port":   {resource.View{BaseURL: "https://[::1]:8443", PublishDomain: "eg.example"}, "https://ns1.westeurope-1.eg.example:8443/api/events"},
		"by path, no trailing slash": {resource.View{BaseURL: "https://x"}, "https://x/ns1.westeurope-1/api/events"},
	} {
		shown, err := w.kinds[TypePartnerNamespace].Present(w.get(namespaceID), c.view)
		if err != nil || shown.(*PartnerNamespace).Endpoint != c.want {
			t.Errorf("%s: got %+v, %v", name, shown, err)
		}
	}
}

func TestPartnerNamespaceRefusals(t *testing.T) {
	w := newWorld(t).withNamespace()
	other := partnerGroup.Provider(TypePartnerNamespace, "other")
	rule := `{"ipMask":"10.0.0.0/8","action":"Allow"}`
	for name, c := range map[string]struct {
		body  string
		code  resource.Code
		texts []string
	}{
		"no registration":    {`{"location":"westeurope","properties":{}}`, resource.InvalidRequest, []string{"partnerRegistrationFullyQualifiedId"}},
		"not a registration": {strings.Replace(namespaceBody(""), "partnerRegistrations", "partnerTopics", 1), resource.InvalidRequest, []string{"not the id"}},
		"no such":            {strings.Replace(namespaceBody(""), "partnerRegistrations/reg", "partnerRegistrations/none", 1), resource.InvalidRequest, []string{"does not exist"}},
		"no location":        {strings.Replace(namespaceBody(""), "West Europe", "", 1), resource.LocationRequired, nil},
		"no region at all":   {strings.Replace(namespaceBody(""), "West Europe", "x/../api?", 1), resource.LocationNotAvailable, []string{"x/../api?"}},
		"routing mode":       {namespaceBody(`,"partnerTopicRoutingMode":"Psychic"`), resource.InvalidRequest, []string{"ChannelNameHeader"}},
		"mask":               {namespaceBody(`,"inboundIpRules":[` + rule + `,{"ipMask":"10.0.0.0/33"}]`), resource.InvalidRequest, []string{"inboundIpRules[1]", "10.0.0.0/33"}},
		"action":             {namespaceBody(`,"inboundIpRules":[{"ipMask":"10.0.0.1","action":"Deny"}]`), resource.InvalidRequest, []string{"Allow"}},
		"too many rules":     {namespaceBody(`,"inboundIpRules":[` + strings.Repeat(rule+",", 128) + rule + `]`), resource.InvalidRequest, []string{"129"}},
		"access":             {namespaceBody(`,"publicNetworkAccess":"Maybe"`), resource.InvalidRequest, []string{"SecuredByPerimeter"}},
		"tls":                {namespaceBody(`,"minimumTlsVersionAllowed":"1.3"`), resource.InvalidRequest, []string{"1.0, 1.1, 1.2"}},
		"local auth":         {namespaceBody(`,"disableLocalAuth":"yes"`), resource.InvalidRequestContent, []string{"properties.disableLocalAuth"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.wantError(w.put(other, c.body), c.code, c.texts...)
			if w.exists(other) {
				t.Error("it was created")
			}
		})
	}
}

func TestPartnerNamespaceChanges(t *testing.T) {
	w := newWorld(t).withNamespace()
	w.must(w.patch(namespaceID, `{"properties":{"publicNetworkAccess":"disabled","inboundIpRules":[{"ipMask":"192.0.2.7"}],"disableLocalAuth":true,"minimumTlsVersionAllowed":"1.2"}}`))
	p := props[PartnerNamespace](w, namespaceID)
	want := &PartnerNamespace{
		ProvisioningState: Succeeded, Registration: registrationID.String(), RoutingMode: ChannelNameHeader, PublicNetworkAccess: AccessDisabled,
		InboundIPRules: resource.List[IPRule]{{Mask: "192.0.2.7", Action: "Allow"}}, DisableLocalAuth: true, MinimumTLSVersion: "1.2",
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	keys := w.get(namespaceID).Secrets
	for _, patch := range []bool{true, false} {
		w.wantError(w.write(at(namespaceID), `{"properties":{"partnerTopicRoutingMode":"SourceEventAttribute"}}`, patch), resource.InvalidRequest, "partnerTopicRoutingMode", "ChannelNameHeader")
		w.wantError(w.write(at(namespaceID), `{"properties":{"partnerRegistrationFullyQualifiedId":"/subscriptions/x"}}`, patch), resource.InvalidRequest, "partnerRegistrationFullyQualifiedId")
	}
	w.must(w.put(namespaceID, `{"location":"westeurope","properties":{}}`))
	p = props[PartnerNamespace](w, namespaceID)
	want = &PartnerNamespace{ProvisioningState: Succeeded, Registration: registrationID.String(), RoutingMode: ChannelNameHeader, PublicNetworkAccess: AccessEnabled}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("a PUT replaces (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keys, w.get(namespaceID).Secrets); diff != "" {
		t.Error("an update changed the keys")
	}
}

func TestNamespaceNamesAreUniquePerRegion(t *testing.T) {
	w := newWorld(t).withNamespace()
	g2 := resource.GroupID(partnerSub, "rg-p2")
	same := g2.Provider(TypePartnerNamespace, "NS1")
	w.wantError(w.put(same, namespaceBody("")), resource.Conflict, "NS1", "westeurope")
	w.must(w.put(same, strings.Replace(namespaceBody(""), "West Europe", "northeurope", 1)))
}

func TestRegionsCanBeLimited(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(registrationID, `{}`))
	w.rules.Regions = []string{"northeurope", "uksouth"}
	w.wantError(w.put(namespaceID, namespaceBody("")), resource.LocationNotAvailable, "westeurope", "northeurope,uksouth")
	w.must(w.put(namespaceID, strings.Replace(namespaceBody(""), "West Europe", "UK South", 1)))
	w.rules.Regions = []string{"northeurope"}
	w.must(w.put(namespaceID, `{"location":"uksouth"}`)) // what is there stays usable
}

func TestForeignRegistrationMustBeOpen(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(registrationID, `{}`))
	theirs := customerGroup.Provider(TypePartnerNamespace, "theirs")
	w.wantError(w.put(theirs, namespaceBody("")), resource.InvalidRequest, "not open", customerSub)
	w.must(w.put(registrationID, `{"properties":{"authorizedAzureSubscriptionIds":["`+strings.ToUpper(customerSub)+`"]}}`))
	w.must(w.put(theirs, namespaceBody("")))
}

// In its own subscription, whoever may not write a registration cannot publish in its
// name either, nor find out whether it is there.
func TestWhoMayPublishUnderARegistration(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(registrationID, `{}`))
	w.authorize = func(action string, scope resource.ID) error {
		return resource.Errorf(resource.AuthorizationFailed, "%s", action)
	}
	w.wantError(w.put(namespaceID, namespaceBody("")), resource.AuthorizationFailed, TypePartnerRegistration+"/write")
	w.wantError(w.put(namespaceID, strings.Replace(namespaceBody(""), "partnerRegistrations/reg", "partnerRegistrations/none", 1)), resource.AuthorizationFailed, TypePartnerRegistration+"/write")
	w.must(w.put(registrationID, `{"properties":{"authorizedAzureSubscriptionIds":["`+partnerSub+`"]}}`))
	w.must(w.put(namespaceID, namespaceBody("")))
}

func TestNamespaceWithChannelsStays(t *testing.T) {
	w := newWorld(t).withChannel()
	w.wantError(w.delete(namespaceID), resource.Conflict, "'ch1'")
	w.must(w.delete(channelID))
	w.must(w.delete(namespaceID))
}

func TestKeys(t *testing.T) {
	w := newWorld(t).withNamespace()
	before := w.get(namespaceID).Secrets
	answer, err := w.ask(namespaceID, "listkeys", "")
	if err != nil || cmp.Diff(map[string]string{"key1": before[SecretKey1], "key2": before[SecretKey2]}, answer) != "" {
		t.Errorf("got %v, %v", answer, err)
	}
	answer, err = w.ask(namespaceID, "regeneratekey", `{"keyName":"KEY1"}`)
	after := w.get(namespaceID).Secrets
	if err != nil || after[SecretKey1] == before[SecretKey1] || after[SecretKey2] != before[SecretKey2] {
		t.Errorf("got %v, %v", answer, err)
	}
	if diff := cmp.Diff(map[string]string{"key1": after[SecretKey1], "key2": after[SecretKey2]}, answer); diff != "" {
		t.Error(diff)
	}
	for _, body := range []string{``, `{}`, `{"keyName":"key3"}`} {
		w.wantError(w.post(namespaceID, "regeneratekey", body), resource.InvalidRequest, "key1, key2")
	}
	w.wantError(w.post(namespaceID, "regeneratekey", `{"keyName":1}`), resource.InvalidRequestContent)
	if diff := cmp.Diff(after, w.get(namespaceID).Secrets); diff != "" {
		t.Error("a refused request changed the keys")
	}
}

func TestParseIPMask(t *testing.T) {
	for in, want := range map[string]string{
		"10.1.2.3/8": "10.0.0.0/8", "192.0.2.7": "192.0.2.7/32", "2001:db8::1": "2001:db8::1/128", "2001:db8::1/32": "2001:db8::/32", "0.0.0.0/0": "0.0.0.0/0",
	} {
		if p, err := ParseIPMask(in); err != nil || p.String() != want {
			t.Errorf("%s: got %v, %v", in, p, err)
		}
	}
	for _, in := range []string{"", "10.0.0.0/33", "10.0.0", "x", "10.0.0.1-10.0.0.9"} {
		if p, err := ParseIPMask(in); err == nil {
			t.Errorf("%s: got %v", in, fmt.Sprint(p))
		}
	}
}
