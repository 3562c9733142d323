package access

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// state is what assignments and roles there are, to be set as a whole.
type state struct {
	assignments map[string]Assignment
	roles       map[string]Role
}

func (s state) authorizer() *Authorizer {
	a := &Authorizer{}
	var all []Assignment
	for _, as := range s.assignments {
		all = append(all, as)
	}
	var roles []Role
	for _, r := range s.roles {
		roles = append(roles, r)
	}
	a.Set(all, roles)
	return a
}

// However it came about, a state gives the same answers.
func TestApplyIsLikeSet(t *testing.T) {
	customs := []string{"aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002", RoleReader}
	scopes := []string{"/", "/subscriptions/s", "/subscriptions/s/resourceGroups/g", "/subscriptions/t", "not/a//scope/"}
	principals := []string{"p", "P", "q", "r", ""}
	actions := []string{"A/b/read", "A/b/write"}
	rapid.Check(t, func(rt *rapid.T) {
		s := state{make(map[string]Assignment), make(map[string]Role)}
		a := &Authorizer{}
		for range rapid.IntRange(1, 8).Draw(rt, "transactions") {
			var c Changes
			for range rapid.IntRange(0, 4).Draw(rt, "changes") {
				if rapid.Bool().Draw(rt, "role") {
					id := rapid.SampledFrom(customs).Draw(rt, "id")
					if slices.ContainsFunc(c.Roles, func(r Role) bool { return r.ID == id }) || slices.Contains(c.GoneRoles, id) {
						continue
					}
					if rapid.IntRange(0, 2).Draw(rt, "gone") == 0 {
						delete(s.roles, id)
						c.GoneRoles = append(c.GoneRoles, id)
						continue
					}
					r := Role{
						ID: id, Custom: true, AssignableScopes: []string{rapid.SampledFrom(scopes).Draw(rt, "assignable")},
						Permissions: []Permission{{Actions: []string{rapid.SampledFrom([]string{"A/b/*", "*/read", "A/b/write"}).Draw(rt, "action")}}},
					}
					s.roles[id], c.Roles = r, append(c.Roles, r)
					continue
				}
				id := fmt.Sprint("/assignments/", rapid.IntRange(1, 6).Draw(rt, "assignment"))
				if slices.ContainsFunc(c.Assigned, func(as Assignment) bool { return as.ID == id }) {
					continue
				}
				if old, ok := s.assignments[id]; ok {
					c.Gone = append(c.Gone, old)
					delete(s.assignments, id)
				}
				if rapid.IntRange(0, 2).Draw(rt, "dropped") == 0 {
					continue
				}
				as := Assignment{
					ID: id, Scope: rapid.SampledFrom(scopes).Draw(rt, "scope"), PrincipalID: rapid.SampledFrom(principals).Draw(rt, "principal"),
					RoleID: rapid.SampledFrom(append(customs, RoleOwner, "none")).Draw(rt, "role id"), PrincipalType: rapid.SampledFrom([]string{PrincipalGroup, PrincipalUser}).Draw(rt, "type"),
				}
				s.assignments[id], c.Assigned = as, append(c.Assigned, as)
			}
			a.Apply(c)
			want := s.authorizer()
			for _, who := range principals {
				for _, scope := range scopes {
					for _, action := range actions {
						for _, groups := range [][]string{nil, {"q"}} {
							if got, want := a.Allowed(who, action, scope, groups...), want.Allowed(who, action, scope, groups...); got != want {
								rt.Fatalf("%s at %s by %q and %v: %v, want %v in %+v", action, scope, who, groups, got, want, s)
							}
						}
					}
					if got, want := a.AnyAt(who, scope), want.AnyAt(who, scope); got != want {
						rt.Fatalf("anything at %s by %q: %v, want %v in %+v", scope, who, got, want, s)
					}
				}
			}
			for _, role := range append(customs, RoleOwner) {
				if got, want := len(a.Assigned(role)), len(want.Assigned(role)); got != want {
					rt.Fatalf("%d assignments of %s, want %d in %+v", got, role, want, s)
				}
			}
		}
	})
}

// One assignment costs the same among a few others and among very many.
func TestAChangeDoesNotCostAllOthers(t *testing.T) {
	const custom = "aaaaaaaa-0000-4000-8000-000000000001"
	cost := func(others int) float64 {
		a := &Authorizer{}
		all := make([]Assignment, others)
		for i := range all {
			all[i] = Assignment{ID: fmt.Sprint("/a/", i), Scope: fmt.Sprint("/subscriptions/", i), RoleID: RoleOwner, PrincipalID: fmt.Sprint("other-", i)}
		}
		a.Set(all, []Role{{ID: custom, Custom: true, AssignableScopes: []string{"/"}, Permissions: []Permission{{Actions: []string{"*"}}}}})
		as := Assignment{ID: "/a/new", Scope: "/subscriptions/s", RoleID: custom, PrincipalID: "new"}
		return testing.AllocsPerRun(20, func() {
			a.Apply(Changes{Assigned: []Assignment{as}})
			a.Apply(Changes{Roles: []Role{{ID: custom, Custom: true, AssignableScopes: []string{"/"}}}})
			a.Apply(Changes{Gone: []Assignment{as}})
		})
	}
	if few, many := cost(10), cost(20_000); many > few+20 {
		t.Errorf("a change makes %.0f allocations among 20,000 others, and %.0f among 10", many, few)
	}
}
