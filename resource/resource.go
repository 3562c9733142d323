package resource

import (
	"encoding/json"
	"maps"
	"strings"
	"time"
)

// Types of the resources that Azure Resource Manager itself owns.
const (
	TypeTenant         = "Microsoft.Resources/tenants"
	TypeSubscription   = "Microsoft.Resources/subscriptions"
	TypeGroup          = "Microsoft.Resources/subscriptions/resourceGroups"
	TypeRoleAssignment = "Microsoft.Authorization/roleAssignments"
	TypeLock           = "Microsoft.Authorization/locks"
)

// IsInternal reports whether a type is one of this server's own records, such as
// its service principals and settings. They share the store with resources, lie at
// the root of the tenant, and no management request leads to one.
func IsInternal(typ string) bool {
	ns, _, _ := strings.Cut(strings.ToLower(typ), "/")
	return ns == "intertie" || strings.HasPrefix(ns, "intertie.")
}

// Resource is the envelope around every resource. Stored resources are shared
// between readers and must not be modified; [Resource.Clone] gives a copy.
type Resource struct {
	ID       ID
	UID      UID
	Type     string // full type in canonical casing
	Location string // empty for types without one
	Tags     map[string]string
	Identity json.RawMessage // nil when the kind has none
	// Extra holds the members beside the properties that only some kinds have,
	// such as sku.
	Extra map[string]json.RawMessage
	// Properties is the public part of the resource, one JSON object.
	Properties json.RawMessage
	// Secrets holds what no read may ever show: keys, endpoint URLs, secret
	// header values. The store seals it; only explicit actions look into it.
	Secrets map[string]string
	// Confidential says that the store seals all that the resource holds, since
	// nobody knows what people have put there; reads show it like any other.
	Confidential bool

	CreatedAt, ModifiedAt time.Time
	CreatedBy, ModifiedBy string // object ids

	// Revision is the store's; 0 for a resource not stored yet.
	Revision uint64
}

// Clone returns a deep copy that may be modified.
func (r *Resource) Clone() *Resource {
	c := *r
	c.Tags = maps.Clone(r.Tags)
	c.Secrets = maps.Clone(r.Secrets)
	c.Extra = maps.Clone(r.Extra)
	c.Properties = append(json.RawMessage(nil), r.Properties...)
	c.Identity = append(json.RawMessage(nil), r.Identity...)
	return &c
}

// Secret sets or, with an empty value, removes a secret.
func (r *Resource) Secret(name, value string) {
	if value == "" {
		delete(r.Secrets, name)
		return
	}
	if r.Secrets == nil {
		r.Secrets = make(map[string]string)
	}
	r.Secrets[name] = value
}

// Properties decodes the properties of r into P. It fails only for a record
// that another program has written.
func Properties[P any](r *Resource) (*P, error) {
	p := new(P)
	if len(r.Properties) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(r.Properties, p); err != nil {
		return nil, err
	}
	return p, nil
}
