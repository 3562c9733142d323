package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// channel makes a channel over the wire, where no SDK registers providers.
func (d *side) channel(t *testing.T, ns, name, subscription, group, topic string) answer {
	t.Helper()
	return d.call(t, http.MethodPut, d.id("partnerNamespaces", ns, "channels", name), fmt.Sprintf(
		`{"properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":%q,"resourceGroupName":%q,"name":%q,"source":"/s"}}}`, subscription, group, topic))
}

// TestChannelRules breaks the rules of creating a channel one by one. Each time
// neither a channel nor a partner topic appears.
func TestChannelRules(t *testing.T) {
	t.Parallel()
	s := serve(t)
	partner := newSide(t, s, "partner", "Contributor")
	customer := newSide(t, s, "customer", "Contributor")
	immutableID := partner.openNamespace(t)
	bySource := partner.namespaceBody()
	bySource.Properties.PartnerTopicRoutingMode = new(armeventgrid.PartnerTopicRoutingModeSourceEventAttribute)
	made, err := partner.NewPartnerNamespacesClient().BeginCreateOrUpdate(t.Context(), partner.group, "by-source", bySource, nil)
	await(t, made, err)

	refused := func(what string, a answer, status int, code string) {
		t.Helper()
		if a.status != status || a.code() != code {
			t.Errorf("%s: %d %s, want %d %s", what, a.status, a.body, status, code)
		}
		for _, ns := range []string{namespace, "by-source"} {
			if a := partner.call(t, "GET", partner.id("partnerNamespaces", ns, "channels", "abc"), ""); a.status != 404 {
				t.Errorf("%s: the channel is there: %s", what, a.body)
			}
		}
		if a := customer.call(t, "GET", customer.id("partnerTopics", "abc"), ""); a.status == 200 {
			t.Errorf("%s: the partner topic is there: %s", what, a.body)
		}
	}
	try := func() answer {
		return partner.channel(t, namespace, "abc", customer.subscription, customer.group, "abc")
	}

	customer.makeGroup(t)
	refused("provider not registered by the customer", try(), 403, "PartnerNotAuthorized")
	if a := customer.call(t, "POST", "/subscriptions/"+customer.subscription+"/providers/Microsoft.EventGrid/register?api-version=2021-04-01", ""); a.status != 200 {
		t.Fatal(a.status, string(a.body))
	}
	refused("no configuration", try(), 403, "PartnerNotAuthorized")
	conf := customer.id("partnerConfigurations", "default")
	if a := customer.call(t, "PUT", conf, `{"location":"global","properties":{}}`); a.status != 200 {
		t.Fatal(a.status, string(a.body))
	}
	refused("no authorization", try(), 403, "PartnerNotAuthorized")
	customer.call(t, "POST", conf+"/authorizePartner", `{"partnerRegistrationImmutableId":"00000000-0000-4000-8000-000000000000"}`)
	refused("authorization of another", try(), 403, "PartnerNotAuthorized")

	customer.grantUntil(t, immutableID, time.Now().Add(700*time.Millisecond))
	until(t, 10*time.Second, "the authorization expires", func() bool {
		a := partner.channel(t, namespace, "tmp", customer.subscription, customer.group, "tmp")
		return a.status == 403
	})
	refused("authorization expired", try(), 403, "PartnerNotAuthorized")
	customer.authorize(t, immutableID)

	refused("wrong routing mode", partner.channel(t, "by-source", "abc", customer.subscription, customer.group, "abc"), 400, "InvalidRequest")
	refused("no such group", partner.channel(t, namespace, "abc", customer.subscription, "rg-nowhere", "abc"), 403, "PartnerNotAuthorized")
	refused("no such subscription", partner.channel(t, namespace, "abc", "00000000-0000-4000-8000-000000000000", customer.group, "abc"), 403, "PartnerNotAuthorized")
	refused("bad topic name", partner.channel(t, namespace, "abc", customer.subscription, customer.group, "a_c"), 400, "InvalidRequest")
	if err := partner.putChannel(t, customer, "taken"); err != nil {
		t.Fatal(err)
	}
	refused("name taken", partner.channel(t, namespace, "abc", customer.subscription, customer.group, "taken"), 409, "Conflict")
	refused("name taken in other case", partner.channel(t, namespace, "abc", customer.subscription, customer.group, "TAKEN"), 409, "Conflict")
	for what, when := range map[string]time.Time{"expiry in the past": time.Now().Add(-time.Hour), "expiry too late": time.Now().Add(8 * 24 * time.Hour)} {
		body := channelTo(customer, "abc")
		body.Properties.ExpirationTimeIfNotActivatedUTC = &when
		_, err := partner.NewChannelsClient().CreateOrUpdate(t.Context(), partner.group, namespace, "abc", body, nil)
		wantRefusal(t, err, 400, "InvalidRequest")
		refused(what, customer.call(t, "GET", customer.id("partnerTopics", "abc"), ""), 404, "ResourceNotFound")
	}

	elsewhere := newSide(t, s, "elsewhere", "Contributor")
	elsewhere.makeGroup(t)
	refused("provider not registered by the partner", elsewhere.channel(t, namespace, "abc", customer.subscription, customer.group, "abc"), 409, "MissingSubscriptionRegistration")
	if err := partner.putChannel(t, customer, "abc"); err != nil {
		t.Errorf("in the end it works: %v", err)
	}
}

// grantUntil authorizes a partner for less than the default time.
func (d *side) grantUntil(t *testing.T, immutableID string, at time.Time) {
	t.Helper()
	must(d.NewPartnerConfigurationsClient().AuthorizePartner(t.Context(), d.group,
		armeventgrid.Partner{PartnerRegistrationImmutableID: &immutableID, AuthorizationExpirationTimeInUTC: new(at.UTC())}, nil))(t)
}

// TestWithdrawnAuthorization stops what the partner may change; what flows
// already goes on until the customer deletes the topic.
func TestWithdrawnAuthorization(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	reg := must(partner.NewPartnerRegistrationsClient().Get(t.Context(), partner.group, registration, nil))(t)
	must(customer.NewPartnerConfigurationsClient().UnauthorizePartner(t.Context(), customer.group,
		armeventgrid.Partner{PartnerRegistrationImmutableID: reg.Properties.PartnerRegistrationImmutableID}, nil))(t)
	channel := partner.id("partnerNamespaces", namespace, "channels", "orders")
	for _, op := range []operation{
		{"PATCH", channel, `{"properties":{"partnerTopicInfo":{"eventTypeInfo":{"kind":"Inline","inlineEventTypes":{"New":{}}}}}}`},
		{"DELETE", channel, ""},
	} {
		if a := partner.call(t, op.method, op.path, op.body); a.status != 403 || a.code() != "PartnerNotAuthorized" {
			t.Errorf("%s: %d %s", op.method, a.status, a.body)
		}
	}
	if a := partner.call(t, "GET", channel, ""); a.status != 200 {
		t.Errorf("the partner reads its channel: %d", a.status)
	}
	topic := must(customer.NewPartnerTopicsClient().Get(t.Context(), customer.group, "orders", nil))(t)
	if topic.Properties.EventTypeInfo != nil {
		t.Errorf("the refused update is there: %+v", topic.Properties.EventTypeInfo)
	}
	p := publisherOf(t, partner, "orders")
	if ok, err := p.publish(t.Context(), "still"); !ok {
		t.Fatal(err)
	}
	until(t, 10*time.Second, "events go on", func() bool { return hook.hasAll("/orders", []string{"still"}) })

	// The customer's cut: after it not one event more, whatever the partner does.
	gone, err := customer.NewPartnerTopicsClient().BeginDelete(t.Context(), customer.group, "orders", nil)
	await(t, gone, err)
	a, err := p.post(t.Context(), []byte("["+goodEvent+"]"), nil)
	if err != nil || a.status != 404 {
		t.Errorf("a publish after the cut: %d %v", a.status, err)
	}
	if a := partner.call(t, "GET", channel, ""); a.status != 404 {
		t.Errorf("the channel is left: %d", a.status)
	}
}

// TestInactiveTopicsTakeNothing publishes before activation and while
// deactivated: 200, and the events are not kept.
func TestInactiveTopicsTakeNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	if err := partner.putChannel(t, customer, "orders"); err != nil {
		t.Fatal(err)
	}
	customer.subscribe(t, "orders", "to-erp", hook.URL+"/orders")
	p := publisherOf(t, partner, "orders")
	topics := customer.NewPartnerTopicsClient()
	publish := func(id string) {
		t.Helper()
		if ok, err := p.publish(t.Context(), id); !ok {
			t.Fatal(id, err)
		}
	}
	publish("too-early")
	customer.activate(t, "orders")
	publish("first")
	until(t, 10*time.Second, "the first arrives", func() bool { return hook.hasAll("/orders", []string{"first"}) })
	must(topics.Deactivate(t.Context(), customer.group, "orders", nil))(t)
	publish("while-off")
	customer.activate(t, "orders")
	publish("second")
	until(t, 10*time.Second, "the second arrives", func() bool { return hook.hasAll("/orders", []string{"second"}) })
	if n := len(hook.byID("/orders")); n != 2 {
		t.Errorf("%d events arrived, want the 2 of an active topic", n)
	}
}

// TestNeverActivated lets channels expire; also across a restart.
func TestNeverActivated(t *testing.T) {
	t.Parallel()
	s := serve(t)
	partner, customer := pair(t, s)
	open := func(name string, expires time.Time) {
		t.Helper()
		body := channelTo(customer, name)
		body.Properties.ExpirationTimeIfNotActivatedUTC = &expires
		must(partner.NewChannelsClient().CreateOrUpdate(t.Context(), partner.group, namespace, name, body, nil))(t)
	}
	open("soon", time.Now().Add(1200*time.Millisecond))
	open("saved", time.Now().Add(1200*time.Millisecond))
	open("later", time.Now().Add(time.Hour))
	open("across", time.Now().Add(3*time.Second))
	customer.activate(t, "saved")
	both := func(name string) (channel, topic int) {
		return partner.call(t, "GET", partner.id("partnerNamespaces", namespace, "channels", name), "").status,
			customer.call(t, "GET", customer.id("partnerTopics", name), "").status
	}
	gone := func(name string) func() bool {
		return func() bool { c, tp := both(name); return c == 404 && tp == 404 }
	}
	until(t, 10*time.Second, "the channel that nobody activated goes", gone("soon"))
	s.stop(t)
	s.start(t)
	until(t, 10*time.Second, "a channel goes that fell due around a restart", gone("across"))
	for _, name := range []string{"saved", "later"} {
		if c, tp := both(name); c != 200 || tp != 200 {
			t.Errorf("%s: channel %d, partner topic %d", name, c, tp)
		}
	}
}

// TestGroupsGoWithEverything deletes the resource groups of both sides.
func TestGroupsGoWithEverything(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	other := newSide(t, s, "other", "Contributor")
	reg := must(partner.NewPartnerRegistrationsClient().Get(t.Context(), partner.group, registration, nil))(t)
	other.authorize(t, *reg.Properties.PartnerRegistrationImmutableID)
	for _, name := range []string{"orders", "invoices"} {
		connect(t, partner, customer, name, hook.URL+"/"+name)
	}
	connect(t, partner, other, "others", hook.URL+"/others")
	remove := func(d *side) {
		t.Helper()
		p, err := d.groups.BeginDelete(t.Context(), d.group, nil)
		await(t, p, err)
		_, err = d.groups.Get(t.Context(), d.group, nil)
		wantRefusal(t, err, 404, "ResourceGroupNotFound")
	}
	remove(customer)
	left := all(t, partner.NewChannelsClient().NewListByPartnerNamespacePager(partner.group, namespace, nil),
		func(p armeventgrid.ChannelsClientListByPartnerNamespaceResponse) []*armeventgrid.Channel {
			return p.Value
		})
	if len(left) != 1 || *left[0].Name != "others" {
		t.Errorf("the partner has %d channels", len(left))
	}
	remove(partner)
	topics := all(t, other.NewPartnerTopicsClient().NewListBySubscriptionPager(nil),
		func(p armeventgrid.PartnerTopicsClientListBySubscriptionResponse) []*armeventgrid.PartnerTopic {
			return p.Value
		})
	if len(topics) != 0 {
		t.Errorf("%d partner topics of a partner that is gone", len(topics))
	}
	// A group of the same name is empty.
	customer.makeGroup(t)
	if a := customer.call(t, "GET", customer.id("partnerConfigurations", "default"), ""); a.status != 404 {
		t.Errorf("the new group has the old configuration: %d", a.status)
	}
	remove(other)
}

// TestGroupOfPartnerWithoutAuthorization: deleting the partner's group would
// delete something of a customer who withdrew the authorization, so it is
// refused, as a whole, until the customer has deleted it.
func TestGroupOfPartnerWithoutAuthorization(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	conf, err := customer.NewPartnerConfigurationsClient().BeginDelete(t.Context(), customer.group, nil)
	await(t, conf, err)
	group := "/subscriptions/" + partner.subscription + "/resourceGroups/" + partner.group
	if a := partner.call(t, "DELETE", group, ""); a.status != 403 || a.code() != "PartnerNotAuthorized" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for path, d := range map[string]*side{
		partner.id("partnerRegistrations", registration):                       partner,
		partner.id("partnerNamespaces", namespace, "channels", "orders"):       partner,
		customer.id("partnerTopics", "orders", "eventSubscriptions", "to-erp"): customer,
	} {
		if a := d.call(t, "GET", path, ""); a.status != 200 {
			t.Errorf("after the refusal %s is gone: %d", path, a.status)
		}
	}
	gone, err := customer.NewPartnerTopicsClient().BeginDelete(t.Context(), customer.group, "orders", nil)
	await(t, gone, err)
	if a := partner.call(t, "DELETE", group, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestOneTopicOneChannel has many channels ask for one partner topic at the
// same time: exactly one gets it.
func TestOneTopicOneChannel(t *testing.T) {
	t.Parallel()
	s := serve(t)
	partner, customer := pair(t, s)
	header := map[string]string{"Authorization": "Bearer " + partner.token(t, "https://management.azure.com/.default")}
	var won atomic.Int64
	var tries sync.WaitGroup
	for i := range 12 {
		tries.Go(func() {
			target := s.url + partner.id("partnerNamespaces", namespace, "channels", fmt.Sprint("ch-", i)) + "?api-version=2022-06-15"
			body := fmt.Sprintf(`{"properties":{"partnerTopicInfo":{"azureSubscriptionId":%q,"resourceGroupName":%q,"name":"orders","source":"/s"}}}`, customer.subscription, customer.group)
			switch a, err := s.send(t.Context(), http.MethodPut, target, header, []byte(body)); {
			case err == nil && a.status == 200:
				won.Add(1)
			case err != nil || a.status != 409 || a.code() != "Conflict":
				t.Errorf("%d %s %v", a.status, a.body, err)
			}
		})
	}
	tries.Wait()
	left := all(t, partner.NewChannelsClient().NewListByPartnerNamespacePager(partner.group, namespace, nil),
		func(p armeventgrid.ChannelsClientListByPartnerNamespaceResponse) []*armeventgrid.Channel {
			return p.Value
		})
	if won.Load() != 1 || len(left) != 1 {
		t.Errorf("%d channels got the topic, %d are there", won.Load(), len(left))
	}
}
