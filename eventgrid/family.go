package eventgrid

import (
	"strings"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// family is one kind of topic that event subscriptions are stored under. The
// table is all that tells the nested types apart; their rules are the same.
type family struct {
	topic        string // type of the topic
	subscription string // type of its event subscriptions
	name         string // of the topic type, in list variants; system topics have their own
	what         string // in messages
	versions     []string
	limit        func(Limits) int
	// schema returns the input schema of a topic.
	schema func(resource.Tx, *resource.Resource) (event.Schema, error)
}

var families = []*family{
	{
		topic: TypeTopic, subscription: TypeTopicEventSubscription, name: topicsName, what: "topic", versions: channelVersions,
		limit:  func(l Limits) int { return l.SubscriptionsPerTopic },
		schema: func(_ resource.Tx, topic *resource.Resource) (event.Schema, error) { return inputSchemaOf(topic) },
	},
	{
		topic: TypeDomain, subscription: TypeDomainEventSubscription, name: domainsName, what: "domain", versions: channelVersions,
		limit:  func(l Limits) int { return l.SubscriptionsPerDomain },
		schema: func(_ resource.Tx, topic *resource.Resource) (event.Schema, error) { return inputSchemaOf(topic) },
	},
	{
		topic: TypeDomainTopic, subscription: TypeDomainTopicEventSubscription, name: domainsName, what: "domain topic", versions: channelVersions,
		limit: func(l Limits) int { return l.SubscriptionsPerDomainTopic },
		schema: func(tx resource.Tx, topic *resource.Resource) (event.Schema, error) {
			domain, ok := tx.Get(topic.ID.Parent())
			if !ok {
				return 0, parentNotFound("domain", topic.ID.Parent())
			}
			return inputSchemaOf(domain)
		},
	},
	{
		topic: TypeSystemTopic, subscription: TypeSystemTopicEventSubscription, what: "system topic", versions: systemTopicVersions,
		limit:  func(l Limits) int { return l.SubscriptionsPerTopic },
		schema: func(resource.Tx, *resource.Resource) (event.Schema, error) { return event.EventGrid, nil },
	},
	{
		topic: TypePartnerTopic, subscription: TypePartnerTopicEventSubscription, name: Namespace + ".PartnerTopics", what: "partner topic", versions: partnerVersions,
		limit:  func(l Limits) int { return l.SubscriptionsPerTopic },
		schema: func(resource.Tx, *resource.Resource) (event.Schema, error) { return event.CloudEvents, nil },
	},
}

func familyOfTopic(typ string) *family {
	for _, f := range families {
		if strings.EqualFold(f.topic, typ) {
			return f
		}
	}
	return nil
}

// SubscriptionTypes returns the types that event subscriptions are stored as.
func SubscriptionTypes() []string {
	types := make([]string, len(families))
	for i, f := range families {
		types[i] = f.subscription
	}
	return types
}

// SubscriptionVersions returns the api-versions that know the extension form of
// event subscriptions; the nested forms came later.
func SubscriptionVersions() []string { return allVersions }

func parentNotFound(what string, id resource.ID) error {
	return resource.Errorf(resource.ParentNotFound, "The %s '%s' could not be found.", what, id.Name())
}
