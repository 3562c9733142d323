package e2e

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// The names that tests use unless they need several.
const (
	registration = "northwave"
	namespace    = "northwave-weu"
)

// await finishes a long-running operation. Everything here is done when its
// first answer comes, so there is nothing to poll.
func await[R any](t *testing.T, p *runtime.Poller[R], err error) R {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.PollUntilDone(t.Context(), &runtime.PollUntilDoneOptions{Frequency: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// all reads every page of a list.
func all[R, V any](t *testing.T, p *runtime.Pager[R], values func(R) []V) []V {
	t.Helper()
	var out []V
	for p.More() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, values(page)...)
	}
	return out
}

// openNamespace makes the partner's registration and namespace, and returns the
// immutable id that customers authorize.
func (d *side) openNamespace(t *testing.T) string {
	t.Helper()
	d.makeGroup(t)
	p, err := d.NewPartnerRegistrationsClient().BeginCreateOrUpdate(t.Context(), d.group, registration,
		armeventgrid.PartnerRegistration{Location: new("global")}, nil)
	made := await(t, p, err)
	n, err := d.NewPartnerNamespacesClient().BeginCreateOrUpdate(t.Context(), d.group, namespace, d.namespaceBody(), nil)
	await(t, n, err)
	return *made.Properties.PartnerRegistrationImmutableID
}

func (d *side) namespaceBody() armeventgrid.PartnerNamespace {
	return armeventgrid.PartnerNamespace{Location: new(region), Properties: &armeventgrid.PartnerNamespaceProperties{
		PartnerRegistrationFullyQualifiedID: new(d.id("partnerRegistrations", registration)),
		PartnerTopicRoutingMode:             new(armeventgrid.PartnerTopicRoutingModeChannelNameHeader),
	}}
}

// authorize makes the customer's group, with a partner configuration that lists
// the partner.
func (d *side) authorize(t *testing.T, immutableID string) {
	t.Helper()
	d.makeGroup(t)
	p, err := d.NewPartnerConfigurationsClient().BeginCreateOrUpdate(t.Context(), d.group, armeventgrid.PartnerConfiguration{
		Location: new("global"), Properties: &armeventgrid.PartnerConfigurationProperties{},
	}, nil)
	await(t, p, err)
	must(d.NewPartnerConfigurationsClient().AuthorizePartner(t.Context(), d.group,
		armeventgrid.Partner{PartnerRegistrationImmutableID: new(immutableID)}, nil))(t)
}

// channelTo is the body of a channel from a partner to a topic of a customer.
func channelTo(customer *side, topic string) armeventgrid.Channel {
	return armeventgrid.Channel{Properties: &armeventgrid.ChannelProperties{
		ChannelType: new(armeventgrid.ChannelTypePartnerTopic),
		PartnerTopicInfo: &armeventgrid.PartnerTopicInfo{
			AzureSubscriptionID: new(customer.subscription), ResourceGroupName: new(customer.group),
			Name: new(topic), Source: new("/northwave/accounts/" + topic),
		},
	}}
}

// putChannel makes a channel whose partner topic bears the same name.
func (d *side) putChannel(t *testing.T, customer *side, name string) error {
	t.Helper()
	_, err := d.NewChannelsClient().CreateOrUpdate(t.Context(), d.group, namespace, name, channelTo(customer, name), nil)
	return err
}

// webhook is the body of an event subscription.
func webhook(url string) armeventgrid.EventSubscription {
	return armeventgrid.EventSubscription{Properties: &armeventgrid.EventSubscriptionProperties{
		Destination: &armeventgrid.WebHookEventSubscriptionDestination{
			EndpointType: new(armeventgrid.EndpointTypeWebHook),
			Properties:   &armeventgrid.WebHookEventSubscriptionDestinationProperties{EndpointURL: new(url)},
		},
	}}
}

// subscribe makes an event subscription that works when it returns.
func (d *side) subscribe(t *testing.T, topic, name, url string) {
	t.Helper()
	p, err := d.NewPartnerTopicEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), d.group, topic, name, webhook(url), nil)
	if got := await(t, p, err); *got.Properties.ProvisioningState != armeventgrid.EventSubscriptionProvisioningStateSucceeded {
		t.Fatalf("the event subscription is %s", *got.Properties.ProvisioningState)
	}
}

func (d *side) activate(t *testing.T, topic string) {
	t.Helper()
	must(d.NewPartnerTopicsClient().Activate(t.Context(), d.group, topic, nil))(t)
}

// connect leads a channel of the partner to an endpoint of the customer.
func connect(t *testing.T, partner, customer *side, channel, url string) {
	t.Helper()
	if err := partner.putChannel(t, customer, channel); err != nil {
		t.Fatal(err)
	}
	customer.activate(t, channel)
	customer.subscribe(t, channel, "to-erp", url)
}

// pair makes a partner and a customer who trusts it.
func pair(t *testing.T, s *server) (partner, customer *side) {
	t.Helper()
	partner = newSide(t, s, "partner", "Contributor")
	customer = newSide(t, s, "customer", "Contributor")
	customer.authorize(t, partner.openNamespace(t))
	return partner, customer
}
