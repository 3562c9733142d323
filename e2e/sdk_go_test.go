package e2e

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// calls notes which methods of the SDK for Go have been called, by the names of
// their responses.
type calls struct {
	*testing.T
	seen map[string]bool
}

func (c *calls) note(response reflect.Type, err error) {
	c.Helper()
	c.seen[response.Name()] = true
	if err != nil {
		c.Errorf("%s: %v", strings.TrimSuffix(response.Name(), "Response"), err)
	}
}

// one checks a call that answers at once.
func one[R any](v R, err error) func(*calls) R {
	return func(c *calls) R {
		c.Helper()
		c.note(reflect.TypeFor[R](), err)
		return v
	}
}

// long checks a call that has to be waited for.
func long[R any](p *runtime.Poller[R], err error) func(*calls) R {
	return func(c *calls) R {
		c.Helper()
		var v R
		if err == nil {
			v, err = p.PollUntilDone(c.Context(), &runtime.PollUntilDoneOptions{Frequency: time.Second})
		}
		c.note(reflect.TypeFor[R](), err)
		return v
	}
}

// listed checks a list, which must not be empty.
func listed[R any](c *calls, p *runtime.Pager[R]) {
	c.Helper()
	var err error
	items := 0
	for err == nil && p.More() {
		var page R
		if page, err = p.NextPage(c.Context()); err == nil {
			items += reflect.ValueOf(page).FieldByName("Value").Len()
		}
	}
	if err == nil && items == 0 {
		err = fmt.Errorf("there is nothing in the list")
	}
	c.note(reflect.TypeFor[R](), err)
}

// TestGoSDK calls every method of every client of Microsoft's SDK for Go. It
// finds out which there are by itself, so that none is forgotten.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t).URL + "/hook?code=s3cr3t"
	partner := newSide(t, s, "partner", "Contributor")
	customer := newSide(t, s, "customer", "Contributor")
	partner.makeGroup(t)
	customer.makeGroup(t)
	publishVerifiedPartner(t, s)
	c := &calls{t, make(map[string]bool)}

	c.partnerSide(partner)
	c.customerSide(partner, customer, hook)
	c.topics(customer, hook)
	c.domains(customer, hook)
	c.systemTopics(customer, hook)
	c.extensions(customer, hook)
	c.lists(customer)
	c.privateEndpoints(customer)
	c.tenant(customer)
	c.end(partner, customer)

	all := methodsOfSDK()
	if len(all) < 100 {
		t.Fatalf("the SDK has only %d methods: %s", len(all), all)
	}
	for _, response := range all {
		if !c.seen[response] {
			t.Errorf("%s is not tried", strings.TrimSuffix(response, "Response"))
		}
	}
	t.Logf("%d methods", len(all))
}

// methodsOfSDK returns the response types of all methods of all clients.
func methodsOfSDK() []string {
	var all []string
	factory := reflect.TypeFor[*armeventgrid.ClientFactory]()
	for maker := range factory.Methods() {
		client := maker.Type.Out(0)
		for method := range client.Methods() {
			name := strings.TrimPrefix(method.Name, "Begin")
			if pager, ok := strings.CutSuffix(name, "Pager"); ok {
				name = strings.TrimPrefix(pager, "New")
			}
			all = append(all, client.Elem().Name()+name+"Response")
		}
	}
	slices.Sort(all)
	return all
}

func labels() armeventgrid.EventSubscriptionUpdateParameters {
	return armeventgrid.EventSubscriptionUpdateParameters{Labels: []*string{new("changed")}}
}

func newTags() map[string]*string { return map[string]*string{"a": new("b")} }

func (c *calls) partnerSide(d *side) {
	c.Helper()
	ctx, g := c.Context(), d.group
	registrations, namespaces := d.NewPartnerRegistrationsClient(), d.NewPartnerNamespacesClient()
	long(registrations.BeginCreateOrUpdate(ctx, g, registration, armeventgrid.PartnerRegistration{Location: new("global")}, nil))(c)
	one(registrations.Get(ctx, g, registration, nil))(c)
	long(registrations.BeginUpdate(ctx, g, registration, armeventgrid.PartnerRegistrationUpdateParameters{Tags: newTags()}, nil))(c)
	listed(c, registrations.NewListByResourceGroupPager(g, nil))
	listed(c, registrations.NewListBySubscriptionPager(nil))
	long(namespaces.BeginCreateOrUpdate(ctx, g, namespace, d.namespaceBody(), nil))(c)
	one(namespaces.Get(ctx, g, namespace, nil))(c)
	long(namespaces.BeginUpdate(ctx, g, namespace, armeventgrid.PartnerNamespaceUpdateParameters{Tags: newTags()}, nil))(c)
	listed(c, namespaces.NewListByResourceGroupPager(g, nil))
	listed(c, namespaces.NewListBySubscriptionPager(nil))
	one(namespaces.ListSharedAccessKeys(ctx, g, namespace, nil))(c)
	one(namespaces.RegenerateKey(ctx, g, namespace, armeventgrid.PartnerNamespaceRegenerateKeyRequest{KeyName: new("key1")}, nil))(c)
}

// customerSide also makes the channels: they need the customer's consent.
func (c *calls) customerSide(partner, d *side, hook string) {
	c.Helper()
	ctx, g := c.Context(), d.group
	configurations, topics, subscriptions := d.NewPartnerConfigurationsClient(), d.NewPartnerTopicsClient(), d.NewPartnerTopicEventSubscriptionsClient()
	long(configurations.BeginCreateOrUpdate(ctx, g, armeventgrid.PartnerConfiguration{Location: new("global"), Properties: &armeventgrid.PartnerConfigurationProperties{}}, nil))(c)
	made := one(partner.NewPartnerRegistrationsClient().Get(ctx, partner.group, registration, nil))(c)
	someone := armeventgrid.Partner{PartnerName: new("Someone")}
	one(configurations.AuthorizePartner(ctx, g, armeventgrid.Partner{PartnerRegistrationImmutableID: made.Properties.PartnerRegistrationImmutableID}, nil))(c)
	one(configurations.AuthorizePartner(ctx, g, someone, nil))(c)
	if left := one(configurations.UnauthorizePartner(ctx, g, someone, nil))(c); left.Properties == nil || len(left.Properties.PartnerAuthorization.AuthorizedPartnersList) != 1 {
		c.Errorf("after authorizing two partners and unauthorizing one: %+v", left.Properties)
	}
	one(configurations.Get(ctx, g, nil))(c)
	long(configurations.BeginUpdate(ctx, g, armeventgrid.PartnerConfigurationUpdateParameters{Tags: newTags()}, nil))(c)
	listed(c, configurations.NewListByResourceGroupPager(g, nil))
	listed(c, configurations.NewListBySubscriptionPager(nil))
	c.channels(partner, d, hook)

	one(topics.Activate(ctx, g, "orders", nil))(c)
	one(topics.Deactivate(ctx, g, "orders", nil))(c)
	one(topics.CreateOrUpdate(ctx, g, "orders", armeventgrid.PartnerTopic{Location: new(region), Tags: newTags()}, nil))(c)
	one(topics.Get(ctx, g, "orders", nil))(c)
	one(topics.Update(ctx, g, "orders", armeventgrid.PartnerTopicUpdateParameters{Tags: newTags()}, nil))(c)
	listed(c, topics.NewListByResourceGroupPager(g, nil))
	listed(c, topics.NewListBySubscriptionPager(nil))
	long(subscriptions.BeginCreateOrUpdate(ctx, g, "orders", "sub", webhook(hook), nil))(c)
	one(subscriptions.Get(ctx, g, "orders", "sub", nil))(c)
	long(subscriptions.BeginUpdate(ctx, g, "orders", "sub", labels(), nil))(c)
	c.full(hook, one(subscriptions.GetFullURL(ctx, g, "orders", "sub", nil))(c).EndpointURL)
	one(subscriptions.GetDeliveryAttributes(ctx, g, "orders", "sub", nil))(c)
	listed(c, subscriptions.NewListByPartnerTopicPager(g, "orders", nil))
	long(subscriptions.BeginDelete(ctx, g, "orders", "sub", nil))(c)
}

func (c *calls) channels(partner, customer *side, hook string) {
	c.Helper()
	ctx, g, channels := c.Context(), partner.group, partner.NewChannelsClient()
	one(channels.CreateOrUpdate(ctx, g, namespace, "orders", channelTo(customer, "orders"), nil))(c)
	one(channels.Get(ctx, g, namespace, "orders", nil))(c)
	one(channels.Update(ctx, g, namespace, "orders", armeventgrid.ChannelUpdateParameters{Properties: &armeventgrid.ChannelUpdateParametersProperties{}}, nil))(c)
	listed(c, channels.NewListByPartnerNamespacePager(g, namespace, nil))
	putChannelWithURL(c.T, partner, customer, "returns", hook)
	c.full(hook, one(channels.GetFullURL(ctx, g, namespace, "returns", nil))(c).EndpointURL)
	long(channels.BeginDelete(ctx, g, namespace, "returns", nil))(c)
}

// putChannelWithURL makes a channel of the type that the stable versions, and so
// the SDKs, do not have. They can ask for its URL, though.
func putChannelWithURL(t *testing.T, partner, customer *side, name, url string) {
	t.Helper()
	base, _, _ := strings.Cut(url, "?")
	body := fmt.Sprintf(`{"properties":{"channelType":"PartnerDestination","partnerDestinationInfo":{"azureSubscriptionId":%q,"resourceGroupName":%q,"name":%q,"endpointType":"WebHook","properties":{"endpointUrl":%q,"endpointBaseUrl":%q}}}}`,
		customer.subscription, customer.group, name, url, base)
	a := partner.call(t, "PUT", partner.id("partnerNamespaces", namespace, "channels", name)+"?api-version="+previewOfDestinations, body)
	if a.status != 200 && a.status != 201 {
		t.Fatalf("a channel to a destination: %d %s", a.status, a.body)
	}
}

func (c *calls) full(want string, got *string) {
	c.Helper()
	if got == nil || *got != want {
		c.Errorf("the full URL is %v, want %s", got, want)
	}
}

func (c *calls) topics(d *side, hook string) {
	c.Helper()
	ctx, g, topics, subscriptions := c.Context(), d.group, d.NewTopicsClient(), d.NewTopicEventSubscriptionsClient()
	long(topics.BeginCreateOrUpdate(ctx, g, "topic", armeventgrid.Topic{Location: new(region)}, nil))(c)
	one(topics.Get(ctx, g, "topic", nil))(c)
	long(topics.BeginUpdate(ctx, g, "topic", armeventgrid.TopicUpdateParameters{Tags: newTags()}, nil))(c)
	before := one(topics.ListSharedAccessKeys(ctx, g, "topic", nil))(c)
	if after := long(topics.BeginRegenerateKey(ctx, g, "topic", armeventgrid.TopicRegenerateKeyRequest{KeyName: new("key2")}, nil))(c); after.Key1 == nil || *after.Key1 != *before.Key1 || *after.Key2 == *before.Key2 {
		c.Errorf("regenerating the second key: %v became %v", before, after)
	}
	listed(c, topics.NewListByResourceGroupPager(g, nil))
	listed(c, topics.NewListBySubscriptionPager(nil))
	long(subscriptions.BeginCreateOrUpdate(ctx, g, "topic", "sub", webhook(hook), nil))(c)
	one(subscriptions.Get(ctx, g, "topic", "sub", nil))(c)
	long(subscriptions.BeginUpdate(ctx, g, "topic", "sub", labels(), nil))(c)
	c.full(hook, one(subscriptions.GetFullURL(ctx, g, "topic", "sub", nil))(c).EndpointURL)
	one(subscriptions.GetDeliveryAttributes(ctx, g, "topic", "sub", nil))(c)
	listed(c, subscriptions.NewListPager(g, "topic", nil))
	long(subscriptions.BeginDelete(ctx, g, "topic", "sub", nil))(c)
}

func (c *calls) domains(d *side, hook string) {
	c.Helper()
	ctx, g, domains, subscriptions := c.Context(), d.group, d.NewDomainsClient(), d.NewDomainEventSubscriptionsClient()
	long(domains.BeginCreateOrUpdate(ctx, g, "domain", armeventgrid.Domain{Location: new(region)}, nil))(c)
	one(domains.Get(ctx, g, "domain", nil))(c)
	long(domains.BeginUpdate(ctx, g, "domain", armeventgrid.DomainUpdateParameters{Tags: newTags()}, nil))(c)
	one(domains.ListSharedAccessKeys(ctx, g, "domain", nil))(c)
	one(domains.RegenerateKey(ctx, g, "domain", armeventgrid.DomainRegenerateKeyRequest{KeyName: new("key2")}, nil))(c)
	listed(c, domains.NewListByResourceGroupPager(g, nil))
	listed(c, domains.NewListBySubscriptionPager(nil))
	long(subscriptions.BeginCreateOrUpdate(ctx, g, "domain", "sub", webhook(hook), nil))(c)
	one(subscriptions.Get(ctx, g, "domain", "sub", nil))(c)
	long(subscriptions.BeginUpdate(ctx, g, "domain", "sub", labels(), nil))(c)
	c.full(hook, one(subscriptions.GetFullURL(ctx, g, "domain", "sub", nil))(c).EndpointURL)
	one(subscriptions.GetDeliveryAttributes(ctx, g, "domain", "sub", nil))(c)
	listed(c, subscriptions.NewListPager(g, "domain", nil))
	long(subscriptions.BeginDelete(ctx, g, "domain", "sub", nil))(c)

	inner, topics := d.NewDomainTopicEventSubscriptionsClient(), d.NewDomainTopicsClient()
	long(topics.BeginCreateOrUpdate(ctx, g, "domain", "tenant", nil))(c)
	one(topics.Get(ctx, g, "domain", "tenant", nil))(c)
	listed(c, topics.NewListByDomainPager(g, "domain", nil))
	long(inner.BeginCreateOrUpdate(ctx, g, "domain", "tenant", "sub", webhook(hook), nil))(c)
	one(inner.Get(ctx, g, "domain", "tenant", "sub", nil))(c)
	long(inner.BeginUpdate(ctx, g, "domain", "tenant", "sub", labels(), nil))(c)
	c.full(hook, one(inner.GetFullURL(ctx, g, "domain", "tenant", "sub", nil))(c).EndpointURL)
	one(inner.GetDeliveryAttributes(ctx, g, "domain", "tenant", "sub", nil))(c)
	listed(c, inner.NewListPager(g, "domain", "tenant", nil))
	listed(c, d.NewEventSubscriptionsClient().NewListByDomainTopicPager(g, "domain", "tenant", nil))
	long(inner.BeginDelete(ctx, g, "domain", "tenant", "sub", nil))(c)
	long(topics.BeginDelete(ctx, g, "domain", "tenant", nil))(c)
}

// systemTopics leaves an event subscription behind, for the lists.
func (c *calls) systemTopics(d *side, hook string) {
	c.Helper()
	ctx, g, topics, subscriptions := c.Context(), d.group, d.NewSystemTopicsClient(), d.NewSystemTopicEventSubscriptionsClient()
	source := "/subscriptions/" + d.subscription + "/resourceGroups/" + g
	long(topics.BeginCreateOrUpdate(ctx, g, "system", armeventgrid.SystemTopic{Location: new("global"), Properties: &armeventgrid.SystemTopicProperties{
		Source: new(source), TopicType: new("Microsoft.Resources.ResourceGroups"),
	}}, nil))(c)
	one(topics.Get(ctx, g, "system", nil))(c)
	long(topics.BeginUpdate(ctx, g, "system", armeventgrid.SystemTopicUpdateParameters{Tags: newTags()}, nil))(c)
	listed(c, topics.NewListByResourceGroupPager(g, nil))
	listed(c, topics.NewListBySubscriptionPager(nil))
	one(d.NewExtensionTopicsClient().Get(ctx, source, nil))(c)
	for _, name := range []string{"sub", "kept"} {
		long(subscriptions.BeginCreateOrUpdate(ctx, g, "system", name, webhook(hook), nil))(c)
	}
	one(subscriptions.Get(ctx, g, "system", "sub", nil))(c)
	long(subscriptions.BeginUpdate(ctx, g, "system", "sub", labels(), nil))(c)
	c.full(hook, one(subscriptions.GetFullURL(ctx, g, "system", "sub", nil))(c).EndpointURL)
	one(subscriptions.GetDeliveryAttributes(ctx, g, "system", "sub", nil))(c)
	listed(c, subscriptions.NewListBySystemTopicPager(g, "system", nil))
	long(subscriptions.BeginDelete(ctx, g, "system", "sub", nil))(c)
}

// extensions leaves an event subscription on the topic behind, for the lists.
func (c *calls) extensions(d *side, hook string) {
	c.Helper()
	ctx, scope, subscriptions := c.Context(), d.id("topics", "topic"), d.NewEventSubscriptionsClient()
	for _, name := range []string{"ext", "kept"} {
		long(subscriptions.BeginCreateOrUpdate(ctx, scope, name, webhook(hook), nil))(c)
	}
	one(subscriptions.Get(ctx, scope, "ext", nil))(c)
	long(subscriptions.BeginUpdate(ctx, scope, "ext", labels(), nil))(c)
	c.full(hook, one(subscriptions.GetFullURL(ctx, scope, "ext", nil))(c).EndpointURL)
	one(subscriptions.GetDeliveryAttributes(ctx, scope, "ext", nil))(c)
	long(subscriptions.BeginDelete(ctx, scope, "ext", nil))(c)
}

func (c *calls) lists(d *side) {
	c.Helper()
	const groups, topics = "Microsoft.Resources.ResourceGroups", "Microsoft.EventGrid.Topics"
	g, subscriptions := d.group, d.NewEventSubscriptionsClient()
	listed(c, subscriptions.NewListByResourcePager(g, "Microsoft.EventGrid", "topics", "topic", nil))
	listed(c, subscriptions.NewListGlobalByResourceGroupPager(g, nil))
	listed(c, subscriptions.NewListGlobalByResourceGroupForTopicTypePager(g, groups, nil))
	listed(c, subscriptions.NewListGlobalBySubscriptionPager(nil))
	listed(c, subscriptions.NewListGlobalBySubscriptionForTopicTypePager(groups, nil))
	listed(c, subscriptions.NewListRegionalByResourceGroupPager(g, region, nil))
	listed(c, subscriptions.NewListRegionalByResourceGroupForTopicTypePager(g, region, topics, nil))
	listed(c, subscriptions.NewListRegionalBySubscriptionPager(region, nil))
	listed(c, subscriptions.NewListRegionalBySubscriptionForTopicTypePager(region, topics, nil))
}

func (c *calls) privateEndpoints(d *side) {
	c.Helper()
	ctx, g, topics := c.Context(), d.group, armeventgrid.PrivateEndpointConnectionsParentTypeTopics
	connections, links := d.NewPrivateEndpointConnectionsClient(), d.NewPrivateLinkResourcesClient()
	endpoint := "/subscriptions/" + d.subscription + "/resourceGroups/" + g + "/providers/Microsoft.Network/privateEndpoints/pe"
	long(connections.BeginUpdate(ctx, g, topics, "topic", "pe", armeventgrid.PrivateEndpointConnection{Properties: &armeventgrid.PrivateEndpointConnectionProperties{
		PrivateEndpoint:                   &armeventgrid.PrivateEndpoint{ID: new(endpoint)},
		PrivateLinkServiceConnectionState: &armeventgrid.ConnectionState{Status: new(armeventgrid.PersistedConnectionStatusApproved)},
	}}, nil))(c)
	one(connections.Get(ctx, g, topics, "topic", "pe", nil))(c)
	listed(c, connections.NewListByResourcePager(g, topics, "topic", nil))
	long(connections.BeginDelete(ctx, g, topics, "topic", "pe", nil))(c)
	one(links.Get(ctx, g, string(topics), "topic", "topic", nil))(c)
	listed(c, links.NewListByResourcePager(g, string(topics), "topic", nil))
}

func (c *calls) tenant(d *side) {
	c.Helper()
	const groups = "Microsoft.Resources.ResourceGroups"
	ctx := c.Context()
	listed(c, d.NewOperationsClient().NewListPager(nil))
	listed(c, d.NewTopicTypesClient().NewListPager(nil))
	one(d.NewTopicTypesClient().Get(ctx, groups, nil))(c)
	listed(c, d.NewTopicTypesClient().NewListEventTypesPager(groups, nil))
	listed(c, d.NewTopicsClient().NewListEventTypesPager(d.group, "Microsoft.Storage", "storageAccounts", "shop", nil))
	listed(c, d.NewVerifiedPartnersClient().NewListPager(nil))
	one(d.NewVerifiedPartnersClient().Get(ctx, "Northwave", nil))(c)
}

func (c *calls) end(partner, customer *side) {
	c.Helper()
	ctx, g := c.Context(), customer.group
	long(partner.NewChannelsClient().BeginDelete(ctx, partner.group, namespace, "orders", nil))(c)
	long(customer.NewPartnerTopicsClient().BeginDelete(ctx, g, "orders", nil))(c) // which the channel took along: 204
	long(partner.NewPartnerNamespacesClient().BeginDelete(ctx, partner.group, namespace, nil))(c)
	long(partner.NewPartnerRegistrationsClient().BeginDelete(ctx, partner.group, registration, nil))(c)
	long(customer.NewPartnerConfigurationsClient().BeginDelete(ctx, g, nil))(c)
	long(customer.NewSystemTopicsClient().BeginDelete(ctx, g, "system", nil))(c)
	long(customer.NewDomainsClient().BeginDelete(ctx, g, "domain", nil))(c)
	long(customer.NewTopicsClient().BeginDelete(ctx, g, "topic", nil))(c)
}
