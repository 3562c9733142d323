package eventgrid

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

func (w *world) delivery(es resource.ID) Delivery {
	w.t.Helper()
	d, err := DestinationOf(w.all, w.get(es))
	w.must(err)
	return d
}

// sending returns a world with an event subscription to a partner destination.
func sending(t *testing.T) *world {
	w := newWorld(t).withChannel()
	w.must(w.post(topicID, "activate", ""))
	w.withDestination()
	w.must(w.put(destinationES, toDestination("")))
	return w
}

func TestSubscriptionToAPartnerDestination(t *testing.T) {
	w := sending(t)
	const shown = `"provisioningState":"Succeeded","labels":null,"eventDeliverySchema":"CloudEventSchemaV1_0","destination":{"endpointType":"PartnerDestination","properties":{"resourceId":"/subscriptions/` +
		customerSub + `/resourceGroups/rg-c/providers/Microsoft.EventGrid/partnerDestinations/to-northwave"}},"filter":{"subjectBeginsWith":"","subjectEndsWith":""}`
	if got := w.show(destinationES, resource.ID{}); !strings.Contains(got, shown) {
		t.Errorf("got %s", got)
	}
	if len(w.hooks.asked) > 0 {
		t.Errorf("asked %+v", w.hooks.asked)
	}
	want := Delivery{
		Type: ToPartnerDestination, State: Open, URL: partnerURL, Protection: Protection{"44444444-aaaa-4bbb-8ccc-000000000004", "api://northwave-inbound", partnerSub},
		Attributes: []Attribute{}, MaxEvents: 1, PreferredKB: 64,
	}
	if diff := cmp.Diff(want, w.delivery(destinationES)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	answer, err := w.ask(destinationES, "getfullurl", "")
	if data, _ := json.Marshal(answer); err != nil || string(data) != `{"endpointUrl":null}` {
		t.Errorf("getFullUrl: %s, %v", data, err)
	}
	answer, err = w.ask(destinationES, "getdeliveryattributes", "")
	if data, _ := json.Marshal(answer); err != nil || string(data) != `{"value":[]}` {
		t.Errorf("getDeliveryAttributes: %s, %v", data, err)
	}
	w.must(w.patch(destinationES, `{"labels":["x"]}`))
	w.must(w.put(destinationES, `{"properties":`+w.show(destinationES, resource.ID{})+`}`))
}

func TestDestinationFollowsItsChannel(t *testing.T) {
	w := sending(t)
	w.must(w.patch(inboundID, `{"properties":{"partnerDestinationInfo":{"properties":{"endpointUrl":"https://new.example/in?code=2","clientAuthentication":null}}}}`))
	if d := w.delivery(destinationES); d.State != Open || d.URL != "https://new.example/in?code=2" || d.TenantID != "" {
		t.Errorf("got %+v", d)
	}
	if diff := cmp.Diff([]resource.ID{destinationES}, subscriptionsTo(w.all, partnerDestinationID), cmp.Comparer(resource.ID.Equal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := subscriptionsTo(w.all, customerGroup.Provider(TypePartnerDestination, "other")); got != nil {
		t.Errorf("got %v", got)
	}
	// The subscription stays when the destination goes, and keeps its events.
	w.must(w.delete(inboundID))
	const gone = "the partner destination '/subscriptions/" + customerSub + "/resourceGroups/rg-c/providers/Microsoft.EventGrid/partnerDestinations/to-northwave' "
	if d := w.delivery(destinationES); d.State != Closed || d.Reason != gone+"does not exist any more" || d.URL != "" {
		t.Errorf("got %+v", d)
	}
	w.wantError(w.patch(destinationES, `{"labels":["y"]}`), resource.InvalidRequest, "Invalid event subscription request: "+gone+"does not exist.")
	// Another one of the same name gets nothing until it is activated, and then
	// not before the customer has said so.
	w.must(w.put(inboundID, inboundBody(inboundIs, "")))
	if d := w.delivery(destinationES); d.State != Closed || d.URL != "" {
		t.Errorf("got %+v", d)
	}
	w.must(w.post(partnerDestinationID, "activate", ""))
	if d := w.delivery(destinationES); d.State != Closed || d.URL != "" || !strings.Contains(d.Reason, "created anew") {
		t.Errorf("got %+v", d)
	}
	w.must(w.patch(destinationES, `{}`))
	if d := w.delivery(destinationES); d.State != Open || d.URL != partnerURL {
		t.Errorf("got %+v", d)
	}
	r := w.get(partnerDestinationID)
	w.must(change(w.all, r, "x", w.now, func(p *PartnerDestination) { p.ActivationState = NeverActivated }))
	if d := w.delivery(destinationES); d.State != Closed || d.Reason != gone+"is NeverActivated" {
		t.Errorf("got %+v", d)
	}
	w.all.Put(r)
	w.all.Delete(inboundID)
	if d := w.delivery(destinationES); d.State != Closed || !strings.HasSuffix(d.Reason, "does not exist any more") {
		t.Errorf("got %+v", d)
	}
}

func TestPartnerDestinationRefusals(t *testing.T) {
	const is = "Invalid event subscription request: "
	to := func(id string) string {
		return fmt.Sprintf(`{"properties":{"destination":{"endpointType":"PartnerDestination","properties":{"resourceId":%q}}}}`, id)
	}
	path := "'" + partnerDestinationID.String() + "'"
	for name, c := range map[string]struct {
		body string
		text string
	}{
		"no id":           {to(""), is + "destination.properties.resourceId '' is not the id of a partner destination."},
		"another type":    {to(topicID.String()), "is not the id of a partner destination."},
		"none there":      {to(strings.Replace(partnerDestinationID.String(), "to-northwave", "none", 1)), "/none' does not exist."},
		"not activated":   {toDestination(""), is + "the partner destination " + path + " is NeverActivated; activate it first."},
		"no properties":   {`{"properties":{"destination":{"endpointType":"PartnerDestination"}}}`, is + "the destination needs 'endpointType' and 'properties'."},
		"null properties": {`{"properties":{"destination":{"endpointType":"PartnerDestination","properties":null}}}`, is + "the destination needs 'endpointType' and 'properties'."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withChannel()
			w.must(w.put(inboundID, inboundBody(inboundIs, "")))
			w.wantError(w.put(destinationES, c.body), resource.InvalidRequest, c.text)
			if w.exists(destinationES) {
				t.Error("created")
			}
		})
	}
}

// A partner destination takes CloudEvents, whatever its topic does.
func TestPartnerDestinationsTakeCloudEvents(t *testing.T) {
	w, topics := everyTopic(t, "EventGridSchema")
	w.withDestination()
	for typ, topic := range topics {
		id := topic.Child("eventSubscriptions", "es1")
		for _, schema := range []string{"EventGridSchema", "CustomInputSchema"} {
			w.wantError(w.put(id, toDestination(`,"eventDeliverySchema":"`+schema+`"`)), resource.InvalidRequest,
				"Invalid event subscription request: a destination of endpointType 'PartnerDestination' takes events as CloudEventSchemaV1_0 only, not as "+schema+".")
		}
		w.must(w.put(id, toDestination("")))
		if got := props[EventSubscription](w, id).Schema; got != CloudEventSchema {
			t.Errorf("%s: %s", typ, got)
		}
	}
	if got := subscriptionsTo(w.all, partnerDestinationID); len(got) != len(topics) {
		t.Errorf("%d of %d subscriptions: %v", len(got), len(topics), got)
	}
	// The schema of a subscription is fixed, so its destination cannot become one
	// that does not take it.
	other := customTopicID.Child("eventSubscriptions", "es2")
	w.must(w.put(other, hookBody("https://x.example", "")))
	w.wantError(w.patch(other, `{"destination":{"endpointType":"PartnerDestination","properties":{"resourceId":"`+partnerDestinationID.String()+`"}}}`),
		resource.InvalidRequest, "takes events as CloudEventSchemaV1_0 only, not as EventGridSchema.")
}

func TestWhoMayUseAPartnerDestination(t *testing.T) {
	w := newWorld(t).withChannel().withDestination()
	denied := resource.Errorf(resource.AuthorizationFailed, "no")
	for _, c := range []struct {
		action string
		scope  resource.ID
	}{{TypePartnerDestination + "/write", partnerDestinationID}, {TypeEventSubscription + "/write", topicID}} {
		asked := false
		w.authorize = func(action string, scope resource.ID) error {
			if action == c.action && scope.Equal(c.scope) {
				asked = true
				return denied
			}
			return nil
		}
		w.wantError(w.put(destinationES, toDestination("")), resource.AuthorizationFailed, "no")
		if !asked || w.exists(destinationES) {
			t.Errorf("%s at %s was not asked for, or the subscription is there", c.action, c.scope)
		}
	}
	// One who may not see it does not learn whether it exists.
	w.authorize = func(string, resource.ID) error { return denied }
	w.wantError(w.put(destinationES, strings.Replace(toDestination(""), "to-northwave", "none", 1)), resource.AuthorizationFailed, "no")
	w.authorize = func(string, resource.ID) error { return nil }
	w.must(w.put(destinationES, toDestination("")))
	// Once bound, others may change the rest.
	w.authorize = func(string, resource.ID) error { return denied }
	w.must(w.patch(destinationES, `{"labels":["x"]}`))
}

func TestDestinationsOfAnotherKind(t *testing.T) {
	w := sending(t)
	w.must(w.put(subscriptionID, hookWith("", static("x-key", "v", true))))
	w.must(w.patch(subscriptionID, `{"destination":{"endpointType":"PartnerDestination","properties":{"resourceId":"`+partnerDestinationID.String()+`"}}}`))
	want := map[string]string{secretDestinationUID: w.get(partnerDestinationID).UID.String()}
	if diff := cmp.Diff(want, w.get(subscriptionID).Secrets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Back again it needs its URL, and consent.
	w.wantError(w.patch(subscriptionID, `{"destination":{"endpointType":"WebHook","properties":{}}}`), resource.InvalidRequest, "null or empty")
	w.hooks.granted = false
	w.must(w.patch(subscriptionID, `{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://x.example/h"}}}`))
	if d := w.delivery(subscriptionID); d.State != Unconsented || d.URL != "" || d.Type != WebHook {
		t.Errorf("got %+v", d)
	}
	w.hooks.granted = true
	w.must(w.put(subscriptionID, hookWith(entra+`,"maxEventsPerBatch":7,"minimumTlsVersionAllowed":"1.2"`, static("x-key", "v", true))))
	delivery := Delivery{
		Type: WebHook, State: Open, URL: "https://x.example/h", Protection: Protection{"44444444-aaaa-4bbb-8ccc-000000000004", "api://erp", customerSub},
		Attributes: []Attribute{{Name: "x-key", Type: StaticAttribute, Value: "v", Secret: true}}, Batch: true, MaxEvents: 7, PreferredKB: 64, MinimumTLSVersion: "1.2",
	}
	if diff := cmp.Diff(delivery, w.delivery(subscriptionID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Between the handshake and the write the destination can become another.
func TestDestinationChangedWhileTheEndpointWasAsked(t *testing.T) {
	w := sending(t)
	w.must(w.put(subscriptionID, hookBody("https://x.example/h", "")))
	w.hooks.beforeCommit = func() {
		w.hooks.beforeCommit = nil
		w.must(w.put(subscriptionID, toDestination("")))
	}
	w.wantError(w.patch(subscriptionID, `{"labels":["x"]}`), resource.Conflict, "changed by another request meanwhile")
	w.hooks.beforeCommit = func() {
		w.hooks.beforeCommit = nil
		w.must(w.put(subscriptionID, hookBody("https://x.example/h", "")))
	}
	w.wantError(w.patch(subscriptionID, `{"labels":["x"]}`), resource.Conflict, "changed by another request meanwhile")
}

// Every kind of destination that is offered can be decoded, and nothing else.
func TestKindsOfDestinations(t *testing.T) {
	for kind, build := range destinationKinds {
		var d Destination
		if err := json.Unmarshal([]byte(`{"endpointType":"`+strings.ToUpper(string(kind))+`","properties":{}}`), &d); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if d.EndpointType != kind || fmt.Sprintf("%T", d.Properties) != fmt.Sprintf("%T", build()) {
			t.Errorf("%s became %+v", kind, d)
		}
	}
}
