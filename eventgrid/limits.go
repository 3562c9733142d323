package eventgrid

import (
	"reflect"

	"github.com/intertie/intertie/resource"
)

// Limits are upper bounds; zero means Azure's own. Azure publishes none for
// partner registrations, partner namespaces, channels, partner topics, partner
// destinations and authorized partners, so there is none here.
//
// The bounds of one filter are not among them: the cost of matching is built on
// them (see package filter). Nor are those of tags, which are the same for every
// resource (see [resource.CheckTags]).
type Limits struct {
	TopicsPerSubscription       int // custom topics, in one region
	DomainsPerSubscription      int // in one region
	TopicsPerDomain             int
	SubscriptionsPerTopic       int // of custom, system and partner topics
	SubscriptionsPerDomain      int // at the domain itself
	SubscriptionsPerDomainTopic int
	IPRules                     int // per topic, domain and partner namespace
	PrivateEndpoints            int // connections per topic, domain and partner namespace
	BatchEvents                 int // in one delivery
	BatchKilobytes              int // of one delivery
	GrantDays                   int // that an authorization of a partner lasts at most
	ActivationDays              int // that a customer has to activate what a partner made

	// The limits below are those of Azure Resource Manager.

	GroupsPerSubscription int // enforced where resource groups are made
	InstancesPerGroup     int // of one type that clients create in a group
}

// DefaultLimits returns Azure's.
func DefaultLimits() Limits {
	return Limits{
		TopicsPerSubscription: 100, DomainsPerSubscription: 100, TopicsPerDomain: 100_000,
		SubscriptionsPerTopic: 500, SubscriptionsPerDomain: 50, SubscriptionsPerDomainTopic: 500,
		IPRules: 128, PrivateEndpoints: 64, BatchEvents: 5000, BatchKilobytes: 1024, GrantDays: 365, ActivationDays: 7,
		GroupsPerSubscription: 980, InstancesPerGroup: 800,
	}
}

// OrDefault returns l with Azure's limits where it has none.
func (l Limits) OrDefault() Limits {
	set, azure := reflect.ValueOf(&l).Elem(), reflect.ValueOf(DefaultLimits())
	for i := range set.NumField() {
		if set.Field(i).IsZero() {
			set.Field(i).Set(azure.Field(i))
		}
	}
	return l
}

func (r *Rules) limits() Limits { return r.Limits.OrDefault() }

// bound adds the limits that all kinds share to the writes of one.
func (r *Rules) bound(k *resource.Kind) {
	build := k.Write
	k.Write = func(w *resource.Write) (*resource.Resource, error) {
		if err := r.checkInstances(k, w); err != nil {
			return nil, err
		}
		return build(w)
	}
}

// checkInstances counts the resources of one type in a group. What the service
// creates on behalf of others is not counted, and what is nested has limits of
// its own.
func (r *Rules) checkInstances(k *resource.Kind, w *resource.Write) error {
	if w.Old != nil || !k.Tracked || k.Service {
		return nil
	}
	if limit := r.limits().InstancesPerGroup; len(w.Tx.List(k.Type, w.ID.GroupScope())) >= limit {
		return resource.Errorf(resource.Conflict, "The resource group '%s' has %d resources of type '%s', as many as it can have. Delete one first.",
			w.ID.Group, limit, k.Type)
	}
	return nil
}
