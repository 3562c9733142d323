package app

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/filter"
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
	targets      func(url string) destination.Target
	blobs        *blobStores
	expiry       *expiry
	certificates *certificates
	logger       *slog.Logger
}

// observe applies one transaction. Several of its changes may concern the same
// namespace or topic; each is built once, from the state after all of them.
func (p *projection) observe(changes []store.Change) {
	namespaces := make(map[string]resource.ID)
	topics := make(map[string]resource.ID)
	roles := false
	for _, c := range changes {
		r := c.New
		if r == nil {
			r = c.Old
		}
		switch r.Type {
		case typePrincipal:
			if err := p.directory.observe(c); err != nil {
				p.logger.Error("a service principal cannot be read; it cannot sign in", "id", r.ID, "error", err)
			}
		case resource.TypeRoleAssignment:
			roles = true
		case eventgrid.TypePartnerNamespace:
			if c.New == nil {
				p.table.Remove(c.Old.UID)
				p.publishing.Forget(c.Old.ID.String())
			} else {
				namespaces[r.ID.Key()] = r.ID
			}
		case eventgrid.TypeChannel, eventgrid.TypeEventChannel:
			namespaces[r.ID.Parent().Key()] = r.ID.Parent()
		case eventgrid.TypePartnerTopic:
			p.expiry.note(c)
			if c.New == nil {
				p.dispatcher.RemoveTopic(c.Old.UID)
			} else {
				topics[r.ID.Key()] = r.ID
			}
			if id, ok := eventgrid.ChannelID(r); ok {
				namespaces[id.Parent().Key()] = id.Parent()
			}
		case eventgrid.TypePartnerTopicEventSubscription:
			p.expiry.note(c)
			topics[r.ID.Parent().Key()] = r.ID.Parent()
		}
	}
	if roles {
		p.setRoles()
	}
	for _, id := range topics {
		p.setTopic(id)
	}
	var sources []*publish.Source
	for _, id := range namespaces {
		if source := p.namespace(id); source != nil {
			sources = append(sources, source)
			p.certificates.region(source.Region)
		}
	}
	if len(sources) > 0 {
		p.table.Set(sources...) // once: each call copies the table
	}
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
	p.authorizer.Set(all, nil)
}

func (p *projection) setTopic(id resource.ID) {
	topic, ok := p.store.Get(id)
	if !ok {
		return
	}
	var subs []*deliver.Subscription
	for _, r := range p.store.List(eventgrid.TypePartnerTopicEventSubscription, id) {
		sub, err := p.subscription(topic, r)
		if err != nil {
			p.logger.Error("an event subscription cannot be read; it gets no events", "id", r.ID, "error", err)
			continue
		}
		if sub != nil {
			subs = append(subs, sub)
		}
	}
	p.dispatcher.SetTopic(topic.UID, topic.ID.String(), subs)
}

// subscription returns nil for one whose endpoint has not consented yet.
func (p *projection) subscription(topic, r *resource.Resource) (*deliver.Subscription, error) {
	url := r.Secrets[eventgrid.SecretValidatedURL]
	if url == "" {
		return nil, nil
	}
	es, err := resource.Properties[eventgrid.EventSubscription](r)
	if err != nil {
		return nil, err
	}
	spec := filter.Spec{}
	if es.Filter != nil {
		spec = es.Filter.Spec
	}
	compiled, err := filter.Compile(spec)
	if err != nil {
		return nil, fmt.Errorf("compile filter: %w", err)
	}
	sub := &deliver.Subscription{
		UID: r.UID, ID: r.ID.String(), Name: r.ID.Name(), Topic: topic.UID, Filter: compiled,
		Kind: destination.WebHook, Target: p.targets(url),
	}
	if es.RetryPolicy != nil {
		sub.MaxAttempts = es.RetryPolicy.MaxDeliveryAttempts
		sub.TTL = time.Duration(es.RetryPolicy.EventTimeToLiveInMinutes) * time.Minute
	}
	if es.Expires != nil {
		sub.Expires = es.Expires.Std()
	}
	if d := es.DeadLetter; d != nil {
		sub.DeadLetter = &deliver.DeadLetter{Store: p.blobs.of(d.Properties.ResourceID), Container: d.Properties.Container}
	}
	return sub, nil
}

// namespace returns nil for one that is gone or cannot be read.
func (p *projection) namespace(id resource.ID) *publish.Source {
	r, ok := p.store.Get(id)
	if !ok {
		return nil
	}
	source, err := p.source(r)
	if err != nil {
		p.logger.Error("a partner namespace cannot be read; it takes no events", "id", r.ID, "error", err)
		p.table.Remove(r.UID)
		return nil
	}
	return source
}

func (p *projection) source(r *resource.Resource) (*publish.Source, error) {
	ns, err := resource.Properties[eventgrid.PartnerNamespace](r)
	if err != nil {
		return nil, err
	}
	s := &publish.Source{
		UID: r.UID, ID: r.ID.String(), Name: r.ID.Name(), Region: r.Location,
		Keys:                []string{r.Secrets[eventgrid.SecretKey1], r.Secrets[eventgrid.SecretKey2]},
		DisableLocalAuth:    ns.DisableLocalAuth,
		PublicNetworkAccess: ns.PublicNetworkAccess == eventgrid.AccessEnabled,
		Routing:             publish.ChannelNameHeader,
		Channels:            make(map[string]*publish.Channel),
		BySource:            make(map[string][]*publish.Channel),
	}
	if ns.RoutingMode == eventgrid.SourceEventAttribute {
		s.Routing = publish.SourceEventAttribute
	}
	for _, rule := range ns.InboundIPRules {
		mask, err := eventgrid.ParseIPMask(rule.Mask)
		if err != nil {
			return nil, fmt.Errorf("read ipMask %q: %w", rule.Mask, err)
		}
		s.IPRules = append(s.IPRules, mask)
	}
	for _, c := range p.store.List(eventgrid.TypeChannel, r.ID) {
		props, err := resource.Properties[eventgrid.Channel](c)
		if err != nil {
			return nil, err
		}
		s.Channels[strings.ToLower(c.ID.Name())] = p.channel(c, props.PartnerTopic.ID(), props.PartnerTopic.EventTypes)
	}
	for _, c := range p.store.List(eventgrid.TypeEventChannel, r.ID) {
		props, err := resource.Properties[eventgrid.EventChannel](c)
		if err != nil {
			return nil, err
		}
		channel := p.channel(c, props.Destination.ID(), nil)
		if channel.Filter, err = props.Filter.Compile(); err != nil {
			return nil, fmt.Errorf("compile the filter of %s: %w", c.ID, err)
		}
		key := publish.RoutingKey(props.Source.Source)
		s.BySource[key] = append(s.BySource[key], channel)
	}
	return s, nil
}

// channel returns the data plane's view of a channel or event channel.
func (p *projection) channel(c *resource.Resource, topicID resource.ID, types *eventgrid.EventTypeInfo) *publish.Channel {
	out := &publish.Channel{Name: c.ID.Name(), TopicID: topicID.String()}
	if types != nil && len(types.Inline) > 0 {
		out.EventTypes = make(map[string]struct{}, len(types.Inline))
		for name := range types.Inline {
			out.EventTypes[strings.ToLower(name)] = struct{}{}
		}
	}
	topic, ok := p.store.Get(topicID)
	if !ok {
		return out
	}
	// Another channel's topic may have taken the name meanwhile.
	if id, ok := eventgrid.ChannelID(topic); !ok || !id.Equal(c.ID) {
		return out
	}
	props, err := resource.Properties[eventgrid.PartnerTopic](topic)
	if err != nil {
		p.logger.Error("a partner topic cannot be read; it gets no events", "id", topicID, "error", err)
		return out
	}
	out.Topic = topic.UID
	switch props.ActivationState {
	case eventgrid.Activated:
		out.State = publish.Activated
	case eventgrid.Deactivated:
		out.State = publish.Deactivated
	}
	return out
}
