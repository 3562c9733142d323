package eventgrid

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// Whatever a kind keeps in its secrets, no read may show it: fill every secret
// of every kind with a marker and look for it in what GET would answer.
func TestNoSecretIsEverPresented(t *testing.T) {
	w := newWorld(t).withSubscription()
	legacy := partnerGroup.Provider(TypePartnerNamespace, "ns-old")
	w.must(w.put(legacy, `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"`+registrationID.String()+`"}}`))
	w.must(w.put(legacy.Child("eventChannels", "ec1"), eventChannelBody("")))

	seen := map[string]bool{}
	for _, r := range w.all {
		kind := w.kinds[r.Type]
		if kind == nil {
			continue
		}
		seen[r.Type] = true
		marked := r.Clone()
		for name := range marked.Secrets {
			marked.Secrets[name] = "marker-" + name
		}
		for _, name := range []string{SecretKey1, SecretKey2, SecretEndpointURL, SecretValidatedURL, secretValidation, secretChannel, secretChannelID} {
			marked.Secret(name, "marker-"+name)
		}
		shown, err := kind.Present(marked, resource.View{BaseURL: "https://host"})
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "marker") || strings.Contains(string(r.Properties), "marker") {
			t.Errorf("%s shows a secret: %s", r.Type, data)
		}
	}
	if len(seen) != len(w.kinds) {
		t.Errorf("looked at %d of %d kinds: %v", len(seen), len(w.kinds), seen)
	}
}

func TestAPIVersionsOfEachKind(t *testing.T) {
	const (
		first, oldStable, channels, stable2021, stable2022, newest = "2020-04-01-preview", "2020-06-01", "2021-10-15-preview", "2021-12-01", "2022-06-15", "2025-07-15-preview"
	)
	for typ, want := range map[string][]bool{ // in the order of the constants
		TypePartnerRegistration:           {true, false, true, false, true, true},
		TypePartnerNamespace:              {true, false, true, false, true, true},
		TypePartnerTopic:                  {true, false, true, false, true, true},
		TypePartnerTopicEventSubscription: {true, false, true, false, true, true},
		TypeChannel:                       {false, false, true, false, true, true},
		TypePartnerConfiguration:          {false, false, true, false, true, true},
		TypeEventChannel:                  {true, false, true, false, false, false},
	} {
		kind := newWorld(t).kinds[typ]
		for i, v := range []string{first, oldStable, channels, stable2021, stable2022, newest} {
			got := false
			for _, k := range kind.Versions {
				got = got || k == v
			}
			if got != want[i] {
				t.Errorf("%s in %s: %v", typ, v, got)
			}
		}
		for i := 1; i < len(kind.Versions); i++ {
			if kind.Versions[i-1] >= kind.Versions[i] {
				t.Errorf("%s: versions out of order: %v", typ, kind.Versions)
			}
		}
	}
}

func TestStatusCodesOfTheStrictestClient(t *testing.T) {
	type codes struct{ Put, Patch, Delete int }
	got := map[string]codes{}
	for typ, k := range newWorld(t).kinds {
		got[typ] = codes{k.Status.PutStatus(), k.Status.PatchStatus(), k.Status.DeleteStatus()}
	}
	want := map[string]codes{
		TypePartnerRegistration:           {200, 200, 200},
		TypePartnerNamespace:              {201, 200, 200},
		TypeChannel:                       {200, 200, 200},
		TypeEventChannel:                  {200, 200, 200},
		TypePartnerConfiguration:          {200, 200, 200},
		TypePartnerTopic:                  {200, 200, 200},
		TypePartnerTopicEventSubscription: {201, 201, 200},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryKindHasAPlaceInTheDeletionOrder(t *testing.T) {
	place := map[string]int{}
	for i, typ := range DeletionOrder {
		place[typ] = i + 1
	}
	for typ := range newWorld(t).kinds {
		if place[typ] == 0 {
			t.Errorf("%s would survive its resource group", typ)
		}
		if parent, _, nested := strings.Cut(strings.TrimPrefix(typ, Namespace+"/"), "/"); nested && place[typ] > place[Namespace+"/"+parent] {
			t.Errorf("%s goes after its parent", typ)
		}
	}
}

func TestPartnerRegistration(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(registrationID, `{"properties":{"partnerRegistrationImmutableId":"forged","provisioningState":"Failed"}}`))
	first := w.partner()
	if uuid.Validate(first.ImmutableID) != nil || first.ProvisioningState != Succeeded || first.VisibilityState != "Hidden" {
		t.Errorf("got %+v", first)
	}
	if got := w.get(registrationID).Location; got != "global" {
		t.Errorf("location %q", got)
	}
	w.must(w.put(registrationID, `{"properties":{"partnerName":"Northwave","visibilityState":"publicpreview","partnerCustomerServiceNumber":"+1 515 123 4567","partnerCustomerServiceExtension":"12"}}`))
	if p := w.partner(); p.ImmutableID != first.ImmutableID || p.VisibilityState != "PublicPreview" || p.PartnerName != "Northwave" {
		t.Errorf("after a second PUT: %+v", p)
	}
	w.must(w.patch(registrationID, `{"tags":{"a":"b"},"properties":{"partnerName":"Other"}}`))
	if p := w.partner(); p.PartnerName != "Northwave" || w.get(registrationID).Tags["a"] != "b" {
		t.Errorf("a PATCH takes tags and nothing else: %+v", p)
	}
	other := partnerGroup.Provider(TypePartnerRegistration, "other")
	w.wantError(w.put(other, `{"properties":{"partnerName":"NORTHWAVE"}}`), resource.Conflict, "NORTHWAVE")
	for body, text := range map[string]string{
		`{"partnerCustomerServiceNumber":"555"}`:                  "555",
		`{"partnerCustomerServiceExtension":"x"}`:                 "'x'",
		`{"longDescription":"` + strings.Repeat("ä", 2049) + `"}`: "2049",
		`{"visibilityState":"Everywhere"}`:                        "Hidden, PublicPreview, GenerallyAvailable",
	} {
		w.wantError(w.put(other, `{"properties":`+body+`}`), resource.InvalidRequest, text)
	}
	w.must(w.put(other, `{"properties":{"longDescription":"`+strings.Repeat("ä", 2048)+`"}}`))
}

func TestRegistrationInUseStays(t *testing.T) {
	w := newWorld(t).withNamespace()
	w.wantError(w.delete(registrationID), resource.Conflict, "'ns1'")
	w.must(w.delete(namespaceID))
	w.must(w.delete(registrationID))

	// Also when the namespace spells the id in its own way.
	w.must(w.put(registrationID, `{}`))
	odd := strings.ReplaceAll(strings.ToUpper(registrationID.String()), "/PROVIDERS", "//PROVIDERS")
	w.must(w.put(namespaceID, `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"`+odd+`"}}`))
	w.wantError(w.delete(registrationID), resource.Conflict, "'ns1'")
}

func TestRequireRegisteredTellsClientsHowToHeal(t *testing.T) {
	w := newWorld(t)
	w.must(RequireRegistered(w.all, customerSub))
	w.wantError(RequireRegistered(w.all, strangerSub), resource.SubscriptionNotFound, strangerSub)
	r := &resource.Resource{ID: resource.SubscriptionID(strangerSub), Type: resource.TypeSubscription}
	w.must(resource.Encode(r, &Subscription{}))
	w.all.Put(r)
	err := RequireRegistered(w.all, strangerSub)
	w.wantError(err, resource.MissingSubscriptionRegistration)
	e := err.(*resource.Error) //nolint:errorlint // checked above
	words := strings.Split(e.Message, "'")
	want := []resource.Error{{Code: e.Code, Target: Namespace, Message: e.Message}}
	if words[len(words)-2] != Namespace || cmp.Diff(want, e.Details) != "" {
		t.Errorf("last quoted word %q, details %+v", words[len(words)-2], e.Details)
	}
}
