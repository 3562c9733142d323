package bench

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

// TestDuplicate: copies name one another and nothing of what they were copied
// from but what is not copied.
func TestDuplicate(t *testing.T) {
	parse := func(id string) resource.ID {
		parsed, err := resource.ParseID(id)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	channel := &resource.Resource{
		ID:  parse("/subscriptions/s/resourceGroups/p/providers/Microsoft.EventGrid/partnerNamespaces/ns/channels/crowd"),
		UID: resource.NewUID(), Revision: 5,
		Properties: json.RawMessage(`{"partnerTopicInfo":{"name":"crowd","resourceGroupName":"crowd-customer","source":"/bench/crowd"}}`),
	}
	topic := &resource.Resource{
		ID:  parse("/subscriptions/s/resourceGroups/crowd-customer/providers/Microsoft.EventGrid/partnerTopics/crowd"),
		UID: resource.NewUID(), Properties: json.RawMessage(`{"activationState":"Activated"}`),
		Secrets: map[string]string{"channelUid": channel.UID.String(), "channelId": channel.ID.String()},
	}
	sub := &resource.Resource{
		ID:  topic.ID.Child("eventSubscriptions", "sub-1"),
		UID: resource.NewUID(), Properties: json.RawMessage(`{"topic":"` + topic.ID.String() + `"}`),
		Secrets: map[string]string{"validatedUrl": "http://127.0.0.1:1/hook/1"},
	}
	pattern := []*resource.Resource{channel, topic, sub}
	copies, err := duplicate(pattern, "crowd", "crowd-7")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	uids := map[resource.UID]bool{}
	for i, c := range copies {
		got = append(got, c.ID.String(), string(c.Properties), c.Secrets["channelId"], c.Secrets["validatedUrl"])
		uids[c.UID], uids[pattern[i].UID] = true, true
		if c.Revision != 0 {
			t.Errorf("%s has the revision of another", c.ID)
		}
	}
	const (
		ns    = "/subscriptions/s/resourceGroups/p/providers/Microsoft.EventGrid/partnerNamespaces/ns"
		group = "/subscriptions/s/resourceGroups/crowd-customer/providers/Microsoft.EventGrid"
	)
	want := []string{
		ns + "/channels/crowd-7", `{"partnerTopicInfo":{"name":"crowd-7","resourceGroupName":"crowd-customer","source":"/bench/crowd-7"}}`, "", "",
		group + "/partnerTopics/crowd-7", `{"activationState":"Activated"}`, ns + "/channels/crowd-7", "",
		group + "/partnerTopics/crowd-7/eventSubscriptions/sub-1", `{"topic":"` + group + `/partnerTopics/crowd-7"}`, "", "http://127.0.0.1:1/hook/1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if copies[1].Secrets["channelUid"] != copies[0].UID.String() || len(uids) != 6 {
		t.Errorf("the copies are not others: %v", uids)
	}
	if topic.Secrets["channelId"] != channel.ID.String() {
		t.Error("the pattern was changed")
	}
	if _, err := duplicate(pattern, "elsewhere", "x"); err == nil || !strings.Contains(err.Error(), "does not hold the name") {
		t.Errorf("copies under the same id: %v", err)
	}
}
