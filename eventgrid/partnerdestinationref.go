package eventgrid

import (
	"bytes"
	"fmt"

	"github.com/intertie/intertie/resource"
)

// PartnerDestinationRef is the properties of a destination of kind
// PartnerDestination: the id of a partner destination.
type PartnerDestinationRef struct {
	ResourceID string `json:"resourceId"`
}

// secretDestinationUID binds an event subscription to one incarnation of a partner
// destination: another partner may make one of the same name later. It is a secret
// because no client has a say in it.
const secretDestinationUID = "destinationUid"

// check admits a partner destination that the caller may write to, as for every
// resource that events go to, and the customer has activated. That is checked at every write; the permission only when the
// subscription is bound to it, so that others can change the rest.
func (p *PartnerDestinationRef) check(w *destinationWrite) error {
	id, err := resource.ParseID(p.ResourceID)
	if err != nil || !equalFold(id.Type(), TypePartnerDestination) {
		return resource.Invalid("Invalid event subscription request: destination.properties.resourceId '%s' is not the id of a partner destination.", p.ResourceID)
	}
	r, ok := w.Tx.Get(id)
	if !ok || w.es.Secrets[secretDestinationUID] != r.UID.String() {
		// Asked before anything is said about the resource.
		if err := w.Require(TypePartnerDestination+"/write", id); err != nil {
			return err
		}
		if err := w.Require(TypeEventSubscription+"/write", SourceOf(w.Tx, w.topic)); err != nil {
			return err
		}
	}
	if !ok {
		return resource.Invalid("Invalid event subscription request: the partner destination '%s' does not exist.", id)
	}
	dest, err := resource.Properties[PartnerDestination](r)
	if err != nil {
		return fmt.Errorf("decode %s: %w", r.ID, err)
	}
	if dest.ActivationState != Activated {
		return resource.Invalid("Invalid event subscription request: the partner destination '%s' is %s; activate it first.", id, dest.ActivationState)
	}
	p.ResourceID = r.ID.String()
	w.es.Secret(secretDestinationUID, r.UID.String())
	return nil
}

// schemas: partners get CloudEvents only.
func (p *PartnerDestinationRef) schemas() []DeliverySchema { return []DeliverySchema{CloudEventSchema} }

// handshake: none. The endpoint is the partner's own, and the customer has agreed
// by activating the destination.
func (p *PartnerDestinationRef) handshake(*resource.Resource) *Handshake { return nil }

// deliver reads the endpoint where the partner keeps it.
func (p *PartnerDestinationRef) deliver(tx resource.Reader, es *resource.Resource) (Delivery, error) {
	closed := func(format string, args ...any) (Delivery, error) {
		return Delivery{State: Closed, Reason: fmt.Sprintf(format, args...)}, nil
	}
	id, err := resource.ParseID(p.ResourceID)
	if err != nil {
		return Delivery{}, fmt.Errorf("read the destination of %s: %w", es.ID, err)
	}
	r, ok := tx.Get(id)
	if !ok {
		return closed("the partner destination '%s' does not exist any more", id)
	}
	if es.Secrets[secretDestinationUID] != r.UID.String() {
		return closed("the partner destination '%s' was deleted and created anew; update the event subscription to use the new one", id)
	}
	dest, err := resource.Properties[PartnerDestination](r)
	if err != nil {
		return Delivery{}, fmt.Errorf("decode %s: %w", r.ID, err)
	}
	if dest.ActivationState != Activated {
		return closed("the partner destination '%s' is %s", id, dest.ActivationState)
	}
	c, ok := ChannelOf(tx, r)
	if !ok {
		return closed("the channel of the partner destination '%s' does not exist any more", id)
	}
	channel, err := resource.Properties[Channel](c)
	if err != nil {
		return Delivery{}, fmt.Errorf("decode %s: %w", c.ID, err)
	}
	d := Delivery{State: Open, URL: c.Secrets[SecretEndpointURL], Attributes: []Attribute{}, MaxEvents: defaultMaxEvents, PreferredKB: defaultPreferredKB}
	if info := channel.PartnerDestination; info != nil {
		d.Protection = info.protection(c)
	}
	return d, nil
}

// PartnerDestinationOf returns the id of the partner destination that an event
// subscription delivers to, and false for one that delivers elsewhere or cannot be
// read.
func PartnerDestinationOf(es *resource.Resource) (resource.ID, bool) {
	// Nearly all are of other kinds, and there can be very many.
	if !bytes.Contains(es.Properties, []byte(`"`+ToPartnerDestination+`"`)) {
		return resource.ID{}, false
	}
	p, err := resource.Properties[EventSubscription](es)
	if err != nil || p.Destination == nil {
		return resource.ID{}, false
	}
	ref, ok := p.Destination.Properties.(*PartnerDestinationRef)
	if !ok {
		return resource.ID{}, false
	}
	id, err := resource.ParseID(ref.ResourceID)
	return id, err == nil
}
