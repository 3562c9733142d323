package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/event"
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
			p.logger.Error("an event subscription cannot be read: delivery goes on by its last version that could, or its events wait",
				"id", r.ID, "error", err)
			sub = parked(topic, r)
		}
		if sub != nil {
			subs = append(subs, sub)
		}
	}
	p.dispatcher.SetTopic(topic.UID, topic.ID.String(), subs)
	p.ledger.SetTopic(topic.UID, payerOf(topic.ID), len(subs))
}

// parked is what delivery gets of an event subscription that cannot be read: to
// leave it out would be to delete it.
func parked(topic, r *resource.Resource) *deliver.Subscription {
	return &deliver.Subscription{UID: r.UID, ID: r.ID.String(), Name: r.ID.Name(), Topic: topic.UID, Parked: true}
}

// subscription returns nil for one whose endpoint has not consented yet.
func (p *projection) subscription(topic, r *resource.Resource) (*deliver.Subscription, error) {
	if b, ok := p.built[r.UID]; ok && b.revision == r.Revision {
		return b.sub, nil
	}
	es, err := resource.Properties[eventgrid.EventSubscription](r)
	if err != nil {
		return nil, err
	}
	if es.Destination == nil || es.Destination.Properties == nil {
		return nil, errors.New("it has no destination")
	}
	to, err := eventgrid.DestinationOf(p.store, r)
	if err != nil || to.State == eventgrid.Unconsented {
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
		UID: r.UID, ID: r.ID.String(), Name: r.ID.Name(), Topic: topic.UID, Filter: compiled, Kind: destination.Kind(to.Type),
	}
	if err := p.aim(sub, es.Schema.Event(), to); err != nil {
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
	if to.Type == eventgrid.WebHook { // others depend on more than this resource
		p.built[r.UID] = built{r.Revision, sub}
	}
	return sub, nil
}

// aim gives a subscription its target.
func (p *projection) aim(sub *deliver.Subscription, schema event.Schema, to eventgrid.Delivery) (err error) {
	if to.State == eventgrid.Closed {
		p.tokens.drop(sub.UID)
		sub.Target = closed{to.Reason}
		return nil
	}
	o := webhook.TargetOptions{URL: to.URL, Schema: schema, Batch: to.Batch, Token: p.tokens.keep(sub.UID, to.Protection)}
	for _, a := range to.Attributes {
		o.Properties = append(o.Properties, webhook.Property{Name: a.Name, Value: a.Value, Secret: a.Secret, Field: a.Field()})
	}
	if to.Batch {
		sub.Batch = deliver.Batch{Events: to.MaxEvents, Bytes: to.PreferredKB << 10}
	}
	sub.Target, err = p.webhooks.NewTarget(o)
	return err
}

// closed stands for a destination that takes nothing at present, such as a
// partner destination that the customer has not activated.
type closed struct{ reason string }

// Deliver implements [destination.Target].
func (c closed) Deliver(context.Context, *destination.Notification) destination.Verdict {
	return destination.Verdict{Outcome: destination.Disabled, Err: errors.New(c.reason)}
}
