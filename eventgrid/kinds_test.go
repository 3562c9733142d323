package eventgrid

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// everything returns a world with a resource of every kind.
func everything(t *testing.T) *world {
	w, topics := everyTopic(t, "CustomEventSchema")
	for _, topic := range topics {
		w.must(w.put(topic.Child("eventSubscriptions", "es1"), hookWith("", static("x-key", "v", true))))
	}
	w.must(w.put(oldNamespaceID, namespaceBody("")))
	w.must(w.put(eventChannelID, eventChannelBody("")))
	w.withDestination()
	w.must(w.put(destinationES, toDestination("")))
	w.must(w.put(galleryID("Northwave"), galleryBody("")))
	for _, parent := range []resource.ID{customTopicID, domainID, namespaceID} {
		w.must(w.put(connectionOf(parent, "pe-1"), connectionBody("")))
	}
	return w
}

// Whatever a kind keeps in its secrets, no read may show it: fill every secret
// of every kind with a marker and look for it in what GET would answer.
func TestNoSecretIsEverPresented(t *testing.T) {
	w := everything(t)
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
		for _, name := range []string{SecretKey1, SecretKey2, SecretEndpointURL, SecretValidatedURL, secretValidation, secretChannel, secretChannelID, secretHidden, secretDestinationUID, attributeSecret("x-key")} {
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
	versions := []string{
		"2018-01-01", "2018-09-15-preview", "2019-01-01", "2019-06-01", "2020-04-01-preview", "2020-06-01",
		"2021-10-15-preview", "2021-12-01", "2022-06-15", "2025-02-15", "2025-07-15-preview",
	}
	const yes, no = true, false
	want := map[string][]bool{ // in the order of versions
		TypePartnerRegistration:                    {no, no, no, no, yes, no, yes, no, yes, yes, yes},
		TypePartnerNamespace:                       {no, no, no, no, yes, no, yes, no, yes, yes, yes},
		TypePartnerTopic:                           {no, no, no, no, yes, no, yes, no, yes, yes, yes},
		TypePartnerTopicEventSubscription:          {no, no, no, no, yes, no, yes, no, yes, yes, yes},
		TypeChannel:                                {no, no, no, no, no, no, yes, no, yes, yes, yes},
		TypePartnerConfiguration:                   {no, no, no, no, no, no, yes, no, yes, yes, yes},
		TypeEventChannel:                           {no, no, no, no, yes, no, yes, no, no, no, no},
		TypeTopic:                                  {yes, yes, yes, yes, yes, yes, yes, yes, yes, yes, yes},
		TypeTopicEventSubscription:                 {no, no, no, no, no, no, yes, no, yes, yes, yes},
		TypeDomain:                                 {no, yes, no, yes, yes, yes, yes, yes, yes, yes, yes},
		TypeDomainTopic:                            {no, yes, no, yes, yes, yes, yes, yes, yes, yes, yes},
		TypeDomainEventSubscription:                {no, no, no, no, no, no, yes, no, yes, yes, yes},
		TypeDomainTopicEventSubscription:           {no, no, no, no, no, no, yes, no, yes, yes, yes},
		TypeSystemTopic:                            {no, no, no, no, yes, no, yes, yes, yes, yes, yes},
		TypeSystemTopicEventSubscription:           {no, no, no, no, yes, no, yes, yes, yes, yes, yes},
		TypePartnerDestination:                     {no, no, no, no, no, no, yes, no, no, no, yes},
		TypeVerifiedPartner:                        {no, no, no, no, no, no, yes, no, yes, yes, yes},
		TypeTopic + "/privateEndpointConnections":  {no, no, no, no, yes, yes, yes, yes, yes, yes, yes},
		TypeDomain + "/privateEndpointConnections": {no, no, no, no, yes, yes, yes, yes, yes, yes, yes},

		// Younger than its siblings.
		TypePartnerNamespace + "/privateEndpointConnections": {no, no, no, no, no, no, yes, no, yes, yes, yes},
	}
	kinds := newWorld(t).kinds
	if len(kinds) != len(want) {
		t.Errorf("%d kinds, %d expected", len(kinds), len(want))
	}
	for typ, want := range want {
		kind := kinds[typ]
		for i, v := range versions {
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
		TypePartnerRegistration:                    {200, 200, 200},
		TypePartnerNamespace:                       {201, 200, 200},
		TypeChannel:                                {200, 200, 200},
		TypeEventChannel:                           {200, 200, 200},
		TypePartnerConfiguration:                   {200, 200, 200},
		TypePartnerTopic:                           {200, 200, 200},
		TypePartnerTopicEventSubscription:          {201, 201, 200},
		TypeTopic:                                  {201, 200, 204},
		TypeTopicEventSubscription:                 {201, 201, 200},
		TypeDomain:                                 {201, 200, 200},
		TypeDomainEventSubscription:                {201, 201, 200},
		TypeDomainTopic:                            {201, 200, 200},
		TypeDomainTopicEventSubscription:           {201, 201, 200},
		TypeSystemTopic:                            {200, 200, 200},
		TypeSystemTopicEventSubscription:           {201, 201, 200},
		TypePartnerDestination:                     {200, 200, 200},
		TypeVerifiedPartner:                        {200, 200, 200},
		TypeTopic + "/privateEndpointConnections":  {200, 200, 204},
		TypeDomain + "/privateEndpointConnections": {200, 200, 204},

		// The longest of them.
		TypePartnerNamespace + "/privateEndpointConnections": {200, 200, 204},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryKindHasAPlaceInTheDeletionOrder(t *testing.T) {
	place := map[string]int{}
	w := newWorld(t)
	for i, typ := range resource.DeletionOrder(w.rules.Kinds()) {
		place[typ] = i + 1
	}
	// Deleting a channel needs the grant, deleting a partner topic takes it along;
	// and a registration cannot go before its namespaces.
	for _, pair := range [][2]string{
		{TypePartnerTopic, TypeChannel},
		{TypePartnerTopic, TypeEventChannel},
		{TypeChannel, TypePartnerConfiguration},
		{TypeEventChannel, TypePartnerConfiguration},
		{TypePartnerTopic, TypePartnerConfiguration},
		{TypePartnerDestination, TypeChannel},
		{TypePartnerDestination, TypePartnerConfiguration},
		{TypePartnerNamespace, TypePartnerRegistration},
	} {
		if place[pair[0]] >= place[pair[1]] {
			t.Errorf("%s goes before %s", pair[1], pair[0])
		}
	}
	for typ := range w.kinds {
		if place[typ] == 0 {
			t.Errorf("%s would survive its resource group", typ)
		}
		for other := range w.kinds {
			if strings.HasPrefix(typ, other+"/") && place[typ] > place[other] {
				t.Errorf("%s goes after %s", typ, other)
			}
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
