package eventgrid

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/intertie/intertie/resource"
)

func TestLimitsDefaultToAzures(t *testing.T) {
	l := reflect.ValueOf(DefaultLimits())
	for field, v := range l.Fields() {
		if v.IsZero() {
			t.Errorf("%s has no default", field.Name)
		}
	}
	got := Limits{TopicsPerSubscription: 7}.OrDefault()
	want := DefaultLimits()
	want.TopicsPerSubscription = 7
	if got != want {
		t.Errorf("got %+v", got)
	}
}

// Each limit can be set, and the one that is set counts.
func TestLimitsCanBeSet(t *testing.T) {
	const body = `{"location":"westeurope"}`
	topic := func(n int) resource.ID { return customerGroup.Provider(TypeTopic, fmt.Sprintf("topic-%d", n)) }
	at := func(days string) string {
		return channelBody(`,"expirationTimeIfNotActivatedUtc":"2026-03-` + days + `T09:00:00Z"`)
	}
	for name, c := range map[string]struct {
		limits Limits
		good   func(w *world) error
		bad    func(w *world) error
		code   resource.Code
		text   string
	}{
		"topics": {
			Limits{TopicsPerSubscription: 1},
			func(w *world) error { return w.put(topic(1), body) }, func(w *world) error { return w.put(topic(2), body) },
			resource.Conflict, "has 1 custom topics in region 'westeurope', as many as it can have.",
		},
		"instances": {
			Limits{InstancesPerGroup: 1},
			func(w *world) error { return w.put(topic(1), body) }, func(w *world) error { return w.put(topic(2), body) },
			resource.Conflict, "The resource group 'rg-c' has 1 resources of type 'Microsoft.EventGrid/topics', as many as it can have. Delete one first.",
		},
		"private endpoints": {
			Limits{PrivateEndpoints: 1},
			func(w *world) error { return w.put(connectionOf(namespaceID, "pe-1"), connectionBody("")) },
			func(w *world) error { return w.put(connectionOf(namespaceID, "pe-2"), connectionBody("")) }, resource.Conflict, "The partner namespace 'ns1' has 1 private endpoint connections",
		},
		"batches": {
			Limits{BatchEvents: 6000},
			func(w *world) error { return w.put(subscriptionID, hookWith(`,"maxEventsPerBatch":6000`)) },
			func(w *world) error { return w.put(subscriptionID, hookWith(`,"maxEventsPerBatch":6001`)) }, resource.InvalidRequest, "maxEventsPerBatch is 6001; it must lie between 1 and 6000.",
		},
		"batch size": {
			Limits{BatchKilobytes: 32},
			func(w *world) error { return w.put(subscriptionID, hookWith("")) },
			func(w *world) error { return w.put(subscriptionID, hookWith(`,"preferredBatchSizeInKilobytes":33`)) }, resource.InvalidRequest, "is 33; it must lie between 1 and 32.",
		},
		"grants": {
			Limits{GrantDays: 400},
			func(w *world) error {
				return w.patch(configurationID, `{"properties":{"defaultMaximumExpirationTimeInDays":400}}`)
			},
			func(w *world) error {
				return w.patch(configurationID, `{"properties":{"defaultMaximumExpirationTimeInDays":401}}`)
			}, resource.InvalidRequest, "is 401; it must lie between 1 and 400.",
		},
		"activation": {
			Limits{ActivationDays: 2},
			func(w *world) error { return w.patch(channelID, at("03")) }, func(w *world) error { return w.patch(channelID, at("04")) },
			resource.InvalidRequest, "must lie in the future and at most 2 days from now.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withChannel()
			w.rules.Limits = c.limits
			w.must(c.good(w))
			w.wantError(c.bad(w), c.code, c.text)
		})
	}
}

// Azure publishes no limit of what the service makes for others, so none counts.
func TestWhatPartnersMakeIsNotCounted(t *testing.T) {
	w := newWorld(t).withChannel()
	w.rules.Limits = Limits{InstancesPerGroup: 1}
	w.must(w.put(namespaceID.Child("channels", "second"), strings.Replace(channelBody(""), "pt1", "pt2", 1)))
	w.must(w.put(topicID, `{"location":"westeurope","tags":{"a":"b"}}`))
}
