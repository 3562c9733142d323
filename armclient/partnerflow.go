package armclient

import (
	"context"
	"fmt"
	"net/http"
)

// Party is one side of a partner's stream: a principal and the resource group
// it works in. The group is created if it is missing.
type Party struct {
	Client       *Client
	Subscription string // Azure subscription id
	Group        string
}

// Step is a stage of [PartnerFlow]; each is done by one side with its own
// rights only.
type Step int

// The steps, in the order in which they happen.
const (
	NamespaceOpened   Step = iota // partner: registration and partner namespace exist
	PartnerAuthorized             // customer: the partner configuration lists the partner
	ChannelCreated                // partner: channel here, partner topic (not active) there
	TopicActivated                // customer: events may flow
	EventsSubscribed              // customer: one event subscription exists
)

// PartnerFlow sets up one stream of events from a partner to a customer. What
// exists already is kept, so several flows may share a registration and a
// namespace: the second customer of a partner gets a channel of its own there.
type PartnerFlow struct {
	Partner  Party
	Customer Party

	Region        string   // of the partner namespace; "" means westeurope
	Registration  string   // 3 to 50 letters, digits and hyphens, like all names here
	Namespace     string   // routes by channel name
	Channel       string   // "" means the partner topic's name
	PartnerTopic  string   // appears in the customer's group
	Source        string   // what the customer sees as origin of the stream
	EventTypes    []string // declared to the customer; information, no filter
	Subscriptions []EventSubscription

	// Done, if set, is called after each step, in order; detail names what was
	// made: the namespace's endpoint, the partner's id, the channel, the topic,
	// the event subscription.
	Done func(step Step, detail string)
}

// EventSubscription is a webhook of the customer and what it wants to hear.
type EventSubscription struct {
	Name   string
	URL    string
	Filter map[string]any // as in the body of an event subscription; nil means every event
}

// Stream is what a publisher needs in order to send events on a channel.
type Stream struct {
	Endpoint     string // publish URL of the partner namespace
	Key          string // for the header aeg-sas-key
	Channel      string // for the header aeg-channel-name
	PartnerTopic string // id of the customer's side
}

// Run does the steps one after the other and stops at the first that fails.
// It may be repeated: what is done is left as it is.
func (f PartnerFlow) Run(ctx context.Context) (Stream, error) {
	if f.Region == "" {
		f.Region = "westeurope"
	}
	if f.Channel == "" {
		f.Channel = f.PartnerTopic
	}
	if f.Done == nil {
		f.Done = func(Step, string) {}
	}
	endpoint, partnerID, err := f.openNamespace(ctx)
	if err != nil {
		return Stream{}, fmt.Errorf("opening partner namespace %s: %w", f.Namespace, err)
	}
	f.Done(NamespaceOpened, endpoint)
	if err := f.authorizePartner(ctx, partnerID); err != nil {
		return Stream{}, fmt.Errorf("authorizing the partner in group %s: %w", f.Customer.Group, err)
	}
	f.Done(PartnerAuthorized, partnerID)
	if err := f.createChannel(ctx); err != nil {
		return Stream{}, fmt.Errorf("creating channel %s: %w", f.Channel, err)
	}
	f.Done(ChannelCreated, f.Channel)
	topic := EventGridID(f.Customer.Subscription, f.Customer.Group, "partnerTopics", f.PartnerTopic)
	if err := f.Customer.Client.Do(ctx, http.MethodPost, topic+"/activate", VersionEventGrid, nil, nil); err != nil {
		return Stream{}, fmt.Errorf("activating partner topic %s: %w", f.PartnerTopic, err)
	}
	f.Done(TopicActivated, f.PartnerTopic)
	for _, s := range f.Subscriptions {
		if err := f.subscribe(ctx, topic, s); err != nil {
			return Stream{}, fmt.Errorf("creating event subscription %s: %w", s.Name, err)
		}
		f.Done(EventsSubscribed, s.Name)
	}
	var keys struct{ Key1 string }
	if err := f.Partner.Client.Do(ctx, http.MethodPost, f.namespaceID()+"/listKeys", VersionEventGrid, nil, &keys); err != nil {
		return Stream{}, fmt.Errorf("reading the keys of partner namespace %s: %w", f.Namespace, err)
	}
	return Stream{Endpoint: endpoint, Key: keys.Key1, Channel: f.Channel, PartnerTopic: topic}, nil
}

func (f PartnerFlow) namespaceID() string {
	return EventGridID(f.Partner.Subscription, f.Partner.Group, "partnerNamespaces", f.Namespace)
}

func (f PartnerFlow) openNamespace(ctx context.Context) (endpoint, partnerID string, err error) {
	if err := f.Partner.prepare(ctx, f.Region); err != nil {
		return "", "", err
	}
	var registration struct {
		Properties struct{ PartnerRegistrationImmutableID string }
	}
	registrationID := EventGridID(f.Partner.Subscription, f.Partner.Group, "partnerRegistrations", f.Registration)
	err = f.Partner.Client.ensure(ctx, registrationID, VersionEventGrid, map[string]any{"location": "global"}, &registration)
	if err != nil {
		return "", "", err
	}
	var namespace struct {
		Properties struct{ Endpoint string }
	}
	err = f.Partner.Client.ensure(ctx, f.namespaceID(), VersionEventGrid, map[string]any{
		"location": f.Region,
		"properties": map[string]any{
			"partnerRegistrationFullyQualifiedId": registrationID,
			"partnerTopicRoutingMode":             "ChannelNameHeader",
		},
	}, &namespace)
	return namespace.Properties.Endpoint, registration.Properties.PartnerRegistrationImmutableID, err
}

func (f PartnerFlow) authorizePartner(ctx context.Context, partnerID string) error {
	if err := f.Customer.prepare(ctx, f.Region); err != nil {
		return err
	}
	// A PUT would replace the authorizations of other partners.
	config := EventGridID(f.Customer.Subscription, f.Customer.Group, "partnerConfigurations", "default")
	err := f.Customer.Client.ensure(ctx, config, VersionEventGrid,
		map[string]any{"location": "global", "properties": map[string]any{}}, nil)
	if err != nil {
		return err
	}
	return f.Customer.Client.Do(ctx, http.MethodPost, config+"/authorizePartner", VersionEventGrid,
		map[string]any{"partnerRegistrationImmutableId": partnerID}, nil)
}

func (f PartnerFlow) createChannel(ctx context.Context) error {
	types := map[string]any{}
	for _, name := range f.EventTypes {
		types[name] = map[string]any{"displayName": name}
	}
	return f.Partner.Client.ensure(ctx, f.namespaceID()+"/channels/"+f.Channel, VersionEventGrid, map[string]any{
		"properties": map[string]any{
			"channelType": "PartnerTopic",
			"partnerTopicInfo": map[string]any{
				"azureSubscriptionId": f.Customer.Subscription,
				"resourceGroupName":   f.Customer.Group,
				"name":                f.PartnerTopic,
				"source":              f.Source,
				"eventTypeInfo":       map[string]any{"kind": "Inline", "inlineEventTypes": types},
			},
		},
	}, nil)
}

func (f PartnerFlow) subscribe(ctx context.Context, topic string, s EventSubscription) error {
	properties := map[string]any{
		"eventDeliverySchema": "CloudEventSchemaV1_0",
		"destination": map[string]any{
			"endpointType": "WebHook",
			"properties":   map[string]any{"endpointUrl": s.URL},
		},
	}
	if s.Filter != nil {
		properties["filter"] = s.Filter
	}
	return f.Customer.Client.Put(ctx, topic+"/eventSubscriptions/"+s.Name, VersionEventGrid,
		map[string]any{"properties": properties}, nil)
}

func (p Party) prepare(ctx context.Context, region string) error {
	if _, err := p.Client.EnsureGroup(ctx, p.Subscription, p.Group, region); err != nil {
		return err
	}
	return p.Client.RegisterProvider(ctx, p.Subscription, EventGrid)
}
