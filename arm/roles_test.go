package arm

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
)

const (
	guid1 = "aaaaaaaa-aaaa-4bbb-8ccc-000000000001"
	guid2 = "aaaaaaaa-aaaa-4bbb-8ccc-000000000002"
)

func assignmentAt(scope, name string) string {
	return strings.TrimSuffix(scope, "/") + "/providers/Microsoft.Authorization/roleAssignments/" + name
}

func assignmentBody(role, principal string) string {
	return `{"properties":{"roleDefinitionId":"` + role + `","principalId":"` + principal + `","principalType":"ServicePrincipal"}}`
}

func TestRoleAssignments(t *testing.T) {
	f := newFixture(t).partnerFlow()
	who := f.principal("guest")
	at := assignmentAt(customerRG, guid1)
	body := assignmentBody("/subscriptions/"+customerSub+"/providers/Microsoft.Authorization/roleDefinitions/"+strings.ToUpper(access.RoleReader), who)
	f.get("guest", topic).want(403)
	a := f.put("owner", at, body).want(201)
	want := map[string]any{
		"id": at, "name": guid1, "type": "Microsoft.Authorization/roleAssignments", "properties": map[string]any{
			"scope": customerRG, "roleDefinitionId": "/subscriptions/" + customerSub + "/providers/Microsoft.Authorization/roleDefinitions/" + access.RoleReader,
			"principalId": who, "principalType": "ServicePrincipal", "description": nil, "condition": nil, "conditionVersion": nil,
			"createdOn": "2026-03-01T09:00:00Z", "updatedOn": "2026-03-01T09:00:00Z", "createdBy": f.objects["owner"], "updatedBy": f.objects["owner"],
		},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.get("guest", topic).want(200) // at once
	f.put("owner", strings.ToUpper(at), body).want(200)
	f.put("owner", at, assignmentBody(access.RoleOwner, who)).wantError(400, "RoleAssignmentUpdateNotPermitted")
	f.put("owner", at, assignmentBody(access.RoleReader, f.objects["owner"])).wantError(400, "RoleAssignmentUpdateNotPermitted")
	f.put("owner", assignmentAt(customerRG, guid2), body).wantError(409, "RoleAssignmentExists")
	f.put("owner", assignmentAt(topic, guid2), body).want(201) // another scope is another assignment
	f.get("owner", at).want(200)
	f.delete("owner", assignmentAt(topic, guid2)).want(200)
	if a := f.delete("owner", at).want(200); a.at("properties", "principalId") != who {
		t.Errorf("what was removed is not shown: %s", a.raw)
	}
	f.get("guest", topic).want(403)
	if a := f.delete("owner", at).want(204); a.raw != "" {
		t.Errorf("got %s", a.raw)
	}
	f.get("owner", at).wantError(404, "RoleAssignmentNotFound", guid1)
	f.patch("owner", at, body).wantError(405, "HttpMethodNotAllowed")
}

func TestRoleAssignmentRefusals(t *testing.T) {
	f := newFixture(t)
	who := f.principal("guest")
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"name no GUID":         {assignmentAt(customerRG, "mine"), assignmentBody(access.RoleReader, who), 400, "InvalidRoleAssignmentId"},
		"no such principal":    {assignmentAt(customerRG, guid1), assignmentBody(access.RoleReader, guid2), 400, "PrincipalNotFound"},
		"no principal":         {assignmentAt(customerRG, guid1), assignmentBody(access.RoleReader, ""), 400, "PrincipalNotFound"},
		"no such role":         {assignmentAt(customerRG, guid1), assignmentBody(guid2, who), 400, "RoleDefinitionDoesNotExist"},
		"role of another kind": {assignmentAt(customerRG, guid1), assignmentBody(account+"/"+access.RoleOwner, who), 400, "RoleDefinitionDoesNotExist"},
		"type that is another": {assignmentAt(customerRG, guid1), assignmentBody("/providers/Microsoft.Storage/storageAccounts/"+access.RoleOwner, who), 400, "RoleDefinitionDoesNotExist"},
		"no role":              {assignmentAt(customerRG, guid1), assignmentBody("", who), 400, "RoleDefinitionDoesNotExist"},
		"condition":            {assignmentAt(customerRG, guid1), strings.Replace(assignmentBody(access.RoleReader, who), `{"role`, `{"condition":"x","role`, 1), 400, "InvalidRequest"},
		"no body":              {assignmentAt(customerRG, guid1), ``, 400, "InvalidRequestContent"},
		"no JSON":              {assignmentAt(customerRG, guid1), `{`, 400, "InvalidRequestContent"},
		"no such subscription": {assignmentAt("/subscriptions/"+noSub, guid1), assignmentBody(access.RoleReader, who), 404, "SubscriptionNotFound"},
		"no such group":        {assignmentAt(customerRG+"9", guid1), assignmentBody(access.RoleReader, who), 404, "ResourceGroupNotFound"},
		"no such resource":     {assignmentAt(topic, guid1), assignmentBody(access.RoleReader, who), 404, "ResourceNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			a := f.put("owner", c.path, c.body).want(c.status)
			if a.at("error", "code") != c.code {
				t.Errorf("got %s", a.raw)
			}
		})
	}
	f.t = t
	// What other providers own cannot be known here.
	f.put("owner", assignmentAt(customerRG+"/providers/Microsoft.Storage/storageAccounts/acme", guid1), assignmentBody(access.RoleReader, who)).want(201)
	f.put("owner", assignmentAt("/", guid2), assignmentBody(access.RoleReader, who)).want(201)
}

func TestRoleAssignmentsListed(t *testing.T) {
	f := newFixture(t).partnerFlow()
	who := f.principal("guest")
	put := func(scope, name string) {
		t.Helper()
		f.put("owner", assignmentAt(scope, name), assignmentBody(access.RoleReader, who)).want(201)
	}
	names := []string{guid1, guid2, "aaaaaaaa-aaaa-4bbb-8ccc-000000000003", "aaaaaaaa-aaaa-4bbb-8ccc-000000000004"}
	put("/subscriptions/"+customerSub, names[0])
	put(customerRG, names[1])
	put(topic, names[2])
	put(partnerRG, names[3])
	list := func(scope, filter string) []string {
		t.Helper()
		a := f.get("owner", strings.TrimSuffix(assignmentAt(scope, ""), "/")+"?$filter="+url.QueryEscape(filter)).want(200)
		var out []string
		for _, n := range a.names() {
			if slices.Contains(names, n) {
				out = append(out, n)
			}
		}
		if a.status == 200 && strings.Count(a.raw, `"scope":`) != len(a.names()) {
			t.Error("az needs the scope of each")
		}
		return out
	}
	for _, c := range []struct {
		scope, filter string
		want          []string
	}{
		{customerRG, "", names[:3]},
		{customerRG, "atScope()", names[:2]},
		{topic, "atScope()", names[:3]},
		{"/subscriptions/" + customerSub, "", names[:3]},
		{"/subscriptions/" + customerSub, "atScope()", names[:1]},
		{partnerRG, "", names[3:]},
		{customerRG, "principalId eq '" + strings.ToUpper(who) + "'", names[:3]},
		{customerRG, "assignedTo('" + guid1 + "')", nil},
	} {
		got := list(c.scope, c.filter)
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.scope, c.filter, diff)
		}
	}
	if got := f.get("owner", "/providers/Microsoft.Authorization/roleAssignments").want(200).names(); len(got) != 5 {
		t.Errorf("%d at the root", len(got))
	}
}

func TestRoleDefinitions(t *testing.T) {
	f := newFixture(t)
	at := customerRG + "/providers/Microsoft.Authorization/roleDefinitions"
	if got := f.get("owner", at).want(200).names(); len(got) != len(access.BuiltInRoles()) {
		t.Errorf("%d roles", len(got))
	}
	a := f.get("owner", at+"?api-version=2018-01-01-preview&$filter="+url.QueryEscape("roleName eq 'eventgrid data sender'")).want(200)
	if diff := cmp.Diff([]string{access.RoleEventGridDataSender}, a.names()); diff != "" {
		t.Error(diff)
	}
	if got := f.get("owner", at+"?$filter="+url.QueryEscape("roleName eq 'no such'")).want(200); got.raw != `{"value":[]}` {
		t.Errorf("got %s", got.raw)
	}
	a = f.get("owner", at+"/"+strings.ToUpper(access.RoleEventGridContributor)).want(200)
	if a.at("id") != "/subscriptions/"+customerSub+"/providers/Microsoft.Authorization/roleDefinitions/"+access.RoleEventGridContributor ||
		a.at("name") != access.RoleEventGridContributor || a.at("properties", "roleName") != "EventGrid Contributor" || a.at("properties", "type") != "BuiltInRole" {
		t.Errorf("got %s", a.raw)
	}
	if strings.Contains(a.raw, "null") {
		t.Errorf("a list is null: %s", a.raw)
	}
	f.get("owner", at+"/"+guid1).wantError(404, "ResourceNotFound", guid1)
	f.get("owner", "/providers/Microsoft.Authorization/roleDefinitions/"+access.RoleOwner).want(200)
	f.patch("owner", at+"/"+guid1, `{}`).wantError(405, "HttpMethodNotAllowed")
	f.post("owner", at, `{}`).wantError(405, "HttpMethodNotAllowed")
}

// A role at a resource must not wait for a later resource of the same name.
func TestRolesGoWithTheirResource(t *testing.T) {
	for name, deleted := range map[string]string{"directly": topic, "with its channel": channel} {
		f := newFixture(t).partnerFlow()
		who := f.principal("guest")
		at := assignmentAt(topic, guid1)
		f.put("owner", at, assignmentBody(access.RoleReader, who)).want(201)
		f.get("guest", topic).want(200)
		f.delete("owner", deleted).want(200)
		f.get("guest", topic).want(403)
		f.get("owner", at).wantError(404, "RoleAssignmentNotFound")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}
