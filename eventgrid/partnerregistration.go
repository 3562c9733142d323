package eventgrid

import (
	"regexp"

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
	PartnerName              string `json:"partnerName,omitempty"`
	ResourceTypeName         string `json:"partnerResourceTypeName,omitempty"`
	ResourceTypeDisplayName  string `json:"partnerResourceTypeDisplayName,omitempty"`
	ResourceTypeDescription  string `json:"partnerResourceTypeDescription,omitempty"`
	LongDescription          string `json:"longDescription,omitempty"`
	CustomerServiceNumber    string `json:"partnerCustomerServiceNumber,omitempty"`
	CustomerServiceExtension string `json:"partnerCustomerServiceExtension,omitempty"`
	CustomerServiceURI       string `json:"customerServiceUri,omitempty"`
	SetupURI                 string `json:"setupUri,omitempty"`
	LogoURI                  string `json:"logoUri,omitempty"`

	VisibilityState visibility `json:"visibilityState"`
	// AuthorizedSubscriptions may create partner namespaces under this
	// registration, beside its own subscription.
	AuthorizedSubscriptions resource.List[string] `json:"authorizedAzureSubscriptionIds,omitempty"`
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

func preparePartnerRegistration(w *resource.Write, _ *resource.Resource, next, _ *PartnerRegistration) error {
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
	return uniquePartnerName(w, next.PartnerName)
}

// uniquePartnerName keeps a second partner from taking the name of a first: a
// customer may authorize a partner by name alone.
func uniquePartnerName(w *resource.Write, name string) error {
	if name == "" {
		return nil
	}
	for _, other := range w.Tx.List(TypePartnerRegistration, resource.ID{}) {
		if other.ID.Equal(w.ID) {
			continue
		}
		p, err := resource.Properties[PartnerRegistration](other)
		if err != nil {
			return err
		}
		if equalFold(p.PartnerName, name) {
			return resource.Errorf(resource.Conflict, "The partner name '%s' is already taken by another registration.", name)
		}
	}
	return nil
}

func deletePartnerRegistration(d *resource.Deletion, r *resource.Resource, _ *PartnerRegistration) error {
	for _, ns := range d.Tx.List(TypePartnerNamespace, resource.ID{}) {
		p, err := resource.Properties[PartnerNamespace](ns)
		if err != nil {
			return err
		}
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
