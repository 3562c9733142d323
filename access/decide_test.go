package access

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	sub1  = "/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002"
	sub2  = "/subscriptions/22222222-aaaa-4bbb-8ccc-000000000003"
	rg1   = sub1 + "/resourceGroups/rg-1"
	topic = rg1 + "/providers/Microsoft.EventGrid/topics/t1"
	es    = topic + "/providers/Microsoft.EventGrid/eventSubscriptions/e1"
)

func TestAuthorizer(t *testing.T) {
	custom := []Role{
		{ID: "AAAAAAAA-0000-4000-8000-000000000001", Name: "No keys", Custom: true, AssignableScopes: []string{strings.ToUpper(rg1) + "/"}, Permissions: []Permission{{
			Actions:    []string{"Microsoft.EventGrid/*"},
			NotActions: []string{"*/listKeys/action"},
		}}},
		{ID: "aaaaaaaa-0000-4000-8000-000000000002", Name: "Keys only", Custom: true, AssignableScopes: []string{sub2, rg1}, Permissions: []Permission{{
			Actions: []string{"Microsoft.EventGrid/topics/listKeys/action"},
		}}},
		{ID: RoleReader, Name: "Fake reader", Custom: true, AssignableScopes: []string{"/"}, Permissions: []Permission{{Actions: []string{"*"}}}},
	}
	var a Authorizer
	if a.Allowed("root-owner", "x/read", "/") || a.AnyAt("root-owner", "/") {
		t.Error("the zero Authorizer allowed something")
	}
	a.Set([]Assignment{
		{Scope: "/", RoleID: RoleOwner, PrincipalID: "root-owner"},
		{Scope: sub1, RoleID: sub1 + "/providers/Microsoft.Authorization/roleDefinitions/" + strings.ToUpper(RoleOwner), PrincipalID: "Sub-Owner"},
		{Scope: "/", RoleID: RoleContributor, PrincipalID: "root-contributor"},
		{Scope: strings.ToUpper(rg1) + "/", RoleID: RoleReader, PrincipalID: "reader"},
		{Scope: topic, RoleID: RoleEventGridDataSender, PrincipalID: "sender"},
		{Scope: rg1, RoleID: custom[0].ID, PrincipalID: "nokeys"},
		{Scope: rg1, RoleID: custom[0].ID, PrincipalID: "both"},
		{Scope: topic, RoleID: custom[1].ID, PrincipalID: "both"},
		{Scope: rg1, RoleID: RoleEventSubscriptionContributor, PrincipalID: "escontrib"},
		{Scope: rg1, RoleID: "ffffffff-0000-4000-8000-000000000000", PrincipalID: "unknown-role"},
		{Scope: "", RoleID: RoleOwner, PrincipalID: "no-scope"},
		{Scope: "/", RoleID: RoleOwner, PrincipalID: ""},
	}, custom)

	const (
		readTopic  = "Microsoft.EventGrid/topics/read"
		writeTopic = "Microsoft.EventGrid/topics/write"
		listKeys   = "Microsoft.EventGrid/topics/listKeys/action"
		assign     = "Microsoft.Authorization/roleAssignments/write"
	)
	tests := []struct {
		who, action, scope string
		want               bool
	}{
		{"root-owner", assign, "/", true},
		{"ROOT-OWNER", ActionWritePrincipals, "/", true},
		{"root-owner", writeTopic, es, true},
		{"sub-owner", writeTopic, topic, true},
		{"sub-owner", strings.ToUpper(assign), strings.ToUpper(sub1), true},
		{"sub-owner", writeTopic, sub2, false},
		{"sub-owner", "Microsoft.Resources/subscriptions/read", "/", false},
		{"sub-owner", ActionWritePrincipals, "/", false},
		{"sub-owner", readTopic, sub1 + "0", false},
		{"root-contributor", writeTopic, topic, true},
		{"root-contributor", assign, topic, false},
		{"root-contributor", ActionWritePrincipals, "/", false},
		{"root-contributor", ActionReadPrincipals, "/", true},
		{"reader", readTopic, topic, true},
		{"reader", writeTopic, topic, false},
		{"reader", listKeys, topic, false},
		{"reader", readTopic, rg1 + "0/providers/Microsoft.EventGrid/topics/t1", false},
		{"reader", readTopic, sub1, false},
		{"sender", readTopic, topic, true},
		{"sender", ActionSendEvents, topic, false}, // a data action is no management action
		{"nokeys", writeTopic, topic, true},
		{"nokeys", listKeys, topic, false},
		{"both", listKeys, topic, true}, // another role gives what one leaves out
		{"both", listKeys, rg1, false},
		{"escontrib", "Microsoft.EventGrid/eventSubscriptions/write", es, true},
		{"escontrib", "Microsoft.EventGrid/topics/eventSubscriptions/write", es, false},
		{"unknown-role", readTopic, topic, false},
		{"no-scope", readTopic, topic, false},
		{"", readTopic, topic, false},
		{"root-owner", "", topic, false},
		{"root-owner", readTopic, "", false},
		{"stranger", readTopic, topic, false},
	}
	for _, tt := range tests {
		if got := a.Allowed(tt.who, tt.action, tt.scope); got != tt.want {
			t.Errorf("Allowed(%q, %q, %q) = %v", tt.who, tt.action, tt.scope, got)
		}
	}

	data := []struct {
		who, scope string
		want       bool
	}{
		{"sender", topic, true},
		{"sender", es, true},
		{"sender", rg1, false},
		{"root-owner", topic, false}, // "*" in actions gives no data actions
	}
	for _, tt := range data {
		if got := a.AllowedData(tt.who, ActionSendEvents, tt.scope); got != tt.want {
			t.Errorf("AllowedData(%q, send, %q) = %v", tt.who, tt.scope, got)
		}
	}

	anyAt := []struct {
		who, scope string
		want       bool
	}{
		{"root-owner", sub1, true},
		{"root-owner", sub2, true},
		{"sender", sub1, true},
		{"sender", "/", true},
		{"sender", es, true},
		{"sender", sub2, false},
		{"sub-owner", sub1, true},
		{"sub-owner", sub1 + "0", false},
		{"sub-owner", sub1[:len(sub1)-1], false},
		{"reader", sub1, true},
		{"unknown-role", sub1, false},
		{"stranger", "/", false},
	}
	for _, tt := range anyAt {
		if got := a.AnyAt(tt.who, tt.scope); got != tt.want {
			t.Errorf("AnyAt(%q, %q) = %v", tt.who, tt.scope, got)
		}
	}

	var names []string
	for _, r := range a.RolesAt("both", topic) {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"No keys", "Keys only"}, names); diff != "" {
		t.Errorf("RolesAt (-want +got):\n%s", diff)
	}
	if got := a.RolesAt("stranger", topic); len(got) != 0 {
		t.Errorf("a stranger has roles: %v", got)
	}

	a.Set(nil, nil)
	if a.Allowed("root-owner", readTopic, topic) {
		t.Error("a removed assignment still allows")
	}
}

func TestBuiltInRoles(t *testing.T) {
	roles := BuiltInRoles()
	seen := map[string]bool{}
	for _, r := range roles {
		if len(r.ID) != 36 || r.ID != strings.ToLower(r.ID) || seen[r.ID] || r.Custom {
			t.Errorf("bad or repeated id in %q", r.Name)
		}
		seen[r.ID] = true
		if r.Name == "" || r.Description == "" || !cmp.Equal(r.AssignableScopes, []string{"/"}) {
			t.Errorf("%s: name, description or scopes missing: %+v", r.ID, r)
		}
		byID, ok := BuiltInRole(sub1 + "/providers/Microsoft.Authorization/roleDefinitions/" + strings.ToUpper(r.ID))
		if !ok || byID.Name != r.Name {
			t.Errorf("%s is not found by its ARM id", r.Name)
		}
	}
	if len(roles) != 14 {
		t.Errorf("%d roles", len(roles))
	}
	if _, ok := BuiltInRole("nope"); ok {
		t.Error("found a role that is not there")
	}
	roles[0].Permissions[0].Actions[0] = "changed"
	if r, _ := BuiltInRole(RoleOwner); r.Permissions[0].Actions[0] != "*" {
		t.Error("a caller changed a built-in role")
	}
}

func TestPatternAgainstRegexp(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab/A")), 0, 12, -1)
	pat := rapid.StringOfN(rapid.SampledFrom([]rune("ab/A**")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		p, s := pat.Draw(t, "pattern"), text.Draw(t, "text")
		expr := "(?is)^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$"
		want := regexp.MustCompile(expr).MatchString(s)
		if got := compilePattern(p).match(strings.ToLower(s)); got != want {
			t.Fatalf("%q against %q: got %v, want %v", p, s, got, want)
		}
	})
}

// TestAuthorizerAgainstNaive compares with the definition written out: walk all
// assignments, compare segments, subtract per role.
func TestAuthorizerAgainstNaive(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "A", "b", "ab", "a-b"})
	scope := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(t, "segments"), "/")
	})
	roleID := rapid.SampledFrom([]string{RoleReader, RoleContributor, RoleEventGridContributor, "none"})
	action := rapid.SampledFrom([]string{
		"Microsoft.EventGrid/topics/read", "Microsoft.EventGrid/topics/write",
		"Microsoft.Authorization/roleAssignments/write", "Other/things/delete",
	})
	rapid.Check(t, func(t *rapid.T) {
		as := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Assignment {
			return Assignment{
				Scope: scope.Draw(t, "scope"), RoleID: roleID.Draw(t, "role"),
				PrincipalID: rapid.SampledFrom([]string{"p", "q"}).Draw(t, "principal"),
			}
		}), 0, 6).Draw(t, "assignments")
		ask, act := scope.Draw(t, "ask"), action.Draw(t, "action")

		var a Authorizer
		a.Set(as, nil)
		wantAllowed, wantAny := false, false
		for _, one := range as {
			role, ok := BuiltInRole(one.RoleID)
			if !ok || one.PrincipalID != "p" {
				continue
			}
			above := within(one.Scope, ask)
			wantAny = wantAny || above || within(ask, one.Scope)
			wantAllowed = wantAllowed || above && naiveAllows(role, act)
		}
		if got := a.Allowed("p", act, ask); got != wantAllowed {
			t.Fatalf("Allowed(%q, %q) = %v with %+v", act, ask, got, as)
		}
		if got := a.AnyAt("p", ask); got != wantAny {
			t.Fatalf("AnyAt(%q) = %v with %+v", ask, got, as)
		}
	})
}

func within(outer, inner string) bool {
	o, i := strings.Trim(strings.ToLower(outer), "/"), strings.Trim(strings.ToLower(inner), "/")
	return o == "" || o == i || strings.HasPrefix(i+"/", o+"/")
}

func naiveAllows(r Role, action string) bool {
	in := func(list []string) bool {
		for _, p := range list {
			if regexp.MustCompile("(?i)^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$").MatchString(action) {
				return true
			}
		}
		return false
	}
	for _, p := range r.Permissions {
		if in(p.Actions) && !in(p.NotActions) {
			return true
		}
	}
	return false
}

func TestDecideTellsWhy(t *testing.T) {
	at := func(scope, name string) string {
		return scope + "/providers/Microsoft.Authorization/roleAssignments/" + name
	}
	wide := Assignment{ID: at(sub1, "wide"), Scope: sub1, RoleID: sub1 + "/x/" + RoleEventGridContributor, PrincipalID: "P", PrincipalType: "User"}
	narrow := Assignment{ID: at(topic, "narrow"), Scope: topic, RoleID: RoleOwner, PrincipalID: "p", PrincipalType: "Group"}
	again := Assignment{ID: at(topic, "again"), Scope: topic, RoleID: RoleOwner, PrincipalID: "p"}
	reader := Assignment{ID: at(sub1, "reader"), Scope: sub1, RoleID: RoleReader, PrincipalID: "p"}
	var a Authorizer
	if g, ok := a.Decide("p", "x/read", "/"); ok || g != (Grant{}) {
		t.Errorf("the zero Authorizer decided %+v", g)
	}
	a.Set([]Assignment{reader, narrow, wide, again}, nil)
	for action, want := range map[string]Grant{
		"Microsoft.EventGrid/topics/write":    {wide, "EventGrid Contributor"},
		"Microsoft.EventGrid/topics/read":     {reader, "Reader"},
		"Microsoft.Insights/components/write": {narrow, "Owner"},
	} {
		if g, ok := a.Decide("P", action, es); !ok || g != want {
			t.Errorf("%s: %v %+v, want %+v", action, ok, g, want)
		}
	}
	if g, ok := a.Decide("p", "Microsoft.Insights/components/write", rg1); ok || g != (Grant{}) {
		t.Errorf("a refusal tells %+v", g)
	}
	if g, ok := a.Decide("p", "", topic); ok || g != (Grant{}) {
		t.Errorf("no action tells %+v", g)
	}
}

func BenchmarkAllowed(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("assignments=%d", n), func(b *testing.B) {
			as := make([]Assignment, 0, n)
			for i := range n - 1 {
				as = append(as, Assignment{
					Scope: fmt.Sprintf("%s/resourceGroups/rg-%d", sub2, i), RoleID: RoleReader, PrincipalID: "p",
				})
			}
			as = append(as, Assignment{Scope: rg1, RoleID: RoleEventGridContributor, PrincipalID: "p"})
			var a Authorizer
			a.Set(as, nil)
			b.ReportAllocs()
			for b.Loop() {
				if !a.Allowed("p", "Microsoft.EventGrid/topics/write", topic) {
					b.Fatal("denied")
				}
			}
		})
	}
}
