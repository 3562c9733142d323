package resource

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrMalformedID is wrapped by every error of [ParseID] and [ParsePath].
var ErrMalformedID = errors.New("malformed resource id")

// ID names one resource: the tenant root "/", a subscription, a resource
// group, or a resource of a provider below any of them or below another
// resource (an extension resource).
//
// The zero ID is the tenant root. IDs are immutable.
type ID struct {
	// Subscription and Group are empty above their level.
	Subscription, Group string
	// Namespace is the provider of the resource itself, such as
	// Microsoft.EventGrid; empty for the root, subscriptions and groups.
	Namespace string
	// Types and Names pair up: partnerNamespaces/channels with the two names.
	Types, Names []string

	scope string // what stands before the last "/providers/", "" for the root
}

const (
	subscriptionsSegment = "subscriptions"
	groupsSegment        = "resourceGroups"
	providersSegment     = "providers"
)

// SubscriptionID returns the id of a subscription.
func SubscriptionID(subscription string) ID { return ID{Subscription: subscription} }

// GroupID returns the id of a resource group.
func GroupID(subscription, group string) ID { return ID{Subscription: subscription, Group: group} }

// Provider returns the id of a resource of the given full type, such as
// Microsoft.EventGrid/partnerNamespaces/channels, below scope. There must be as
// many names as type segments; it panics otherwise, because both are constants
// of the program.
func (id ID) Provider(fullType string, names ...string) ID {
	ns, types, _ := strings.Cut(fullType, "/")
	segments := strings.Split(types, "/")
	if len(segments) != len(names) {
		panic(fmt.Sprintf("resource: type %s wants %d names, got %d", fullType, len(segments), len(names)))
	}
	return ID{
		Subscription: id.Subscription, Group: id.Group, Namespace: ns,
		Types: segments, Names: names, scope: id.text(),
	}
}

// Child returns the id of a resource nested in id under one more type segment.
func (id ID) Child(typ, name string) ID {
	id.Types = append(slices.Clone(id.Types), typ)
	id.Names = append(slices.Clone(id.Names), name)
	return id
}

// Type returns the full type, for example
// Microsoft.EventGrid/partnerTopics/eventSubscriptions, in the casing of the id.
func (id ID) Type() string {
	switch {
	case id.Namespace != "":
		return id.Namespace + "/" + strings.Join(id.Types, "/")
	case id.Group != "":
		return TypeGroup
	case id.Subscription != "":
		return TypeSubscription
	default:
		return TypeTenant
	}
}

// Name returns the last name; the root has none.
func (id ID) Name() string {
	switch {
	case len(id.Names) > 0:
		return id.Names[len(id.Names)-1]
	case id.Group != "":
		return id.Group
	default:
		return id.Subscription
	}
}

// Parent returns what the resource lives in: the enclosing resource of a nested
// type, otherwise the scope before its provider. The root is its own parent.
func (id ID) Parent() ID {
	switch {
	case len(id.Types) > 1:
		id.Types = id.Types[:len(id.Types)-1]
		id.Names = id.Names[:len(id.Names)-1]
		return id
	case id.Namespace != "":
		return id.Scope()
	case id.Group != "":
		return SubscriptionID(id.Subscription)
	default:
		return ID{}
	}
}

// Scope returns what stands before the provider of the resource: a group, a
// subscription, the root, or for an extension resource another resource.
func (id ID) Scope() ID {
	if id.Namespace == "" {
		return id
	}
	scope, err := ParseID(id.scope)
	if err != nil { // cannot be: scope was cut out of a well-formed id
		return ID{}
	}
	return scope
}

// GroupScope returns the resource group that the resource lives in.
func (id ID) GroupScope() ID { return GroupID(id.Subscription, id.Group) }

// IsRoot reports whether id is the tenant root.
func (id ID) IsRoot() bool { return id.Subscription == "" && id.Namespace == "" }

// Disguised reports whether the id, or what it hangs on, is one of a provider and
// yet of the type of a subscription, a group or the tenant: what goes by [ID.Type]
// would take it for one, at a place where none can be.
func (id ID) Disguised() bool {
	key := id.Key()
	for _, typ := range []string{TypeSubscription, TypeTenant} {
		if strings.Contains(key, "/"+providersSegment+"/"+strings.ToLower(typ)+"/") {
			return true
		}
	}
	return false
}

// String returns the id in the spelling it was written with; the root is "/".
func (id ID) String() string {
	if s := id.text(); s != "" {
		return s
	}
	return "/"
}

// Key returns the form in which ids are compared and indexed: lower case.
func (id ID) Key() string { return strings.ToLower(id.String()) }

// Equal reports whether two ids name the same resource.
//
// It compares keys: [strings.EqualFold] knows more pairs of letters, and two ids
// that are equal here but not in the store would be two resources in one place.
func (id ID) Equal(other ID) bool { return id.Key() == other.Key() }

func (id ID) text() string {
	var b strings.Builder
	if id.Namespace != "" {
		b.WriteString(id.scope)
		b.WriteString("/" + providersSegment + "/" + id.Namespace)
		for i, t := range id.Types {
			b.WriteString("/" + t + "/" + id.Names[i])
		}
		return b.String()
	}
	if id.Subscription != "" {
		b.WriteString("/" + subscriptionsSegment + "/" + id.Subscription)
	}
	if id.Group != "" {
		b.WriteString("/" + groupsSegment + "/" + id.Group)
	}
	return b.String()
}

// ParseID reads a complete id. Keywords may be in any case and are written back
// in Azure's; doubled and trailing slashes are dropped, as clients send both.
func ParseID(s string) (ID, error) {
	p, err := ParsePath(s)
	if err != nil {
		return ID{}, err
	}
	if p.Tail != "" || p.Beyond {
		return ID{}, fmt.Errorf("%w: %q does not end in the name of a resource", ErrMalformedID, s)
	}
	return p.ID, nil
}

// Path is the path of a management request: an id, possibly followed by one
// segment that is a collection (GET) or an action (POST) on it.
type Path struct {
	// ID is the resource named, or the one that Tail hangs on.
	ID ID
	// Namespace is the provider that Tail belongs to: that of ID, or another one
	// when the path ends in /providers/{Namespace}[/{Tail}].
	Namespace string
	// Tail is empty when the path names a resource, or a provider.
	Tail string
	// Beyond is set when a /providers segment stands after ID, even one of the
	// same provider: then neither Tail nor the request is about ID itself.
	Beyond bool
}

// ParsePath reads the path of a management request, already percent-decoded.
func ParsePath(s string) (Path, error) {
	segments := strings.FieldsFunc(s, func(r rune) bool { return r == '/' })
	var p Path
	rest := segments
	if len(rest) > 0 && strings.EqualFold(rest[0], subscriptionsSegment) {
		if len(rest) == 1 {
			return Path{Tail: subscriptionsSegment}, nil
		}
		p.ID.Subscription, rest = rest[1], rest[2:]
		if len(rest) > 0 && strings.EqualFold(rest[0], groupsSegment) {
			if len(rest) == 1 {
				p.Tail = groupsSegment
				return p, nil
			}
			p.ID.Group, rest = rest[1], rest[2:]
		}
	}
	for len(rest) > 0 {
		if !strings.EqualFold(rest[0], providersSegment) {
			if len(rest) == 1 { // such as /subscriptions/{id}/locations
				p.Tail = rest[0]
				return p, nil
			}
			return Path{}, fmt.Errorf("%w: %q where %q was expected in %q", ErrMalformedID, rest[0], providersSegment, s)
		}
		if len(rest) == 1 {
			p.Namespace, p.Tail, p.Beyond = "", providersSegment, true
			return p, nil
		}
		ns := rest[1]
		chain, after := rest[2:], []string(nil)
		for i, seg := range chain {
			// A second "providers" at a type position begins an extension.
			if i%2 == 0 && strings.EqualFold(seg, providersSegment) {
				chain, after = chain[:i], chain[i:]
				break
			}
		}
		if after != nil && (len(chain) == 0 || len(chain)%2 == 1) {
			return Path{}, fmt.Errorf("%w: %q has a provider without a type, or a type without a name", ErrMalformedID, s)
		}
		p.Namespace, p.Beyond = ns, len(chain) < 2
		if len(chain)%2 == 1 {
			p.Tail, chain = chain[len(chain)-1], chain[:len(chain)-1]
		}
		if len(chain) > 0 {
			next := ID{Subscription: p.ID.Subscription, Group: p.ID.Group, Namespace: ns, scope: p.ID.text()}
			for i := 0; i < len(chain); i += 2 {
				next.Types = append(next.Types, chain[i])
				next.Names = append(next.Names, chain[i+1])
			}
			p.ID = next
		}
		rest = after
	}
	return p, nil
}
