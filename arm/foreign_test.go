package arm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

const (
	account     = customerRG + "/providers/Microsoft.Storage/storageAccounts/acc1"
	blobs       = account + "/blobServices/default"
	container   = blobs + "/containers/c1"
	accountBody = `{"location":"West Europe","tags":{"env":"x"},"sku":{"name":"Standard_LRS"},"kind":"StorageV2","zones":["1"],
		"identity":{"type":"SystemAssigned"},"id":"/x","name":"x","type":"x","systemData":{},"properties":{"accessTier":"Hot","big":9007199254740993,"provisioningState":"Failed"}}`
)

// storage makes an account with a container and something that extends it.
func (f *fixture) storage() *fixture {
	f.t.Helper()
	f.put("owner", account, accountBody).want(200)
	f.put("owner", blobs, `{}`).want(200)
	f.put("owner", container, `{"properties":{"publicAccess":"None"}}`).want(200)
	f.put("owner", account+"/providers/Microsoft.Insights/diagnosticSettings/d1", `{"properties":{"logs":[]}}`).want(200)
	return f
}

func TestForeignResourceKeepsWhatItIsGiven(t *testing.T) {
	f := newFixture(t)
	a := f.put("owner", strings.Replace(account, "/Microsoft.Storage/storageAccounts", "//microsoft.storage//STORAGEACCOUNTS", 1), accountBody).want(200)
	want := map[string]any{
		"id": account, "name": "acc1", "type": "Microsoft.Storage/storageAccounts", "location": "westeurope", "tags": map[string]any{"env": "x"},
		"sku": map[string]any{"name": "Standard_LRS"}, "kind": "StorageV2", "zones": []any{"1"}, "identity": map[string]any{"type": "SystemAssigned"},
		"properties": map[string]any{"accessTier": "Hot", "big": json.Number("9007199254740993"), "provisioningState": "Succeeded"},
	}
	check := func(a *answer) {
		t.Helper()
		var got map[string]any
		d := json.NewDecoder(strings.NewReader(a.raw))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		delete(got, "systemData")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", a.what, diff)
		}
	}
	check(a)
	check(f.get("owner", account+"?api-version=2019-06-01").want(200))
	f.do("owner", "HEAD", account, "").want(204)
	f.do("owner", "HEAD", account+"9", "").want(404)

	// A PATCH merges, and null takes away.
	a = f.patch("owner", account+"?api-version=2031-12-31-preview", `{"tags":{"a":"b"},"zones":null,"sku":{"tier":"Standard"},"properties":{"accessTier":null,"encryption":{"on":true}}}`).want(200)
	delete(want, "zones")
	want["tags"], want["sku"] = map[string]any{"a": "b"}, map[string]any{"name": "Standard_LRS", "tier": "Standard"}
	want["properties"] = map[string]any{"big": json.Number("9007199254740993"), "encryption": map[string]any{"on": true}, "provisioningState": "Succeeded"}
	check(a)
	check(f.get("owner", account).want(200))

	// A PUT replaces; the location stays.
	a = f.put("owner", account, `{"kind":"Storage"}`).want(200)
	want = map[string]any{
		"id": account, "name": "acc1", "type": "Microsoft.Storage/storageAccounts", "location": "westeurope", "tags": nil, "kind": "Storage",
		"properties": map[string]any{"provisioningState": "Succeeded"},
	}
	check(a)
	f.put("owner", account, `{"location":"northeurope"}`).wantError(409, "InvalidResourceLocation", "'acc1'", "'westeurope'", "'northeurope'")
	f.delete("owner", account).want(200)
	f.delete("owner", account).want(204)
}

func TestForeignResourcesAndWhatIsAroundThem(t *testing.T) {
	f := newFixture(t)
	f.put("owner", container, `{}`).wantError(404, "ParentResourceNotFound", "'default'")
	f.patch("owner", account, `{}`).wantError(404, "ResourceNotFound", "'Microsoft.Storage/storageAccounts/acc1'")
	f.put("owner", account+"/providers/Microsoft.Insights/diagnosticSettings/d1", `{}`).wantError(404, "ResourceNotFound", "acc1")
	f.put("owner", strings.Replace(account, "rg-c", "rg-9", 1), `{}`).wantError(404, "ResourceGroupNotFound", "'rg-9'")
	f.delete("owner", strings.Replace(account, "rg-c", "rg-9", 1)).wantError(404, "ResourceGroupNotFound")
	f.put("owner", strings.Replace(account, customerSub, noSub, 1), `{}`).wantError(404, "SubscriptionNotFound", noSub)
	f.put("owner", "/providers/Microsoft.Storage/storageAccounts/acc1", `{}`).wantError(404, "InvalidResourceType", "a subscription")
	f.put("owner", strings.Replace(account, "acc1", "a%3Cb", 1), `{}`).wantError(400, "InvalidRequest", "'a<b'")
	f.put("owner", account, `{"location":5}`).wantError(400, "InvalidRequestContent")
	f.put("owner", account, `{"properties":[]}`).wantError(400, "InvalidRequestContent", "properties")
	f.put("owner", account, `{"tags":{"a/b":"c"}}`).wantError(400, "InvalidRequest", "'a/b'")

	// No provider but Event Grid has to be registered.
	f.post("owner", customerID+provider+"/unregister", "").want(200)
	f.storage()
	f.put("owner", "/subscriptions/"+customerSub+"/providers/Microsoft.Insights/diagnosticSettings/s1", `{}`).want(200)

	for path, want := range map[string][]string{
		customerRG + "/providers/Microsoft.Storage/storageAccounts": {"acc1"},
		customerID + "/providers/microsoft.storage/storageaccounts": {"acc1"},
		blobs + "/containers":     {"c1"},
		account + "/blobServices": {"default"},
		account + "/providers/Microsoft.Insights/diagnosticSettings":                           {"d1"},
		blobs + "/providers/Microsoft.Insights/diagnosticSettings":                             {},
		"/subscriptions/" + partnerSub + "/providers/Microsoft.Storage/storageAccounts":        {},
		customerRG + "/providers/Microsoft.Flowers/pots":                                       {},
		customerRG + "/providers/Microsoft.Storage/storageAccounts?$filter=name%20eq%20'ACC1'": {"acc1"},
	} {
		if diff := cmp.Diff(want, f.get("owner", path).want(200).names()); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	f.get("owner", account+"9/blobServices").wantError(404, "ResourceNotFound")
	f.get("owner", "/providers/Microsoft.Storage/storageAccounts").wantError(404, "InvalidResourceType")
	f.put("owner", account+"/blobServices", `{}`).wantError(405, "HttpMethodNotAllowed")
	f.post("owner", account+"/failover", "").wantError(404, "InvalidResourceType", "'failover'")
	f.post("owner", customerID+"/providers/Microsoft.Storage/checkNameAvailability", `{}`).wantError(404, "InvalidResourceType", "'checkNameAvailability'")
	if a := f.get("owner", container).want(200); a.at("tags") != nil || strings.Contains(a.raw, `"tags"`) || strings.Contains(a.raw, `"location"`) {
		t.Errorf("a resource without a location: %s", a.raw)
	}
}

func TestDeletingAForeignParent(t *testing.T) {
	f := newFixture(t).storage()
	f.role("guest", access.RoleReader, container)
	for i := range deletionChunk + 5 {
		f.put("owner", fmt.Sprintf("%s/containers/more-%03d", blobs, i), `{}`).want(200)
	}
	f.delete("owner", account).want(200)
	for _, r := range f.store.List("", resource.ID{}) {
		if strings.Contains(r.ID.Key(), "acc1") {
			t.Errorf("%s is left", r.ID)
		}
	}
	f.put("owner", account, `{}`).want(200)
	f.get("guest", container).want(403)
}

// What hangs on a resource of ours goes along with it.
func TestDeletingWhatForeignResourcesHangOn(t *testing.T) {
	f := newFixture(t).partnerFlow()
	setting := topic + "/providers/Microsoft.Insights/diagnosticSettings/d1"
	f.put("owner", setting, `{}`).want(200)
	f.delete("owner", topic).want(200)
	f.get("owner", setting).wantError(404, "ResourceNotFound", "pt1")
	if all := f.store.List("Microsoft.Insights/diagnosticSettings", resource.ID{}); len(all) != 0 {
		t.Errorf("left: %v", all[0].ID)
	}
}

func TestDeletingAGroupWithForeignResources(t *testing.T) {
	f := newFixture(t).partnerFlow().storage()
	for i := range deletionChunk {
		f.put("owner", fmt.Sprintf("%s/containers/more-%03d", blobs, i), `{}`).want(200)
	}
	f.put("owner", account+provider+"/eventSubscriptions/on-blobs", hookBody).want(201)
	f.delete("owner", customerRG+"?forceDeletionTypes=Microsoft.Compute/virtualMachines").want(200)
	for _, r := range f.store.List("", resource.ID{}) {
		if within(r.ID, resource.GroupID(customerSub, "rg-c")) {
			t.Errorf("%s is left", r.ID)
		}
	}
}

func TestStorageKeys(t *testing.T) {
	f := newFixture(t).storage()
	f.role("reader", access.RoleReader, customerRG)
	f.role("contributor", access.RoleContributor, customerRG)
	keys := func(a *answer) (out []string) {
		t.Helper()
		list, _ := a.want(200).at("keys").([]any)
		for i, v := range list {
			k, _ := v.(map[string]any)
			value, _ := k["value"].(string)
			if k["keyName"] != fmt.Sprint("key", i+1) || k["permissions"] != "FULL" || len(value) != 88 {
				t.Errorf("key %v", k)
			}
			out = append(out, value)
		}
		return out
	}
	first := keys(f.post("contributor", account+"/listKeys?$expand=kerb", ""))
	if len(first) != 2 || first[0] == first[1] {
		t.Fatalf("got %v", first)
	}
	f.post("reader", account+"/listKeys", "").wantError(403, "AuthorizationFailed", "Microsoft.Storage/storageAccounts/listKeys/action")
	f.put("owner", account, accountBody).want(200)
	if diff := cmp.Diff(first, keys(f.post("owner", account+"/LISTKEYS", ""))); diff != "" {
		t.Errorf("a PUT changed the keys: %s", diff)
	}
	second := keys(f.post("owner", account+"/regenerateKey", `{"keyName":"KEY2"}`))
	if second[0] != first[0] || second[1] == first[1] {
		t.Errorf("from %v to %v", first, second)
	}
	f.post("owner", account+"/regenerateKey", `{"keyName":"kerb1"}`).wantError(400, "InvalidRequest", "'kerb1'")
	f.post("owner", account+"/regenerateKey", ``).wantError(400, "InvalidRequestContent")
	f.post("owner", account+"9/listKeys", ``).wantError(404, "ResourceNotFound")
	for _, key := range append(first, second...) {
		if strings.Contains(f.get("owner", account).raw, key) || strings.Contains(f.get("owner", customerID+"/resources").raw, key) {
			t.Error("a key is shown")
		}
	}
}

func TestForeignSecretsAreNotKept(t *testing.T) {
	f := newFixture(t)
	vault := customerRG + "/providers/Microsoft.KeyVault/vaults/v1"
	f.put("owner", vault, `{"location":"westeurope","properties":{"sku":{"family":"A"},"nested":[{"adminPassword":"p4ss"}],"AdministratorLoginPassword":"p4ss","password":{"kept":1}}}`).want(200)
	f.put("owner", vault+"/secrets/s1", `{"properties":{"value":"p4ss","contentType":"text"}}`).want(200)
	f.patch("owner", vault+"/secrets/s1", `{"properties":{"value":"p4ss"}}`).want(200)
	for _, r := range f.store.List("", resource.ID{}) {
		if strings.Contains(string(r.Properties), "p4ss") {
			t.Errorf("%s keeps %s", r.ID, r.Properties)
		}
	}
	if a := f.get("owner", vault); a.at("properties", "password", "kept") == nil {
		t.Errorf("got %s", a.raw)
	}
}

func TestForeignResourcesNeedTheirOwnActions(t *testing.T) {
	f := newFixture(t).storage()
	f.role("reader", access.RoleReader, customerRG)
	f.role("contributor", access.RoleContributor, customerRG)
	f.role("elsewhere", access.RoleOwner, partnerRG)
	f.role("grid", access.RoleEventGridContributor, customerRG)
	for who, c := range map[string]struct{ get, put, missing int }{
		"reader": {200, 403, 404}, "contributor": {200, 200, 404}, "elsewhere": {403, 403, 403}, "grid": {403, 403, 403},
	} {
		f.get(who, account).want(c.get)
		f.get(who, account+"9").want(c.missing)
		f.get(who, customerRG+"/providers/Microsoft.Storage/storageAccounts").want(c.get)
		f.put(who, account, accountBody).want(c.put)
	}
	f.put("reader", account, accountBody).wantError(403, "AuthorizationFailed", "'Microsoft.Storage/storageAccounts/write'", account)
	f.delete("reader", container).wantError(403, "AuthorizationFailed", "'Microsoft.Storage/storageAccounts/blobServices/containers/delete'")
}

// The names of foreign resources serve in event subscriptions, as they did
// before there were records of them.
func TestEventSubscriptionsOnForeignResources(t *testing.T) {
	f := newFixture(t).storage()
	f.put("owner", account+provider+"/eventSubscriptions/es1", hookBody).want(201)
	f.put("owner", account+"-unknown"+provider+"/eventSubscriptions/es1", hookBody).want(201)
	if got := f.get("owner", account+provider+"/eventSubscriptions").names(); !slices.Equal(got, []string{"es1"}) {
		t.Errorf("got %v", got)
	}
	f.delete("owner", account+provider+"/eventSubscriptions/es1").want(200)
}

// Each type that a provider document lists is one that can be made, under each of
// its versions, and comes back in the casing of the document.
func TestProviderDocumentsAreTrue(t *testing.T) {
	f := newFixture(t)
	for _, ns := range foreignNamespaces() {
		a := f.get("owner", customerID+"/providers/"+strings.ToLower(ns)).want(200)
		if a.at("namespace") != ns || a.at("registrationState") != "Registered" {
			t.Errorf("%s: %.200s", ns, a.raw)
		}
		types, _ := a.at("resourceTypes").([]any)
		for _, v := range types {
			doc, _ := v.(map[string]any)
			typ := fmt.Sprint(ns, "/", doc["resourceType"])
			versions, _ := doc["apiVersions"].([]any)
			if len(versions) == 0 || !slices.IsSortedFunc(versions, func(a, b any) int { return -strings.Compare(a.(string), b.(string)) }) {
				t.Errorf("%s: versions %v", typ, versions)
			}
			for _, version := range versions {
				k, err := f.kindOf(strings.ToUpper(typ), version.(string))
				if err != nil || k.Type != typ {
					t.Errorf("%s %s: %v", typ, version, err)
				}
			}
		}
		if got := f.get("owner", customerID+"/providers/"+ns+"/resourceTypes").want(200).at("value"); cmp.Diff(a.at("resourceTypes"), got) != "" {
			t.Errorf("%s: resourceTypes differ", ns)
		}
	}
	if a := f.get("owner", customerID+provider+"/providerPermissions").want(200); a.raw != `{"value":[]}` {
		t.Errorf("got %s", a.raw)
	}
	f.post("owner", customerID+"/providers/Microsoft.Storage/register", "").want(200)
	f.put("owner", customerID+provider+"/resourceTypes", "").wantError(405, "HttpMethodNotAllowed")
}

// Everything that is written comes back, whatever it is but a password.
func TestForeignPropertiesComeBack(t *testing.T) {
	f := newFixture(t)
	rapid.Check(t, func(rt *rapid.T) {
		body := map[string]any{"location": "westeurope", "properties": rapid.MapOf(rapid.StringMatching(`[a-z<]{1,5}`), anyJSON(3)).Draw(rt, "properties")}
		data, err := json.Marshal(body)
		if err != nil {
			rt.Fatal(err)
		}
		f.put("owner", account, string(data))
		a := f.get("owner", account).want(200)
		sent, err := decoded(data)
		if err != nil {
			rt.Fatal(err)
		}
		want := mergePatch(map[string]any{}, sent.(map[string]any)["properties"]).(map[string]any)
		dropPasswords(want)
		want["provisioningState"] = "Succeeded"
		got, err := decoded([]byte(a.raw))
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got.(map[string]any)["properties"]); diff != "" {
			rt.Fatalf("%s (-want +got):\n%s", data, diff)
		}
	})
}
