package eventgrid

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// EventChannel is the older form of a channel, for partner namespaces that
// route by the source of each event. It exists in preview versions only.
type EventChannel struct {
	Source            *EventChannelSource      `json:"source,omitempty"`
	Destination       *EventChannelDestination `json:"destination,omitempty"`
	Filter            *EventChannelFilter      `json:"filter"`
	Description       string                   `json:"partnerTopicFriendlyDescription,omitempty"`
	Readiness         string                   `json:"partnerTopicReadinessState" arm:"computed"`
	Expires           *resource.Time           `json:"expirationTimeIfNotActivatedUtc,omitempty"`
	ProvisioningState string                   `json:"provisioningState" arm:"computed"`
}

// EventChannelFilter keeps events from the partner topic: the partner's own
// choice of what its customer gets.
type EventChannelFilter struct {
	OnArrays bool              `json:"enableAdvancedFilteringOnArrays,omitzero"`
	Advanced []filter.Advanced `json:"advancedFilters,omitempty"`
}

// Compile returns the filter, or nil when it lets everything pass.
func (f *EventChannelFilter) Compile() (*filter.Filter, error) {
	if f == nil || len(f.Advanced) == 0 {
		return nil, nil
	}
	return filter.Compile(filter.Spec{EnableAdvancedFilteringOnArrays: f.OnArrays, AdvancedFilters: f.Advanced})
}

// EventChannelSource is compared with the source of published events.
type EventChannelSource struct {
	Source string `json:"source" arm:"create"`
}

// EventChannelDestination names the partner topic.
type EventChannelDestination struct {
	Subscription string `json:"azureSubscriptionId" arm:"create"`
	Group        string `json:"resourceGroup" arm:"create"`
	Name         string `json:"partnerTopicName" arm:"create"`
}

// ID returns the id of the partner topic.
func (d *EventChannelDestination) ID() resource.ID {
	return resource.GroupID(d.Subscription, d.Group).Provider(TypePartnerTopic, d.Name)
}

const notActivatedByUserYet = "NotActivatedByUserYet"

func (r *Rules) eventChannelKind() *resource.Kind {
	versions := without(since("2020-04-01-preview"), "2020-06-01")
	for i, v := range versions {
		if v == "2021-12-01" {
			versions = versions[:i]
			break
		}
	}
	return resource.Define(resource.Spec{
		Type: TypeEventChannel, Names: namePattern, NameRule: nameRule, Versions: versions,
		After: []string{TypePartnerTopic},
	}, resource.Hooks[EventChannel]{
		Prepare: r.prepareEventChannel,
		Delete: func(d *resource.Deletion, res *resource.Resource, p *EventChannel) error {
			return deleteMirror(d, res, p.Destination.ID())
		},
	})
}

func (r *Rules) prepareEventChannel(w *resource.Write, res *resource.Resource, next, old *EventChannel) error {
	next.ProvisioningState = Succeeded
	if next.Filter == nil {
		next.Filter = &EventChannelFilter{}
	}
	if _, err := next.Filter.Compile(); err != nil {
		return filterError("Invalid EventChannel request", err)
	}
	namespace, ns, partner, err := publisherOf(w.Tx, w.ID)
	if err != nil {
		return err
	}
	if old != nil {
		return r.updateEventChannel(w, next, old, partner)
	}
	if err := requireRouting(ns, namespace, SourceEventAttribute, "event channels"); err != nil {
		return err
	}
	return r.createEventChannel(w, res, next, namespace, partner)
}

// updateEventChannel changes what may be changed, and shows it on the partner topic in
// the same transaction, until that is activated.
func (r *Rules) updateEventChannel(w *resource.Write, next, old *EventChannel, partner *PartnerRegistration) error {
	id := next.Destination.ID()
	if err := requireGrant(w.Tx, partner, id.GroupScope(), w.Now); err != nil {
		return err
	}
	if next.Description == "" {
		next.Description = old.Description
	}
	if old.Readiness != notActivatedByUserYet {
		next.Expires = old.Expires // none since activation, whatever a client sends again
		return nil
	}
	if next.Expires == nil {
		next.Expires = old.Expires
	} else if !next.Expires.Same(*old.Expires) {
		if err := r.checkExpiry(next.Expires.Std(), w.Now); err != nil {
			return err
		}
	}
	topic, ok := w.Tx.Get(id)
	if !ok {
		return resource.Errorf(resource.Conflict, "The %s '%s' of this event channel does not exist any more.", mirrorName(id), id.Name())
	}
	return change(w.Tx, topic, topic.ModifiedBy, w.Now, func(p *PartnerTopic) {
		p.Expires = next.Expires
		if next.Description != "" {
			p.FriendlyDescription = &next.Description
		}
	})
}

// checkExpiry bounds the time in which a customer can activate the partner topic of an
// event channel.
func (r *Rules) checkExpiry(at, now time.Time) error {
	if r.inTimeToActivate(at, now) {
		return nil
	}
	return resource.Invalid("expirationTimeIfNotActivatedUtc '%s' must lie in the future and at most %d days from now.", at.Format(time.RFC3339), r.limits().ActivationDays)
}

func (r *Rules) createEventChannel(w *resource.Write, res *resource.Resource, next *EventChannel, namespace *resource.Resource, partner *PartnerRegistration) error {
	switch d := next.Destination; {
	case next.Source == nil || TrimSource(next.Source.Source) == "":
		return resource.Invalid("The property 'source.source' is required: events with this source go to the partner topic.")
	case d == nil || uuid.Validate(d.Subscription) != nil || d.Group == "" || strings.Contains(d.Group, "/"):
		return resource.Invalid("The property 'destination' is required, with azureSubscriptionId, resourceGroup and partnerTopicName.")
	case !namePattern.MatchString(d.Name):
		return resource.Invalid("destination.partnerTopicName '%s' must consist of %s.", d.Name, nameRule)
	}
	if next.Expires == nil {
		next.Expires = r.lastDay(w.Now)
	} else if err := r.checkExpiry(next.Expires.Std(), w.Now); err != nil {
		return err
	}
	if err := requireTarget(w, next.Destination.ID(), partner); err != nil {
		return err
	}
	next.Readiness = notActivatedByUserYet
	topic := &PartnerTopic{
		ImmutableID: partner.ImmutableID, Source: next.Source.Source, Expires: next.Expires,
		ActivationState: NeverActivated, ProvisioningState: Succeeded,
	}
	if next.Description != "" {
		topic.FriendlyDescription = &next.Description
	}
	return createMirror(w, res, next.Destination.ID(), namespace.Location, topic)
}
