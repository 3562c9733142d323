package eventgrid

import (
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// PartnerConfiguration is where the customer says which partners may create
// partner topics and destinations in this resource group. There is one per group.
type PartnerConfiguration struct {
	Authorization     *PartnerAuthorization `json:"partnerAuthorization,omitempty"`
	ProvisioningState string                `json:"provisioningState" arm:"computed"`
	// DefaultDays is how a PATCH names the default; it is stored above.
	DefaultDays *int `json:"defaultMaximumExpirationTimeInDays,omitempty" arm:"patch"`
}

// PartnerAuthorization holds the grants.
type PartnerAuthorization struct {
	DefaultDays int                              `json:"defaultMaximumExpirationTimeInDays"`
	Partners    resource.List[AuthorizedPartner] `json:"authorizedPartnersList"`
}

// AuthorizedPartner is one grant. It stays listed after it has expired.
type AuthorizedPartner struct {
	ImmutableID *string        `json:"partnerRegistrationImmutableId"`
	Name        *string        `json:"partnerName"`
	Expires     *resource.Time `json:"authorizationExpirationTimeInUtc"`
	// Holder is the immutable id of the partner that had the name when the grant was
	// given; empty when nobody had. A partner that gets the name later was not meant.
	// No client sees it or has a say in it.
	Holder *string `json:"holderOfName,omitempty"`
}

const (
	defaultGrantDays = 7
	day              = 24 * time.Hour
)

func (r *Rules) partnerConfigurationKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypePartnerConfiguration, Names: regexp.MustCompile(`(?i)^default$`), NameRule: "'default', the only one of its resource group",
		Tracked: true, Location: "global", Versions: channelVersions,
		// Deleting a channel needs the grant.
		After: []string{TypePartnerTopic, TypePartnerDestination, TypeChannel, TypeEventChannel},
		Actions: resource.Actions(
			resource.Action{Name: "authorizePartner", Do: authorizePartner},
			resource.Action{Name: "unauthorizePartner", Do: unauthorizePartner},
		),
	}, resource.Hooks[PartnerConfiguration]{
		Prepare: r.preparePartnerConfiguration,
		Present: func(_ *resource.Resource, p *PartnerConfiguration, _ resource.View) {
			if p.Authorization == nil {
				return
			}
			for i := range p.Authorization.Partners {
				p.Authorization.Partners[i].Holder = nil
			}
		},
	})
}

func (r *Rules) preparePartnerConfiguration(w *resource.Write, _ *resource.Resource, next, _ *PartnerConfiguration) error {
	next.ProvisioningState = Succeeded
	if next.Authorization == nil {
		next.Authorization = &PartnerAuthorization{}
	}
	auth := next.Authorization
	if next.DefaultDays != nil {
		auth.DefaultDays, next.DefaultDays = *next.DefaultDays, nil
	} else if auth.DefaultDays == 0 {
		auth.DefaultDays = min(defaultGrantDays, r.limits().GrantDays)
	}
	if auth.DefaultDays < 1 || auth.DefaultDays > r.limits().GrantDays {
		return resource.Invalid("defaultMaximumExpirationTimeInDays is %d; it must lie between 1 and %d.", auth.DefaultDays, r.limits().GrantDays)
	}
	if auth.Partners == nil {
		auth.Partners = resource.List[AuthorizedPartner]{}
	}
	if w.Patch {
		return nil // a PATCH of the default leaves existing grants alone
	}
	before := grantsBefore(w.Old)
	for i := range auth.Partners {
		if err := checkGrant(w.Tx, &auth.Partners[i], auth.DefaultDays, w.Now, before); err != nil {
			return err
		}
	}
	return nil
}

// grantsBefore returns the stored grants: a client may PUT back what it read,
// with an expiry that would be refused as a new one.
func grantsBefore(old *resource.Resource) []AuthorizedPartner {
	if old == nil {
		return nil
	}
	p, err := resource.Properties[PartnerConfiguration](old)
	if err != nil || p.Authorization == nil {
		return nil
	}
	return p.Authorization.Partners
}

// checkGrant validates a grant, fills in its expiry, and binds its name. One that
// was there before is not given anew: it stays bound to whom it was.
func checkGrant(tx resource.Tx, g *AuthorizedPartner, days int, now time.Time, before []AuthorizedPartner) error {
	if blank(g.ImmutableID) && blank(g.Name) {
		return resource.Invalid("An authorized partner needs 'partnerRegistrationImmutableId' or 'partnerName'.")
	}
	if !blank(g.ImmutableID) {
		id, err := uuid.Parse(*g.ImmutableID)
		if err != nil {
			return resource.Invalid("partnerRegistrationImmutableId '%s' is not a GUID.", *g.ImmutableID)
		}
		text := id.String()
		g.ImmutableID = &text
	}
	g.bind(tx)
	if g.Expires == nil {
		at := resource.Time(now.Add(time.Duration(days) * day))
		g.Expires = &at
		return nil
	}
	for _, b := range before {
		if sameGrant(b, *g) && b.Expires != nil && b.Expires.Same(*g.Expires) {
			if b.Holder != nil && !blank(g.Name) && !blank(b.Name) && equalFold(*b.Name, *g.Name) {
				g.Holder = b.Holder
			}
			return nil
		}
	}
	latest := now.Add(time.Duration(days) * day)
	// A minute of grace: clients compute the longest expiry on their own clock.
	if at := g.Expires.Std(); !at.After(now) || at.After(latest.Add(time.Minute)) {
		return resource.Invalid("authorizationExpirationTimeInUtc '%s' must lie in the future and at most %d days from now (defaultMaximumExpirationTimeInDays), that is not after %s.",
			at.Format(time.RFC3339), days, latest.Format(time.RFC3339))
	}
	return nil
}

// bind binds the grants of versions that did not.
func (a *PartnerAuthorization) bind(tx resource.Tx) {
	if a == nil {
		return
	}
	for i := range a.Partners {
		if g := &a.Partners[i]; g.unbound() {
			g.bind(tx)
		}
	}
}

// bind notes who has the name of a grant.
func (g *AuthorizedPartner) bind(tx resource.Tx) {
	g.Holder = nil
	if !blank(g.Name) {
		g.Holder = new(holderOfName(tx, *g.Name))
	}
}

func authorizePartner(c *resource.Call) (any, error) {
	return nil, changeGrants(c, func(auth *PartnerAuthorization, g AuthorizedPartner) error {
		if err := checkGrant(c.Tx, &g, auth.DefaultDays, c.Now, nil); err != nil {
			return err
		}
		for i := range auth.Partners {
			if sameGrant(auth.Partners[i], g) {
				auth.Partners[i] = g
				return nil
			}
		}
		auth.Partners = append(auth.Partners, g)
		return nil
	})
}

func unauthorizePartner(c *resource.Call) (any, error) {
	return nil, changeGrants(c, func(auth *PartnerAuthorization, g AuthorizedPartner) error {
		if blank(g.ImmutableID) && blank(g.Name) {
			return resource.Invalid("Name the partner with 'partnerRegistrationImmutableId' or 'partnerName'.")
		}
		meant := partnersMeant(c.Tx, auth.Partners, g)
		kept := resource.List[AuthorizedPartner]{}
		for _, p := range auth.Partners {
			if !sameGrant(p, g) && !slices.ContainsFunc(meant, p.letsIn) {
				kept = append(kept, p)
			}
		}
		auth.Partners = kept
		return nil
	})
}

// partnersMeant returns the immutable ids of those whom g names: by its id, or else
// who has its name, and who had it when one of the grants was given.
func partnersMeant(tx resource.Tx, grants []AuthorizedPartner, g AuthorizedPartner) []string {
	if !blank(g.ImmutableID) {
		return []string{*g.ImmutableID}
	}
	var meant []string
	if id := holderOfName(tx, *g.Name); id != "" {
		meant = append(meant, id)
	}
	for _, p := range grants {
		if sameGrant(p, g) && !blank(p.Holder) {
			meant = append(meant, *p.Holder)
		}
	}
	return meant
}

// letsIn reports whether a grant is for the partner with an immutable id, by that id
// or by the name it had.
func (g AuthorizedPartner) letsIn(id string) bool {
	if !blank(g.ImmutableID) {
		return equalFold(*g.ImmutableID, id)
	}
	return !blank(g.Holder) && equalFold(*g.Holder, id)
}

func changeGrants(c *resource.Call, change func(*PartnerAuthorization, AuthorizedPartner) error) error {
	var g AuthorizedPartner
	if err := decodeBody(c.Body, &g); err != nil {
		return err
	}
	p, err := resource.Properties[PartnerConfiguration](c.Resource)
	if err != nil {
		return err
	}
	p.Authorization.bind(c.Tx)
	if err := change(p.Authorization, g); err != nil {
		return err
	}
	r := c.Resource.Clone()
	r.ModifiedAt, r.ModifiedBy = c.Now, c.Caller
	if err := resource.Encode(r, p); err != nil {
		return err
	}
	c.Tx.Put(r)
	return nil
}

// sameGrant reports whether two entries speak of the same partner: by id where
// both have one, otherwise by name.
func sameGrant(a, b AuthorizedPartner) bool {
	if !blank(a.ImmutableID) && !blank(b.ImmutableID) {
		return equalFold(*a.ImmutableID, *b.ImmutableID)
	}
	return !blank(a.Name) && !blank(b.Name) && equalFold(*a.Name, *b.Name)
}

func blank(s *string) bool { return s == nil || *s == "" }

// requireGrant fails unless the customer's group authorizes the partner now.
// It is the only way for a partner to reach a customer's side.
func requireGrant(tx resource.Tx, partner *PartnerRegistration, customer resource.ID, now time.Time) error {
	denied := func(reason string) error {
		return resource.Errorf(resource.PartnerNotAuthorized,
			"The partner with registration id '%s' is not authorized to create, change or delete resources in resource group '%s' of subscription '%s': %s. "+
				"The customer grants it with authorizePartner on the partner configuration of that resource group.",
			partner.ImmutableID, customer.Group, customer.Subscription, reason)
	}
	// What is not there, the configuration, the group or the subscription, has the
	// same answer: a partner without a grant learns nothing of the customer.
	const none = "there is no authorization for it"
	r, ok := tx.Get(customer.Provider(TypePartnerConfiguration, "default"))
	if !ok {
		return denied(none)
	}
	p, err := resource.Properties[PartnerConfiguration](r)
	if err != nil {
		return err
	}
	expired := false
	for _, g := range p.Authorization.Partners {
		if !grantMatches(g, partner) {
			continue
		}
		if g.Expires == nil || now.Before(g.Expires.Std()) {
			return nil
		}
		expired = true
	}
	if expired {
		return denied("the authorization has expired")
	}
	return denied(none)
}

// grantMatches demands that everything a grant names fits. A name stands for who had
// it when the grant was given; beside an id it may also be one that the partner got
// since.
func grantMatches(g AuthorizedPartner, partner *PartnerRegistration) bool {
	if !blank(g.ImmutableID) && !equalFold(*g.ImmutableID, partner.ImmutableID) {
		return false
	}
	if blank(g.Name) {
		return !blank(g.ImmutableID)
	}
	if g.Holder != nil && equalFold(*g.Holder, partner.ImmutableID) {
		return true
	}
	return (g.Holder == nil || !blank(g.ImmutableID)) && equalFold(*g.Name, partner.PartnerName)
}
