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
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// projection turns resources into what the data plane acts by. It observes the
// store, so when a management call returns, publishing and delivery already do
// what it said.
type projection struct {
	store        *store.Store
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
	expiry       *expiry
	certificates *certificates
	logger       *slog.Logger

	// domains holds the topics of each domain, which change one at a time.
	domains map[resource.UID]*publish.DomainTopics
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
	topics    map[string]resource.ID // what has event subscriptions
	roles     bool
}

// observe applies one transaction. It is called with one at a time, in order.
func (p *projection) observe(changes []store.Change) {
	t := touched{endpoints: make(map[string]resource.ID), topics: make(map[string]resource.ID)}
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
	if t.roles {
		p.setRoles()
	}
	for _, id := range t.topics {
		p.setTopic(id)
	}
	var sources []*publish.Source
	for _, id := range t.endpoints {
		if source := p.endpoint(id); source != nil {
			sources = append(sources, source)
			p.certificates.region(source.Region)
		}
	}
	if len(sources) > 0 {
		p.table.Set(sources...) // once: each call copies the table
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
		if c.Old != nil {
			p.issued.Forget()
		}
	case resource.TypeRoleAssignment, arm.TypeRoleDefinition:
		t.roles = true
	case eventgrid.TypePartnerNamespace:
		t.endpoints[r.ID.Key()] = r.ID
	case eventgrid.TypeChannel, eventgrid.TypeEventChannel:
		t.endpoints[r.ID.Parent().Key()] = r.ID.Parent()
	case eventgrid.TypePartnerTopic:
		t.topics[r.ID.Key()] = r.ID
		if id, ok := eventgrid.ChannelID(r); ok {
			t.endpoints[id.Parent().Key()] = id.Parent()
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
		for _, id := range eventgrid.SubscriptionsTo(p.store, r.ID) {
			t.topics[id.Parent().Key()] = id.Parent()
		}
	case eventgrid.TypeSystemTopic:
		t.topics[r.ID.Key()] = r.ID
		if c.New != nil {
			p.sources.Set(p.raises(c.New), c.New.UID, c.New.ID.String())
		}
	default:
		if isSubscription(r.Type) {
			t.topics[r.ID.Parent().Key()] = r.ID.Parent()
		}
	}
}

// removed takes away what an incarnation of a resource stood for. A new one of
// the same name has its own UID and comes after it.
func (p *projection) removed(r *resource.Resource) {
	switch r.Type {
	case eventgrid.TypePartnerNamespace:
		p.table.Remove(r.UID)
		p.publishing.Forget(r.ID.String())
	case eventgrid.TypePartnerTopic:
		p.dispatcher.RemoveTopic(r.UID)
		p.publishing.Forget(r.ID.String())
	case eventgrid.TypeTopic, eventgrid.TypeDomain:
		p.table.Remove(r.UID)
		p.publishing.Forget(r.ID.String())
		p.dispatcher.RemoveTopic(r.UID)
		delete(p.domains, r.UID)
	case eventgrid.TypeDomainTopic:
		for _, topics := range p.domainOf(r.ID) {
			topics.Remove(r.ID.Name(), r.UID)
		}
		p.dispatcher.RemoveTopic(r.UID)
	case eventgrid.TypeSystemTopic:
		p.sources.Remove(r.UID)
		p.dispatcher.RemoveTopic(r.UID)
	default:
		if isSubscription(r.Type) {
			delete(p.built, r.UID)
			p.notices.deleted(r)
		}
	}
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
	topics := p.domains[domain]
	if topics == nil {
		topics = &publish.DomainTopics{}
		p.domains[domain] = topics
	}
	return topics
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

func (p *projection) setRoles() {
	var all []access.Assignment
	for _, r := range p.store.List(resource.TypeRoleAssignment, resource.ID{}) {
		a, err := arm.AssignmentOf(r)
		if err != nil {
			p.logger.Error("a role assignment cannot be read; it grants nothing", "id", r.ID, "error", err)
			continue
		}
		all = append(all, a)
	}
	var custom []access.Role
	for _, r := range p.store.List(arm.TypeRoleDefinition, resource.ID{}) {
		role, err := arm.RoleOf(r)
		if err != nil {
			p.logger.Error("a role definition cannot be read; it grants nothing", "id", r.ID, "error", err)
			continue
		}
		custom = append(custom, role)
	}
	p.authorizer.Set(all, custom)
}
