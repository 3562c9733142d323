package eventgrid

import (
	"fmt"
	"strings"
	"time"

	"github.com/intertie/intertie/resource"
)

// This file holds what channels and legacy event channels share: the partner
// topic on the customer's side that mirrors them.

// partnerOf returns the namespace that a channel lives in and who publishes
// there.
func partnerOf(tx resource.Tx, channel resource.ID) (*resource.Resource, *PartnerNamespace, *PartnerRegistration, error) {
	namespace, ok := tx.Get(channel.Parent())
	if !ok {
		return nil, nil, nil, resource.Errorf(resource.ParentNotFound, "The partner namespace '%s' could not be found.", channel.Parent().Name())
	}
	ns, err := resource.Properties[PartnerNamespace](namespace)
	if err != nil {
		return nil, nil, nil, err
	}
	partner, err := registrationOf(tx, ns)
	return namespace, ns, partner, err
}

// requireRouting refuses a child that the routing mode of its namespace could
// never reach.
func requireRouting(ns *PartnerNamespace, namespace *resource.Resource, want RoutingMode, children string) error {
	if ns.RoutingMode == want {
		return nil
	}
	return resource.Invalid("The partner namespace '%s' has partnerTopicRoutingMode '%s', which does not take %s. "+
		"Create a namespace with partnerTopicRoutingMode '%s'; the mode of a namespace cannot be changed.",
		namespace.ID.Name(), ns.RoutingMode, children, want)
}

// requireTarget checks everything that the customer's side demands before a
// partner topic is created there.
func requireTarget(w *resource.Write, topic resource.ID, partner *PartnerRegistration) error {
	if err := RequireRegistered(w.Tx, topic.Subscription); err != nil {
		return err
	}
	if _, ok := w.Tx.Get(topic.GroupScope()); !ok {
		return resource.Errorf(resource.ResourceGroupNotFound, "Resource group '%s' could not be found.", topic.Group)
	}
	if err := requireGrant(w.Tx, partner, topic.GroupScope(), w.Now); err != nil {
		return err
	}
	if _, taken := w.Tx.Get(topic); taken {
		return resource.Errorf(resource.Conflict,
			"The partner topic '%s' already exists in resource group '%s'. Each partner topic belongs to one channel; choose another name.",
			topic.Name(), topic.Group)
	}
	return nil
}

// createPartnerTopic writes the mirror of a channel that is being created.
func createPartnerTopic(w *resource.Write, channel *resource.Resource, id resource.ID, location string, p *PartnerTopic) error {
	r := &resource.Resource{
		ID: id, UID: resource.NewUID(), Type: TypePartnerTopic, Location: location,
		CreatedAt: w.Now, CreatedBy: w.Caller, ModifiedAt: w.Now, ModifiedBy: w.Caller,
	}
	r.Secret(secretChannel, channel.UID.String())
	r.Secret(secretChannelID, channel.ID.String())
	p.ActivationState, p.ProvisioningState = NeverActivated, Succeeded
	if err := resource.Encode(r, p); err != nil {
		return err
	}
	w.Tx.Put(r)
	return nil
}

// deleteMirror removes the partner topic of a channel that is being deleted.
func deleteMirror(d *resource.Deletion, channel *resource.Resource, id resource.ID) error {
	topic, ok := d.Tx.Get(id)
	if !ok || topic.Secrets[secretChannel] != channel.UID.String() {
		return nil
	}
	if !d.ByService {
		_, _, partner, err := partnerOf(d.Tx, channel.ID)
		if err != nil {
			return err
		}
		if err := requireGrant(d.Tx, partner, id.GroupScope(), d.Now); err != nil {
			return err
		}
	}
	if removeWithin(d, topic.ID); !d.More {
		d.Tx.Delete(topic.ID)
	}
	return nil
}

// ChannelOf returns the channel or event channel that a partner topic mirrors.
func ChannelOf(tx resource.Tx, topic *resource.Resource) (*resource.Resource, bool) {
	id, err := resource.ParseID(topic.Secrets[secretChannelID])
	if err != nil {
		return nil, false
	}
	channel, ok := tx.Get(id)
	if !ok || channel.UID.String() != topic.Secrets[secretChannel] {
		return nil, false
	}
	return channel, true
}

// noteActivation makes a channel show what the customer did with its partner
// topic. Who did it stays on the customer's side.
func noteActivation(tx resource.Tx, channel *resource.Resource, state string, now time.Time) error {
	by := channel.ModifiedBy
	if equalFold(channel.Type, TypeEventChannel) {
		return change(tx, channel, by, now, func(p *EventChannel) {
			p.Readiness = map[string]string{Activated: "ActivatedByUser", Deactivated: "DeactivatedByUser"}[state]
			p.Expires = nil
		})
	}
	// A channel has no third state: it stays Activated when its topic is not.
	return change(tx, channel, by, now, func(p *Channel) {
		p.ReadinessState, p.Message, p.Expires = Activated, nil, nil
	})
}

// change writes a new version of a stored resource with other properties.
func change[P any](tx resource.Tx, r *resource.Resource, caller string, now time.Time, edit func(*P)) error {
	p, err := resource.Properties[P](r)
	if err != nil {
		return fmt.Errorf("decode %s: %w", r.ID, err)
	}
	edit(p)
	next := r.Clone()
	next.ModifiedAt, next.ModifiedBy = now, caller
	if err := resource.Encode(next, p); err != nil {
		return err
	}
	tx.Put(next)
	return nil
}

// defaultMessage is the activation message of a channel that was given none.
func defaultMessage(topic, source string, now time.Time) string {
	return fmt.Sprintf("The partner topic %s was created on behalf of the publisher for source %s on %s. "+
		"If you do not recognize this source, delete the partner topic or contact the publisher. ", topic, source, clientTime(now))
}

// TrimSource is the form in which sources are compared for routing: publishers
// were seen to send blanks around them.
func TrimSource(s string) string { return strings.TrimSpace(s) }

// ChannelID returns the id of the channel that a partner topic was made for.
func ChannelID(topic *resource.Resource) (resource.ID, bool) {
	id, err := resource.ParseID(topic.Secrets[secretChannelID])
	return id, err == nil && len(id.Types) == 2
}
