package armclient_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/armclient/armfake"
)

func newServer(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestPartnerFlow(t *testing.T) {
	s := armfake.Start(t)
	c := s.Client(t)
	type told struct {
		Step   armclient.Step
		Detail string
	}
	var steps []told
	flow := armclient.PartnerFlow{
		Partner:      armclient.Party{Client: c, Subscription: "sp", Group: "gp"},
		Customer:     armclient.Party{Client: c, Subscription: "sc", Group: "gc"},
		Registration: "reg", Namespace: "ns", PartnerTopic: "orders", Source: "/src", EventTypes: []string{"A"},
		Subscriptions: []armclient.EventSubscription{
			{Name: "one", URL: "http://h/one", Filter: map[string]any{"includedEventTypes": []string{"A"}}},
			{Name: "two", URL: "http://h/two"},
		},
		Done: func(step armclient.Step, detail string) { steps = append(steps, told{step, detail}) },
	}
	got, err := flow.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	topic := "/subscriptions/sc/resourceGroups/gc/providers/Microsoft.EventGrid/partnerTopics/orders"
	want := armclient.Stream{Endpoint: s.URL() + "/ns/api/events", Key: "key-one", Channel: "orders", PartnerTopic: topic}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	immutable := s.Resource(eg("sp", "gp", "partnerRegistrations/reg"))["properties"].(map[string]any)["partnerRegistrationImmutableId"]
	if diff := cmp.Diff([]told{
		{armclient.NamespaceOpened, want.Endpoint},
		{armclient.PartnerAuthorized, immutable.(string)},
		{armclient.ChannelCreated, "orders"},
		{armclient.TopicActivated, "orders"},
		{armclient.EventsSubscribed, "one"},
		{armclient.EventsSubscribed, "two"},
	}, steps); diff != "" {
		t.Error(diff)
	}

	namespace := s.Resource(eg("sp", "gp", "partnerNamespaces/ns"))["properties"].(map[string]any)
	if namespace["partnerTopicRoutingMode"] != "ChannelNameHeader" ||
		namespace["partnerRegistrationFullyQualifiedId"] != eg("sp", "gp", "partnerRegistrations/reg") {
		t.Errorf("namespace %v", namespace)
	}
	info := s.Resource(eg("sp", "gp", "partnerNamespaces/ns/channels/orders"))["properties"].(map[string]any)["partnerTopicInfo"].(map[string]any)
	delete(info, "eventTypeInfo")
	if diff := cmp.Diff(map[string]any{
		"azureSubscriptionId": "sc", "resourceGroupName": "gc", "name": "orders", "source": "/src",
	}, info); diff != "" {
		t.Error(diff)
	}
	one := s.Resource(topic + "/eventSubscriptions/one")["properties"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"includedEventTypes": []any{"A"}}, one["filter"]); diff != "" {
		t.Error(diff)
	}
	if two := s.Resource(topic + "/eventSubscriptions/two")["properties"].(map[string]any); two["filter"] != nil {
		t.Errorf("no filter was asked for: %v", two["filter"])
	}

	// A second run keeps what is there: the customer's list of partners above all.
	before := len(s.Calls())
	if _, err := flow.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, call := range s.Calls()[before:] {
		if strings.HasPrefix(call, "PUT ") && !strings.Contains(call, "/eventSubscriptions/") {
			t.Errorf("second run: %s", call)
		}
	}
	if !slices.Contains(s.Calls()[before:], "POST "+eg("sc", "gc", "partnerConfigurations/default/authorizePartner")) {
		t.Error("the second run did not renew the authorization")
	}
}

func TestPartnerFlowStopsAtTheFirstRefusal(t *testing.T) {
	s := armfake.Start(t)
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/authorizePartner") {
			armfake.Refuse(w, http.StatusForbidden, "AuthorizationFailed", "not you")
			return true
		}
		return false
	}
	c := s.Client(t)
	_, err := armclient.PartnerFlow{
		Partner:      armclient.Party{Client: c, Subscription: "sp", Group: "gp"},
		Customer:     armclient.Party{Client: c, Subscription: "sc", Group: "gc"},
		Registration: "reg", Namespace: "ns", PartnerTopic: "orders",
	}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "authorizing the partner in group gc") || !strings.Contains(err.Error(), "not you") {
		t.Errorf("error %v", err)
	}
	if ids := s.Resources("/channels/"); len(ids) != 0 {
		t.Errorf("channels %v", ids)
	}
}

func eg(subscription, group, rest string) string {
	return "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/Microsoft.EventGrid/" + rest
}
