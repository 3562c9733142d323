package arm

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/intertie/intertie/resource"
)

// spellings returns a type as clients might write it.
func spellings(typ string) []string {
	mixed := strings.Map(func(r rune) rune {
		if r == 'i' || r == 'e' || r == 's' {
			return r - 'a' + 'A'
		}
		return r
	}, strings.ToLower(typ))
	return []string{
		typ, strings.ToLower(typ), strings.ToUpper(typ), mixed,
		strings.Replace(typ, "/", "//", 1), strings.Replace(typ, "s", "%73", 1), strings.Replace(typ, "/", "%2F", 1), strings.Replace(typ, "I", "%C4%B0", 1), // İ
	}
}

// ourTypes are those of records that no client may see or make: this server's own,
// and what would look like a subscription or a group where none can be.
var ourTypes = []string{
	"Intertie.Directory/servicePrincipals", "Intertie.Server/settings", "Intertie.Partners/names", "Intertie.Partners/reserved", "Intertie.Whatever/comes/next",
	"Microsoft.Resources/subscriptions", "Microsoft.Resources/subscriptions/resourceGroups", "Microsoft.Resources/tenants", "Microsoft.Resources/whatever",
	"Microsoft.EventGrid/whatever", "Microsoft.Authorization/whatever", "Microsoft.Subscription/whatever",
}

func (f *fixture) wantNothingWritten(before memory) {
	f.t.Helper()
	for key, r := range f.store.view() {
		if before[key] == nil || before[key].Revision != r.Revision || resource.IsInternal(r.Type) && before[key] != r {
			f.t.Errorf("%s of type %s was written", r.ID, r.Type)
		}
	}
	if n := len(f.store.view()); n != len(before) {
		f.t.Errorf("there are %d resources, before %d", n, len(before))
	}
}

func TestOurTypesAreNobodysElse(t *testing.T) {
	f := newFixture(t).storage()
	before := maps.Clone(f.store.view())
	token := f.token("owner", "https://management.azure.com/") // one for all: signing is slow
	do := func(method, path, body string) *answer {
		r := httptest.NewRequestWithContext(t.Context(), method, base+path+"?api-version="+version, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		return f.send(r)
	}
	body := `{"location":"westeurope","properties":{"displayName":"x"},"tags":{}}`
	for _, scope := range []string{"", "/subscriptions/" + customerSub, customerRG, account, customerRG + provider + "/topics/t1", "/subscriptions/" + customerSub + "/"} {
		for _, typ := range ourTypes {
			for _, spelled := range spellings(typ) {
				named := spelled
				if strings.Count(typ, "/") == 2 { // a name for each of its two segments
					i := strings.LastIndex(spelled, "/")
					named = spelled[:i] + "/" + partnerSub + spelled[i:]
				}
				path := scope + "/providers/" + named + "/" + f.objects["owner"]
				for _, method := range []string{"PUT", "PATCH", "GET", "DELETE"} {
					a := do(method, path, body)
					if a.status < 400 || a.status >= 500 || strings.Contains(a.raw, "InternalServerError") {
						t.Errorf("%s: %d %.200s", a.what, a.status, a.raw)
					}
				}
				do("GET", scope+"/providers/"+spelled, "")
				do("POST", path+"/listKeys", "{}")
			}
		}
	}
	f.wantNothingWritten(before)
}

// A template is no other way to them.
func TestTemplatesDoNotMakeOurTypes(t *testing.T) {
	for _, typ := range ourTypes {
		if strings.HasPrefix(typ, "Microsoft.Resources/subscriptions/") {
			continue // the template language knows it as the type of groups
		}
		for _, spelled := range []string{typ, strings.ToLower(typ), strings.ToUpper(typ)} {
			f := newFixture(t)
			before := maps.Clone(f.store.view())
			name := strings.Repeat("/n", strings.Count(typ, "/"))[1:]
			plain := map[string]any{"type": spelled, "apiVersion": "2024-01-01", "name": name, "location": "westeurope", "properties": map[string]any{}}
			extension := maps.Clone(plain)
			extension["scope"] = "[resourceId('Microsoft.Storage/storageAccounts', 'acc1')]"
			nested := map[string]any{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "inner", "properties": map[string]any{
				"mode": "Incremental", "template": templateOf(plain),
			}}
			for _, r := range []map[string]any{plain, extension, nested} {
				body, err := json.Marshal(map[string]any{"properties": map[string]any{"mode": "Incremental", "template": templateOf(r)}})
				if err != nil {
					t.Fatal(err)
				}
				at := customerRG + "/providers/Microsoft.Resources/deployments/d1"
				for _, a := range []*answer{f.put("owner", at, string(body)), f.post("owner", at+"/validate", string(body)), f.post("owner", at+"/whatIf", string(body))} {
					if a.status < 400 || a.status >= 500 {
						t.Errorf("%s of %s: %d %.300s", a.what, spelled, a.status, a.raw)
					}
				}
			}
			f.wantNothingWritten(before)
		}
	}
}

func templateOf(resources ...map[string]any) map[string]any {
	return map[string]any{
		"$schema":        "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
		"contentVersion": "1.0.0.0", "resources": resources,
	}
}

// What cannot be read, wherever it lies, is left out, and everybody's requests go on.
func TestUnreadableRecordsEndNoRequest(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.role("reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7", "/subscriptions/"+partnerSub)
	broken := func(id resource.ID, typ string) {
		f.store.set(&resource.Resource{ID: id, UID: resource.NewUID(), Type: typ, Location: "global", Properties: []byte(
			`{"principalId":7,"roleName":7,"displayName":7,"partnerName":7,"activationState":7,"level":7,"provisioningState":7,"properties":7}`)})
	}
	root, group := resource.ID{}, resource.GroupID(partnerSub, "rg-p")
	broken(root.Provider(resource.TypeRoleAssignment, noSub), resource.TypeRoleAssignment)
	broken(group.Provider(resource.TypeRoleAssignment, noSub), resource.TypeRoleAssignment)
	broken(storedRoleID(noSub), TypeRoleDefinition)
	broken(resource.SubscriptionID(noSub), resource.TypeSubscription)
	broken(group.Provider("Microsoft.EventGrid/partnerRegistrations", "broken"), "Microsoft.EventGrid/partnerRegistrations")
	broken(group.Provider("Microsoft.EventGrid/topics", "broken"), "Microsoft.EventGrid/topics")

	names := func(path string, want ...string) {
		t.Helper()
		if got := f.get("owner", path).want(200).names(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	names(partnerRG+provider+"/partnerRegistrations", "reg")
	f.get("owner", "/subscriptions").want(200)
	const guid = "99999999-aaaa-4bbb-8ccc-000000000009"
	f.get("owner", partnerRG+"/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01").want(200)
	f.get("owner", partnerRG+"/providers/Microsoft.Authorization/roleDefinitions?api-version=2022-04-01").want(200)
	assign := func(who string) string {
		return `{"properties":{"principalId":"` + f.principal(who) + `","roleDefinitionId":"acdd72a7-3385-48ef-bd42-f606fba81ae7"}}`
	}
	for _, scope := range []string{"", partnerRG} {
		f.put("owner", scope+"/providers/Microsoft.Authorization/roleAssignments/"+guid, assign("somebody")).want(201)
		f.delete("owner", scope+"/providers/Microsoft.Authorization/roleAssignments/"+guid).want(200)
	}
	f.put("owner", "/providers/Microsoft.Authorization/roleDefinitions/"+guid, `{"properties":{"roleName":"Mine","assignableScopes":["/"],"permissions":[{"actions":["*/read"]}]}}`).want(201)
	f.delete("owner", "/providers/Microsoft.Authorization/roleDefinitions/"+guid).want(200)
	f.put("owner", partnerRG+provider+"/partnerRegistrations/new", `{"properties":{"partnerName":"Southwave"}}`).want(200)
	f.delete("owner", partnerRG+provider+"/partnerRegistrations/new").want(200)
	f.delete("owner", "/providers/Microsoft.Authorization/roleAssignments/"+noSub).want(204)

	// A lock that cannot be read locks, and can be lifted.
	broken(group.Provider(resource.TypeLock, "broken"), resource.TypeLock)
	f.patch("owner", registration, `{"tags":{"a":"b"}}`).wantError(409, resource.ScopeLocked, "locks/broken")
	f.delete("owner", partnerRG+"/providers/Microsoft.Authorization/locks/broken?api-version=2016-09-01").want(200)
	f.patch("owner", registration, `{"tags":{"a":"b"}}`).want(200)
}
