package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
)

// setEndpoint makes a resource that has an endpoint what publishers find there.
func (p *projection) setEndpoint(id resource.ID) {
	r, ok := p.store.Get(id)
	if !ok {
		return // removed has seen to it
	}
	build, kind := p.namespace, publish.Namespace
	if r.Type != eventgrid.TypePartnerNamespace {
		build, kind = p.topic, kindOf(r)
	}
	source, err := build(r)
	if err != nil {
		// Not the last version: it may have keys that were taken back since.
		p.logger.Error("a resource with an endpoint cannot be read; publishers are asked to come back", "id", r.ID, "error", err)
		source = &publish.Source{UID: r.UID, ID: r.ID.String(), Name: r.ID.Name(), Region: r.Location, Kind: kind, Unreadable: true}
	}
	source.Counts = p.publishing.Source(source.Kind, source.ID)
	p.certificates.region(source.Region)
	p.table.Set(source)
}

// kindOf is the kind of a custom topic or a domain.
func kindOf(r *resource.Resource) publish.Kind {
	if r.Type == eventgrid.TypeDomain {
		return publish.Domain
	}
	return publish.Topic
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
	kind := kindOf(r)
	s, err := source(r, kind, props.PublicNetworkAccess, props.DisableLocalAuth, props.InboundIPRules)
	if err != nil {
		return nil, err
	}
	if kind == publish.Domain {
		s.DomainTopics = p.topicsOf(r.UID)
	}
	s.Storage = p.storage(r.ID)
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
	s.Schema, s.Channels = event.CloudEvents, p.channelsOf(r.UID)
	if ns.RoutingMode == eventgrid.SourceEventAttribute {
		s.Routing = publish.SourceEventAttribute
	}
	return s, nil
}

// setChannel makes a channel or event channel what events are routed by. It costs
// the same however many others the namespace has.
func (p *projection) setChannel(id resource.ID) {
	namespace, ok := p.store.Get(id.Parent())
	if !ok {
		return // its channels went with it
	}
	channels := p.channelsOf(namespace.UID)
	set, remove := p.setNamed, channels.Remove
	if strings.EqualFold(id.Type(), eventgrid.TypeEventChannel) {
		set, remove = p.setSourced, channels.RemoveSource
	}
	if r, ok := p.store.Get(id); ok {
		set(channels, r)
	} else {
		remove(id.Name())
	}
}

// setNamed is setChannel for a channel.
func (p *projection) setNamed(channels *publish.Channels, c *resource.Resource) {
	props, err := resource.Properties[eventgrid.Channel](c)
	switch {
	case err != nil:
		p.logger.Error("a channel cannot be read; its publishers are asked to come back", "id", c.ID, "error", err)
		channels.Set(&publish.Channel{Name: c.ID.Name(), Unreadable: true})
	case props.PartnerTopic == nil: // nothing is published to it
		channels.Set(&publish.Channel{Name: c.ID.Name(), Destination: true})
	default:
		channels.Set(p.channel(c, props.PartnerTopic.ID(), props.PartnerTopic.EventTypes))
	}
}

// setSourced is setChannel for an event channel.
func (p *projection) setSourced(channels *publish.Channels, c *resource.Resource) {
	key, channel, err := p.sourced(c)
	if err != nil {
		p.logger.Error("an event channel cannot be read; publishers to its namespace are asked to come back", "id", c.ID, "error", err)
		channels.Obscure(c.ID.Name())
		return
	}
	channels.SetSource(key, channel)
}

// sourced returns an event channel and the key of the source whose events it gets.
func (p *projection) sourced(c *resource.Resource) (string, *publish.Channel, error) {
	props, err := resource.Properties[eventgrid.EventChannel](c)
	if err != nil {
		return "", nil, err
	}
	if props.Source == nil || props.Destination == nil {
		return "", nil, errors.New("it has no source or no destination")
	}
	channel := p.channel(c, props.Destination.ID(), nil)
	if channel.Filter, err = props.Filter.Compile(); err != nil {
		return "", nil, fmt.Errorf("compile its filter: %w", err)
	}
	return publish.RoutingKey(props.Source.Source), channel, nil
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
		p.logger.Error("a partner topic cannot be read; publishers to its channel are asked to come back", "id", topicID, "error", err)
		out.Unreadable = true
		return out
	}
	out.Topic, out.Counts = topic.UID, p.publishing.PartnerTopic(topic.ID.String())
	out.Storage = p.storage(topic.ID)
	switch props.ActivationState {
	case eventgrid.Activated:
		out.State = publish.Activated
	case eventgrid.Deactivated:
		out.State = publish.Deactivated
	}
	return out
}
