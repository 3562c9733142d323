package eventgrid

import "github.com/intertie/intertie/resource"

// PartnerDestination is the customer's end of a channel of type
// PartnerDestination: a place in the partner's service that event subscriptions
// of the customer can deliver to. The service creates it on the partner's behalf;
// the customer activates it, and cannot deactivate it but delete it.
//
// Where events really go, with what may be secret in it, stands in the channel
// and is read there for each delivery ([DestinationOf]).
type PartnerDestination struct {
	ImmutableID       string `json:"partnerRegistrationImmutableId" arm:"create"`
	ServiceContext    string `json:"endpointServiceContext,omitempty" arm:"create"`
	EndpointBaseURL   string `json:"endpointBaseUrl,omitempty" arm:"computed"`
	ActivationState   string `json:"activationState" arm:"patch"`
	ProvisioningState string `json:"provisioningState" arm:"computed"`
	// The two below vanish once the partner destination is activated.
	Expires *resource.Time `json:"expirationTimeIfNotActivatedUtc,omitempty" arm:"computed"`
	Message *string        `json:"messageForActivation,omitempty" arm:"computed"`
}

func partnerDestinationKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypePartnerDestination, Names: namePattern, NameRule: nameRule,
		Tracked: true, Service: true, Versions: destinationVersions,
		Actions: resource.Actions(
			resource.Action{Name: "activate", Do: func(c *resource.Call) (any, error) { return nil, setActivation[PartnerDestination](c, Activated) }},
		),
	}, resource.Hooks[PartnerDestination]{
		Prepare: func(w *resource.Write, _ *resource.Resource, next, old *PartnerDestination) error {
			return askedActivation[PartnerDestination](w, next, old, &next.ActivationState, Activated)
		},
		Delete: deletePartnerDestination,
		Due:    dueOfMirror[PartnerDestination],
	})
}

func (p *PartnerDestination) activation() (string, *resource.Time) {
	return p.ActivationState, p.Expires
}

func (p *PartnerDestination) activate(state string) {
	p.ActivationState, p.Expires, p.Message = state, nil, nil
}

// deletePartnerDestination takes the channel along. Event subscriptions that
// deliver to it stay: they are the customer's own, in other places, and what is
// waiting for them is still to be dead-lettered.
func deletePartnerDestination(d *resource.Deletion, r *resource.Resource, _ *PartnerDestination) error {
	if channel, ok := ChannelOf(d.Tx, r); ok {
		resource.DeleteWhole(d.Tx, channel.ID)
	}
	return nil
}
