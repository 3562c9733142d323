package e2e

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/google/go-cmp/cmp"
)

// TestSignIn signs in both ways that Azure's identity library knows.
func TestSignIn(t *testing.T) {
	t.Parallel()
	s := serve(t)
	partner := newSide(t, s, "partner", "Contributor")
	for _, tenant := range []string{"adfs", s.tenant(t)} {
		d := signIn(t, s, partner.principal, tenant, partner.subscription, "rg-"+tenant)
		d.makeGroup(t)
		got := must(d.groups.Get(t.Context(), d.group, nil))(t)
		if *got.Name != d.group || *got.Location != region {
			t.Errorf("group %s in %s", *got.Name, *got.Location)
		}
	}
	wrong := partner.principal
	wrong.Secret = "not the secret"
	d := signIn(t, s, wrong, "adfs", partner.subscription, "rg-x")
	if _, err := d.groups.Get(t.Context(), d.group, nil); err == nil {
		t.Error("signed in with a wrong secret")
	}
}

// TestProviderRegistersByItself starts with subscriptions that have not
// registered the provider; the SDK's own policy does it on the first refusal.
func TestProviderRegistersByItself(t *testing.T) {
	t.Parallel()
	s := serve(t)
	d := newSide(t, s, "partner", "Contributor")
	d.makeGroup(t)
	providers := must(armresources.NewProvidersClient(d.subscription, d.credential, &arm.ClientOptions{ClientOptions: s.clientOptions()}))(t)
	state := func() string {
		return *must(providers.Get(t.Context(), "Microsoft.EventGrid", nil))(t).RegistrationState
	}
	if got := state(); got != "NotRegistered" {
		t.Fatalf("a new subscription is %s", got)
	}
	quiet := must(armeventgrid.NewPartnerTopicsClient(d.subscription, d.credential,
		&arm.ClientOptions{ClientOptions: s.clientOptions(), DisableRPRegistration: true}))(t)
	_, err := quiet.NewListByResourceGroupPager(d.group, nil).NextPage(t.Context())
	wantRefusal(t, err, 409, "MissingSubscriptionRegistration")

	d.openNamespace(t)
	if got := state(); got != "Registered" {
		t.Errorf("after the first use the subscription is %s", got)
	}
}

// TestManagement walks the partner's flow from one end to the other with the
// typed clients, and looks at everything from both sides.
func TestManagement(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	t.Run("namespace", func(t *testing.T) { checkNamespace(t, partner) })
	t.Run("configuration", func(t *testing.T) { checkConfiguration(t, partner, customer) })
	t.Run("channel", func(t *testing.T) { checkChannel(t, partner, customer) })
	t.Run("partner topic", func(t *testing.T) { checkPartnerTopic(t, partner, customer) })
	t.Run("event subscription", func(t *testing.T) { checkEventSubscription(t, customer, hook) })
	t.Run("the end", func(t *testing.T) { checkDeletion(t, partner, customer) })
}

func checkNamespace(t *testing.T, partner *side) {
	t.Helper()
	c := partner.NewPartnerNamespacesClient()
	got := must(c.Get(t.Context(), partner.group, namespace, nil))(t)
	if want := partner.server.url + "/" + namespace + ".westeurope-1/api/events"; *got.Properties.Endpoint != want {
		t.Errorf("endpoint %s, want %s", *got.Properties.Endpoint, want)
	}
	up, err := c.BeginUpdate(t.Context(), partner.group, namespace, armeventgrid.PartnerNamespaceUpdateParameters{
		Tags:       map[string]*string{"team": new("integration")},
		Properties: &armeventgrid.PartnerNamespaceUpdateParameterProperties{DisableLocalAuth: new(true)},
	}, nil)
	await(t, up, err)
	got = must(c.Get(t.Context(), partner.group, namespace, nil))(t)
	if !*got.Properties.DisableLocalAuth || *got.Tags["team"] != "integration" {
		t.Errorf("the update is not there: %v %v", *got.Properties.DisableLocalAuth, got.Tags)
	}
	up, err = c.BeginUpdate(t.Context(), partner.group, namespace, armeventgrid.PartnerNamespaceUpdateParameters{
		Properties: &armeventgrid.PartnerNamespaceUpdateParameterProperties{DisableLocalAuth: new(false)},
	}, nil)
	await(t, up, err)

	before := must(c.ListSharedAccessKeys(t.Context(), partner.group, namespace, nil))(t)
	after := must(c.RegenerateKey(t.Context(), partner.group, namespace, armeventgrid.PartnerNamespaceRegenerateKeyRequest{KeyName: new("key1")}, nil))(t)
	if *after.Key1 == *before.Key1 || *after.Key2 != *before.Key2 {
		t.Error("regenerating key1 did not change exactly key1")
	}
	old := &publisher{server: partner.server, endpoint: *got.Properties.Endpoint, key: *before.Key1, channel: "none"}
	a, err := old.post(t.Context(), []byte("[]"), nil)
	if err != nil || a.status != 401 {
		t.Errorf("the former key is answered %d %v", a.status, err)
	}

	for where, names := range map[string][]*armeventgrid.PartnerNamespace{
		"group": all(t, c.NewListByResourceGroupPager(partner.group, nil), func(p armeventgrid.PartnerNamespacesClientListByResourceGroupResponse) []*armeventgrid.PartnerNamespace {
			return p.Value
		}),
		"subscription": all(t, c.NewListBySubscriptionPager(nil), func(p armeventgrid.PartnerNamespacesClientListBySubscriptionResponse) []*armeventgrid.PartnerNamespace {
			return p.Value
		}),
	} {
		if len(names) != 1 || *names[0].Name != namespace {
			t.Errorf("%d namespaces in the %s", len(names), where)
		}
	}
}

func checkConfiguration(t *testing.T, partner, customer *side) {
	t.Helper()
	c := customer.NewPartnerConfigurationsClient()
	reg := must(partner.NewPartnerRegistrationsClient().Get(t.Context(), partner.group, registration, nil))(t)
	id := reg.Properties.PartnerRegistrationImmutableID
	grants := func() []*armeventgrid.Partner {
		got := must(c.Get(t.Context(), customer.group, nil))(t)
		return got.Properties.PartnerAuthorization.AuthorizedPartnersList
	}
	if g := grants(); len(g) != 1 || *g[0].PartnerRegistrationImmutableID != *id {
		t.Fatalf("%d grants", len(g))
	}
	must(c.AuthorizePartner(t.Context(), customer.group, armeventgrid.Partner{PartnerRegistrationImmutableID: id}, nil))(t)
	if g := grants(); len(g) != 1 {
		t.Errorf("authorizing again made %d grants", len(g))
	}
	must(c.UnauthorizePartner(t.Context(), customer.group, armeventgrid.Partner{PartnerRegistrationImmutableID: id}, nil))(t)
	if g := grants(); len(g) != 0 {
		t.Errorf("%d grants are left", len(g))
	}
	up, err := c.BeginUpdate(t.Context(), customer.group, armeventgrid.PartnerConfigurationUpdateParameters{
		Properties: &armeventgrid.PartnerConfigurationUpdateParameterProperties{DefaultMaximumExpirationTimeInDays: new(int32(15))},
	}, nil)
	await(t, up, err)
	got := must(c.AuthorizePartner(t.Context(), customer.group, armeventgrid.Partner{PartnerRegistrationImmutableID: id}, nil))(t)
	auth := got.Properties.PartnerAuthorization
	days := time.Until(*auth.AuthorizedPartnersList[0].AuthorizationExpirationTimeInUTC).Hours() / 24
	if *auth.DefaultMaximumExpirationTimeInDays != 15 || days < 14.9 || days > 15 {
		t.Errorf("default %d days, grant for %.2f days", *auth.DefaultMaximumExpirationTimeInDays, days)
	}
}

func checkChannel(t *testing.T, partner, customer *side) {
	t.Helper()
	c := partner.NewChannelsClient()
	if err := partner.putChannel(t, customer, "orders"); err != nil {
		t.Fatal(err)
	}
	types := func(names ...string) *armeventgrid.EventTypeInfo {
		info := &armeventgrid.EventTypeInfo{Kind: new(armeventgrid.EventDefinitionKindInline), InlineEventTypes: map[string]*armeventgrid.InlineEventProperties{}}
		for _, n := range names {
			info.InlineEventTypes[n] = &armeventgrid.InlineEventProperties{DisplayName: new(n)}
		}
		return info
	}
	expires := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	for _, want := range [][]string{{"Northwave.Order.Placed", "Northwave.Order.Gone"}, {"Northwave.Order.Placed"}} {
		must(c.Update(t.Context(), partner.group, namespace, "orders", armeventgrid.ChannelUpdateParameters{
			Properties: &armeventgrid.ChannelUpdateParametersProperties{
				ExpirationTimeIfNotActivatedUTC: &expires, PartnerTopicInfo: &armeventgrid.PartnerUpdateTopicInfo{EventTypeInfo: types(want...)},
			},
		}, nil))(t)
		channel := must(c.Get(t.Context(), partner.group, namespace, "orders", nil))(t)
		topic := must(customer.NewPartnerTopicsClient().Get(t.Context(), customer.group, "orders", nil))(t)
		if diff := cmp.Diff(types(want...), channel.Properties.PartnerTopicInfo.EventTypeInfo); diff != "" {
			t.Errorf("channel: %s", diff)
		}
		if diff := cmp.Diff(types(want...), topic.Properties.EventTypeInfo); diff != "" {
			t.Errorf("partner topic: %s", diff)
		}
		if !channel.Properties.ExpirationTimeIfNotActivatedUTC.Equal(expires) || !topic.Properties.ExpirationTimeIfNotActivatedUTC.Equal(expires) {
			t.Error("the expiry is not on both sides")
		}
	}
	// Reading a channel and writing it back changes nothing.
	read := must(c.Get(t.Context(), partner.group, namespace, "orders", nil))(t)
	must(c.CreateOrUpdate(t.Context(), partner.group, namespace, "orders", read.Channel, nil))(t)
	changed := read.Channel
	changed.Properties.PartnerTopicInfo.Source = new("/somebody/else")
	_, err := c.CreateOrUpdate(t.Context(), partner.group, namespace, "orders", changed, nil)
	wantRefusal(t, err, 400, "InvalidRequest")

	if err := partner.putChannel(t, customer, "spare"); err != nil {
		t.Fatal(err)
	}
	gone, err := c.BeginDelete(t.Context(), partner.group, namespace, "spare", nil)
	await(t, gone, err)
	left := all(t, c.NewListByPartnerNamespacePager(partner.group, namespace, nil), func(p armeventgrid.ChannelsClientListByPartnerNamespaceResponse) []*armeventgrid.Channel {
		return p.Value
	})
	if len(left) != 1 || *left[0].Name != "orders" {
		t.Errorf("%d channels are left", len(left))
	}
	_, err = customer.NewPartnerTopicsClient().Get(t.Context(), customer.group, "spare", nil)
	wantRefusal(t, err, 404, "ResourceNotFound")
}

func checkPartnerTopic(t *testing.T, partner, customer *side) {
	t.Helper()
	c := customer.NewPartnerTopicsClient()
	readiness := func() armeventgrid.ReadinessState {
		return *must(partner.NewChannelsClient().Get(t.Context(), partner.group, namespace, "orders", nil))(t).Properties.ReadinessState
	}
	got := must(c.Get(t.Context(), customer.group, "orders", nil))(t)
	if p := got.Properties; *p.ActivationState != armeventgrid.PartnerTopicActivationStateNeverActivated || *p.Source != "/northwave/accounts/orders" ||
		p.ExpirationTimeIfNotActivatedUTC == nil || p.MessageForActivation == nil || *got.Location != region {
		t.Errorf("new partner topic: %+v", p)
	}
	_, err := c.Deactivate(t.Context(), customer.group, "orders", nil)
	wantRefusal(t, err, 400, "InvalidRequest")
	for _, step := range []armeventgrid.PartnerTopicActivationState{
		armeventgrid.PartnerTopicActivationStateActivated, armeventgrid.PartnerTopicActivationStateDeactivated, armeventgrid.PartnerTopicActivationStateActivated,
	} {
		if step == armeventgrid.PartnerTopicActivationStateActivated {
			customer.activate(t, "orders")
		} else {
			must(c.Deactivate(t.Context(), customer.group, "orders", nil))(t)
		}
		got := must(c.Get(t.Context(), customer.group, "orders", nil))(t)
		if *got.Properties.ActivationState != step || got.Properties.ExpirationTimeIfNotActivatedUTC != nil || got.Properties.MessageForActivation != nil {
			t.Errorf("after %s: %+v", step, got.Properties)
		}
		if r := readiness(); r != armeventgrid.ReadinessStateActivated {
			t.Errorf("the channel of a topic that is %s is %s", step, r)
		}
	}
	must(c.Update(t.Context(), customer.group, "orders", armeventgrid.PartnerTopicUpdateParameters{Tags: map[string]*string{"cost": new("42")}}, nil))(t)
	listed := all(t, c.NewListBySubscriptionPager(nil), func(p armeventgrid.PartnerTopicsClientListBySubscriptionResponse) []*armeventgrid.PartnerTopic {
		return p.Value
	})
	if len(listed) != 1 || listed[0].Tags["cost"] == nil || *listed[0].Tags["cost"] != "42" {
		t.Errorf("listed %d partner topics, or without tags", len(listed))
	}
	if listed[0].SystemData != nil {
		t.Errorf("the customer sees who made the topic: %+v", listed[0].SystemData)
	}
}

func checkEventSubscription(t *testing.T, customer *side, hook *receiver) {
	t.Helper()
	c := customer.NewPartnerTopicEventSubscriptionsClient()
	url := hook.URL + "/orders?code=s3cr3t"
	body := webhook(url)
	body.Properties.Labels = []*string{new("erp")}
	made, err := c.BeginCreateOrUpdate(t.Context(), customer.group, "orders", "to-erp", body, nil)
	await(t, made, err)

	// PATCH is flat, and what it does not name stays.
	filter := &armeventgrid.EventSubscriptionFilter{
		SubjectBeginsWith: new("/shops/se"), AdvancedFilters: []armeventgrid.AdvancedFilterClassification{
			&armeventgrid.NumberGreaterThanAdvancedFilter{OperatorType: new(armeventgrid.AdvancedFilterOperatorTypeNumberGreaterThan), Key: new("data.total"), Value: new(100.0)},
		},
	}
	up, err := c.BeginUpdate(t.Context(), customer.group, "orders", "to-erp", armeventgrid.EventSubscriptionUpdateParameters{Filter: filter}, nil)
	await(t, up, err)
	got := must(c.Get(t.Context(), customer.group, "orders", "to-erp", nil))(t)
	p := got.Properties
	if len(p.Labels) != 1 || *p.Labels[0] != "erp" || *p.Filter.SubjectBeginsWith != "/shops/se" || len(p.Filter.AdvancedFilters) != 1 {
		t.Errorf("after the update: labels %v, filter %+v", p.Labels, p.Filter)
	}
	if *p.RetryPolicy.MaxDeliveryAttempts != 30 || *p.RetryPolicy.EventTimeToLiveInMinutes != 1440 || *p.EventDeliverySchema != armeventgrid.EventDeliverySchemaCloudEventSchemaV10 {
		t.Errorf("defaults: %+v %s", p.RetryPolicy, *p.EventDeliverySchema)
	}
	shown := p.Destination.(*armeventgrid.WebHookEventSubscriptionDestination).Properties
	if shown.EndpointURL != nil || *shown.EndpointBaseURL != hook.URL+"/orders" {
		t.Errorf("a read shows the URL as %v and %s", shown.EndpointURL, *shown.EndpointBaseURL)
	}
	full := must(c.GetFullURL(t.Context(), customer.group, "orders", "to-erp", nil))(t)
	if *full.EndpointURL != url {
		t.Errorf("full URL %s, want %s", *full.EndpointURL, url)
	}
	if a := must(c.GetDeliveryAttributes(t.Context(), customer.group, "orders", "to-erp", nil))(t); len(a.Value) != 0 {
		t.Errorf("%d delivery attributes", len(a.Value))
	}
	list := func() int {
		return len(all(t, c.NewListByPartnerTopicPager(customer.group, "orders", nil), func(p armeventgrid.PartnerTopicEventSubscriptionsClientListByPartnerTopicResponse) []*armeventgrid.EventSubscription {
			return p.Value
		}))
	}
	if n := list(); n != 1 {
		t.Errorf("%d event subscriptions", n)
	}
	for range 2 { // what is gone is deleted already
		gone, err := c.BeginDelete(t.Context(), customer.group, "orders", "to-erp", nil)
		await(t, gone, err)
	}
	if n := list(); n != 0 {
		t.Errorf("%d event subscriptions after deletion", n)
	}
}

func checkDeletion(t *testing.T, partner, customer *side) {
	t.Helper()
	ns, err := partner.NewPartnerNamespacesClient().BeginDelete(t.Context(), partner.group, namespace, nil)
	if err == nil {
		_, err = ns.PollUntilDone(t.Context(), nil)
	}
	wantRefusal(t, err, 409, "Conflict") // it still has a channel
	gone, err := customer.NewPartnerTopicsClient().BeginDelete(t.Context(), customer.group, "orders", nil)
	await(t, gone, err)
	_, err = partner.NewChannelsClient().Get(t.Context(), partner.group, namespace, "orders", nil)
	wantRefusal(t, err, 404, "ResourceNotFound")
	channel, err := partner.NewChannelsClient().BeginDelete(t.Context(), partner.group, namespace, "orders", nil)
	await(t, channel, err)
	ns, err = partner.NewPartnerNamespacesClient().BeginDelete(t.Context(), partner.group, namespace, nil)
	await(t, ns, err)
	reg, err := partner.NewPartnerRegistrationsClient().BeginDelete(t.Context(), partner.group, registration, nil)
	await(t, reg, err)
	conf, err := customer.NewPartnerConfigurationsClient().BeginDelete(t.Context(), customer.group, nil)
	await(t, conf, err)
	for _, d := range []*side{partner, customer} {
		p, err := d.groups.BeginDelete(t.Context(), d.group, nil)
		await(t, p, err)
		_, err = d.groups.Get(t.Context(), d.group, nil)
		wantRefusal(t, err, 404, "ResourceGroupNotFound")
	}
}
