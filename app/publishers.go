package app

import (
	"fmt"
	"strings"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
)

// endpoint returns what the publish API needs of a resource that has an
// endpoint, nil for one that is gone or cannot be read.
func (p *projection) endpoint(id resource.ID) *publish.Source {
	r, ok := p.store.Get(id)
	if !ok {
		return nil
	}
	build := p.namespace
	if r.Type != eventgrid.TypePartnerNamespace {
		build = p.topic
	}
	source, err := build(r)
	if err != nil {
		p.logger.Error("a resource with an endpoint cannot be read; it takes no events", "id", r.ID, "error", err)
		p.table.Remove(r.UID)
		return nil
	}
	source.Counts = p.publishing.Source(source.Kind, source.ID)
	return source
}

// source returns what all resources with an endpoint have in common.
func source(r *resource.Resource, kind publish.Kind, network eventgrid.NetworkAccess, keysOff bool, rules []eventgrid.IPRule) (*publish.Source, error) {
	s := &publish.Source{
		UID: r.UID, ID: r.ID.String(), Name: r.ID.Name(), Region: r.Location, Kind: kind,
		Keys:                []string{r.Secrets[eventgrid.SecretKey1], r.Secrets[eventgrid.SecretKey2]},
		DisableLocalAuth:    keysOff,
		PublicNetworkAccess: network == eventgrid.AccessEnabled,
	}
	for _, rule := range rules {
		mask, err := eventgrid.ParseIPMask(rule.Mask)
		if err != nil {
			return nil, fmt.Errorf("read ipMask %q: %w", rule.Mask, err)
		}
		s.IPRules = append(s.IPRules, mask)
	}
	return s, nil
}

// topic returns the source of a custom topic or a domain.
func (p *projection) topic(r *resource.Resource) (*publish.Source, error) {
	props, err := resource.Properties[eventgrid.Topic](r)
	if err != nil {
		return nil, err
	}
	kind := publish.Topic
	if r.Type == eventgrid.TypeDomain {
		kind = publish.Domain
	}
	s, err := source(r, kind, props.PublicNetworkAccess, props.DisableLocalAuth, props.InboundIPRules)
	if err != nil {
		return nil, err
	}
	if kind == publish.Domain {
		s.DomainTopics = p.topicsOf(r.UID)
	}
	s.Schema, s.Mapping, err = eventgrid.InputOf(r)
	return s, err
}

func (p *projection) namespace(r *resource.Resource) (*publish.Source, error) {
	ns, err := resource.Properties[eventgrid.PartnerNamespace](r)
	if err != nil {
		return nil, err
	}
	s, err := source(r, publish.Namespace, ns.PublicNetworkAccess, ns.DisableLocalAuth, ns.InboundIPRules)
	if err != nil {
		return nil, err
	}
	s.Schema = event.CloudEvents
	s.Channels, s.BySource = make(map[string]*publish.Channel), make(map[string][]*publish.Channel)
	if ns.RoutingMode == eventgrid.SourceEventAttribute {
		s.Routing = publish.SourceEventAttribute
	}
	for _, c := range p.store.List(eventgrid.TypeChannel, r.ID) {
		props, err := resource.Properties[eventgrid.Channel](c)
		if err != nil {
			return nil, err
		}
		name := strings.ToLower(c.ID.Name())
		if props.PartnerTopic == nil { // nothing is published to it
			s.Channels[name] = &publish.Channel{Name: c.ID.Name(), Destination: true}
			continue
		}
		s.Channels[name] = p.channel(c, props.PartnerTopic.ID(), props.PartnerTopic.EventTypes)
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
	out.Topic, out.Counts = topic.UID, p.publishing.PartnerTopic(topic.ID.String())
	switch props.ActivationState {
	case eventgrid.Activated:
		out.State = publish.Activated
	case eventgrid.Deactivated:
		out.State = publish.Deactivated
	}
	return out
}
