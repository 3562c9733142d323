package eventgrid

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// A customer may authorize a partner by its name alone. So a name has one holder:
// the first registration that claims it, for good. It stays reserved when the
// registration is deleted or renamed, and only the same subscription can take it
// again. Each name has a record of its own, so that claiming one looks at no other.

// typePartnerName is the type of these records: an internal one, at the root.
const typePartnerName = "Intertie.Partners/names"

// partnerName is the properties of such a record.
type partnerName struct {
	Name         string `json:"name"`
	ImmutableID  string `json:"immutableId"` // of the registration that has it, or had it last
	Subscription string `json:"subscription"`
}

// maxNamesReserved bounds the names that one subscription can reserve: they are
// never given back.
const maxNamesReserved = 200

// typeNamesReserved is the type of the record that counts them.
const typeNamesReserved = "Intertie.Partners/reserved"

// reserved counts what a subscription keeps for good.
type reserved struct {
	Count int `json:"count"`
}

// checkPartnerName admits what people cannot take for another name because of
// something they do not see.
func checkPartnerName(member, name string) error {
	if partnerNamePattern.MatchString(name) && !strings.Contains(name, "  ") {
		return nil
	}
	return resource.Invalid("The property '%s' is %q: it must consist of %s, with no two blanks in a row.", member, name, partnerNameRule)
}

// partnerNameID is where the record of a name is. Names that look alike share one:
// letters and digits count, and not their case.
func partnerNameID(name string) resource.ID {
	looks := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	if looks == "" {
		looks = name
	}
	return resource.ID{}.Provider(typePartnerName, uuid.NewSHA1(uuid.NameSpaceURL, []byte(looks)).String())
}

// holderOfName returns the immutable id of the registration that has a name, or
// had it last; "" when no registration ever did.
func holderOfName(tx resource.Tx, name string) string {
	r, ok := tx.Get(partnerNameID(name))
	if !ok {
		return ""
	}
	if p, err := resource.Properties[partnerName](r); err == nil && equalFold(p.Name, name) {
		return p.ImmutableID
	}
	return ""
}

// claimPartnerName gives the name of a registration to it, or says that another
// one has it.
func claimPartnerName(w *resource.Write, p *PartnerRegistration) error {
	id, next := partnerNameID(p.PartnerName), partnerName{p.PartnerName, p.ImmutableID, w.ID.Subscription}
	r, taken := w.Tx.Get(id)
	if !taken {
		full := resource.Errorf(resource.Conflict,
			"The subscription '%s' has reserved %d partner names, as many as it can. Names stay reserved after their registration is deleted; use one of them again.",
			w.ID.Subscription, maxNamesReserved)
		if err := reserve(w.Tx, typeNamesReserved, w.ID.Subscription, maxNamesReserved, full, w.Caller, w.Now); err != nil {
			return err
		}
		return put(w.Tx, newResource(id, typePartnerName, "", w.Caller, w.Now), &next)
	}
	has, err := resource.Properties[partnerName](r)
	switch {
	case err != nil || !equalFold(has.ImmutableID, p.ImmutableID) && (!equalFold(has.Subscription, w.ID.Subscription) || held(w, has)):
		return resource.Errorf(resource.Conflict,
			"The partner name '%s' is already taken by another registration, or looks like one that is. Names stay with the subscription that had them first.", p.PartnerName)
	case *has == next:
		return nil
	}
	return change(w.Tx, r, w.Caller, w.Now, func(p *partnerName) { *p = next })
}

// held reports whether another registration in the subscription of w has a name
// now.
func held(w *resource.Write, name *partnerName) bool {
	for r, p := range readable[PartnerRegistration](w.Tx.List(TypePartnerRegistration, resource.SubscriptionID(w.ID.Subscription))) {
		if !r.ID.Equal(w.ID) && equalFold(p.ImmutableID, name.ImmutableID) && partnerNameID(p.PartnerName).Equal(partnerNameID(name.Name)) {
			return true
		}
	}
	return false
}

// reserve counts one more of what a subscription keeps for good. full is the error
// when it has the most of it that it may have.
func reserve(tx resource.Tx, typ, subscription string, most int, full error, caller string, now time.Time) error {
	id := resource.ID{}.Provider(typ, strings.ToLower(subscription))
	r, ok := tx.Get(id)
	if !ok {
		return put(tx, newResource(id, typ, "", caller, now), &reserved{1})
	}
	p, err := resource.Properties[reserved](r)
	if err != nil {
		return err
	}
	if p.Count >= most {
		return full
	}
	return change(tx, r, caller, now, func(p *reserved) { p.Count++ })
}

// UnboundNames returns the registrations whose names have no record, and the
// configurations with grants by name that are bound to nobody: those of versions
// that did neither. They are in the order in which [BindNames] is to take them.
func UnboundNames(tx resource.Reader) []resource.ID {
	var found []*resource.Resource
	for r, p := range readable[PartnerRegistration](tx.List(TypePartnerRegistration, resource.ID{})) {
		if p.PartnerName == "" {
			continue
		}
		if _, ok := tx.Get(partnerNameID(p.PartnerName)); !ok {
			found = append(found, r)
		}
	}
	// Of two that look alike, the older one has the name.
	slices.SortStableFunc(found, func(a, b *resource.Resource) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for r, p := range readable[PartnerConfiguration](tx.List(TypePartnerConfiguration, resource.ID{})) {
		if p.Authorization != nil && slices.ContainsFunc(p.Authorization.Partners, AuthorizedPartner.unbound) {
			found = append(found, r)
		}
	}
	ids := make([]resource.ID, len(found))
	for i, r := range found {
		ids[i] = r.ID
	}
	return ids
}

func (g AuthorizedPartner) unbound() bool { return !blank(g.Name) && g.Holder == nil }

// BindNames makes the record for the name of a registration, or binds the grants of
// a configuration to whoever has the names now.
func BindNames(tx resource.Tx, id resource.ID, now time.Time) error {
	r, ok := tx.Get(id)
	if !ok {
		return nil
	}
	if r.Type == TypePartnerConfiguration {
		return change(tx, r, r.ModifiedBy, now, func(p *PartnerConfiguration) { p.Authorization.bind(tx) })
	}
	p, err := resource.Properties[PartnerRegistration](r)
	if err != nil {
		return err
	}
	at := partnerNameID(p.PartnerName)
	if _, taken := tx.Get(at); taken {
		return nil
	}
	return put(tx, newResource(at, typePartnerName, "", r.CreatedBy, now), &partnerName{p.PartnerName, p.ImmutableID, r.ID.Subscription})
}
