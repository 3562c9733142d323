package app

import (
	"fmt"
	"time"

	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// setTopic gives delivery the event subscriptions of a topic.
func (p *projection) setTopic(id resource.ID) {
	topic, ok := p.store.Get(id)
	if !ok {
		return
	}
	var subs []*deliver.Subscription
	for _, r := range p.store.List(id.Type()+"/eventSubscriptions", id) {
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
	if b, ok := p.built[r.UID]; ok && b.revision == r.Revision && r.Revision != 0 {
		return b.sub, nil
	}
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
		UID: r.UID, ID: r.ID.String(), Name: r.ID.Name(), Topic: topic.UID, Filter: compiled, Kind: destination.WebHook,
	}
	if sub.Target, sub.Batch, err = p.webhook(r, es, url); err != nil {
		return nil, err
	}
	if es.RetryPolicy != nil {
		sub.MaxAttempts = es.RetryPolicy.MaxDeliveryAttempts
		sub.TTL = time.Duration(es.RetryPolicy.EventTimeToLiveInMinutes) * time.Minute
	}
	if es.Expires != nil {
		sub.Expires = es.Expires.Std()
	}
	if d := es.DeadLetter; d != nil {
		sub.DeadLetter = &deliver.DeadLetter{
			Store: p.blobs.of(d.Properties.ResourceID), Container: d.Properties.Container, Schema: es.Schema.Event(),
		}
	}
	p.built[r.UID] = built{r.Revision, sub}
	return sub, nil
}

// webhook makes the target of a webhook destination.
func (p *projection) webhook(r *resource.Resource, es *eventgrid.EventSubscription, url string) (destination.Target, deliver.Batch, error) {
	attributes, err := eventgrid.DeliveryAttributes(r)
	if err != nil {
		return nil, deliver.Batch{}, err
	}
	o := webhook.TargetOptions{URL: url, Schema: es.Schema.Event()}
	for _, a := range attributes {
		o.Properties = append(o.Properties, webhook.Property{Name: a.Name, Value: a.Value, Secret: a.Secret, Field: a.SourceField})
	}
	batch := deliver.Batch{}
	if d := es.Destination; d != nil && d.Properties != nil {
		if d.Properties.Batches() {
			o.Batch = true
			batch = deliver.Batch{Events: d.Properties.MaxEvents, Bytes: d.Properties.PreferredKB << 10}
		}
		o.Token = p.tokens.of(d.Properties.TenantID, d.Properties.ApplicationID)
	}
	target, err := p.webhooks.NewTarget(o)
	return target, batch, err
}
