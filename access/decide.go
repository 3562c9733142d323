package access

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Assignment gives a principal a role at a scope and everything below it.
type Assignment struct {
	ID            string // ARM id of the assignment
	Scope         string // ARM id of the resource, group or subscription; "/" is everything
	RoleID        string // GUID or ARM id of the role
	PrincipalID   string // object id
	PrincipalType string // User, Group, ServicePrincipal …
}

// Authorizer decides by role assignments, as Azure RBAC does without deny
// assignments:
//
//   - A principal has what any of its roles gives, at the scope asked about or
//     at one of its ancestors. Ancestors are whole segments of the path, so
//     extension resources lie below what they extend and "rg-1" is not above
//     "rg-10".
//   - A role gives its actions without its notActions. What one role leaves out
//     another may give.
//   - '*' in a pattern stands for any characters, '/' included. Letter case does
//     not count in actions, scopes, or ids.
//   - A principal also has what the groups it is in have. Only an assignment to
//     a Group counts for a group: an issuer that names a program's id as a group
//     gives nobody the rights of that program.
//   - A custom role counts only where it may be assigned: an assignment outside
//     of its scopes gives nothing.
//
// Whatever is not given is denied: the zero Authorizer denies everything, and
// an assignment of an unknown role gives nothing.
//
// It is safe for concurrent use. A question takes one map lookup per segment of
// the scope, however many assignments there are, and never waits for a change. A
// change costs what the principals concerned hold, and not what others do.
type Authorizer struct {
	current atomic.Pointer[grants] // replaced by Set; nil before
}

// held is what one principal has.
type held struct {
	byScope map[string][]given
	scopes  []string // sorted keys of byScope, to find what lies below a scope
}

// given is a role together with what gave it.
type given struct {
	*compiledRole
	by      Assignment
	toGroup bool // the assignment is to a Group
}

// Grant is why something is allowed: the assignment that decided, and the name
// of its role.
type Grant struct {
	Assignment
	Role string
}

// Set replaces all assignments and custom roles at once. A custom role cannot
// take the GUID of a built-in one. Concurrent calls of Set and Apply must be ordered
// by the caller, or an older state may win.
func (a *Authorizer) Set(assignments []Assignment, custom []Role) {
	g := newGrants()
	g.apply(Changes{Assigned: assignments, Roles: custom})
	a.current.Store(g)
}

// Changes is what a transaction does to assignments and custom roles. What is in
// Gone and GoneRoles is taken away first.
type Changes struct {
	Gone, Assigned []Assignment // by ID, which Gone needs along with PrincipalID
	GoneRoles      []string     // GUIDs
	Roles          []Role       // created or changed
}

// Empty reports whether nothing changes.
func (c Changes) Empty() bool {
	return len(c.Gone)+len(c.Assigned)+len(c.GoneRoles)+len(c.Roles) == 0
}

// Apply makes changes. When it returns all of them hold; meanwhile a question may
// be answered by a part of them. Assigned holds no assignment that is there already,
// unless it is in Gone as well.
func (a *Authorizer) Apply(c Changes) {
	g := a.current.Load()
	if g == nil {
		g = newGrants()
		a.current.Store(g)
	}
	g.apply(c)
}

// Assigned returns the assignments of a role, by its GUID or ARM id.
func (a *Authorizer) Assigned(role string) []Assignment {
	g := a.current.Load()
	if g == nil {
		return nil
	}
	return g.assigned(roleKey(role))
}

// Allowed reports whether principal, being in groups, may carry out a management
// action at scope.
func (a *Authorizer) Allowed(principal, action, scope string, groups ...string) bool {
	_, ok := a.Decide(principal, action, scope, groups...)
	return ok
}

// Decide is [Authorizer.Allowed] that also tells why. Where several assignments
// allow the action, it names one at the widest scope, the principal's own before
// those of its groups.
func (a *Authorizer) Decide(principal, action, scope string, groups ...string) (Grant, bool) {
	act := strings.ToLower(action)
	var decided given
	if act == "" || !a.any(principal, groups, scope, func(g given) bool {
		decided = g
		return g.control.allows(act)
	}) {
		return Grant{}, false
	}
	return Grant{Assignment: decided.by, Role: decided.role.Name}, true
}

// AllowedData reports whether principal, being in groups, may carry out a data
// action at scope.
func (a *Authorizer) AllowedData(principal, action, scope string, groups ...string) bool {
	act := strings.ToLower(action)
	return act != "" && a.any(principal, groups, scope, func(g given) bool {
		return g.data.allows(act)
	})
}

// AnyAt reports whether principal, being in groups, has any role at scope, above
// it, or anywhere below it. It decides which subscriptions a principal gets to
// see.
func (a *Authorizer) AnyAt(principal, scope string, groups ...string) bool {
	if a.any(principal, groups, scope, func(given) bool { return true }) || a.held(principal).below(scope, false) {
		return true
	}
	return slices.ContainsFunc(groups, func(g string) bool { return a.held(g).below(scope, true) })
}

// below reports whether there is an assignment below a scope, to a group if
// asGroup is set.
func (h *held) below(scope string, asGroup bool) bool {
	if h == nil {
		return false
	}
	key, ok := scopeKey(scope)
	if !ok {
		return false
	}
	below := key + "/"
	if key == "/" {
		below = "/"
	}
	i, _ := slices.BinarySearch(h.scopes, below)
	for ; i < len(h.scopes) && strings.HasPrefix(h.scopes[i], below); i++ {
		if !asGroup || slices.ContainsFunc(h.byScope[h.scopes[i]], func(g given) bool { return g.toGroup }) {
			return true
		}
	}
	return false
}

// RolesAt returns the roles that principal, being in groups, has at scope,
// inherited ones included, from the root down. Several assignments of one role
// count once.
func (a *Authorizer) RolesAt(principal, scope string, groups ...string) []Role {
	var seen []*compiledRole
	a.any(principal, groups, scope, func(g given) bool {
		if !slices.Contains(seen, g.compiledRole) {
			seen = append(seen, g.compiledRole)
		}
		return false
	})
	out := make([]Role, len(seen))
	for i, r := range seen {
		out[i] = r.role.clone()
	}
	return out
}

// any asks f for what the principal has at scope and its ancestors, and then for
// what its groups have, until it says yes.
func (a *Authorizer) any(principal string, groups []string, scope string, f func(given) bool) bool {
	if a.held(principal).any(scope, f) {
		return true
	}
	for _, group := range groups {
		if a.held(group).any(scope, func(g given) bool { return g.toGroup && f(g) }) {
			return true
		}
	}
	return false
}

func (a *Authorizer) held(principal string) *held {
	g := a.current.Load()
	if g == nil {
		return nil
	}
	return g.held(strings.ToLower(principal))
}

// any asks f for the roles at scope and its ancestors, root first, until it
// says yes. A nil h has no roles.
func (h *held) any(scope string, f func(given) bool) bool {
	if h == nil {
		return false
	}
	key, ok := scopeKey(scope)
	if !ok {
		return false
	}
	if slices.ContainsFunc(h.byScope["/"], f) {
		return true
	}
	for end := 1; end < len(key); {
		next := strings.IndexByte(key[end:], '/')
		if next < 0 {
			end = len(key)
		} else {
			end += next
		}
		if slices.ContainsFunc(h.byScope[key[:end]], f) {
			return true
		}
		end++
	}
	return false
}

// scopeKey brings a scope into the form scopes are indexed by: lower case, one
// leading slash, no trailing and no doubled ones. An empty scope is refused,
// not taken for the root: forgetting to name one must not mean everything.
func scopeKey(scope string) (string, bool) {
	if scope == "" {
		return "", false
	}
	key := strings.ToLower(scope)
	if key == "/" {
		return key, true
	}
	if key[0] == '/' && key[len(key)-1] != '/' && !strings.Contains(key, "//") {
		return key, true
	}
	parts := strings.FieldsFunc(key, func(r rune) bool { return r == '/' })
	return "/" + strings.Join(parts, "/"), true
}
