package eventgrid

import (
	"cmp"
	"net/url"
	"regexp"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// VerifiedPartner is an entry of the gallery: a partner that customers may find.
// The operator of the server publishes it. It grants nothing: a verified partner
// still has to be authorized by each customer.
//
// Azure's verified partners are read-only; PUT and DELETE are ours, and so are
// the members LogoURI and Verified.
type VerifiedPartner struct {
	ImmutableID        string `json:"partnerRegistrationImmutableId" arm:"patch"`
	OrganizationName   string `json:"organizationName,omitempty" arm:"patch"`
	PartnerDisplayName string `json:"partnerDisplayName,omitempty" arm:"patch"`
	// The two below are absent where the partner does not offer that direction.
	TopicDetails       *PartnerDetails `json:"partnerTopicDetails,omitempty" arm:"patch"`
	DestinationDetails *PartnerDetails `json:"partnerDestinationDetails,omitempty" arm:"patch"`
	LogoURI            string          `json:"logoUri,omitempty" arm:"patch"`
	// Verified is true unless the operator says otherwise. An entry that is not
	// verified is shown among the partner topic types alone.
	Verified          *bool  `json:"verified" arm:"patch"`
	ProvisioningState string `json:"provisioningState" arm:"computed"`
}

// PartnerDetails describes what a partner offers in one direction.
type PartnerDetails struct {
	Description     string `json:"description,omitempty"`
	LongDescription string `json:"longDescription,omitempty"`
	SetupURI        string `json:"setupUri,omitempty"`
}

const (
	maxDescription     = 256
	maxLongDescription = 2048
	maxPartnerNames    = 256
)

// partnerNamePattern admits what partners are called in Azure: Auth0, SAP, Tribal
// Group. It is also safe in a path.
var partnerNamePattern = regexp.MustCompile(`^[a-zA-Z0-9](?:[-_. a-zA-Z0-9]{0,48}[a-zA-Z0-9])?$`)

const partnerNameRule = "1 to 50 letters, digits, blanks, dots, hyphens and underscores, with a letter or digit at both ends"

func verifiedPartnerKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypeVerifiedPartner, Place: resource.InTenant, Names: partnerNamePattern, NameRule: partnerNameRule,
		Versions: channelVersions,
	}, resource.Hooks[VerifiedPartner]{
		Prepare: func(_ *resource.Write, _ *resource.Resource, next, _ *VerifiedPartner) error { return next.Check() },
	})
}

// VerifiedPartnerID returns the id of an entry of the gallery, and fails for a
// name that none can have.
func VerifiedPartnerID(name string) (resource.ID, error) {
	if !partnerNamePattern.MatchString(name) {
		return resource.ID{}, resource.Invalid("The name '%s' of the resource of type '%s' is invalid: it must consist of %s.", name, TypeVerifiedPartner, partnerNameRule)
	}
	return resource.ID{}.Provider(TypeVerifiedPartner, name), nil
}

// Check fills in what was left out and judges the rest. It changes p, and its
// error is one for the user.
func (p *VerifiedPartner) Check() error {
	p.ProvisioningState = Succeeded
	if p.Verified == nil {
		p.Verified = new(true)
	}
	id, err := uuid.Parse(p.ImmutableID)
	if err != nil {
		return resource.Invalid("partnerRegistrationImmutableId '%s' is not a GUID; it is the id of the partner's registration.", p.ImmutableID)
	}
	p.ImmutableID = id.String()
	return cmp.Or(
		checkLength("organizationName", p.OrganizationName, maxPartnerNames),
		checkLength("partnerDisplayName", p.PartnerDisplayName, maxPartnerNames),
		p.TopicDetails.check("partnerTopicDetails"),
		p.DestinationDetails.check("partnerDestinationDetails"),
		checkWebAddress("logoUri", p.LogoURI),
	)
}

func (d *PartnerDetails) check(name string) error {
	if d == nil {
		return nil
	}
	return cmp.Or(
		checkLength(name+".description", d.Description, maxDescription),
		checkLength(name+".longDescription", d.LongDescription, maxLongDescription),
		checkWebAddress(name+".setupUri", d.SetupURI),
	)
}

func checkLength(name, text string, limit int) error {
	if n := utf8.RuneCountInString(text); n > limit {
		return resource.Invalid("%s has %d characters; at most %d are allowed.", name, n, limit)
	}
	return nil
}

// checkWebAddress admits what people can follow in a browser: it becomes a link.
func checkWebAddress(name, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return resource.Invalid("%s '%s' is not a web address like https://www.example.com/setup.", name, text)
	}
	return nil
}

// IsVerified reports whether an entry is shown among the verified partners.
func (p *VerifiedPartner) IsVerified() bool { return p.Verified == nil || *p.Verified }

// VerifiedPartners returns the entries that are listed as verified partners, in
// the order of their names, without those that cannot be read.
func VerifiedPartners(tx resource.Reader) []*resource.Resource {
	var listed []*resource.Resource
	for r, p := range readable[VerifiedPartner](tx.List(TypeVerifiedPartner, resource.ID{})) {
		if p.IsVerified() {
			listed = append(listed, r)
		}
	}
	return listed
}
