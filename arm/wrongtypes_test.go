package arm

import (
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ours is what an error text must not hold: words of the language and the names of
// its types, as packages of the standard library put them into theirs.
var ours = regexp.MustCompile(`\bGo\b|json:|\bunmarshal|\bstrconv\.|\btime\.|\bjson\.|\breflect\.|runtime error|` +
	`\b(resource|eventgrid|arm|template|filter|access)\.[A-Z]|\bu?int(8|16|32|64)\b|\bfloat64\b|\bstruct\b|interface ?\{|map\[|\[\]\w`)

// fullBodies are bodies with as many members as there are: what the operations of
// the walk leave out.
func fullBodies() []step {
	const es = `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://erp.example/hook","maxEventsPerBatch":1,"preferredBatchSizeInKilobytes":64,` +
		`"azureActiveDirectoryTenantId":"contoso.example","azureActiveDirectoryApplicationIdOrUri":"api://erp","minimumTlsVersionAllowed":"1.2",` +
		`"deliveryAttributeMappings":[{"name":"x-a","type":"Static","properties":{"value":"1","isSecret":true}},{"name":"x-b","type":"Dynamic","properties":{"sourceField":"data.id"}}]}},` +
		`"filter":{"subjectBeginsWith":"a","subjectEndsWith":"b","isSubjectCaseSensitive":true,"includedEventTypes":["A"],"enableAdvancedFilteringOnArrays":true,` +
		`"advancedFilters":[{"operatorType":"NumberIn","key":"data.n","values":[1]},{"operatorType":"BoolEquals","key":"data.b","value":true}]},` +
		`"labels":["a"],"eventDeliverySchema":"EventGridSchema","retryPolicy":{"maxDeliveryAttempts":3,"eventTimeToLiveInMinutes":5},"expirationTimeUtc":"2027-01-01T00:00:00Z",` +
		`"deliveryWithResourceIdentity":{"identity":{"type":"SystemAssigned","userAssignedIdentity":"x"}},` +
		`"deadLetterDestination":{"endpointType":"StorageBlob","properties":{"resourceId":"` + storage + `","blobContainerName":"dl"}}}}`
	const top = `{"location":"westeurope","tags":{"a":"b"},"identity":{"type":"UserAssigned","userAssignedIdentities":{"x":{"principalId":"y"}}},"sku":{"name":"Basic"},"kind":"Azure",` +
		`"extendedLocation":{"name":"x","type":"y"},"properties":{"inputSchema":"CustomEventSchema","publicNetworkAccess":"Enabled","disableLocalAuth":true,"dataResidencyBoundary":"WithinRegion",` +
		`"autoCreateTopicWithFirstSubscription":true,"autoDeleteTopicWithLastSubscription":true,"minimumTlsVersionAllowed":"1.2",` +
		`"eventTypeInfo":{"kind":"Inline","inlineEventTypes":{"a":{"description":"x","displayName":"y"}}},` +
		`"inboundIpRules":[{"ipMask":"10.0.0.0/8","action":"Allow"}],"inputSchemaMapping":{"inputSchemaMappingType":"Json","properties":{"id":{"sourceField":"i"},"eventType":{"sourceField":"t","defaultValue":"d"}}}}}`
	return []step{
		{method: "PUT", path: customTopic + "/eventSubscriptions/full" + preview, body: es},
		{method: "PATCH", path: customTopic + "/eventSubscriptions/es1" + preview, body: strings.TrimSuffix(strings.TrimPrefix(es, `{"properties":`), "}")},
		{method: "PUT", path: customTopic + "-full" + preview, body: top},
		{method: "PATCH", path: customTopic + preview, body: top},
		{method: "PUT", path: domain + "-full" + preview, body: top},
		{method: "PUT", path: channel, body: strings.Replace(channelBody("pt1"), `"source":`, `"eventTypeInfo":{"kind":"Inline","inlineEventTypes":{"a":{"dataSchemaUrl":"x"}}},"source":`, 1)},
		{method: "POST", path: config + "/authorizePartner", body: `{"partnerRegistrationImmutableId":"` + guid1 + `","partnerName":"x","authorizationExpirationTimeInUtc":"2026-04-01T00:00:00Z"}`},
		{method: "PUT", path: customerRG, body: `{"location":"westeurope","tags":{"a":"b"},"managedBy":"x"}`},
		{method: "PUT", path: account, body: `{"location":"westeurope","tags":{"a":"b"},"sku":{"name":"x"},"properties":{"a":1}}`},
		{method: "POST", path: account + "/regenerateKey?api-version=2021-08-01", body: `{"keyName":"key1"}`},
		{method: "PUT", path: customerRG + "/providers/Microsoft.Authorization/locks/l", body: `{"properties":{"level":"ReadOnly","notes":"x","owners":[{"applicationId":"y"}]}}`},
		{method: "PUT", path: customerRG + "/providers/Microsoft.Authorization/roleAssignments/" + guid1, body: `{"properties":{"roleDefinitionId":"x","principalId":"y","principalType":"User","description":"z","condition":"c"}}`},
		{method: "PUT", path: definitionAt(customerRG, guid1), body: `{"properties":{"roleName":"x","description":"d","type":"CustomRole","permissions":[{"actions":["*"],"notActions":["x"],"dataActions":["y"],"notDataActions":["z"]}],"assignableScopes":["` + customerRG + `"]}}`},
		{method: "PUT", path: customerRG + "/providers/Microsoft.Resources/tags/default", body: `{"properties":{"tags":{"a":"b"}}}`},
		{method: "PATCH", path: customerRG + "/providers/Microsoft.Resources/tags/default", body: `{"operation":"Merge","properties":{"tags":{"a":"b"}}}`},
		{method: "PUT", path: "/providers/Microsoft.Subscription/aliases/a?api-version=2021-10-01", body: `{"properties":{"displayName":"x","workload":"Production","billingScope":"y"}}`},
		{method: "POST", path: customerID + "/providers/Microsoft.Subscription/rename?api-version=2021-10-01", body: `{"subscriptionName":"x"}`},
		{method: "PUT", path: customerRG + "/providers/Microsoft.Resources/deployments/d?api-version=2021-04-01", body: `{"properties":{"mode":"Incremental","template":{"$schema":"x","contentVersion":"1.0.0.0","parameters":{"p":{"type":"string"}},"variables":{"v":1},"resources":[{"type":"Microsoft.EventGrid/topics","apiVersion":"2022-06-15","name":"t","location":"x","dependsOn":["y"]}],"outputs":{"o":{"type":"string","value":"x"}}},"parameters":{"p":{"value":"x"}}}}`},
	}
}

// Whatever a body has in place of what belongs there, the answer is in words that a
// client knows.
func TestErrorsNameNoTypesOfOurs(t *testing.T) {
	f := newFixture(t)
	sent, refused := 0, 0
	token := f.token("owner", base) // one for all: signing takes longer than the rest
	try := func(s step, body string) {
		path := s.path
		if !strings.Contains(path, "?") {
			path += "?api-version=" + version
		}
		r := httptest.NewRequestWithContext(t.Context(), s.method, base+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		a := f.send(r)
		if sent++; a.status < 400 {
			return
		}
		refused++
		e, _ := a.body["error"].(map[string]any)
		text, _ := json.Marshal(e)
		if word := ours.FindString(string(text)); a.status >= 500 || len(e) == 0 || word != "" {
			t.Errorf("%s: %d holds %q: %.400s\nbody: %.300s", a.what, a.status, word, a.raw, body)
		}
	}
	for _, s := range slices.Concat(partnerSteps(), sourceSteps()[:12], fullBodies()) {
		if s.method == "GET" || s.method == "DELETE" {
			continue
		}
		var good any
		if s.body != "" && json.Unmarshal([]byte(s.body), &good) != nil {
			t.Fatalf("%s is no JSON: %s", s.path, s.body)
		}
		for _, body := range []string{`[]`, `"x"`, `7`, `true`, `{`, `{"a":}`, `{"properties":[]}`, `{"properties":"x"}`, "\x00"} {
			try(s, body)
		}
		misfits(good, func(body any) {
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			try(s, string(text))
		}, good)
		f.do("owner", s.method, s.path, s.body) // so that what follows finds it
	}
	t.Logf("%d bodies, %d refused", sent, refused)
	if refused < sent/2 {
		t.Errorf("%d of %d bodies were refused: this proves little", refused, sent)
	}
}

// misfits calls try with root as it is with each value in it replaced in turn by
// one of each kind.
func misfits(v any, try func(any), root any) {
	kinds := []any{"x", 1.5, true, []any{1}, map[string]any{"a": []any{}}}
	switch v := v.(type) {
	case map[string]any:
		for name, was := range v {
			for _, other := range kinds {
				v[name] = other
				try(root)
			}
			v[name] = was
			misfits(was, try, root)
		}
	case []any:
		for i, was := range v {
			for _, other := range kinds {
				v[i] = other
				try(root)
			}
			v[i] = was
			misfits(was, try, root)
		}
	}
}
