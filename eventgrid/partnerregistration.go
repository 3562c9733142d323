package eventgrid

import (
	"regexp"
	"slices"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// PartnerRegistration says who a partner is. Its immutable id is what customers
// authorize.
type PartnerRegistration struct {
	ProvisioningState string `json:"provisioningState" arm:"computed"`
	ImmutableID       string `json:"partnerRegistrationImmutableId" arm:"computed"`

	// The members below belong to the preview versions; they are kept and shown
	// when a client sets them.
	PartnerName              string `json:"partnerName,omitempty" known:"..2021-10-15-preview"`
	ResourceTypeName         string `json:"partnerResourceTypeName,omitempty" known:"..2021-10-15-preview"`
	ResourceTypeDisplayName  string `json:"partnerResourceTypeDisplayName,omitempty" known:"..2021-10-15-preview"`
	ResourceTypeDescription  string `json:"partnerResourceTypeDescription,omitempty" known:"..2021-10-15-preview"`
	LongDescription          string `json:"longDescription,omitempty" known:"..2021-10-15-preview"`
	CustomerServiceNumber    string `json:"partnerCustomerServiceNumber,omitempty" known:"..2021-10-15-preview"`
	CustomerServiceExtension string `json:"partnerCustomerServiceExtension,omitempty" known:"..2021-10-15-preview"`
	CustomerServiceURI       string `json:"customerServiceUri,omitempty" known:"..2021-10-15-preview"`
	SetupURI                 string `json:"setupUri,omitempty" known:"..2021-10-15-preview"`
	LogoURI                  string `json:"logoUri,omitempty" known:"..2021-10-15-preview"`

	VisibilityState visibility `json:"visibilityState" known:"..2021-10-15-preview"`
	// AuthorizedSubscriptions may create partner namespaces under this
	// registration, beside its own subscription.
	AuthorizedSubscriptions resource.List[string] `json:"authorizedAzureSubscriptionIds,omitempty" known:"..2021-10-15-preview"`
}

type visibility string

// hidden is the default: a registration is nobody's business but the partner's.
const hidden visibility = "Hidden"

// UnmarshalJSON implements [json.Unmarshaler].
func (v *visibility) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, v, hidden, "PublicPreview", "GenerallyAvailable")
}

var (
	phonePattern     = regexp.MustCompile(`^\+(?:[0-9] ?){6,15}[0-9]$`)
	extensionPattern = regexp.MustCompile(`^(?:[0-9] ?){1,8}[0-9]$`)
)

func partnerRegistrationKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypePartnerRegistration, Names: namePattern, NameRule: nameRule,
		Tracked: true, Location: "global", Versions: partnerVersions,
		After: []string{TypePartnerNamespace},
	}, resource.Hooks[PartnerRegistration]{
		Prepare: preparePartnerRegistration,
		Delete:  deletePartnerRegistration,
	})
}

func preparePartnerRegistration(w *resource.Write, _ *resource.Resource, next, old *PartnerRegistration) error {
	next.ProvisioningState = Succeeded
	if next.ImmutableID == "" {
		next.ImmutableID = uuid.NewString()
	}
	if next.VisibilityState == "" {
		next.VisibilityState = hidden
	}
	if err := checkLength("longDescription", next.LongDescription, maxLongDescription); err != nil {
		return err
	}
	switch {
	case next.CustomerServiceNumber != "" && !phonePattern.MatchString(next.CustomerServiceNumber):
		return resource.Invalid("partnerCustomerServiceNumber '%s' is not a phone number like +1 515 123 4567.", next.CustomerServiceNumber)
	case next.CustomerServiceExtension != "" && !extensionPattern.MatchString(next.CustomerServiceExtension):
		return resource.Invalid("partnerCustomerServiceExtension '%s' must have 2 to 9 digits.", next.CustomerServiceExtension)
	}
	if err := checkNames(next, old); err != nil || next.PartnerName == "" {
		return err
	}
	return claimPartnerName(w, next)
}

// checkNames checks what customers know a partner by. What is stored may be older
// than the rule.
func checkNames(next, old *PartnerRegistration) error {
	if old == nil {
		old = &PartnerRegistration{}
	}
	if next.PartnerName != old.PartnerName && next.PartnerName != "" {
		if err := checkPartnerName("partnerName", next.PartnerName); err != nil {
			return err
		}
	}
	if next.ResourceTypeName != old.ResourceTypeName && next.ResourceTypeName != "" {
		return checkPartnerName("partnerResourceTypeName", next.ResourceTypeName)
	}
	return nil
}

func deletePartnerRegistration(d *resource.Deletion, r *resource.Resource, _ *PartnerRegistration) error {
	for ns, p := range readable[PartnerNamespace](d.Tx.List(TypePartnerNamespace, resource.ID{})) {
		// By id and not by text: it is stored as the client spelled it.
		if id, err := resource.ParseID(p.Registration); err == nil && id.Equal(r.ID) {
			return resource.Errorf(resource.Conflict,
				"The partner registration '%s' is in use by the partner namespace '%s'. Delete that first.", r.ID.Name(), ns.ID.Name())
		}
	}
	return nil
}

// registrationOf returns the registration that a partner namespace stands for.
func registrationOf(tx resource.Tx, ns *PartnerNamespace) (*PartnerRegistration, error) {
	id, err := resource.ParseID(ns.Registration)
	if err != nil {
		return nil, err
	}
	r, ok := tx.Get(id)
	if !ok {
		return nil, resource.Errorf(resource.Conflict, "The partner registration '%s' of the partner namespace does not exist any more.", id.Name())
	}
	return resource.Properties[PartnerRegistration](r)
}

// openTo reports whether a subscription may publish under the registration with
// that id: its own, and those it lists.
func (p *PartnerRegistration) openTo(id resource.ID, subscription string) bool {
	return equalFold(id.Subscription, subscription) || p.lists(subscription)
}

func (p *PartnerRegistration) lists(subscription string) bool {
	return slices.ContainsFunc(p.AuthorizedSubscriptions, func(s string) bool { return equalFold(s, subscription) })
}
