package eventgrid

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/intertie/intertie/resource"
)

// This file holds what channels and legacy event channels share: the resource on
// the customer's side that mirrors them, a partner topic or partner destination.

// secretChannel names the channel of a mirror by its UID. It is a secret because
// the customer may not see the partner's side.
const (
	secretChannel   = "channelUid"
	secretChannelID = "channelId"
)

// mirror is what the rules ask of the properties of either kind of mirror.
type mirror[P any] interface {
	*P
	// activation returns the state and, while it was never activated, the end.
	activation() (state string, expires *resource.Time)
	// activate sets the state and drops what is there only before.
	activate(state string)
}

// mirrorName is what messages call a mirror.
func mirrorName(id resource.ID) string {
	if equalFold(id.Type(), TypePartnerDestination) {
		return "partner destination"
	}
	return "partner topic"
}

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

// publisherOf is partnerOf for a channel that is being written: the registration
// must still be open to the subscription, or else a partner could not part with
// somebody who once published in its name.
func publisherOf(tx resource.Tx, channel resource.ID) (*resource.Resource, *PartnerNamespace, *PartnerRegistration, error) {
	namespace, ns, partner, err := partnerOf(tx, channel)
	if err != nil {
		return nil, nil, nil, err
	}
	registration, err := resource.ParseID(ns.Registration)
	if err != nil {
		return nil, nil, nil, err
	}
	if !partner.openTo(registration, channel.Subscription) {
		return nil, nil, nil, resource.Errorf(resource.AuthorizationFailed,
			"The partner registration '%s' is not open to subscription '%s' any more; its owner opens it with authorizedAzureSubscriptionIds.", registration.Name(), channel.Subscription)
	}
	return namespace, ns, partner, nil
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
// mirror is created there.
func requireTarget(w *resource.Write, target resource.ID, partner *PartnerRegistration) error {
	// First the grant: until there is one, nothing is said about the customer's side.
	if err := requireGrant(w.Tx, partner, target.GroupScope(), w.Now); err != nil {
		return err
	}
	if err := RequireRegistered(w.Tx, target.Subscription); err != nil {
		return err
	}
	if _, ok := w.Tx.Get(target.GroupScope()); !ok {
		return resource.Errorf(resource.ResourceGroupNotFound, "Resource group '%s' could not be found.", target.Group)
	}
	if _, taken := w.Tx.Get(target); taken {
		what := mirrorName(target)
		return resource.Errorf(resource.Conflict,
			"The %s '%s' already exists in resource group '%s'. Each %s belongs to one channel; choose another name.",
			what, target.Name(), target.Group, what)
	}
	return nil
}

// createMirror writes the mirror of a channel that is being created.
func createMirror[P any](w *resource.Write, channel *resource.Resource, id resource.ID, location string, p *P) error {
	r := newResource(id, id.Type(), location, w.Caller, w.Now)
	r.Secret(secretChannel, channel.UID.String())
	r.Secret(secretChannelID, channel.ID.String())
	return put(w.Tx, r, p)
}

// setActivation is the customer's word on a mirror.
func setActivation[P any, M mirror[P]](c *resource.Call, state string) error {
	p, err := resource.Properties[P](c.Resource)
	if err != nil {
		return err
	}
	if err := allowActivation[P](c.Tx, c.Resource, M(p), state, c.Now); err != nil {
		return err
	}
	return change(c.Tx, c.Resource, c.Caller, c.Now, func(p *P) { M(p).activate(state) })
}

// askedActivation is setActivation by a PUT or PATCH that asks for one of states. One
// that asks for none, or for what is, changes nothing. The caller needs the
// permission on the action as well.
func askedActivation[P any, M mirror[P]](w *resource.Write, next, old M, asked *string, states ...string) error {
	before, _ := old.activation()
	state := *asked
	*asked = before
	if state == "" || equalFold(state, before) {
		return nil
	}
	at := slices.IndexFunc(states, func(s string) bool { return equalFold(s, state) })
	if at < 0 {
		return resource.Invalid("The property 'activationState' is '%s'; it can be set to '%s', and is '%s'.", state, strings.Join(states, "' or '"), before)
	}
	if err := w.Require(w.Old.Type+activationActions[states[at]], w.ID); err != nil {
		return err
	}
	if err := allowActivation[P](w.Tx, w.Old, old, states[at], w.Now); err != nil {
		return err
	}
	next.activate(states[at])
	return nil
}

var activationActions = map[string]string{Activated: "/activate/action", Deactivated: "/deactivate/action"}

// allowActivation says why a mirror cannot get a state, or tells its channel.
func allowActivation[P any, M mirror[P]](tx resource.Tx, r *resource.Resource, p M, state string, now time.Time) error {
	name, what := r.ID.Name(), mirrorName(r.ID)
	before, expires := p.activation()
	if before == NeverActivated && state == Deactivated {
		return resource.Invalid("The %s '%s' was never activated, so it cannot be deactivated.", what, name)
	}
	if expires != nil && before == NeverActivated && !now.Before(expires.Std()) {
		return resource.Errorf(resource.NotFound, "The %s '%s' was not activated by %s and has expired; ask the partner for a new one.",
			what, name, expires.Std().Format(time.RFC3339))
	}
	channel, ok := ChannelOf(tx, r)
	if !ok {
		return resource.Errorf(resource.Conflict, "The channel of the %s '%s' does not exist any more; delete the %s.", what, name, what)
	}
	return noteActivation(tx, channel, state, now)
}

// dueOfMirror: one that nobody activates goes by itself.
func dueOfMirror[P any, M mirror[P]](_ *resource.Resource, p *P) time.Time {
	state, expires := M(p).activation()
	if expires == nil || state != NeverActivated {
		return time.Time{}
	}
	return expires.Std()
}

// deleteMirror removes the mirror of a channel that is being deleted.
func deleteMirror(d *resource.Deletion, channel *resource.Resource, id resource.ID) error {
	target, ok := d.Tx.Get(id)
	if !ok || target.Secrets[secretChannel] != channel.UID.String() {
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
	if removeWithin(d, target.ID); !d.More {
		resource.DeleteWhole(d.Tx, target.ID)
	}
	return nil
}

// ChannelOf returns the channel or event channel that a partner topic or partner
// destination mirrors.
func ChannelOf(tx resource.Reader, mirror *resource.Resource) (*resource.Resource, bool) {
	id, err := resource.ParseID(mirror.Secrets[secretChannelID])
	if err != nil {
		return nil, false
	}
	channel, ok := tx.Get(id)
	if !ok || channel.UID.String() != mirror.Secrets[secretChannel] {
		return nil, false
	}
	return channel, true
}

// noteActivation makes a channel show what the customer did with its mirror. Who
// did it stays on the customer's side.
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

// TrimSource is the form in which sources are compared for routing: publishers
// were seen to send blanks around them.
func TrimSource(s string) string { return strings.TrimSpace(s) }

// ChannelID returns the id of the channel that a partner topic or partner
// destination was made for.
func ChannelID(mirror *resource.Resource) (resource.ID, bool) {
	id, err := resource.ParseID(mirror.Secrets[secretChannelID])
	return id, err == nil && len(id.Types) == 2
}
