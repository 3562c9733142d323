package eventgrid

import (
	"github.com/intertie/intertie/resource"
)

// PartnerNamespace is a partner's publish endpoint: it has a URL, keys, and the
// channels that lead to customers.
type PartnerNamespace struct {
	ProvisioningState   string                `json:"provisioningState" arm:"computed"`
	Registration        string                `json:"partnerRegistrationFullyQualifiedId,omitempty" arm:"create"`
	RoutingMode         RoutingMode           `json:"partnerTopicRoutingMode" arm:"create"`
	Endpoint            string                `json:"endpoint,omitempty" arm:"computed"`
	PublicNetworkAccess NetworkAccess         `json:"publicNetworkAccess" arm:"patch"`
	InboundIPRules      resource.List[IPRule] `json:"inboundIpRules,omitempty" arm:"patch"`
	DisableLocalAuth    bool                  `json:"disableLocalAuth" arm:"patch"`
	MinimumTLSVersion   TLSVersion            `json:"minimumTlsVersionAllowed,omitempty" arm:"patch" known:"2023-06-01-preview.."`
}

// RoutingMode says how published events find their channel.
type RoutingMode string

// The routing modes: by the request header aeg-channel-name, or by the source
// attribute of each event.
const (
	ChannelNameHeader    RoutingMode = "ChannelNameHeader"
	SourceEventAttribute RoutingMode = "SourceEventAttribute"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (m *RoutingMode) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, m, ChannelNameHeader, SourceEventAttribute)
}

func (r *Rules) partnerNamespaceKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypePartnerNamespace, Names: namePattern, NameRule: nameRule,
		Tracked: true, Versions: partnerVersions,
		Status:  resource.Status{Put: 201},
		Actions: keyActions(),
	}, resource.Hooks[PartnerNamespace]{
		Prepare: r.preparePartnerNamespace,
		Delete:  deletePartnerNamespace,
		Present: func(r *resource.Resource, p *PartnerNamespace, v resource.View) { p.Endpoint = endpoint(r, v) },
	})
}

func (r *Rules) preparePartnerNamespace(w *resource.Write, res *resource.Resource, next, old *PartnerNamespace) error {
	next.ProvisioningState = Succeeded
	if next.RoutingMode == "" {
		next.RoutingMode = SourceEventAttribute
	}
	if next.PublicNetworkAccess == "" {
		next.PublicNetworkAccess = AccessEnabled
	}
	if err := r.checkIPRules(next.InboundIPRules); err != nil {
		return err
	}
	if old != nil {
		return nil
	}
	if err := r.checkRegion(res.Location, TypePartnerNamespace); err != nil {
		return err
	}
	if err := checkRegistration(w, next.Registration); err != nil {
		return err
	}
	newKeys(res)
	return uniqueInRegion(w, res.Location)
}

// checkRegistration admits a registration that lists the subscription, or one of the
// same subscription that the caller may write. Otherwise anybody could publish in the
// name of another partner.
func checkRegistration(w *resource.Write, registration string) error {
	if registration == "" {
		return resource.Invalid("The property 'partnerRegistrationFullyQualifiedId' is required: the id of the partner registration that this namespace belongs to.")
	}
	id, err := resource.ParseID(registration)
	if err != nil || !equalFold(id.Type(), TypePartnerRegistration) {
		return resource.Invalid("partnerRegistrationFullyQualifiedId '%s' is not the id of a partner registration.", registration)
	}
	notFound := resource.Invalid("The partner registration '%s' does not exist or is not open to subscription '%s'.", registration, w.ID.Subscription)
	var p *PartnerRegistration // nil when there is none, or none that can be read
	if r, ok := w.Tx.Get(id); ok {
		if p, err = resource.Properties[PartnerRegistration](r); err != nil {
			p = nil
		}
	}
	switch {
	case p != nil && p.lists(w.ID.Subscription):
		return nil
	case !equalFold(id.Subscription, w.ID.Subscription):
		return notFound
	}
	if err := w.Require(TypePartnerRegistration+"/write", id); err != nil {
		return err
	}
	if p == nil {
		return notFound
	}
	return nil
}

func deletePartnerNamespace(d *resource.Deletion, r *resource.Resource, _ *PartnerNamespace) error {
	for _, typ := range []string{TypeChannel, TypeEventChannel} {
		if channels := d.Tx.List(typ, r.ID); len(channels) > 0 {
			return resource.Errorf(resource.Conflict,
				"The partner namespace '%s' still has the channel '%s'. Delete its channels first.", r.ID.Name(), channels[0].ID.Name())
		}
	}
	removeWithin(d, r.ID)
	return nil
}
