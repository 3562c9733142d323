package eventgrid

import "github.com/intertie/intertie/resource"

// PartnerTopic is the customer's end of a channel. The service creates it on
// the partner's behalf; the customer activates it and subscribes to it.
type PartnerTopic struct {
	ImmutableID       string         `json:"partnerRegistrationImmutableId" arm:"create"`
	Source            string         `json:"source,omitempty" arm:"create"`
	EventTypes        *EventTypeInfo `json:"eventTypeInfo,omitempty" arm:"computed"`
	ActivationState   string         `json:"activationState" arm:"patch"`
	ProvisioningState string         `json:"provisioningState" arm:"computed"`
	// The three below vanish once the partner topic is activated.
	Expires             *resource.Time `json:"expirationTimeIfNotActivatedUtc,omitempty" arm:"computed"`
	FriendlyDescription *string        `json:"partnerTopicFriendlyDescription,omitempty" arm:"computed"`
	Message             *string        `json:"messageForActivation,omitempty" arm:"computed"`
}

func partnerTopicKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypePartnerTopic, Names: namePattern, NameRule: nameRule,
		Tracked: true, Identity: true, Service: true, Versions: partnerVersions,
		Actions: resource.Actions(
			resource.Action{Name: "activate", Do: func(c *resource.Call) (any, error) { return nil, setActivation[PartnerTopic](c, Activated) }},
			resource.Action{Name: "deactivate", Do: func(c *resource.Call) (any, error) { return nil, setActivation[PartnerTopic](c, Deactivated) }},
		),
	}, resource.Hooks[PartnerTopic]{
		Prepare: func(w *resource.Write, _ *resource.Resource, next, old *PartnerTopic) error {
			return askedActivation[PartnerTopic](w, next, old, &next.ActivationState, Activated, Deactivated)
		},
		Delete: deletePartnerTopic,
		Due:    dueOfMirror[PartnerTopic],
	})
}

func (p *PartnerTopic) activation() (string, *resource.Time) { return p.ActivationState, p.Expires }

func (p *PartnerTopic) activate(state string) {
	p.ActivationState, p.Expires, p.Message, p.FriendlyDescription = state, nil, nil, nil
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
		resource.DeleteWhole(d.Tx, channel.ID)
		return nil
	}
}
