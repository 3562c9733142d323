package arm

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
)

func TestListsOverAllTypes(t *testing.T) {
	f := newFixture(t).partnerFlow().storage()
	tagged := customerRG + provider + "/topics/"
	f.put("owner", tagged+"topic-a", `{"location":"northeurope","tags":{"Env":"prod","team":"x"},"sku":{"name":"Basic"}}`).want(201)
	f.put("owner", tagged+"topic-b", `{"location":"westeurope","tags":{"env":"test","team":"prod"}}`).want(201)
	f.put("owner", customerRG+"2", `{"location":"westeurope","tags":{"env":"prod"}}`).want(201)
	f.put("owner", customerRG+"2"+provider+"/topics/topic-c", `{"location":"westeurope"}`).want(201)

	for filter, want := range map[string][]string{
		"":                          {"default", "pt1", "topic-a", "topic-b", "acc1", "topic-c"},
		"resourceGroup eq 'RG-C2'":  {"topic-c"},
		"name eq 'topic-a'":         {"topic-a"},
		"location eq 'northeurope'": {"topic-a"},
		"resourceType eq 'Microsoft.EventGrid/topics'":                             {"topic-a", "topic-b", "topic-c"},
		"resourceGroup eq 'rg-c' and resourceType eq 'microsoft.eventgrid/TOPICS'": {"topic-a", "topic-b"},
		"resourceType eq 'Microsoft.Storage/storageAccounts'":                      {"acc1"},
		"tagname eq 'env'": {"topic-a", "topic-b", "acc1"},
		// Name and value are of one tag.
		"tagname eq 'env' and tagvalue eq 'prod'":                 {"topic-a"},
		"tagname eq 'TEAM' and tagvalue eq 'X'":                   {"topic-a"},
		"startswith(tagname,'te')":                                {"topic-a", "topic-b"},
		"startswith(tagname,'te') and name eq 'topic-b'":          {"topic-b"},
		"substringof('opic-', name) and location ne 'westeurope'": {"topic-a"},
		"name eq 'none'": {},
	} {
		a := f.get("owner", customerID+"/resources?$filter="+url.QueryEscape(filter)).want(200)
		if diff := cmp.Diff(want, a.names()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
	if diff := cmp.Diff([]string{"topic-c"}, f.get("owner", customerRG+"2/RESOURCES?$filter=&$expand=createdTime").want(200).names()); diff != "" {
		t.Error(diff)
	}

	item := f.get("owner", customerRG+"/resources?$filter="+url.QueryEscape("name eq 'acc1'")+"&$expand=createdTime,changedTime,provisioningState").want(200).at("value").([]any)[0]
	at := "2026-03-01T09:00:00Z"
	if diff := cmp.Diff(map[string]any{
		"id": account, "name": "acc1", "type": typeStorageAccount, "location": "westeurope", "tags": map[string]any{"env": "x"}, "kind": "StorageV2",
		"sku": map[string]any{"name": "Standard_LRS"}, "identity": map[string]any{"type": "SystemAssigned"}, "createdTime": at, "changedTime": at, "provisioningState": "Succeeded",
	}, item); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	item = f.get("owner", customerRG+"/resources?$filter="+url.QueryEscape("name eq 'pt1'")).at("value").([]any)[0]
	if diff := cmp.Diff([]string{"id", "location", "name", "type"}, keysWithout(item, "identity")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	names, pages := f.follow(customerID + "/resources?$top=4")
	if len(names) != 6 || pages != 2 {
		t.Errorf("%d pages with %v", pages, names)
	}
	f.get("owner", customerID+"/resources?$top=1001").wantError(400, "InvalidRequest", "1000")
	f.get("owner", customerID+"/resources?$filter=color").wantError(400, "InvalidFilterInQueryString", "'color'", "resourceType", "startswith")
	f.post("owner", customerID+"/resources", "").wantError(405, "HttpMethodNotAllowed")
	f.get("owner", customerRG+"9/resources").wantError(404, "ResourceGroupNotFound")
	f.get("owner", "/subscriptions/"+noSub+"/resources").wantError(404, "SubscriptionNotFound")
}

func keysWithout(v any, not string) (out []string) {
	for _, k := range keys(v) {
		if k != not {
			out = append(out, k)
		}
	}
	return out
}

// Who may read only some sees only those.
func TestListsShowWhatTheCallerMayRead(t *testing.T) {
	f := newFixture(t).partnerFlow().storage()
	f.put("owner", customerRG+"2", `{"location":"westeurope"}`).want(201)
	f.put("owner", customerRG+"2"+provider+"/topics/topic-c", `{"location":"westeurope"}`).want(201)
	f.role("reader of one", access.RoleReader, account)
	f.role("reader of a group", access.RoleReader, customerRG+"2")
	f.role("grid", access.RoleEventGridContributor, customerRG)
	f.role("elsewhere", access.RoleOwner, partnerRG)
	for who, want := range map[string][]string{"reader of one": {"acc1"}, "reader of a group": {"topic-c"}, "grid": {"default", "pt1"}} {
		if diff := cmp.Diff(want, f.get(who, customerID+"/resources").want(200).names()); diff != "" {
			t.Errorf("%s: %s", who, diff)
		}
	}
	f.get("elsewhere", customerID+"/resources").wantError(403, "AuthorizationFailed", "Microsoft.Resources/subscriptions/resources/read")
	f.get("reader of one", customerRG+"2/resources").wantError(403, "AuthorizationFailed")
	f.get("elsewhere", "/subscriptions/"+noSub+"/resources").want(403)
}

func TestGroupsByTag(t *testing.T) {
	f := newFixture(t)
	for i := range 30 {
		f.put("owner", fmt.Sprintf("%s-%02d", customerRG, i), fmt.Sprintf(`{"location":"westeurope","managedBy":"/x","tags":{"n":"%d","all":"yes"}}`, i)).want(201)
	}
	at := customerID + "/resourcegroups"
	if got := f.get("owner", at).want(200).names(); len(got) != 31 {
		t.Errorf("%d groups on the first page", len(got))
	}
	if got := f.get("owner", at+"?$filter="+url.QueryEscape("tagName eq 'n' and tagValue eq '7'")).want(200).names(); len(got) != 1 || got[0] != "rg-c-07" {
		t.Errorf("got %v", got)
	}
	if got := f.get("owner", at+"?$filter="+url.QueryEscape("tagName eq 'all' and tagValue eq '7'")).want(200).names(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	f.get("owner", at+"?$filter=x").wantError(400, "InvalidFilterInQueryString")
	if a := f.patch("owner", customerRG+"-07", `{"tags":{"a":"b"}}`).want(200); a.at("managedBy") != "/x" || len(keys(a.at("tags"))) != 1 {
		t.Errorf("got %s", a.raw)
	}
	if a := f.put("owner", customerRG+"-07", `{"location":"westeurope"}`).want(200); a.at("managedBy") != nil {
		t.Errorf("got %s", a.raw)
	}
	f.put("owner", customerRG+"-07", `{"managedBy":5}`).wantError(400, "InvalidRequestContent", "managedBy")
	f.put("owner", customerRG+"-07", `{"tags":{"a?":""}}`).wantError(400, "InvalidRequest", "'a?'")
}

func TestMovesAreNotOffered(t *testing.T) {
	f := newFixture(t)
	f.role("reader", access.RoleReader, customerRG)
	for _, action := range []string{"moveResources", "validateMoveResources"} {
		f.post("owner", customerRG+"/"+action, `{"resources":[],"targetResourceGroup":"x"}`).wantError(409, "ResourceMoveNotSupported", "does not move")
		f.post("reader", customerRG+"/"+action, `{}`).wantError(403, "AuthorizationFailed", action+"/action")
		f.get("owner", customerRG+"/"+action).wantError(405, "HttpMethodNotAllowed")
	}
}

func TestRemainingRequestsAreAnnounced(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.now = f.now.Add(2 * 3600e9)
	for _, c := range []struct{ method, path, header, want string }{
		{"GET", customerRG, remainingReads, "11999"},
		{"GET", customerRG, remainingReads, "11998"},
		{"PUT", customerRG, remainingWrites, "1199"},
		{"POST", topic + "/activate", remainingWrites, "1198"},
		{"PUT", eventSub, remainingResources, "899"},
		{"DELETE", eventSub, remainingResources, "898"},
		{"DELETE", topic, remainingDeletes, "14999"},
		{"GET", "/subscriptions", remainingReads, ""},
	} {
		if got := f.do("owner", c.method, c.path, "{}").header.Get(c.header); got != c.want {
			t.Errorf("%s %s: %s is %q, want %s", c.method, c.path, c.header, got, c.want)
		}
	}
	f.now = f.now.Add(3600e9)
	if got := f.get("owner", customerRG).header.Get(remainingReads); got != "11999" {
		t.Errorf("an hour later %s", got)
	}
	var c countdown
	for range 2 * hourly[remainingResources] {
		if n := c.next(remainingResources, f.now); n < 0 || n > 899 {
			t.Fatalf("%d left", n)
		}
	}
}

func TestRenamingASubscription(t *testing.T) {
	f := newFixture(t)
	f.role("reader", access.RoleReader, customerID)
	at := customerID + "/providers/Microsoft.Subscription/rename"
	if a := f.post("owner", at, `{"subscriptionName":"New name"}`).want(200); a.at("subscriptionId") != customerSub {
		t.Errorf("got %s", a.raw)
	}
	if a := f.get("owner", customerID).want(200); a.at("displayName") != "New name" {
		t.Errorf("got %s", a.raw)
	}
	f.post("owner", at, `{}`).wantError(400, "InvalidRequest", "subscriptionName")
	f.post("owner", at, `[]`).wantError(400, "InvalidRequestContent")
	f.post("owner", at, `{"subscriptionName":"`+strings.Repeat("x", 257)+`"}`).wantError(400, "InvalidRequest")
	f.post("reader", at, `{"subscriptionName":"x"}`).want(403)
	f.get("owner", at).want(405)
	f.post("owner", strings.Replace(at, customerSub, noSub, 1), `{"subscriptionName":"x"}`).wantError(404, "SubscriptionNotFound")
}
