package eventgrid

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

const account = "/subscriptions/" + customerSub + "/resourceGroups/rg-c/providers/Microsoft.Storage/storageAccounts/acmedata"

func deadLetter(id, container string) string {
	return fmt.Sprintf(`,"deadLetterDestination":{"endpointType":"storageBlob","properties":{"resourceId":%q,"blobContainerName":%q}}`, id, container)
}

func TestEventSubscriptionDefaults(t *testing.T) {
	w := newWorld(t).withSubscription()
	want := &EventSubscription{
		Topic: topicID.String(), ProvisioningState: Succeeded, Schema: CloudEventSchema, Filter: &Filter{}, RetryPolicy: &RetryPolicy{30, 1440},
		Destination: &Destination{EndpointType: WebHook, Properties: &WebHookDestination{EndpointBaseURL: "https://erp.example/hook", MaxEvents: 1, PreferredKB: 64}},
	}
	if diff := cmp.Diff(want, props[EventSubscription](w, subscriptionID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantSecrets := map[string]string{SecretEndpointURL: "https://erp.example/hook?code=marker", SecretValidatedURL: "https://erp.example/hook?code=marker"}
	if diff := cmp.Diff(wantSecrets, w.get(subscriptionID).Secrets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	shown, err := w.kinds[TypePartnerTopicEventSubscription].Present(w.get(subscriptionID), resource.View{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON := `{"topic":"/subscriptions/` + customerSub + `/resourceGroups/rg-c/providers/microsoft.eventgrid/partnertopics/pt1","provisioningState":"Succeeded",` +
		`"labels":null,"eventDeliverySchema":"CloudEventSchemaV1_0","destination":{"endpointType":"WebHook","properties":{"endpointUrl":null,` +
		`"endpointBaseUrl":"https://erp.example/hook","maxEventsPerBatch":1,"preferredBatchSizeInKilobytes":64}},` +
		`"filter":{"subjectBeginsWith":"","subjectEndsWith":""},"retryPolicy":{"maxDeliveryAttempts":30,"eventTimeToLiveInMinutes":1440}}`
	if string(data) != wantJSON {
		t.Errorf("got  %s\nwant %s", data, wantJSON)
	}
	answer, err := w.ask(subscriptionID, "getfullurl", "")
	if data, _ := json.Marshal(answer); err != nil || string(data) != `{"endpointUrl":"https://erp.example/hook?code=marker"}` {
		t.Errorf("getFullUrl: %v, %v", answer, err)
	}
	answer, err = w.ask(subscriptionID, "getdeliveryattributes", "")
	if data, _ := json.Marshal(answer); err != nil || string(data) != `{"value":[]}` {
		t.Errorf("getDeliveryAttributes: %s, %v", data, err)
	}
}

func TestEventSubscriptionRefusals(t *testing.T) {
	hook := func(more string) string { return hookBody("https://x.example/h", more) }
	target := func(more string) string {
		return `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://x.example/h"` + more + `}}}}`
	}
	w := newWorld(t).withChannel()
	for name, c := range map[string]struct {
		body  string
		code  resource.Code
		texts []string
	}{
		"no destination":       {`{}`, resource.InvalidRequest, []string{"'destination' is required"}},
		"null destination":     {`{"properties":{"destination":null}}`, resource.InvalidRequest, []string{"'destination' is required"}},
		"no type":              {`{"properties":{"destination":{"properties":{"endpointUrl":"https://x"}}}}`, resource.InvalidRequest, []string{"endpointType"}},
		"no properties":        {`{"properties":{"destination":{"endpointType":"WebHook"}}}`, resource.InvalidRequest, []string{"'properties'"}},
		"no URL":               {hookBody("", ""), resource.InvalidRequest, []string{"Invalid event subscription request:", "null or empty"}},
		"another kind":         {`{"properties":{"destination":{"endpointType":"eventhub","properties":{"resourceId":"x"}}}}`, resource.InvalidRequest, []string{"EventHub", "not offered"}},
		"no kind of Azure":     {`{"properties":{"destination":{"endpointType":"Pigeon"}}}`, resource.InvalidRequest, []string{"'Pigeon'", "WebHook"}},
		"batch size":           {target(`,"maxEventsPerBatch":5001`), resource.InvalidRequest, []string{"5001", "5000"}},
		"batch bytes":          {target(`,"preferredBatchSizeInKilobytes":1025`), resource.InvalidRequest, []string{"1025", "1024"}},
		"batch below":          {target(`,"maxEventsPerBatch":-1`), resource.InvalidRequest, []string{"-1"}},
		"Entra tenant alone":   {target(`,"azureActiveDirectoryTenantId":"x"`), resource.InvalidRequest, []string{"belong together"}},
		"Entra app alone":      {target(`,"azureActiveDirectoryApplicationIdOrUri":"x"`), resource.InvalidRequest, []string{"belong together"}},
		"Entra tenant a path":  {target(`,"azureActiveDirectoryTenantId":"../x","azureActiveDirectoryApplicationIdOrUri":"x"`), resource.InvalidRequest, []string{"'../x'"}},
		"schema":               {hook(`,"eventDeliverySchema":"eventgridschema"`), resource.InvalidRequest, []string{"EventGridSchema", "CloudEventSchemaV1_0"}},
		"schema of nobody":     {hook(`,"eventDeliverySchema":"Morse"`), resource.InvalidRequest, []string{"CustomInputSchema"}},
		"attempts":             {hook(`,"retryPolicy":{"maxDeliveryAttempts":31}`), resource.InvalidRequest, []string{"maxDeliveryAttempts", "30", "31"}},
		"no attempts":          {hook(`,"retryPolicy":{"maxDeliveryAttempts":0}`), resource.InvalidRequest, []string{"maxDeliveryAttempts", "30"}},
		"time to live":         {hook(`,"retryPolicy":{"eventTimeToLiveInMinutes":1441}`), resource.InvalidRequest, []string{"1440", "1441"}},
		"no time to live":      {hook(`,"retryPolicy":{"eventTimeToLiveInMinutes":0}`), resource.InvalidRequest, []string{"1440"}},
		"retry type":           {hook(`,"retryPolicy":{"maxDeliveryAttempts":"3"}`), resource.InvalidRequestContent, nil},
		"expired":              {hook(`,"expirationTimeUtc":"2026-03-01T09:00:00Z"`), resource.InvalidRequest, []string{"past"}},
		"filter":               {hook(`,"filter":{"advancedFilters":[{"operatorType":"Nonsense","key":"x"}]}`), resource.InvalidRequest, []string{"Invalid event subscription request:", "Nonsense"}},
		"identity":             {hook(`,"deliveryWithResourceIdentity":{}`), resource.InvalidRequest, []string{"managed identity"}},
		"dead-letter identity": {hook(`,"deadLetterWithResourceIdentity":{}`), resource.InvalidRequest, []string{"managed identity"}},
		"dead letter type":     {hook(`,"deadLetterDestination":{"endpointType":"Shredder","properties":{}}`), resource.InvalidRequest, []string{"StorageBlob"}},
		"dead letter nothing":  {hook(`,"deadLetterDestination":{"endpointType":"StorageBlob"}`), resource.InvalidRequest, []string{"resourceId"}},
		"dead letter id":       {hook(deadLetter("acmedata", "dl1")), resource.InvalidRequest, []string{"'acmedata'"}},
		"dead letter type id":  {hook(deadLetter(topicID.String(), "dl1")), resource.InvalidRequest, []string{"storage account"}},
		"dead letter out":      {hook(deadLetter(strings.Replace(account, "acmedata", "..", 1), "dl1")), resource.InvalidRequest, []string{"storage account"}},
		"container upper":      {hook(deadLetter(account, "Dead")), resource.InvalidRequest, []string{"'Dead'"}},
		"container short":      {hook(deadLetter(account, "dl")), resource.InvalidRequest, []string{"'dl'"}},
		"container long":       {hook(deadLetter(account, strings.Repeat("a-", 32)+"a")), resource.InvalidRequest, []string{"63"}},
		"container hyphens":    {hook(deadLetter(account, "a--b")), resource.InvalidRequest, []string{"'a--b'"}},
		"container path":       {hook(deadLetter(account, "../../x")), resource.InvalidRequest, []string{"blobContainerName"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.wantError(w.put(subscriptionID, c.body), c.code, c.texts...)
			if w.exists(subscriptionID) || len(w.hooks.asked) > 0 {
				t.Error("created, or the endpoint was bothered")
			}
		})
	}
	w.t = t
	w.hooks.refuse = errors.New("The endpoint is too far.")
	w.wantError(w.put(subscriptionID, hook("")), resource.InvalidRequest, "Invalid event subscription request: The endpoint is too far.")
	w.hooks.refuse = nil
	w.wantError(w.put(customerGroup.Provider(TypePartnerTopic, "none").Child("eventSubscriptions", "es1"), hook("")), resource.ParentNotFound, "'none'")
}

func TestEventSubscriptionTakesEverythingItKnows(t *testing.T) {
	w := newWorld(t).withChannel()
	w.must(w.put(subscriptionID, hookBody("https://x.example/h#f", `,"labels":["a","b"],"eventDeliverySchema":"cloudeventschemav1_0","expirationTimeUtc":"2027-01-01T00:00:00Z",`+
		`"retryPolicy":{"maxDeliveryAttempts":1,"eventTimeToLiveInMinutes":1},"filter":{"includedEventTypes":["A"],"subjectBeginsWith":"/s","advancedFilters":[{"operatorType":"numbergreaterthan","key":"data.x","value":5}]}`+
		deadLetter(account, "a-b"))))
	p := props[EventSubscription](w, subscriptionID)
	if p.DeadLetter.EndpointType != "StorageBlob" || p.RetryPolicy.MaxDeliveryAttempts != 1 || p.RetryPolicy.EventTimeToLiveInMinutes != 1 || len(p.Labels) != 2 {
		t.Errorf("got %+v", p)
	}
	if data, _ := json.Marshal(p.Filter.AdvancedFilters); !strings.Contains(string(data), `"value":5.0`) || !strings.Contains(string(data), "NumberGreaterThan") {
		t.Errorf("filters: %s", data)
	}
}

// The az client reads a subscription and sends back what reads show: no URL.
func TestFlatPatchKeepsWhatReadsDoNotShow(t *testing.T) {
	const url = "https://erp.example/hook?code=marker"
	w := newWorld(t).withSubscription()
	for _, body := range []string{
		`{"labels":["x"]}`,
		`{}`,
		`{"destination":{"endpointType":"WebHook","properties":{}}}`,
		`{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":null,"endpointBaseUrl":"https://forged.example","maxEventsPerBatch":1}}}`,
		`{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":""}},"filter":{"subjectBeginsWith":"/x"},"retryPolicy":{"maxDeliveryAttempts":3}}`,
		`{"provisioningState":"Failed","topic":"/forged"}`,
	} {
		w.must(w.patch(subscriptionID, body))
		r := w.get(subscriptionID)
		p := props[EventSubscription](w, subscriptionID)
		if r.Secrets[SecretEndpointURL] != url || r.Secrets[SecretValidatedURL] != url || w.hook().EndpointBaseURL != "https://erp.example/hook" {
			t.Fatalf("after %s: %v, %+v", body, r.Secrets, w.hook())
		}
		if p.ProvisioningState != Succeeded {
			t.Errorf("after %s: %s", body, p.ProvisioningState)
		}
		if last := w.hooks.asked[len(w.hooks.asked)-1]; last.URL != url {
			t.Errorf("asked %s", last.URL)
		}
	}
	p := props[EventSubscription](w, subscriptionID)
	if diff := cmp.Diff(&RetryPolicy{3, 1440}, p.RetryPolicy); diff != "" || p.Filter.SubjectBeginsWith != "/x" || len(p.Labels) != 1 {
		t.Errorf("got %+v, %s", p, diff)
	}
	w.must(w.patch(subscriptionID, `{"labels":null,"filter":null,"retryPolicy":null,"deadLetterDestination":null}`))
	p = props[EventSubscription](w, subscriptionID)
	if diff := cmp.Diff(&RetryPolicy{30, 1440}, p.RetryPolicy); diff != "" || p.Filter.SubjectBeginsWith != "" || p.Labels != nil {
		t.Errorf("after nulls: %+v, %s", p, diff)
	}
	w.wantError(w.patch(subscriptionID, `{"destination":null}`), resource.InvalidRequest, "required")
	w.wantError(w.patch(subscriptionID, `{"eventDeliverySchema":"EventGridSchema"}`), resource.InvalidRequest, "eventDeliverySchema")
	w.must(w.put(subscriptionID, `{"properties":{"destination":{"endpointType":"WebHook","properties":{}}}}`)) // PUT of what GET showed
	if got := w.get(subscriptionID).Secrets[SecretEndpointURL]; got != url {
		t.Errorf("after a PUT without URL: %s", got)
	}
}

func TestATopicHasRoomFor500Subscriptions(t *testing.T) {
	w := newWorld(t).withSubscription()
	for i := range DefaultLimits().SubscriptionsPerTopic - 1 {
		r := w.get(subscriptionID).Clone()
		r.ID = topicID.Child("eventSubscriptions", fmt.Sprintf("filler-%d", i))
		w.all.Put(r)
	}
	w.wantError(w.put(topicID.Child("eventSubscriptions", "one-more"), hookBody("https://x.example", "")), resource.Conflict, "500", "'pt1'")
	w.must(w.patch(subscriptionID, `{"labels":["still works"]}`))
}

// A condition can be taken away only by leaving it out, so a PATCH of the filter
// cannot be a merge.
func TestPatchReplacesTheFilter(t *testing.T) {
	w := newWorld(t).withSubscription()
	w.must(w.patch(subscriptionID, `{"filter":{"subjectBeginsWith":"/x","includedEventTypes":["A"],"advancedFilters":[{"operatorType":"IsNotNull","key":"data.k"}]}}`))
	w.must(w.patch(subscriptionID, `{"filter":{"subjectEndsWith":"/y"}}`))
	f := props[EventSubscription](w, subscriptionID).Filter
	if f.SubjectBeginsWith != "" || f.SubjectEndsWith != "/y" || f.IncludedEventTypes != nil || f.AdvancedFilters != nil {
		t.Errorf("got %+v", f)
	}
}
