package arm

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// Whoever owns all of one subscription cannot name what belongs to another one, in
// any member of any body that takes an id, directly or by a template.
func TestNoTenantNamesWhatIsAnothers(t *testing.T) {
	const (
		mine     = partnerRG + provider + "/topics/top1"
		identity = `"identity":{"type":"UserAssigned","userAssignedIdentities":{"` + customerRG + `/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i":{}}}`
		hook     = `"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://erp.example/hook"}}`
		letters  = `"deadLetterDestination":{"endpointType":"StorageBlob","properties":{"resourceId":"` + account + `","blobContainerName":"letters"}}`
	)
	f := newFixture(t).storage()
	f.role("tenant", access.RoleOwner, "/subscriptions/"+partnerSub)
	f.put("tenant", mine, `{"location":"westeurope"}`).want(201)
	f.put("tenant", mine+"/eventSubscriptions/old", `{"properties":{`+hook+`}}`).want(201)
	f.put("owner", customerRG+provider+"/topics/theirs", `{"location":"westeurope"}`).want(201)
	before := maps.Clone(f.store.view())
	for _, c := range []struct{ method, path, body string }{
		{"PUT", mine + "/eventSubscriptions/new", `{"properties":{` + hook + `,` + letters + `}}`},
		{"PUT", mine + "/eventSubscriptions/new", `{"properties":{` + hook + `,` + strings.Replace(letters, account, strings.ToUpper(account), 1) + `}}`},
		{"PUT", mine + provider + "/eventSubscriptions/new", `{"properties":{` + hook + `,` + letters + `}}`},
		{"PUT", partnerRG + provider + "/eventSubscriptions/new", `{"properties":{` + hook + `,` + letters + `}}`},
		{"PUT", mine + "/eventSubscriptions/old", `{"properties":{` + hook + `,` + letters + `}}`},
		{"PATCH", mine + "/eventSubscriptions/old", `{` + letters + `}`},
		{"PUT", mine + "/eventSubscriptions/new?api-version=2023-06-01-preview", `{"properties":{"destination":{"endpointType":"PartnerDestination","properties":{"resourceId":"` + customerRG + provider + `/partnerDestinations/pd"}}}}`},
		{"PUT", partnerRG + provider + "/topics/top2", `{"location":"westeurope",` + identity + `}`},
		{"PATCH", mine, `{` + identity + `}`},
		{"PUT", partnerRG + "/providers/Microsoft.Compute/virtualMachines/vm", `{"location":"westeurope",` + identity + `}`},
		{"PUT", mine + "/privateEndpointConnections/pe", `{"properties":{"privateEndpoint":{"id":"` + customerRG + `/providers/Microsoft.Network/privateEndpoints/pe"}}}`},
		{"PUT", "/subscriptions/" + partnerSub + "/providers/Microsoft.Authorization/roleDefinitions/" + noSub, `{"properties":{"roleName":"x","assignableScopes":["/subscriptions/` + partnerSub + `","` + customerRG + `"],"permissions":[{"actions":["*"]}]}}`},
	} {
		f.do("tenant", c.method, c.path, c.body).wantError(403, resource.AuthorizationFailed, customerSub[:8])
	}
	// A source is one of the same subscription, or none.
	f.put("tenant", partnerRG+provider+"/systemTopics/sys", `{"location":"global","properties":{"source":"`+customerRG+`","topicType":"Microsoft.Resources.ResourceGroups"}}`).wantError(400, resource.InvalidRequest, "another subscription")

	tpl, err := json.Marshal(templateOf(
		map[string]any{"type": "Microsoft.EventGrid/topics/eventSubscriptions", "apiVersion": "2022-06-15", "name": "top1/new", "properties": json.RawMessage(`{` + hook + `,` + letters + `}`)},
	))
	if err != nil {
		t.Fatal(err)
	}
	at := partnerRG + "/providers/Microsoft.Resources/deployments/d1"
	body := wrap(string(tpl), "", "")
	for _, a := range []*answer{f.put("tenant", at, body), f.post("tenant", at+"/validate", body), f.post("tenant", at+"/whatIf", body)} {
		if a.status < 400 || a.status >= 500 || !strings.Contains(a.raw, "AuthorizationFailed") {
			t.Errorf("%s: %d %.300s", a.what, a.status, a.raw)
		}
	}
	f.wantNothingWritten(before)

	// With the right to it, it may.
	f.role("tenant", access.RoleContributor, account)
	f.put("tenant", mine+"/eventSubscriptions/new", `{"properties":{`+hook+`,`+letters+`}}`).want(201)
}
