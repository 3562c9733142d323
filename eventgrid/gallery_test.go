package eventgrid

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

const auth0 = "804a11ca-ce9b-4158-8e94-3c8dc7a072ec"

func galleryID(name string) resource.ID { return resource.ID{}.Provider(TypeVerifiedPartner, name) }

func galleryBody(more string) string {
	return `{"properties":{"partnerRegistrationImmutableId":"` + strings.ToUpper(auth0) + `","organizationName":"Northwave Commerce AB","partnerDisplayName":"Northwave",` +
		`"partnerTopicDetails":{"description":"Order events","longDescription":"Streams order events.","setupUri":"https://console.northwave.example/azure"}` + more + `}}`
}

func TestVerifiedPartner(t *testing.T) {
	w := newWorld(t)
	id := galleryID("Northwave")
	w.must(w.put(id, galleryBody(`,"logoUri":"https://northwave.example/logo.svg","provisioningState":"Failed"`)))
	const want = `{"partnerRegistrationImmutableId":"` + auth0 + `","organizationName":"Northwave Commerce AB","partnerDisplayName":"Northwave",` +
		`"partnerTopicDetails":{"description":"Order events","longDescription":"Streams order events.","setupUri":"https://console.northwave.example/azure"},` +
		`"logoUri":"https://northwave.example/logo.svg","verified":true,"provisioningState":"Succeeded"}`
	if got := w.show(id, resource.ID{}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if id.String() != "/providers/Microsoft.EventGrid/verifiedPartners/Northwave" {
		t.Errorf("id %s", id)
	}
	w.must(w.put(galleryID("SAP"), galleryBody(`,"verified":false`)))
	w.must(w.put(galleryID("Auth0"), galleryBody("")))
	names := func() (all []string) {
		for _, r := range VerifiedPartners(w.all) {
			all = append(all, r.ID.Name())
		}
		return all
	}
	if diff := cmp.Diff([]string{"Auth0", "Northwave"}, names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.must(w.patch(galleryID("SAP"), `{"properties":{"verified":true,"organizationName":"SAP SE"}}`))
	w.must(w.delete(galleryID("Auth0")))
	if diff := cmp.Diff([]string{"Northwave", "SAP"}, names()); diff != "" || props[VerifiedPartner](w, galleryID("SAP")).OrganizationName != "SAP SE" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, ok := range map[string]bool{"Auth0": true, "Tribal Group": true, "x": true, "": false, "../x": false, "a/b": false, " a": false, "a.": false, strings.Repeat("a", 50): true, strings.Repeat("a", 51): false} {
		if _, err := VerifiedPartnerID(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestVerifiedPartnerRefusals(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ä", n) }
	for name, c := range map[string]struct{ properties, text string }{
		"no id":            {`{}`, "partnerRegistrationImmutableId '' is not a GUID; it is the id of the partner's registration."},
		"id":               {`{"partnerRegistrationImmutableId":"x"}`, "partnerRegistrationImmutableId 'x' is not a GUID"},
		"organization":     {`{"partnerRegistrationImmutableId":"` + auth0 + `","organizationName":"` + long(257) + `"}`, "organizationName has 257 characters; at most 256 are allowed."},
		"description":      {`{"partnerRegistrationImmutableId":"` + auth0 + `","partnerTopicDetails":{"description":"` + long(257) + `"}}`, "partnerTopicDetails.description has 257 characters; at most 256 are allowed."},
		"long description": {`{"partnerRegistrationImmutableId":"` + auth0 + `","partnerDestinationDetails":{"longDescription":"` + long(2049) + `"}}`, "partnerDestinationDetails.longDescription has 2049 characters; at most 2048 are allowed."},
		"set-up":           {`{"partnerRegistrationImmutableId":"` + auth0 + `","partnerTopicDetails":{"setupUri":"javascript:alert(1)"}}`, "partnerTopicDetails.setupUri 'javascript:alert(1)' is not a web address"},
		"logo":             {`{"partnerRegistrationImmutableId":"` + auth0 + `","logoUri":"/logo.svg"}`, "logoUri '/logo.svg' is not a web address"},
	} {
		w := newWorld(t)
		w.wantError(w.put(galleryID("x"), `{"properties":`+c.properties+`}`), resource.InvalidRequest, c.text)
		var p VerifiedPartner // as from a file
		w.must(json.Unmarshal([]byte(c.properties), &p))
		w.wantError(p.Check(), resource.InvalidRequest, c.text)
		if w.exists(galleryID("x")) {
			t.Errorf("%s: created", name)
		}
	}
}

// A partner that is listed has shown itself; one that is hidden stays so.
func TestPartnerTopicTypes(t *testing.T) {
	w := newWorld(t)
	register := func(name, properties string) string {
		id := partnerGroup.Provider(TypePartnerRegistration, name)
		w.must(w.put(id, `{"properties":`+properties+`}`))
		return props[PartnerRegistration](w, id).ImmutableID
	}
	register("hidden", `{"partnerName":"Nobody","partnerResourceTypeName":"Secret"}`)
	shown := register("shown", `{"partnerName":"Northwave","partnerResourceTypeName":"Northwave.Orders","partnerResourceTypeDescription":"Orders","visibilityState":"PublicPreview"}`)
	twin := register("twin", `{"partnerName":"Twin","partnerResourceTypeName":"northwave.orders","visibilityState":"GenerallyAvailable"}`)
	register("bare", `{"visibilityState":"GenerallyAvailable"}`)
	w.must(w.put(galleryID("Northwave"), strings.Replace(galleryBody(`,"logoUri":"https://northwave.example/l.svg"`), strings.ToUpper(auth0), shown, 1)))
	w.must(w.put(galleryID("Auth0"), galleryBody(`,"verified":false`)))
	w.must(w.put(galleryID("Takes"), `{"properties":{"partnerRegistrationImmutableId":"11111111-1111-4111-8111-111111111111","partnerDestinationDetails":{}}}`))
	var derived *Derived
	for _, d := range AllDerived() {
		if d.Type == TypePartnerTopicType {
			derived = d
		}
	}
	if diff := cmp.Diff([]string{"2020-04-01-preview", "2020-10-15-preview"}, derived.Versions); diff != "" || derived.Parent != "" {
		t.Errorf("versions %s", diff)
	}
	items, err := derived.Items(w.all, nil)
	w.must(err)
	if len(items) != 4 {
		t.Fatalf("%d items: %+v", len(items), items)
	}
	i, ok := ItemOf(items, "AUTH0")
	if data, _ := json.Marshal(i); !ok || string(data) != `{"id":"providers/Microsoft.EventGrid/partnerTopicTypes/Auth0","name":"Auth0","type":"Microsoft.EventGrid/partnerTopicTypes",`+
		`"properties":{"partnerRegistrationImmutableId":"`+auth0+`","partnerName":"Northwave Commerce AB","topicTypeName":"Auth0","displayName":"Northwave","description":"Order events",`+
		`"setupUri":"https://console.northwave.example/azure","authorizationState":"NotApplicable"}}` {
		t.Errorf("got %s", data)
	}
	first, second := shown, twin
	names := [2]string{"Northwave.Orders", "northwave.orders"}
	if twin < shown {
		first, second, names = twin, shown, [2]string{"northwave.orders", "Northwave.Orders"}
	}
	byID := map[string]string{}
	for _, i := range items {
		p := i.Properties.(*PartnerTopicType)
		byID[p.ImmutableID] = i.Name
		if p.ImmutableID == shown && (p.Description != "Orders" || p.SetupURI != "https://console.northwave.example/azure" || p.LogoURI == "" || p.PartnerName != "Northwave") {
			t.Errorf("the gallery does not fill the gaps: %+v", p)
		}
	}
	if byID[first] != names[0] || byID[second] != names[1]+"-"+second {
		t.Errorf("names %v", byID)
	}
	if _, ok := ItemOf(items, "bare"); !ok {
		t.Error("a registration without a type name is not listed under its own")
	}
	if _, ok := ItemOf(items, "Takes"); ok {
		t.Error("a partner that only takes events is listed")
	}
}

// The texts are made of the names, and every kind is in it.
func TestOperations(t *testing.T) {
	rules := newWorld(t).rules
	all := rules.Operations()
	byName := map[string]Operation{}
	for i, o := range all {
		if i > 0 && !strings.EqualFold(all[i-1].Name, o.Name) && strings.ToLower(all[i-1].Name) > strings.ToLower(o.Name) {
			t.Errorf("%s stands after %s", o.Name, all[i-1].Name)
		}
		if d := o.Display; d.Provider == "" || d.Resource == "" || d.Operation == "" || d.Description == "" || o.Origin == "" {
			t.Errorf("%s: %+v", o.Name, d)
		}
		if _, twice := byName[strings.ToLower(o.Name)]; twice {
			t.Errorf("%s is there twice", o.Name)
		}
		byName[strings.ToLower(o.Name)] = o
	}
	for _, k := range rules.Kinds() {
		for _, verb := range []string{"read", "write", "delete"} {
			if byName[strings.ToLower(k.Type)+"/"+verb].Name != k.Type+"/"+verb {
				t.Errorf("no %s of %s", verb, k.Type)
			}
		}
		for lower, a := range k.Actions {
			if strings.ToLower(a.Name) != lower || byName[strings.ToLower(k.Type+"/"+a.Name)+"/action"].Name != k.Type+"/"+a.Name+"/action" {
				t.Errorf("no action %s (%s) of %s", lower, a.Name, k.Type)
			}
		}
	}
	data := []string{}
	for _, o := range all {
		if o.IsDataAction {
			data = append(data, strings.TrimPrefix(o.Name, Namespace+"/"))
		}
	}
	if diff := cmp.Diff([]string{"events/receive/action", "events/send/action", "topicSpaces/publish/action", "topicSpaces/subscribe/action"}, data); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"partnerTopics/activate/action": `{"name":"Microsoft.EventGrid/partnerTopics/activate/action","display":{"provider":"Microsoft Event Grid","resource":"Partner topic","operation":"Activate partner topic",` +
			`"description":"Performs the action activate on one partner topic"},"origin":"UserAndSystem","isDataAction":false,"properties":null}`,
		"topics/listKeys/action":                                          `"resource":"Topic","operation":"List keys of topic"`,
		"domains/topics/eventSubscriptions/read":                          `"resource":"Domain topic event subscription","operation":"Read domain topic event subscription"`,
		"register/action":                                                 `"resource":"Provider","operation":"Register provider"`,
		"eventSubscriptions/getFullUrl/action":                            `"operation":"Get full url of event subscription"`,
		"topics/privateLinkResources/read":                                `"operation":"Read topic private link resource"`,
		"topics/PrivateEndpointConnectionsApproval/action":                `"operation":"Private endpoint connections approval of topic"`,
		"partnerTopicTypes/read":                                          `"resource":"Partner topic type"`,
		"events/send/action":                                              `"operation":"Send event"`,
		"locations/operationsStatus/read":                                 `"resource":"Location operations status"`,
		"topics/networkSecurityPerimeterConfigurations/read":              `"resource":"Topic network security perimeter configuration"`,
		"domains/networkSecurityPerimeterConfigurations/reconcile/action": `"operation":"Reconcile domain network security perimeter configuration"`,
	} {
		o, ok := byName[strings.ToLower(Namespace+"/"+name)]
		if got, _ := json.Marshal(o); !ok || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
