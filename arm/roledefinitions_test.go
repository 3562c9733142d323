package arm

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

const (
	custom1 = "bbbbbbbb-aaaa-4bbb-8ccc-000000000001"
	custom2 = "bbbbbbbb-aaaa-4bbb-8ccc-000000000002"
)

func definitionAt(scope, name string) string {
	return strings.TrimSuffix(scope, "/") + "/providers/Microsoft.Authorization/roleDefinitions/" + name
}

func definitionBody(name, scope string, actions ...string) string {
	return fmt.Sprintf(`{"properties":{"roleName":%q,"description":"d","type":"CustomRole","assignableScopes":[%q],"permissions":[{"actions":["%s"],"notActions":["*/delete"]}]}}`,
		name, scope, strings.Join(actions, `","`))
}

func TestCustomRole(t *testing.T) {
	f := newFixture(t).partnerFlow()
	who := f.principal("guest")
	sub := "/subscriptions/" + customerSub
	at := definitionAt(customerRG, custom1)
	body := definitionBody("Topic Operator", customerRG, "Microsoft.EventGrid/partnerTopics/*", "Microsoft.Authorization/*/read")
	a := f.put("owner", strings.Replace(at, custom1, strings.ToUpper(custom1), 1), body).want(201)
	want := map[string]any{
		"id": definitionAt(sub, custom1), "name": custom1, "type": "Microsoft.Authorization/roleDefinitions", "properties": map[string]any{
			"roleName": "Topic Operator", "type": "CustomRole", "description": "d", "assignableScopes": []any{customerRG},
			"permissions": []any{map[string]any{
				"actions": []any{"Microsoft.EventGrid/partnerTopics/*", "Microsoft.Authorization/*/read"}, "notActions": []any{"*/delete"},
				"dataActions": []any{}, "notDataActions": []any{},
			}},
			"createdOn": "2026-03-01T09:00:00Z", "updatedOn": "2026-03-01T09:00:00Z", "createdBy": f.objects["owner"], "updatedBy": f.objects["owner"],
		},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(a.body, f.get("owner", at).want(200).body); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}

	// It can be assigned where it says and nowhere else, and it gives what it says.
	f.put("owner", assignmentAt(sub, guid1), assignmentBody(custom1, who)).wantError(400, "RoleDefinitionDoesNotExist", "assignable scopes")
	f.put("owner", assignmentAt(partnerRG, guid1), assignmentBody(custom1, who)).wantError(400, "RoleDefinitionDoesNotExist")
	f.put("owner", assignmentAt(topic, guid1), assignmentBody(definitionAt(sub, custom1), who)).want(201)
	f.get("guest", topic).want(200)
	f.post("guest", topic+"/deactivate", "").want(200)
	f.get("guest", eventSub).want(200)
	f.delete("guest", eventSub).want(403)
	f.get("guest", config).want(403)

	// An update counts at once; it may not cut off what is assigned.
	f.put("owner", at, definitionBody("Topic Reader", customerRG, "Microsoft.EventGrid/partnerTopics/read")).want(201)
	f.post("guest", topic+"/activate", "").want(403)
	f.put("owner", at, definitionBody("Topic Reader", partnerRG, "*")).wantError(400, "RoleDefinitionHasAssignments")
	f.delete("owner", at).wantError(400, "RoleDefinitionHasAssignments", "Topic Reader")
	f.delete("owner", assignmentAt(topic, guid1)).want(200)
	if a := f.delete("owner", at).want(200); a.at("properties", "roleName") != "Topic Reader" {
		t.Errorf("what was removed is not shown: %s", a.raw)
	}
	f.delete("owner", at).want(204)
	f.get("owner", at).wantError(404, "ResourceNotFound", custom1)
}

func TestCustomRoleRefusals(t *testing.T) {
	f := newFixture(t)
	f.put("owner", definitionAt("/", custom2), definitionBody("Taken", "/", "x/read")).want(201)
	at := definitionAt(customerRG, custom1)
	ok := definitionBody("R", customerRG, "*/read")
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"built in":             {definitionAt(customerRG, access.RoleReader), ok, 409, "BuiltInRoleDefinitionIsReadOnly"},
		"id no GUID":           {definitionAt(customerRG, "mine"), ok, 400, "InvalidRoleDefinition"},
		"no name":              {at, definitionBody("", customerRG, "*"), 400, "InvalidRoleDefinition"},
		"name taken":           {at, definitionBody("taken", customerRG, "*"), 409, "RoleDefinitionWithSameNameExists"},
		"name of a built-in":   {at, definitionBody("owner", customerRG, "*"), 409, "RoleDefinitionWithSameNameExists"},
		"no scope":             {at, strings.Replace(ok, `["`+customerRG+`"]`, `[]`, 1), 400, "InvalidRoleDefinition"},
		"odd scope":            {at, definitionBody("R", "rg", "*"), 400, "InvalidRoleDefinition"},
		"empty scope":          {at, definitionBody("R", "", "*"), 400, "InvalidRoleDefinition"},
		"missing group":        {at, definitionBody("R", customerRG+"9", "*"), 404, "ResourceGroupNotFound"},
		"missing subscription": {at, definitionBody("R", "/subscriptions/"+noSub, "*"), 404, "SubscriptionNotFound"},
		"no such group of management": {
			at, definitionBody("R", "/providers/Microsoft.Management/managementGroups/x", "*"), 404, "ResourceNotFound",
		},
		"no actions":  {at, strings.Replace(ok, `"actions":["*/read"],"notActions":["*/delete"]`, ``, 1), 400, "InvalidRoleDefinition"},
		"odd action":  {at, definitionBody("R", customerRG, "read"), 400, "InvalidRoleDefinition"},
		"long action": {at, definitionBody("R", customerRG, "a/"+strings.Repeat("b", 300)), 400, "InvalidRoleDefinition"},
		"built-in type": {
			at, strings.Replace(ok, "CustomRole", "BuiltInRole", 1), 400, "InvalidRoleDefinition",
		},
		"no JSON": {at, `{`, 400, "InvalidRequestContent"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.put("owner", c.path, c.body).wantError(c.status, resource.Code(c.code))
		})
	}
	f.t = t
	f.delete("owner", definitionAt("/", access.RoleOwner)).wantError(409, "BuiltInRoleDefinitionIsReadOnly")
}

// Whoever writes a role decides about everyone who holds it: it takes the right
// at all of its scopes, before and after.
func TestCustomRoleOfNonOwner(t *testing.T) {
	f := newFixture(t)
	f.role("customer", access.RoleOwner, "/subscriptions/"+customerSub)
	f.role("admin of group", access.RoleUserAccessAdministrator, customerRG)
	f.role("contributor", access.RoleContributor, "/")
	all := definitionBody("All", customerRG, "*")
	f.put("contributor", definitionAt(customerRG, custom1), all).want(403)
	f.put("admin of group", definitionAt(customerRG, custom1), definitionBody("All", "/subscriptions/"+customerSub, "*")).wantError(403, "AuthorizationFailed", customerSub)
	f.put("customer", definitionAt(customerRG, custom1), definitionBody("All", "/", "*")).want(403)
	f.put("customer", definitionAt(customerRG, custom1), definitionBody("All", partnerRG, "*")).want(403)
	f.put("admin of group", definitionAt(customerRG, custom1), all).want(201)
	// Azure's rule: who may assign may assign to itself, within the scope.
	f.put("admin of group", assignmentAt(customerRG, guid1), assignmentBody(custom1, f.objects["admin of group"])).want(201)
	f.patch("admin of group", customerRG, `{}`).want(200)
	f.put("admin of group", "/subscriptions/"+customerSub+"/resourceGroups/rg-new", `{"location":"x"}`).want(403)

	// A role that reaches further than its author must not be changed by them.
	f.put("owner", definitionAt("/", custom2), definitionBody("Wide", "/", "x/read")).want(201)
	f.put("customer", definitionAt(customerRG, custom2), definitionBody("Wide", customerRG, "*")).want(403)
	f.delete("customer", definitionAt(customerRG, custom2)).want(403)
	// To others, a role of strangers is not there.
	f.role("partner", access.RoleOwner, "/subscriptions/"+partnerSub)
	f.get("partner", definitionAt(partnerRG, custom1)).wantError(404, "ResourceNotFound")
	f.get("partner", definitionAt(partnerRG, custom2)).want(200)
}

func TestRoleDefinitionsListed(t *testing.T) {
	f := newFixture(t)
	f.put("owner", definitionAt("/", custom1), definitionBody("Everywhere", "/providers/Microsoft.Management/managementGroups/"+tenant, "x/read")).want(201)
	f.put("owner", definitionAt(customerRG, custom2), definitionBody("It's one group's", customerRG, "x/read")).want(201)
	list := func(scope, filter string) []string {
		t.Helper()
		var out []string
		for _, n := range f.get("owner", strings.TrimSuffix(definitionAt(scope, ""), "/")+"?$filter="+url.QueryEscape(filter)).want(200).names() {
			if n == custom1 || n == custom2 {
				out = append(out, n)
			} else if !slices.Contains(out, "built-in") {
				out = append(out, "built-in")
			}
		}
		return out
	}
	sub, management := "/subscriptions/"+customerSub, "/providers/Microsoft.Management/managementGroups/"+tenant
	for _, c := range []struct {
		scope, filter string
		want          []string
	}{
		{"/", "", []string{"built-in", custom1}},
		{management, "", []string{"built-in", custom1}},
		{customerRG, "", []string{"built-in", custom1, custom2}},
		{sub, "", []string{"built-in", custom1}},
		{sub, "atScopeAndBelow()", []string{"built-in", custom1, custom2}},
		{sub, "atScopeAndBelow() and type eq 'CustomRole'", []string{custom1, custom2}},
		{partnerRG, "type eq 'customrole'", []string{custom1}},
		{customerRG, "roleName eq 'it''s ONE group''s'", []string{custom2}},
		{customerRG, "type eq 'BuiltInRole'", []string{"built-in"}},
		{customerRG, "roleName eq 'Everywhere' and type eq 'BuiltInRole'", nil},
	} {
		if diff := cmp.Diff(c.want, list(c.scope, c.filter)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.scope, c.filter, diff)
		}
	}
	for _, bad := range []string{"name eq 'x'", "roleName eq", "roleName ne 'x'", "roleName eq 'x' or type eq 'y'", "atScope", "roleName eq 'x", "type eq 'x' and"} {
		f.get("owner", strings.TrimSuffix(definitionAt(sub, ""), "/")+"?$filter="+url.QueryEscape(bad)).wantError(400, "InvalidFilterInQueryString")
	}
}

func TestPrincipalTypes(t *testing.T) {
	f := newFixture(t)
	who := f.principal("guest")
	put := func(principal, typ string) *answer {
		f.now = f.now.Add(1)
		return f.put("owner", assignmentAt(customerRG, guid1), strings.Replace(assignmentBody(access.RoleReader, principal), `"ServicePrincipal"`, `"`+typ+`"`, 1))
	}
	put(who, "User").wantError(400, "UnmatchedPrincipalType", who)
	put(who, "Robot").wantError(400, "InvalidRequest", "Robot")
	put(guid2, "User").wantError(400, "PrincipalNotFound")
	f.ExternalPrincipals = true
	put(guid2, "").wantError(400, "PrincipalNotFound")
	put("nobody", "User").wantError(400, "PrincipalNotFound")
	if a := put(guid2, "group").want(201); a.at("properties", "principalType") != "Group" {
		t.Errorf("got %s", a.raw)
	}
	f.delete("owner", assignmentAt(customerRG, guid1)).want(200)
	if a := put(who, "").want(201); a.at("properties", "principalType") != "ServicePrincipal" {
		t.Errorf("got %s", a.raw)
	}
}

func TestLastOwnerStays(t *testing.T) {
	f := newFixture(t)
	owners := f.get("owner", "/providers/Microsoft.Authorization/roleAssignments?$filter="+url.QueryEscape("principalId eq '"+f.objects["owner"]+"'")).want(200).names()
	f.delete("owner", assignmentAt("/", owners[0])).wantError(409, "Conflict", "last")
	f.role("second", access.RoleOwner, "/")
	f.delete("second", assignmentAt("/", owners[0])).want(200)
	f.get("owner", customerRG).want(403)
}

func TestPermissions(t *testing.T) {
	f := newFixture(t)
	f.role("reader", access.RoleReader, "/")
	f.role("reader", access.RoleReader, customerRG)
	at := customerRG + "/providers/Microsoft.Authorization/permissions"
	if got := f.get("reader", at).want(200).raw; got != `{"value":[{"actions":["*/read"],"notActions":[],"dataActions":[],"notDataActions":[]}]}` {
		t.Errorf("got %s", got)
	}
	f.principal("stranger")
	f.get("stranger", at).want(403)
	f.get("owner", customerRG+"9/providers/Microsoft.Authorization/permissions").wantError(404, "ResourceGroupNotFound")
	f.put("owner", at, "{}").wantError(405, "HttpMethodNotAllowed")

	a := f.get("stranger", "/providers/Microsoft.Authorization/providerOperations/microsoft.eventgrid").want(200)
	if a.at("name") != "Microsoft.EventGrid" || !strings.Contains(a.raw, `"Microsoft.EventGrid/partnerTopics/activate/action"`) || !strings.Contains(a.raw, `"name":"topics/eventSubscriptions"`) {
		t.Errorf("got %.500s", a.raw)
	}
	f.get("stranger", "/providers/Microsoft.Authorization/providerOperations").want(200)
	f.get("stranger", "/providers/Microsoft.Authorization/providerOperations/x").wantError(404, "InvalidResourceNamespace")
}

func TestAudit(t *testing.T) {
	f := newFixture(t)
	var log bytes.Buffer
	f.Logger = slog.New(slog.NewTextHandler(&log, nil))
	line := func() string {
		defer log.Reset()
		return log.String()
	}
	f.principal("stranger")
	f.get("owner", customerRG).want(200)
	f.get("owner", customerRG+"9").want(404)
	if got := line(); got != "" {
		t.Errorf("a read was recorded: %s", got)
	}
	f.patch("owner", customerRG, `{"tags":{}}`).want(200)
	got := line()
	for _, want := range []string{
		"audit", "principal=" + f.objects["owner"], "client=app-of-owner", "issuer=" + base, "action=Microsoft.Resources/subscriptions/resourceGroups/write",
		"scope=" + customerRG, "status=200", "result=done", "address=192.0.2.1", "request=", "by_role=Owner",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	f.get("stranger", customerRG).want(403)
	if got := line(); !strings.Contains(got, "result=refused") || !strings.Contains(got, "principal="+f.objects["stranger"]) || !strings.Contains(got, "code=AuthorizationFailed") {
		t.Errorf("a refusal: %s", got)
	}
	f.put("owner", customerRG+"9", `{`).want(400)
	if got := line(); !strings.Contains(got, "result=failed") {
		t.Errorf("a failure: %s", got)
	}
	for range 200 {
		f.get("", customerRG).want(401)
	}
	if n := strings.Count(line(), "audit"); n < 1 || n > 20 {
		t.Errorf("%d lines about 200 requests without a token", n)
	}
}

func FuzzParseRoleFilter(f *testing.F) {
	for _, s := range []string{"", "atScope()", "principalId eq 'x'", "assignedTo('it''s') and atScope()", "roleName eq 'x'", "type eq '"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, terms := range [][]string{definitionTerms, assignmentTerms} {
			got, err := parseRoleFilter(s, terms)
			if err == nil && (len(got) == 0) != (strings.TrimSpace(s) == "") {
				t.Errorf("%q was taken for %v", s, got)
			}
			for term := range got {
				if !slices.Contains(terms, term) {
					t.Errorf("%q gave %s", s, term)
				}
			}
		}
	})
}

// The oldest api-version has no data actions, so it takes none away.
func TestOldVersionsLeaveDataActions(t *testing.T) {
	f := newFixture(t)
	const at = "/providers/Microsoft.Authorization/roleDefinitions/" + noSub
	role := func(permission string) string {
		return `{"properties":{"roleName":"Mine","assignableScopes":["/"],"permissions":[` + permission + `]}}`
	}
	dataActions := func() any {
		permissions, _ := f.get("owner", at+"?api-version=2022-04-01").want(200).at("properties", "permissions").([]any)
		first, _ := permissions[0].(map[string]any)
		return fmt.Sprint(first["dataActions"], first["notDataActions"])
	}
	f.put("owner", at+"?api-version=2022-04-01", role(`{"actions":["*/read"],"dataActions":["A/b/*"],"notDataActions":["A/b/c/action"]}`)).want(201)
	f.put("owner", at+"?api-version=2015-07-01", role(`{"actions":["*/write"]}`)).want(201)
	if got := dataActions(); got != "[A/b/*] [A/b/c/action]" {
		t.Errorf("after a PUT by an old version: %v", got)
	}
	f.put("owner", at+"?api-version=2022-04-01", role(`{"actions":["*/write"]}`)).want(201)
	if got := dataActions(); got != "[] []" {
		t.Errorf("after a PUT by a new version: %v", got)
	}
}
