package app

import (
	"log/slog"
	"slices"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// projection turns resources into what the data plane acts by. It observes the
// store, so when a management call returns, publishing and delivery already do
// what it said.
type projection struct {
	store        resource.Reader
	authorizer   *access.Authorizer
	directory    *directory
	table        *publish.Table
	publishing   *publish.Metrics
	dispatcher   *deliver.Dispatcher
	webhooks     *webhook.Client
	tokens       *webhookTokens
	issued       *access.Tokens
	blobs        *blobStores
	sources      *activity.Sources
	notices      *notices
	ledger       *eventlog.Ledger
	expiry       *expiry
	certificates *certificates
	logger       *slog.Logger

	// domains holds the topics of each domain, which change one at a time.
	domains map[resource.UID]*publish.DomainTopics
	// channels holds those of each partner namespace, likewise.
	channels map[resource.UID]*publish.Channels
	// delivering holds the topics of the event subscriptions that deliver to each
	// partner destination, by the keys of both.
	delivering map[string]map[string]resource.ID
	// built are the subscriptions as delivery got them last: one that has not
	// changed is not built again when another of its topic has.
	built map[resource.UID]built
}

type built struct {
	revision uint64
	sub      *deliver.Subscription
}

// touched is what the changes of one transaction concern, each once: it is built
// from the state after all of them.
type touched struct {
	endpoints map[string]resource.ID // partner namespaces, topics, domains
	channels  map[string]resource.ID // channels and event channels
	topics    map[string]resource.ID // what has event subscriptions
	roles     access.Changes
}

// observe applies one transaction. It is called with one at a time, in order.
func (p *projection) observe(changes []store.Change) {
	t := touched{
		endpoints: make(map[string]resource.ID), channels: make(map[string]resource.ID), topics: make(map[string]resource.ID),
	}
	for _, c := range changes {
		if c.New == nil || c.Old != nil && c.Old.UID != c.New.UID {
			p.removed(c.Old)
		}
		p.expiry.note(c)
		r := c.New
		if r == nil {
			r = c.Old
		}
		p.changed(c, r, &t)
	}
	if !t.roles.Empty() {
		p.authorizer.Apply(t.roles)
	}
	for _, id := range t.topics {
		p.setTopic(id)
	}
	for _, id := range t.channels {
		p.setChannel(id)
	}
	for _, id := range t.endpoints {
		p.setEndpoint(id)
	}
}

// changed notes what a change concerns. r is the resource after it, or before
// its deletion.
func (p *projection) changed(c store.Change, r *resource.Resource, t *touched) {
	switch r.Type {
	case typePrincipal:
		if err := p.directory.observe(c); err != nil {
			p.logger.Error("a service principal cannot be read; it cannot sign in", "id", r.ID, "error", err)
		}
		if c.Old != nil && isPrincipal(c.Old.ID) {
			p.issued.Forget()
		}
	case resource.TypeRoleAssignment:
		p.assigned(c, &t.roles)
	case arm.TypeRoleDefinition:
		p.defined(c, &t.roles)
	case eventgrid.TypePartnerNamespace:
		t.endpoints[r.ID.Key()] = r.ID
	case eventgrid.TypeChannel, eventgrid.TypeEventChannel:
		t.channels[r.ID.Key()] = r.ID
	case eventgrid.TypePartnerTopic:
		t.topics[r.ID.Key()] = r.ID
		for _, topic := range []*resource.Resource{c.Old, c.New} { // which may be of different channels
			if topic == nil {
				continue
			}
			if id, ok := eventgrid.ChannelID(topic); ok {
				t.channels[id.Key()] = id
			}
		}
	case eventgrid.TypeTopic, eventgrid.TypeDomain:
		t.topics[r.ID.Key()], t.endpoints[r.ID.Key()] = r.ID, r.ID
	case eventgrid.TypeDomainTopic:
		t.topics[r.ID.Key()] = r.ID
		if c.New != nil {
			if domain, ok := p.store.Get(r.ID.Parent()); ok {
				p.topicsOf(domain.UID).Set(r.ID.Name(), r.UID)
			}
		}
	case eventgrid.TypePartnerDestination:
		for _, topic := range p.delivering[r.ID.Key()] {
			t.topics[topic.Key()] = topic
		}
	case eventgrid.TypeSystemTopic:
		t.topics[r.ID.Key()] = r.ID
		if c.New != nil {
			p.sources.Set(p.raises(c.New), c.New.UID, c.New.ID.String())
		}
	default:
		if isSubscription(r.Type) {
			t.topics[r.ID.Parent().Key()] = r.ID.Parent()
			p.delivers(c)
		}
	}
}

// delivers notes to which partner destination an event subscription delivers.
func (p *projection) delivers(c store.Change) {
	if c.Old != nil {
		if id, ok := eventgrid.PartnerDestinationOf(c.Old); ok {
			delete(p.delivering[id.Key()], c.Old.ID.Key())
			if len(p.delivering[id.Key()]) == 0 {
				delete(p.delivering, id.Key())
			}
		}
	}
	if c.New == nil {
		return
	}
	if id, ok := eventgrid.PartnerDestinationOf(c.New); ok {
		of := p.delivering[id.Key()]
		if of == nil {
			of = make(map[string]resource.ID)
			p.delivering[id.Key()] = of
		}
		of[c.New.ID.Key()] = c.New.ID.Parent()
	}
}

// removed takes away what an incarnation of a resource stood for. A new one of
// the same name has its own UID and comes after it.
func (p *projection) removed(r *resource.Resource) {
	switch r.Type {
	case eventgrid.TypePartnerNamespace:
		p.table.Remove(r.UID)
		p.publishing.Forget(r.ID.String())
		delete(p.channels, r.UID)
	case eventgrid.TypePartnerTopic:
		p.removeTopic(r.UID)
		p.publishing.Forget(r.ID.String())
	case eventgrid.TypeTopic, eventgrid.TypeDomain:
		p.table.Remove(r.UID)
		p.publishing.Forget(r.ID.String())
		p.removeTopic(r.UID)
		delete(p.domains, r.UID)
	case eventgrid.TypeDomainTopic:
		for _, topics := range p.domainOf(r.ID) {
			topics.Remove(r.ID.Name(), r.UID)
		}
		p.removeTopic(r.UID)
	case eventgrid.TypeSystemTopic:
		p.sources.Remove(r.UID)
		p.removeTopic(r.UID)
	default:
		if isSubscription(r.Type) {
			delete(p.built, r.UID)
			p.notices.deleted(r)
			p.tokens.drop(r.UID)
		}
	}
}

func (p *projection) removeTopic(uid resource.UID) {
	p.dispatcher.RemoveTopic(uid)
	p.ledger.RemoveTopic(uid)
}

// domainOf returns the topics of the domain around a domain topic, if the domain
// is still there.
func (p *projection) domainOf(topic resource.ID) []*publish.DomainTopics {
	domain, ok := p.store.Get(topic.Parent())
	if !ok {
		return nil // its topics went with it
	}
	return []*publish.DomainTopics{p.topicsOf(domain.UID)}
}

func (p *projection) topicsOf(domain resource.UID) *publish.DomainTopics {
	return entry(p.domains, domain)
}

func (p *projection) channelsOf(namespace resource.UID) *publish.Channels {
	return entry(p.channels, namespace)
}

// entry returns what is in m under a key, making it where there is nothing.
func entry[K comparable, V any](m map[K]*V, key K) *V {
	v := m[key]
	if v == nil {
		v = new(V)
		m[key] = v
	}
	return v
}

// raises returns what a system topic shows of this server's own doings: the
// zero id when nothing.
func (p *projection) raises(topic *resource.Resource) resource.ID {
	switch eventgrid.TopicTypeName(nil, topic) {
	case "Microsoft.Resources.Subscriptions", "Microsoft.Resources.ResourceGroups":
		return eventgrid.SourceOf(nil, topic)
	}
	return resource.ID{}
}

func isSubscription(typ string) bool {
	return slices.Contains(eventgrid.SubscriptionTypes(), typ)
}

// assigned notes what becomes of a role assignment. One that cannot be read grants
// nothing.
func (p *projection) assigned(c store.Change, roles *access.Changes) {
	if c.Old != nil {
		if a, err := arm.AssignmentOf(c.Old); err == nil {
			roles.Gone = append(roles.Gone, a)
		}
	}
	if c.New == nil {
		return
	}
	a, err := arm.AssignmentOf(c.New)
	if err != nil {
		p.logger.Error("a role assignment cannot be read; it grants nothing", "id", c.New.ID, "error", err)
		return
	}
	roles.Assigned = append(roles.Assigned, a)
}

// defined is assigned for a custom role.
func (p *projection) defined(c store.Change, roles *access.Changes) {
	r := c.New
	if r == nil {
		roles.GoneRoles = append(roles.GoneRoles, c.Old.ID.Name())
		return
	}
	role, err := arm.RoleOf(r)
	if err != nil {
		p.logger.Error("a role definition cannot be read; it grants nothing", "id", r.ID, "error", err)
		roles.GoneRoles = append(roles.GoneRoles, r.ID.Name())
		return
	}
	roles.Roles = append(roles.Roles, role)
}
