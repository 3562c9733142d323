package eventgrid

import (
	"time"

	"github.com/intertie/intertie/resource"
)

// PartnerTopic is the customer's end of a channel. The service creates it on
// the partner's behalf; the customer activates it and subscribes to it.
type PartnerTopic struct {
	ImmutableID       string         `json:"partnerRegistrationImmutableId" arm:"computed"`
	Source            string         `json:"source,omitempty" arm:"computed"`
	EventTypes        *EventTypeInfo `json:"eventTypeInfo,omitempty" arm:"computed"`
	ActivationState   string         `json:"activationState" arm:"computed"`
	ProvisioningState string         `json:"provisioningState" arm:"computed"`
	// The three below vanish once the partner topic is activated.
	Expires             *resource.Time `json:"expirationTimeIfNotActivatedUtc,omitempty" arm:"computed"`
	FriendlyDescription *string        `json:"partnerTopicFriendlyDescription,omitempty" arm:"computed"`
	Message             *string        `json:"messageForActivation,omitempty" arm:"computed"`
}

// secretChannel names the channel of a partner topic by its UID. It is a secret
// because the customer may not see the partner's side.
const (
	secretChannel   = "channelUid"
	secretChannelID = "channelId"
)

func partnerTopicKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypePartnerTopic, Names: namePattern, NameRule: nameRule,
		Tracked: true, Identity: true, Service: true, Versions: partnerVersions,
		Actions: map[string]resource.Action{
			"activate":   {Do: func(c *resource.Call) (any, error) { return nil, setActivation(c, Activated) }},
			"deactivate": {Do: func(c *resource.Call) (any, error) { return nil, setActivation(c, Deactivated) }},
		},
	}, resource.Hooks[PartnerTopic]{
		Delete: deletePartnerTopic,
		Due: func(_ *resource.Resource, p *PartnerTopic) time.Time {
			if p.Expires == nil || p.ActivationState != NeverActivated {
				return time.Time{}
			}
			return p.Expires.Std()
		},
	})
}

func setActivation(c *resource.Call, state string) error {
	p, err := resource.Properties[PartnerTopic](c.Resource)
	if err != nil {
		return err
	}
	if p.ActivationState == NeverActivated && state == Deactivated {
		return resource.Invalid("The partner topic '%s' was never activated, so it cannot be deactivated.", c.Resource.ID.Name())
	}
	if p.Expires != nil && p.ActivationState == NeverActivated && !c.Now.Before(p.Expires.Std()) {
		return resource.Errorf(resource.NotFound, "The partner topic '%s' was not activated by %s and has expired; ask the partner for a new one.",
			c.Resource.ID.Name(), p.Expires.Std().Format(time.RFC3339))
	}
	channel, ok := ChannelOf(c.Tx, c.Resource)
	if !ok {
		return resource.Errorf(resource.Conflict, "The channel of the partner topic '%s' does not exist any more; delete the partner topic.", c.Resource.ID.Name())
	}
	if err := noteActivation(c.Tx, channel, state, c.Now); err != nil {
		return err
	}
	return change(c.Tx, c.Resource, c.Caller, c.Now, func(p *PartnerTopic) {
		p.ActivationState, p.Expires, p.Message, p.FriendlyDescription = state, nil, nil, nil
	})
}

// deletePartnerTopic takes the event subscriptions and the channel along. A
// legacy event channel stays and says that its topic was deleted.
func deletePartnerTopic(d *resource.Deletion, topic *resource.Resource, _ *PartnerTopic) error {
	if removeWithin(d, topic.ID); d.More {
		return nil
	}
	channel, ok := ChannelOf(d.Tx, topic)
	switch {
	case !ok:
		return nil
	case equalFold(channel.Type, TypeEventChannel) && !d.ByService:
		return change(d.Tx, channel, channel.ModifiedBy, d.Now, func(p *EventChannel) { p.Readiness = "DeletedByUser" })
	default:
		d.Tx.Delete(channel.ID)
		return nil
	}
}
