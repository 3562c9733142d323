package eventgrid

import (
	"strings"

	"github.com/intertie/intertie/resource"
)

// Derived is a type of resource that nobody stores: what there is of it follows
// from other resources, and it can only be read.
type Derived struct {
	Type string
	// Parent is the type of the resources that these hang on; empty for what
	// stands at the root of the tenant.
	Parent   string
	Versions []string
	// Items returns what there is, in the order of names. The parent is nil at the
	// root. It fails only for a resource that cannot be read.
	Items func(tx resource.Reader, parent *resource.Resource) ([]Item, error)
	// Actions are the names of POST operations on one item, in canonical casing.
	// None does anything: they are on items that never exist here.
	Actions []string
}

// Item is one resource of a [Derived] type as reads show it.
type Item struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Properties any    `json:"properties"`
}

// AllDerived returns the derived types.
func AllDerived() []*Derived {
	all := []*Derived{{
		Type: TypePartnerTopicType, Versions: []string{"2020-04-01-preview", "2020-10-15-preview"},
		Items: func(tx resource.Reader, _ *resource.Resource) ([]Item, error) { return partnerTopicTypes(tx) },
	}}
	for _, p := range privateParents {
		all = append(all, p.linkResources())
	}
	for _, parent := range []string{TypeTopic, TypeDomain} {
		all = append(all, &Derived{
			Type: parent + "/networkSecurityPerimeterConfigurations", Parent: parent, Versions: []string{"2025-07-15-preview"},
			// Perimeters belong to a network of Azure; nothing is ever in one here.
			Items:   func(resource.Reader, *resource.Resource) ([]Item, error) { return nil, nil },
			Actions: []string{"reconcile"},
		})
	}
	return all
}

// ItemOf returns the item of a name, without regard to case.
func ItemOf(items []Item, name string) (Item, bool) {
	for _, i := range items {
		if strings.EqualFold(i.Name, name) {
			return i, true
		}
	}
	return Item{}, false
}
