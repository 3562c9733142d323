package eventgrid

import (
	"context"
	"regexp"
	"sync"
	"time"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// Namespace is the resource provider.
const Namespace = "Microsoft.EventGrid"

// The kinds in canonical casing.
const (
	TypePartnerRegistration           = Namespace + "/partnerRegistrations"
	TypePartnerNamespace              = Namespace + "/partnerNamespaces"
	TypeChannel                       = Namespace + "/partnerNamespaces/channels"
	TypeEventChannel                  = Namespace + "/partnerNamespaces/eventChannels"
	TypePartnerConfiguration          = Namespace + "/partnerConfigurations"
	TypePartnerTopic                  = Namespace + "/partnerTopics"
	TypePartnerDestination            = Namespace + "/partnerDestinations"
	TypePartnerTopicEventSubscription = Namespace + "/partnerTopics/eventSubscriptions"
	TypeTopic                         = Namespace + "/topics"
	TypeTopicEventSubscription        = Namespace + "/topics/eventSubscriptions"
	TypeDomain                        = Namespace + "/domains"
	TypeDomainEventSubscription       = Namespace + "/domains/eventSubscriptions"
	TypeDomainTopic                   = Namespace + "/domains/topics"
	TypeDomainTopicEventSubscription  = Namespace + "/domains/topics/eventSubscriptions"
	TypeSystemTopic                   = Namespace + "/systemTopics"
	TypeSystemTopicEventSubscription  = Namespace + "/systemTopics/eventSubscriptions"

	// TypeVerifiedPartner is the gallery of partners, at the root of the tenant.
	TypeVerifiedPartner = Namespace + "/verifiedPartners"

	// TypeEventSubscription is the extension form of event subscriptions, by which
	// they hang on any scope. None is stored under it (see [Home]).
	TypeEventSubscription = Namespace + "/eventSubscriptions"
)

// Rules carries what the rules need from the outside world. Webhooks and
// Validations are required; it is safe for concurrent use once built.
type Rules struct {
	Webhooks    Webhooks
	Validations *Validations
	// Audiences says which endpoints may have tokens; nil: none.
	Audiences *Audiences
	// Regions limits where regional resources may be created; empty allows any.
	Regions []string
	// Limits replaces Azure's limits where it is not zero.
	Limits Limits
	// ValidationWindow is how long an endpoint may take to consent through the
	// callback; 0 means 10 minutes. Texts name 5 and 10: the longer harms nobody.
	ValidationWindow time.Duration
	// Deliveries answers getDeliveryStatus; without it nothing is known.
	Deliveries Deliveries

	once   sync.Once
	byType map[string]*resource.Kind
}

// Deliveries knows how the delivery to event subscriptions goes.
type Deliveries interface {
	// Status returns what a client may see of the delivery to one subscription,
	// as a value for JSON, and false when nothing is known of it.
	Status(uid resource.UID) (any, bool)
}

// Webhooks reaches webhook endpoints.
type Webhooks interface {
	// Check refuses a URL that must not be used; its error is shown to the user.
	Check(url string) error
	// Handshake asks the endpoint for its consent. It returns true when granted,
	// false when the endpoint may still consent through the callback, and an
	// error, shown to the user, when it refused or did not answer. An
	// [*resource.Error] says that it was not asked.
	Handshake(ctx context.Context, h Handshake) (bool, error)
}

// Handshake is one request for an endpoint's consent.
type Handshake struct {
	// Schema is that of deliveries: it decides which way of asking is used.
	Schema event.Schema
	// Topic is the id of the resource that the subscription is on.
	URL, SubscriptionName, Topic, SubscriptionID string
	Code, Token                                  string // of the callback that grants consent later
	// Protection is of this request as well.
	Protection
}

// Kinds returns all kinds that this server offers.
func (r *Rules) Kinds() []*resource.Kind {
	kinds := []*resource.Kind{
		partnerRegistrationKind(),
		r.partnerNamespaceKind(),
		r.channelKind(),
		r.eventChannelKind(),
		r.partnerConfigurationKind(),
		partnerTopicKind(),
		partnerDestinationKind(),
		r.topicKind(),
		r.domainKind(),
		r.domainTopicKind(),
		r.systemTopicKind(),
		verifiedPartnerKind(),
	}
	for _, f := range families {
		kinds = append(kinds, r.eventSubscriptionKind(f))
	}
	for _, p := range privateParents {
		kinds = append(kinds, r.privateEndpointKind(p))
	}
	for _, k := range kinds {
		r.bound(k)
	}
	return kinds
}

// kind returns nil for a type of somebody else.
func (r *Rules) kind(typ string) *resource.Kind {
	r.once.Do(func() {
		r.byType = make(map[string]*resource.Kind)
		for _, k := range r.Kinds() {
			r.byType[k.Type] = k
		}
	})
	return r.byType[typ]
}

// Succeeded is the provisioning state of a resource that is as it should be.
const Succeeded = "Succeeded"

const nameRule = "3 to 50 letters, digits and hyphens"

var namePattern = regexp.MustCompile(`^[-a-zA-Z0-9]{3,50}$`)

// allVersions are the api-versions of the provider, oldest first.
var allVersions = []string{
	"2018-01-01", "2018-05-01-preview", "2018-09-15-preview", "2019-01-01", "2019-02-01-preview", "2019-06-01",
	"2020-01-01-preview", "2020-04-01-preview", "2020-06-01", "2020-10-15-preview", "2021-06-01-preview",
	"2021-10-15-preview", "2021-12-01", "2022-06-15", "2023-06-01-preview", "2023-12-15-preview",
	"2024-06-01-preview", "2024-12-15-preview", "2025-02-15", "2025-04-01-preview", "2025-07-15-preview",
}

// Partner resources exist in the previews since April 2020 and in the stable
// versions since June 2022; channels and configurations since October 2021.
var (
	partnerVersions = without(since("2020-04-01-preview"), "2020-06-01", "2021-12-01")
	channelVersions = without(since("2021-10-15-preview"), "2021-12-01")
	// Partner destinations never became stable, and the previews of 2022 lack them.
	destinationVersions = without(channelVersions, "2022-06-15", "2025-02-15")
	// Domains came in September 2018 and were stable in June 2019, system topics
	// in April 2020 and December 2021.
	domainVersions      = without(since("2018-09-15-preview"), "2019-01-01")
	systemTopicVersions = without(since("2020-04-01-preview"), "2020-06-01")
)

func since(first string) []string {
	for i, v := range allVersions {
		if v == first {
			return allVersions[i:]
		}
	}
	return nil
}

func without(versions []string, drop ...string) []string {
	var out []string
next:
	for _, v := range versions {
		for _, d := range drop {
			if v == d {
				continue next
			}
		}
		out = append(out, v)
	}
	return out
}

// Subscription is the properties of an Azure subscription, as far as the rules
// of other resources look at it.
type Subscription struct {
	DisplayName string `json:"displayName"`
	State       string `json:"state"`
	// Registered holds the namespaces of the registered resource providers.
	Registered []string `json:"registeredProviders,omitempty"`
}

// RequireRegistered fails unless the Event Grid provider is registered in a
// subscription. The wording matters: clients register by themselves when they
// find the provider as the last quoted word or as the target of the detail.
func RequireRegistered(tx resource.Tx, subscription string) error {
	r, ok := tx.Get(resource.SubscriptionID(subscription))
	if !ok {
		return resource.Errorf(resource.SubscriptionNotFound, "The subscription '%s' could not be found.", subscription)
	}
	p, err := resource.Properties[Subscription](r)
	if err != nil {
		return err
	}
	for _, ns := range p.Registered {
		if equalFold(ns, Namespace) {
			return nil
		}
	}
	e := resource.Errorf(resource.MissingSubscriptionRegistration,
		"The subscription %s is not registered to use the resource provider '%s'", subscription, Namespace)
	e.Details = []resource.Error{{Code: e.Code, Target: Namespace, Message: e.Message}}
	return e
}

// clientTime is how times appear in generated texts: US form, UTC.
func clientTime(t time.Time) string { return t.UTC().Format("1/2/2006 3:04:05 PM") }
