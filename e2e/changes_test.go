package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// change is a management event.
type change struct {
	ID, Topic, Subject, EventType, DataVersion, MetadataVersion string
	Data                                                        struct {
		OperationName, ResourceProvider, ResourceURI, Status, SubscriptionID, TenantID, CorrelationID string
		Authorization                                                                                 struct{ Scope, Action string }
		Claims                                                                                        map[string]string
		HTTPRequest                                                                                   *struct{ Method, URL string }
	}
	raw []byte
}

// changes reads the management events that came to an endpoint.
func changes(t *testing.T, hook *receiver, path string) []change {
	t.Helper()
	var out []change
	for _, got := range hook.byID(path) {
		var c change
		if err := json.Unmarshal(got.body, &c); err != nil {
			t.Fatal(err)
		}
		c.raw = got.body
		out = append(out, c)
	}
	return out
}

// find returns the event of a type about a resource, if it has come.
func find(list []change, kind, subject, operation string) *change {
	for i, c := range list {
		if c.EventType == "Microsoft.Resources."+kind && strings.EqualFold(c.Subject, subject) && strings.EqualFold(c.Data.OperationName, "Microsoft.EventGrid/"+operation) {
			return &list[i]
		}
	}
	return nil
}

// TestManagementEvents subscribes to a subscription and to a resource group, and
// has topics written, used and deleted, with and without success.
func TestManagementEvents(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	subscription := "/subscriptions/" + d.subscription
	group := subscription + "/resourceGroups/" + d.group
	d.subscribeAt(t, subscription, "whole", webhookAs(hook.URL+"/subscription", asGrid))
	d.subscribeAt(t, group, "group", webhookAs(hook.URL+"/group", asGrid))
	d.subscribeAt(t, group, "cloud", webhookAs(hook.URL+"/cloud", asCloud))
	only := webhookAs(hook.URL+"/deletions", asGrid)
	only.Properties.Filter = &armeventgrid.EventSubscriptionFilter{
		IncludedEventTypes: []*string{new("Microsoft.Resources.ResourceDeleteSuccess")}, SubjectBeginsWith: new(strings.ToLower(group)),
	}
	d.subscribeAt(t, subscription, "deletions", only)
	other := newMember(t, s, "other", "Contributor", d.subscription, "")
	other.makeGroup(t)

	topic := d.openTopic(t, "orders", gridInput)
	if a := d.call(t, "PATCH", topic.id, `{"tags":{"a":"b"}}`); a.status/100 != 2 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := d.call(t, "PUT", topic.id, fmt.Sprintf(`{"location":%q,"properties":{"inputSchema":"CloudEventSchemaV1_0"}}`, region)); a.status != 400 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := d.call(t, "POST", topic.id+"/regenerateKey", `{"keyName":"no such key"}`); a.status != 400 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	elsewhere := other.openTopic(t, "elsewhere", gridInput)
	gone, err := d.NewTopicsClient().BeginDelete(t.Context(), d.group, "orders", nil)
	await(t, gone, err)
	d.call(t, "GET", group, "")

	for _, tt := range []struct {
		kind, subject, operation, status, method string
		paths                                    []string
	}{
		{"ResourceWriteSuccess", topic.id, "topics/write", "Succeeded", "", []string{"/subscription", "/group"}},
		{"ResourceWriteFailure", topic.id, "topics/write", "Failed", "PUT", []string{"/subscription", "/group"}},
		{"ResourceActionSuccess", topic.id, "topics/listKeys/action", "Succeeded", "POST", []string{"/subscription", "/group"}},
		{"ResourceActionFailure", topic.id, "topics/regenerateKey/action", "Failed", "POST", []string{"/subscription", "/group"}},
		{"ResourceDeleteSuccess", topic.id, "topics/delete", "Succeeded", "DELETE", []string{"/subscription", "/group", "/deletions"}},
		{"ResourceWriteSuccess", elsewhere.id, "topics/write", "Succeeded", "", []string{"/subscription"}},
	} {
		for _, path := range tt.paths {
			var c *change
			if !cameTrue(t.Context(), 10*time.Second, func() bool {
				c = find(changes(t, hook, path), tt.kind, tt.subject, tt.operation)
				return c != nil
			}) {
				t.Errorf("%s has no %s of %s", path, tt.kind, tt.subject)
				continue
			}
			wantTopic := subscription
			if path == "/group" {
				wantTopic = group
			}
			if c.Topic != wantTopic || c.Subject != tt.subject || c.DataVersion != "2" || c.MetadataVersion != "1" || c.Data.Status != tt.status ||
				c.Data.ResourceURI != tt.subject || c.Data.ResourceProvider != "Microsoft.EventGrid" || c.Data.SubscriptionID != d.subscription ||
				c.Data.TenantID != s.tenant(t) || c.Data.CorrelationID == "" || !strings.EqualFold(c.Data.Authorization.Action, c.Data.OperationName) {
				t.Errorf("%s: %s", path, c.raw)
			}
			if tt.method != "" && (c.Data.HTTPRequest == nil || c.Data.HTTPRequest.Method != tt.method) {
				t.Errorf("%s: no request of %s in %s", path, tt.method, c.raw)
			}
		}
	}
	for _, c := range changes(t, hook, "/group") {
		if strings.Contains(strings.ToLower(c.Subject), "elsewhere") {
			t.Errorf("the group has an event of another group: %s", c.raw)
		}
	}
	for _, c := range changes(t, hook, "/deletions") {
		if c.EventType != "Microsoft.Resources.ResourceDeleteSuccess" {
			t.Errorf("the filter let %s through", c.EventType)
		}
	}
	var claimed *change
	for _, c := range changes(t, hook, "/subscription") {
		if c.Data.Claims["appid"] == d.principal.AppID {
			claimed = &c
		}
		if strings.Contains(string(c.raw), topic.key) || strings.Contains(string(c.raw), "Bearer ") {
			t.Errorf("a secret is in %s", c.raw)
		}
	}
	if claimed == nil {
		t.Error("no event names its caller")
	}
	until(t, 10*time.Second, "the events come as CloudEvents, too", func() bool { return len(hook.byID("/cloud")) > 0 })
	for _, got := range hook.byID("/cloud") {
		if e := fields(t, got.body); e["source"] != group || e["dataschema"] != "#2" || e["specversion"] != "1.0" {
			t.Errorf("%s", got.body)
		}
	}
}

// TestPartnerLearnsOfActivation has the customer activate the partner topic: the
// partner's group gets a write event of its channel, which says nothing of the
// customer.
func TestPartnerLearnsOfActivation(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	for _, name := range []string{"orders", "rejected"} {
		if err := partner.putChannel(t, customer, name); err != nil {
			t.Fatal(err)
		}
	}
	for who, d := range map[string]*side{"partner": partner, "customer": customer} {
		d.subscribeAt(t, "/subscriptions/"+d.subscription+"/resourceGroups/"+d.group, "changes", webhookAs(hook.URL+"/"+who, asGrid))
	}
	customer.activate(t, "orders")
	gone, err := customer.NewPartnerTopicsClient().BeginDelete(t.Context(), customer.group, "rejected", nil)
	await(t, gone, err)
	channel := func(name string) string { return partner.id("partnerNamespaces", namespace, "channels", name) }
	wait := func(path, kind, subject, operation string) {
		t.Helper()
		if !cameTrue(t.Context(), 10*time.Second, func() bool { return find(changes(t, hook, path), kind, subject, operation) != nil }) {
			t.Errorf("%s has no %s of %s", path, kind, subject)
		}
	}
	wait("/partner", "ResourceWriteSuccess", channel("orders"), "partnerNamespaces/channels/write")
	wait("/partner", "ResourceDeleteSuccess", channel("rejected"), "partnerNamespaces/channels/delete")
	wait("/customer", "ResourceActionSuccess", customer.id("partnerTopics", "orders"), "partnerTopics/activate/action")
	wait("/customer", "ResourceDeleteSuccess", customer.id("partnerTopics", "rejected"), "partnerTopics/delete")
	must(partner.NewChannelsClient().Get(t.Context(), partner.group, namespace, "orders", nil))(t)

	// What comes from the customer's acts must not tell who it was, from where.
	correlations := map[string]bool{}
	for _, c := range changes(t, hook, "/customer") {
		correlations[c.Data.CorrelationID] = true
	}
	for _, c := range changes(t, hook, "/partner") {
		if !strings.Contains(c.Subject, "/channels/") {
			continue // its own event subscription
		}
		text := strings.ToLower(string(c.raw))
		for what, secret := range map[string]string{
			"application": customer.principal.AppID, "principal": customer.principal.ObjectID, "subscription": customer.subscription,
			"group": customer.group, "address": "127.0.0.1", "address, IPv6": "::1", "address of the server": strings.TrimPrefix(s.url, "https://"), "act": "activate",
		} {
			if strings.Contains(text, strings.ToLower(secret)) {
				t.Errorf("the partner learns the customer's %s: %s", what, c.raw)
			}
		}
		if correlations[c.Data.CorrelationID] {
			t.Errorf("the partner's event has the customer's correlation id: %s", c.raw)
		}
	}
}
