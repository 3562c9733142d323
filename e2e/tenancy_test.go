package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"
)

// operation is one management request of the partner's flow. In its path, NAME
// stands for a resource that is there or is not.
type operation struct{ method, path, body string }

// partnerOperations and customerOperations are all that each side can do with
// its own; the other side may do none of it.
var (
	partnerOperations = []operation{
		{"GET", "/partnerRegistrations", ""},
		{"GET", "/partnerRegistrations/NAME", ""},
		{"PUT", "/partnerRegistrations/NAME", `{"location":"global"}`},
		{"PATCH", "/partnerRegistrations/NAME", `{"tags":{"a":"b"}}`},
		{"DELETE", "/partnerRegistrations/NAME", ""},
		{"GET", "/partnerNamespaces", ""},
		{"GET", "/partnerNamespaces/NAME", ""},
		{"HEAD", "/partnerNamespaces/NAME", ""},
		{"PUT", "/partnerNamespaces/NAME", `{"location":"westeurope"}`},
		{"PATCH", "/partnerNamespaces/NAME", `{"properties":{"disableLocalAuth":true}}`},
		{"DELETE", "/partnerNamespaces/NAME", ""},
		{"POST", "/partnerNamespaces/NAME/listKeys", ""},
		{"POST", "/partnerNamespaces/NAME/regenerateKey", `{"keyName":"key1"}`},
		{"GET", "/partnerNamespaces/NAME/channels", ""},
		{"GET", "/partnerNamespaces/NAME/channels/NAME", ""},
		{"PUT", "/partnerNamespaces/NAME/channels/NAME", `{}`},
		{"PATCH", "/partnerNamespaces/NAME/channels/NAME", `{}`},
		{"DELETE", "/partnerNamespaces/NAME/channels/NAME", ""},
	}
	customerOperations = []operation{
		{"GET", "/partnerConfigurations", ""},
		{"GET", "/partnerConfigurations/default", ""},
		{"PUT", "/partnerConfigurations/default", `{}`},
		{"PATCH", "/partnerConfigurations/default", `{}`},
		{"DELETE", "/partnerConfigurations/default", ""},
		{"POST", "/partnerConfigurations/default/authorizePartner", `{"partnerName":"x"}`},
		{"POST", "/partnerConfigurations/default/unauthorizePartner", `{"partnerName":"x"}`},
		{"GET", "/partnerTopics", ""},
		{"GET", "/partnerTopics/NAME", ""},
		{"PUT", "/partnerTopics/NAME", `{"location":"westeurope"}`},
		{"PATCH", "/partnerTopics/NAME", `{"tags":{"a":"b"}}`},
		{"POST", "/partnerTopics/NAME/activate", ""},
		{"POST", "/partnerTopics/NAME/deactivate", ""},
		{"DELETE", "/partnerTopics/NAME", ""},
		{"GET", "/partnerTopics/NAME/eventSubscriptions", ""},
		{"GET", "/partnerTopics/NAME/eventSubscriptions/NAME", ""},
		{"PUT", "/partnerTopics/NAME/eventSubscriptions/NAME", `{"properties":{}}`},
		{"PATCH", "/partnerTopics/NAME/eventSubscriptions/NAME", `{}`},
		{"DELETE", "/partnerTopics/NAME/eventSubscriptions/NAME", ""},
		{"POST", "/partnerTopics/NAME/eventSubscriptions/NAME/getFullUrl", ""},
		{"POST", "/partnerTopics/NAME/eventSubscriptions/NAME/getDeliveryAttributes", ""},
	}
)

// TestStrangersSeeNothing tries every operation of each side as the other: 403,
// with the same words whether the resource is there or not, and nothing changes.
func TestStrangersSeeNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	// One name for everything, so that NAME can stand for all of it.
	const name = namespace
	connect(t, partner, customer, name, hook.URL+"/orders")
	p, err := customer.NewPartnerTopicEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), customer.group, name, name, webhook(hook.URL+"/orders"), nil)
	await(t, p, err)
	for _, tt := range []struct {
		who        string
		in, by     *side
		operations []operation
	}{
		{"customer", partner, customer, partnerOperations},
		{"partner", customer, partner, customerOperations},
	} {
		eg := "/subscriptions/" + tt.in.subscription + "/resourceGroups/" + tt.in.group + "/providers/Microsoft.EventGrid"
		for _, op := range tt.operations {
			there := tt.by.call(t, op.method, eg+strings.ReplaceAll(op.path, "NAME", name), op.body)
			absent := tt.by.call(t, op.method, eg+strings.ReplaceAll(op.path, "NAME", "nothing-there"), op.body)
			nowhere := tt.by.call(t, op.method, strings.Replace(eg, tt.in.group, "rg-nowhere", 1)+strings.ReplaceAll(op.path, "NAME", name), op.body)
			if there.status != 403 || absent.status != 403 || nowhere.status != 403 {
				t.Errorf("%s: %s %s: %d, %d without the resource, %d without the group", tt.who, op.method, op.path, there.status, absent.status, nowhere.status)
			}
			if op.method == http.MethodHead {
				continue
			}
			if there.code() != "AuthorizationFailed" || strings.ReplaceAll(string(there.body), name, "nothing-there") != string(absent.body) ||
				strings.Replace(string(there.body), tt.in.group, "rg-nowhere", 1) != string(nowhere.body) {
				t.Errorf("%s: %s %s tells whether it is there:\n%s\n%s\n%s", tt.who, op.method, op.path, there.body, absent.body, nowhere.body)
			}
		}
		inARM := "/subscriptions/" + tt.in.subscription
		for _, op := range []operation{
			{"GET", inARM, ""},
			{"GET", inARM + "/resourceGroups", ""},
			{"GET", inARM + "/resourceGroups/" + tt.in.group, ""},
			{"PUT", inARM + "/resourceGroups/mine", `{"location":"westeurope"}`},
			{"DELETE", inARM + "/resourceGroups/" + tt.in.group, ""},
			{"GET", inARM + "/providers", ""},
			{"POST", inARM + "/providers/Microsoft.EventGrid/unregister", ""},
			{"GET", inARM + "/providers/Microsoft.EventGrid/partnerTopics", ""},
			{"GET", inARM + "/providers/Microsoft.EventGrid/partnerNamespaces", ""},
			{"GET", inARM + "/providers/Microsoft.Authorization/roleAssignments", ""},
			{"PUT", inARM + "/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001", `{"properties":{}}`},
		} {
			if a := tt.by.call(t, op.method, op.path, op.body); a.status != 403 {
				t.Errorf("%s: %s %s: %d %.200s", tt.who, op.method, op.path, a.status, a.body)
			}
		}
		listed := tt.by.call(t, "GET", "/subscriptions", "")
		if strings.Contains(string(listed.body), tt.in.subscription) || !strings.Contains(string(listed.body), tt.by.subscription) {
			t.Errorf("%s lists %s", tt.who, listed.body)
		}
	}
	for path, d := range map[string]*side{
		partner.id("partnerNamespaces", name, "channels", name):                partner,
		customer.id("partnerTopics", name, "eventSubscriptions", name):         customer,
		customer.id("partnerConfigurations", "default"):                        customer,
		partner.id("partnerRegistrations", registration):                       partner,
		customer.id("partnerTopics", name, "eventSubscriptions", "to-erp"):     customer,
		partner.id("partnerNamespaces", name) + "?api-version=2025-02-15":      partner,
		customer.id("partnerTopics", name) + "?api-version=2021-10-15-preview": customer,
	} {
		if a := d.call(t, "GET", path, ""); a.status != 200 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// TestRoles gives principals less than everything.
func TestRoles(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders?code=s3cr3t")
	ns, sub := partner.id("partnerNamespaces", namespace), customer.id("partnerTopics", "orders", "eventSubscriptions", "to-erp")
	sender := newMember(t, s, "sender", "EventGrid Data Sender", partner.subscription, ns)
	reader := newMember(t, s, "reader", "Reader", partner.subscription, "")
	viewer := newMember(t, s, "viewer", "Reader", customer.subscription, "")
	manager := newMember(t, s, "manager", "EventGrid Contributor", partner.subscription, "")
	assignment := func(scope string) string {
		return scope + "/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-00000000000a?api-version=2022-04-01"
	}
	owner := fmt.Sprintf(`{"properties":{"roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/8e3af657-a8ff-443c-a75c-2fe8c4bcb635","principalId":%q,"principalType":"ServicePrincipal"}}`,
		partner.principal.ObjectID)
	for _, tt := range []struct {
		who                string
		by                 *side
		method, path, body string
		status             int
	}{
		{"reader", reader, "GET", ns, "", 200},
		{"reader", reader, "POST", ns + "/listKeys", "", 403},
		{"reader", reader, "POST", ns + "/regenerateKey", `{"keyName":"key1"}`, 403},
		{"reader", reader, "PATCH", ns, `{"tags":{}}`, 403},
		{"viewer", viewer, "GET", sub, "", 200},
		{"viewer", viewer, "POST", sub + "/getFullUrl", "", 403},
		{"viewer", viewer, "POST", sub + "/getDeliveryAttributes", "", 403},
		{"viewer", viewer, "POST", customer.id("partnerTopics", "orders") + "/deactivate", "", 403},
		{"sender", sender, "GET", ns, "", 200},
		{"sender", sender, "POST", ns + "/listKeys", "", 403},
		{"sender", sender, "DELETE", ns, "", 403},
		{"sender", sender, "PUT", ns + "/channels/mine", "{}", 403},
		{"sender", sender, "GET", partner.id("partnerRegistrations", registration), "", 403},
		{"manager", manager, "POST", ns + "/listKeys", "", 200},
		{"manager", manager, "PUT", "/subscriptions/" + partner.subscription + "/resourceGroups/more", `{"location":"westeurope"}`, 403},
		{"contributor", partner, "PUT", assignment("/subscriptions/" + partner.subscription), owner, 403},
		{"contributor", partner, "PUT", assignment(ns), owner, 403},
		{"contributor", partner, "PUT", assignment("/subscriptions/" + customer.subscription), owner, 403},
		{"contributor", partner, "PUT", assignment(""), owner, 403},
		{"contributor", partner, "PUT", "/providers/Microsoft.Subscription/aliases/mine?api-version=2021-10-01", `{"properties":{"displayName":"x"}}`, 403},
	} {
		if a := tt.by.call(t, tt.method, tt.path, tt.body); a.status != tt.status {
			t.Errorf("%s: %s %s: %d, want %d: %.300s", tt.who, tt.method, tt.path, a.status, tt.status, a.body)
		} else if strings.Contains(string(a.body), "s3cr3t") {
			t.Errorf("%s: %s %s shows the secret part of the URL", tt.who, tt.method, tt.path)
		}
	}
	endpoint := publisherOf(t, partner, "orders").endpoint
	for _, tt := range []struct {
		who    string
		by     *side
		status int
	}{{"sender", sender, 200}, {"reader", reader, 403}, {"manager", manager, 403}, {"customer", customer, 403}} {
		c := must(azeventgrid.NewClient(endpoint, tt.by.credential, &azeventgrid.ClientOptions{ClientOptions: s.clientOptions()}))(t)
		_, err := c.PublishCloudEvents(t.Context(), []messaging.CloudEvent{{ID: tt.who, Source: "/s", Type: "t", SpecVersion: "1.0"}},
			&azeventgrid.PublishCloudEventsOptions{AegChannelName: new("orders")})
		if tt.status == 200 {
			if err != nil {
				t.Errorf("%s: %v", tt.who, err)
			}
			continue
		}
		wantRefusal(t, err, tt.status, "Forbidden")
	}
	until(t, 10*time.Second, "the sender's event arrives", func() bool { return hook.hasAll("/orders", []string{"sender"}) })
	checkDirectoryIsClosed(t, partner)
	checkLostRole(t, s, partner, sender)
}

// checkDirectoryIsClosed: a Contributor must not make principals, or give
// secrets to the ones there are.
func checkDirectoryIsClosed(t *testing.T, d *side) {
	t.Helper()
	token := d.token(t, d.server.url+"/graph/.default")
	header := map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}
	for _, op := range []operation{
		{"POST", "/graph/v1.0/applications", `{"displayName":"mine"}`},
		{"POST", "/graph/v1.0/applications/" + d.principal.ObjectID + "/addPassword", `{}`},
	} {
		a, err := d.server.send(t.Context(), op.method, d.server.url+op.path, header, []byte(op.body))
		if err != nil || a.status != 403 && a.status != 404 {
			t.Errorf("%s %s: %d %s %v", op.method, op.path, a.status, a.body, err)
		}
	}
}

// checkLostRole: a role that is taken away is gone at once, tokens or not.
func checkLostRole(t *testing.T, s *server, partner, sender *side) {
	t.Helper()
	op := operator(t, s)
	scope := partner.id("partnerNamespaces", namespace)
	var assignments struct {
		Value []struct {
			ID         string
			Properties struct{ PrincipalID string }
		}
	}
	if err := op.Get(t.Context(), scope+"/providers/Microsoft.Authorization/roleAssignments", "2022-04-01", &assignments); err != nil {
		t.Fatal(err)
	}
	for _, a := range assignments.Value {
		if a.Properties.PrincipalID == sender.principal.ObjectID {
			if err := op.Do(t.Context(), http.MethodDelete, a.ID, "2022-04-01", nil, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a := sender.call(t, "GET", scope, ""); a.status != 403 {
		t.Errorf("without its role the sender reads: %d", a.status)
	}
	c := must(azeventgrid.NewClient(publisherOf(t, partner, "").endpoint, sender.credential, &azeventgrid.ClientOptions{ClientOptions: s.clientOptions()}))(t)
	_, err := c.PublishCloudEvents(t.Context(), []messaging.CloudEvent{{ID: "1", Source: "/s", Type: "t", SpecVersion: "1.0"}},
		&azeventgrid.PublishCloudEventsOptions{AegChannelName: new("orders")})
	wantRefusal(t, err, 403, "Forbidden")
}
