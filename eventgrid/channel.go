package eventgrid

import (
	"time"
	"unicode/utf8"

	"github.com/intertie/intertie/resource"
)

// Channel is the partner's end of one stream of events to one customer, or from
// one; the customer's end is the partner topic or partner destination that the
// channel creates.
type Channel struct {
	Type               ChannelType             `json:"channelType" arm:"create"`
	PartnerTopic       *PartnerTopicInfo       `json:"partnerTopicInfo,omitempty"`
	PartnerDestination *PartnerDestinationInfo `json:"partnerDestinationInfo,omitempty"`
	ReadinessState     string                  `json:"readinessState" arm:"computed"`
	ProvisioningState  string                  `json:"provisioningState" arm:"computed"`
	// Message and Expires vanish once the customer's end is activated; from then on
	// what a client sends of them is ignored, so that it can repeat its PUT.
	Message *string        `json:"messageForActivation,omitempty"`
	Expires *resource.Time `json:"expirationTimeIfNotActivatedUtc,omitempty" arm:"patch"`
}

// ChannelType is what a channel leads to.
type ChannelType string

// The types of channels: those that partners publish to, and those by which
// customers send events to their partner.
const (
	ChannelToPartnerTopic       ChannelType = "PartnerTopic"
	ChannelToPartnerDestination ChannelType = "PartnerDestination"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (t *ChannelType) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, t, ChannelToPartnerTopic, ChannelToPartnerDestination)
}

// channelTarget is what a channel says of its mirror, for each type of channel.
type channelTarget interface {
	// ID names the mirror.
	ID() resource.ID
	// check judges what a client sent and moves what is secret into the channel's
	// secrets; old is nil when the channel is created.
	check(r *Rules, channel *resource.Resource) error
	// message is the activation message of a channel that was given none.
	message(now time.Time) string
	// create writes the mirror.
	create(w *resource.Write, channel *resource.Resource, location string, c *Channel, partner *PartnerRegistration) error
	// update makes the mirror follow the channel.
	update(w *resource.Write, mirror *resource.Resource, c *Channel) error
}

// target returns the part of a channel that belongs to its type, and refuses the
// other one.
func (c *Channel) target() (channelTarget, error) {
	missing := func(name string) error {
		return resource.Invalid("Invalid Channel request: the property '%s' is required for a channel of type %s.", name, c.Type)
	}
	foreign := func(name string) error {
		return resource.Invalid("Invalid Channel request: the property '%s' does not belong to a channel of type %s.", name, c.Type)
	}
	if c.Type == ChannelToPartnerDestination {
		switch {
		case c.PartnerDestination == nil:
			return nil, missing("partnerDestinationInfo")
		case c.PartnerTopic != nil:
			return nil, foreign("partnerTopicInfo")
		}
		return c.PartnerDestination, nil
	}
	switch {
	case c.PartnerTopic == nil:
		return nil, missing("partnerTopicInfo")
	case c.PartnerDestination != nil:
		return nil, foreign("partnerDestinationInfo")
	}
	return c.PartnerTopic, nil
}

// States of activation, on both ends of a channel.
const (
	NeverActivated = "NeverActivated"
	Activated      = "Activated"
	Deactivated    = "Deactivated"
)

const maxMessage = 256

func (r *Rules) channelKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypeChannel, Names: namePattern, NameRule: nameRule, Versions: channelVersions,
		// Deleting the customer's end takes the channel along, and needs no grant.
		After: []string{TypePartnerTopic, TypePartnerDestination},
		Actions: resource.Actions(
			resource.Action{Name: "getFullUrl", Reads: true, Do: getFullURL},
		),
	}, resource.Hooks[Channel]{
		Prepare: r.prepareChannel,
		Delete:  deleteChannel,
	})
}

func (r *Rules) prepareChannel(w *resource.Write, res *resource.Resource, next, old *Channel) error {
	next.ProvisioningState = Succeeded
	if next.Type == "" {
		next.Type = ChannelToPartnerTopic
	}
	namespace, ns, partner, err := publisherOf(w.Tx, w.ID)
	if err != nil {
		return err
	}
	target, err := next.target()
	if err != nil {
		return err
	}
	if err := target.check(r, res); err != nil {
		return err
	}
	if next.PartnerDestination != nil {
		if err := r.audiences().Register(w.Tx, next.PartnerDestination.protection(res), w.Caller, w.Now); err != nil {
			return err
		}
	}
	if old != nil {
		return r.updateChannel(w, next, old, target, partner)
	}
	if err := requireRouting(ns, namespace, ChannelNameHeader, "channels"); err != nil {
		return err
	}
	if err := r.checkActivation(next, nil, w.Now); err != nil {
		return err
	}
	if err := requireTarget(w, target.ID(), partner); err != nil {
		return err
	}
	next.ReadinessState = NeverActivated
	if next.Message == nil {
		next.Message = new(target.message(w.Now))
	}
	if next.Expires == nil {
		next.Expires = r.lastDay(w.Now)
	}
	return target.create(w, res, namespace.Location, next, partner)
}

// timeToActivate bounds, and is the default of, the time a customer has to
// activate what a partner made.
func (r *Rules) timeToActivate() time.Duration {
	return time.Duration(r.limits().ActivationDays) * day
}

func (r *Rules) lastDay(now time.Time) *resource.Time {
	return new(resource.Time(now.Add(r.timeToActivate())))
}

// inTimeToActivate gives a minute of grace: clients compute the longest expiry on
// their own clock.
func (r *Rules) inTimeToActivate(at, now time.Time) bool {
	return at.After(now) && !at.After(now.Add(r.timeToActivate()+time.Minute))
}

// checkActivation validates message and expiry. Stored ones pass: the service's
// own message may exceed the limit, and clients PUT back what they read.
func (r *Rules) checkActivation(next, old *Channel, now time.Time) error {
	if old == nil && next.Message != nil && utf8.RuneCountInString(*next.Message) > maxMessage {
		return resource.Invalid("Invalid Channel request: MessageForActivation has %d characters; at most %d are allowed.", utf8.RuneCountInString(*next.Message), maxMessage)
	}
	if next.Expires == nil || (old != nil && old.Expires != nil && old.Expires.Same(*next.Expires)) {
		return nil
	}
	if at := next.Expires.Std(); !r.inTimeToActivate(at, now) {
		return resource.Invalid("Invalid Channel request: expirationTimeIfNotActivatedUtc '%s' must lie in the future and at most %d days from now.",
			at.Format(time.RFC3339), r.limits().ActivationDays)
	}
	return nil
}

// updateChannel changes what may be changed, and mirrors it to the customer's end
// in the same transaction.
func (r *Rules) updateChannel(w *resource.Write, next, old *Channel, target channelTarget, partner *PartnerRegistration) error {
	switch {
	case old.ReadinessState != NeverActivated:
		next.Message, next.Expires = nil, nil
	case next.Message != nil && old.Message != nil && *next.Message != *old.Message:
		return resource.Invalid("Invalid Channel request: messageForActivation cannot be changed after creation.")
	default:
		next.Message = old.Message
		if next.Expires == nil {
			next.Expires = old.Expires
		}
	}
	if err := r.checkActivation(next, old, w.Now); err != nil {
		return err
	}
	id := target.ID()
	if err := requireGrant(w.Tx, partner, id.GroupScope(), w.Now); err != nil {
		return err
	}
	mirror, ok := w.Tx.Get(id)
	if !ok {
		return resource.Errorf(resource.Conflict, "The %s '%s' of this channel does not exist any more.", mirrorName(id), id.Name())
	}
	return target.update(w, mirror, next)
}

// deleteChannel takes the customer's end along. That is a change on the
// customer's side, so it needs the customer's grant as creation did; a customer
// who withdrew it deletes the partner topic or destination, which removes the
// channel.
func deleteChannel(d *resource.Deletion, r *resource.Resource, p *Channel) error {
	if target, err := p.target(); err == nil { // one of another program may have none
		return deleteMirror(d, r, target.ID())
	}
	return nil
}
