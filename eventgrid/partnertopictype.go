package eventgrid

import (
	"cmp"
	"slices"
	"strings"

	"github.com/intertie/intertie/resource"
)

// TypePartnerTopicType is the older gallery. Azure's documents name it without
// showing it, so its members are ours.
const TypePartnerTopicType = Namespace + "/partnerTopicTypes"

// PartnerTopicType is one kind of events that a partner offers.
type PartnerTopicType struct {
	ImmutableID   string `json:"partnerRegistrationImmutableId"`
	PartnerName   string `json:"partnerName,omitempty"`
	TopicTypeName string `json:"topicTypeName"`
	DisplayName   string `json:"displayName,omitempty"`
	Description   string `json:"description,omitempty"`
	SetupURI      string `json:"setupUri,omitempty"`
	LogoURI       string `json:"logoUri,omitempty"`
	// AuthorizationState is always NotApplicable: whom a customer authorizes is
	// said for each resource group, and this list belongs to none.
	AuthorizationState string `json:"authorizationState"`
}

// partnerTopicTypes lists what partners offer: those that have made their
// registration visible, and those that the operator has put into the gallery,
// verified or not. Of a partner that is in both, the gallery fills the gaps.
func partnerTopicTypes(tx resource.Reader) ([]Item, error) {
	byPartner := make(map[string]*PartnerTopicType)
	for r, p := range readable[PartnerRegistration](tx.List(TypePartnerRegistration, resource.ID{})) {
		if p.VisibilityState == hidden || p.VisibilityState == "" {
			continue
		}
		byPartner[strings.ToLower(p.ImmutableID)] = &PartnerTopicType{
			ImmutableID: p.ImmutableID, PartnerName: p.PartnerName, TopicTypeName: cmp.Or(p.ResourceTypeName, r.ID.Name()),
			DisplayName: p.ResourceTypeDisplayName, Description: p.ResourceTypeDescription, SetupURI: p.SetupURI, LogoURI: p.LogoURI,
		}
	}
	for r, p := range readable[VerifiedPartner](tx.List(TypeVerifiedPartner, resource.ID{})) {
		if p.TopicDetails == nil {
			continue // takes events and has none to offer
		}
		t := byPartner[strings.ToLower(p.ImmutableID)]
		if t == nil {
			t = &PartnerTopicType{ImmutableID: p.ImmutableID, TopicTypeName: r.ID.Name()}
			byPartner[strings.ToLower(p.ImmutableID)] = t
		}
		t.PartnerName = cmp.Or(t.PartnerName, p.OrganizationName, p.PartnerDisplayName)
		t.DisplayName = cmp.Or(t.DisplayName, p.PartnerDisplayName)
		t.Description = cmp.Or(t.Description, p.TopicDetails.Description)
		t.SetupURI = cmp.Or(t.SetupURI, p.TopicDetails.SetupURI)
		t.LogoURI = cmp.Or(t.LogoURI, p.LogoURI)
	}
	var all []Item
	for _, t := range byPartner {
		t.AuthorizationState = "NotApplicable"
		all = append(all, Item{Name: t.TopicTypeName, Type: TypePartnerTopicType, Properties: t})
	}
	return nameTopicTypes(all), nil
}

// nameTopicTypes sorts and gives ids, which have no leading slash. Nothing keeps
// two partners from using the same name; the later ones get their id appended.
func nameTopicTypes(all []Item) []Item {
	id := func(i Item) string { return i.Properties.(*PartnerTopicType).ImmutableID }
	slices.SortFunc(all, func(a, b Item) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(id(a), id(b)))
	})
	taken := make(map[string]bool)
	for i := range all {
		if taken[strings.ToLower(all[i].Name)] {
			all[i].Name += "-" + id(all[i])
		}
		taken[strings.ToLower(all[i].Name)] = true
		all[i].ID = "providers/" + TypePartnerTopicType + "/" + all[i].Name
	}
	return all
}
