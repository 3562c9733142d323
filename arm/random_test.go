package arm

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// words are the members and values that the kinds look at, right or wrong.
var words = []string{
	"properties", "location", "tags", "identity", "destination", "endpointType", "WebHook", "endpointUrl", "https://x.example/h", "filter", "advancedFilters",
	"operatorType", "StringIn", "NumberInRange", "key", "values", "value", "labels", "retryPolicy", "maxDeliveryAttempts", "eventTimeToLiveInMinutes",
	"deadLetterDestination", "StorageBlob", "resourceId", "blobContainerName", "expirationTimeUtc", "2027-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "channelType", "PartnerTopic",
	"partnerTopicInfo", "azureSubscriptionId", customerSub, "resourceGroupName", "resourceGroup", "rg-c", "name", "pt-new", "source", "eventTypeInfo", "inlineEventTypes", "kind", "Inline",
	"messageForActivation", "expirationTimeIfNotActivatedUtc", "2026-03-05T00:00:00Z", "partnerTopicName", "partnerRegistrationFullyQualifiedId", registration,
	"partnerTopicRoutingMode", "ChannelNameHeader", "SourceEventAttribute", "inboundIpRules", "ipMask", "10.0.0.0/8", "action", "partnerAuthorization",
	"authorizedPartnersList", "defaultMaximumExpirationTimeInDays", "partnerName", "partnerRegistrationImmutableId", "authorizationExpirationTimeInUtc", "keyName", "key1",
	"operation", "Merge", "level", "ReadOnly", "notes", "owners", "sku", "adminPassword", "principalId", "roleDefinitionId", "displayName", "partnerTopicFriendlyDescription", "westeurope", "includedEventTypes", "eventDeliverySchema", "authorizedAzureSubscriptionIds", "",
}

func anyJSON(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := rapid.IntRange(0, 8).Draw(t, "kind")
		if depth == 0 {
			kind %= 5
		}
		switch kind {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return json.Number(rapid.SampledFrom([]string{"0", "1", "-1", "7", "366", "1.5", "1e400", "9223372036854775808"}).Draw(t, "number"))
		case 3, 4:
			return rapid.SampledFrom(words).Draw(t, "word")
		case 5:
			return rapid.SliceOfN(anyJSON(depth-1), 0, 3).Draw(t, "list")
		default:
			return rapid.MapOfN(rapid.SampledFrom(words), anyJSON(depth-1), 0, 4).Draw(t, "object")
		}
	})
}

// Whatever a client sends, the fault is never ours: no panic and no 5xx, and
// whatever was taken can be read again.
func TestNoBodyMakesAnInternalError(t *testing.T) {
	f := newFixture(t).partnerFlow()
	ns2 := partnerRG + provider + "/partnerNamespaces/ns-old"
	f.put("owner", ns2, `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"`+registration+`"}}`).want(201)
	f.put("owner", account, accountBody).want(200)
	before := f.store.view()
	targets := []struct{ method, path string }{
		{"PUT", registration},
		{"PATCH", registration},
		{"PUT", partnerRG + provider + "/partnerRegistrations/new"},
		{"PUT", namespace},
		{"PATCH", namespace},
		{"PUT", partnerRG + provider + "/partnerNamespaces/new"},
		{"PUT", channel},
		{"PATCH", channel},
		{"PUT", namespace + "/channels/new"},
		{"PUT", ns2 + "/eventChannels/new?api-version=2021-10-15-preview"},
		{"PUT", config},
		{"PATCH", config},
		{"POST", config + "/authorizePartner"},
		{"POST", config + "/unauthorizePartner"},
		{"PUT", topic},
		{"PATCH", topic},
		{"POST", topic + "/activate"},
		{"PUT", eventSub},
		{"PATCH", eventSub},
		{"PUT", topic + "/eventSubscriptions/new"},
		{"POST", eventSub + "/getFullUrl"},
		{"POST", namespace + "/regenerateKey"},
		{"PUT", customerRG},
		{"PATCH", customerRG},
		{"PUT", assignmentAt(customerRG, guid1)},
		{"PUT", "/providers/Microsoft.Subscription/aliases/x"},
		{"PUT", account},
		{"PATCH", account},
		{"PUT", account + "/blobServices/new"},
		{"POST", account + "/regenerateKey"},
		{"PUT", lockAt(config, "new")},
		{"PUT", tagsAt(account)},
		{"PATCH", tagsAt(account)},
	}
	taken := map[int]int{}
	rapid.Check(t, func(rt *rapid.T) {
		f.store.replace(before)
		target := rapid.SampledFrom(targets).Draw(rt, "target")
		body := anyJSON(4).Draw(rt, "body")
		if o, ok := body.(map[string]any); ok && rapid.Bool().Draw(rt, "wrapped") {
			body = map[string]any{"location": "westeurope", "properties": o}
		}
		data, err := json.Marshal(body)
		if err != nil {
			rt.Fatal(err)
		}
		a := f.do("owner", target.method, target.path, string(data))
		taken[a.status/100]++
		if a.status >= 500 || a.status < 200 {
			rt.Fatalf("%s %s: %d %s", a.what, data, a.status, a.raw)
		}
		if a.status < 300 && target.method != "POST" {
			if again := f.get("owner", target.path); again.status != 200 {
				rt.Fatalf("%s %s was taken (%d), but reading it: %d %s", a.what, data, a.status, again.status, again.raw)
			}
		}
	})
	// -short tries few of them, which may well all be refused.
	if !testing.Short() && (taken[2] == 0 || taken[4] == 0) {
		t.Errorf("all bodies met the same fate: %v", taken)
	}
}

// A body near to a good one: one member of it replaced by anything.
func TestNoMemberMakesAnInternalError(t *testing.T) {
	f := newFixture(t).partnerFlow()
	whole := f.store.view()
	good := map[string]string{
		namespace + "2":                   `{"location":"westeurope","tags":{"a":"b"},"properties":{"partnerRegistrationFullyQualifiedId":"` + registration + `","partnerTopicRoutingMode":"ChannelNameHeader","publicNetworkAccess":"Enabled","inboundIpRules":[{"ipMask":"10.0.0.0/8","action":"Allow"}],"disableLocalAuth":true,"minimumTlsVersionAllowed":"1.2"}}`,
		namespace + "/channels/ch2":       `{"properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":"` + customerSub + `","resourceGroupName":"rg-c","name":"pt2","source":"s","eventTypeInfo":{"kind":"Inline","inlineEventTypes":{"A":{"displayName":"x","description":"y"}}}},"messageForActivation":"m","expirationTimeIfNotActivatedUtc":"2026-03-05T00:00:00Z"}}`,
		config:                            `{"location":"global","properties":{"partnerAuthorization":{"defaultMaximumExpirationTimeInDays":7,"authorizedPartnersList":[{"partnerRegistrationImmutableId":"` + guid1 + `","partnerName":"n","authorizationExpirationTimeInUtc":"2026-03-05T00:00:00Z"}]}}}`,
		topic + "/eventSubscriptions/es2": `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://x","maxEventsPerBatch":1}},"filter":{"includedEventTypes":["a"],"subjectBeginsWith":"x","advancedFilters":[{"operatorType":"StringIn","key":"data.x","values":["a"]}]},"labels":["l"],"retryPolicy":{"maxDeliveryAttempts":3},"expirationTimeUtc":"2027-01-01T00:00:00Z","deadLetterDestination":{"endpointType":"StorageBlob","properties":{"resourceId":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acc","blobContainerName":"dead"}}}}`,
		registration + "2":                `{"location":"global","tags":{},"properties":{"partnerName":"x","authorizedAzureSubscriptionIds":["` + customerSub + `"],"visibilityState":"Hidden","longDescription":"l"}}`,
	}
	var paths []string
	for path, body := range good {
		f.store.replace(whole)
		if a := f.put("owner", path, body); a.status > 201 {
			t.Fatalf("%s is not good: %s", path, a.raw)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths) // a failure must be repeatable
	rapid.Check(t, func(rt *rapid.T) {
		f.store.replace(whole)
		path := rapid.SampledFrom(paths).Draw(rt, "path")
		var body any
		if err := json.Unmarshal([]byte(good[path]), &body); err != nil {
			rt.Fatal(err)
		}
		data, err := json.Marshal(replaceOne(rt, body))
		if err != nil {
			rt.Fatal(err)
		}
		a := f.put("owner", path, string(data))
		if a.status >= 500 {
			rt.Fatalf("%s %s: %d %s", a.what, data, a.status, a.raw)
		}
		if a.status < 300 {
			if again := f.get("owner", path); again.status != 200 {
				rt.Fatalf("%s %s was taken, but reading it: %d %s", a.what, data, again.status, again.raw)
			}
		}
	})
}

// replaceOne walks down at random and puts anything in place of what it finds.
func replaceOne(t *rapid.T, v any) any {
	if rapid.IntRange(0, 4).Draw(t, "here") == 0 {
		return anyJSON(2).Draw(t, "other")
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			k := rapid.SampledFrom(keys(v)).Draw(t, "member")
			v[k] = replaceOne(t, v[k])
			return v
		}
	case []any:
		if len(v) > 0 {
			v[0] = replaceOne(t, v[0])
			return v
		}
	}
	return anyJSON(2).Draw(t, "other")
}
