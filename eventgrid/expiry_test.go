package eventgrid

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/intertie/intertie/resource"
)

func (w *world) expire(id resource.ID) {
	w.t.Helper()
	w.must(w.change(func(tx resource.Tx) error { return w.rules.Expire(tx, id, w.now) }))
}

func TestWhenTimeChangesSomething(t *testing.T) {
	w := newWorld(t).withChannel()
	week := w.now.Add(7 * day)
	check := func(name string, id resource.ID, want time.Time) {
		t.Helper()
		if got := w.rules.Due(w.get(id)); !got.Equal(want) {
			t.Errorf("%s: due %v, want %v", name, got, want)
		}
	}
	check("a partner topic that waits", topicID, week)
	check("a channel follows its topic", channelID, time.Time{})
	check("a namespace", namespaceID, time.Time{})
	w.must(w.post(topicID, "activate", ""))
	check("an active partner topic", topicID, time.Time{})
	w.must(w.put(subscriptionID, hookBody("https://x.example", "")))
	check("an endless event subscription", subscriptionID, time.Time{})
	w.must(w.patch(subscriptionID, `{"expirationTimeUtc":"2026-03-01T09:05:00Z"}`))
	check("an event subscription that ends", subscriptionID, w.now.Add(5*time.Minute))
	w.hooks.granted = false
	w.must(w.patch(subscriptionID, `{}`))
	check("the end comes before the consent runs out", subscriptionID, w.now.Add(5*time.Minute))
	w.must(w.patch(subscriptionID, `{"expirationTimeUtc":"2026-04-01T00:00:00Z"}`))
	check("the consent runs out before the end", subscriptionID, w.now.Add(validationWindow))

	for _, typ := range []string{TypePartnerTopic, TypePartnerTopicEventSubscription} {
		if at := w.rules.Due(&resource.Resource{Type: typ, Properties: json.RawMessage(`[]`)}); !at.IsZero() {
			t.Errorf("an unreadable %s is due %v", typ, at)
		}
	}
}

func TestExpireOnlyWhatIsDue(t *testing.T) {
	w := newWorld(t).withChannel()
	w.now = w.now.Add(7*day - time.Second)
	w.expire(topicID)
	if !w.exists(topicID) || !w.exists(channelID) {
		t.Error("gone too early")
	}
	w.must(w.post(topicID, "activate", ""))
	w.now = w.now.Add(time.Hour)
	w.expire(topicID) // noted before the activation
	if !w.exists(topicID) {
		t.Error("an active topic expired")
	}
	w.expire(topicID.Child("eventSubscriptions", "none"))
}

// The service needs nobody's grant to tidy up.
func TestExpireNeedsNoGrant(t *testing.T) {
	w := newWorld(t).withChannel()
	w.must(w.put(subscriptionID, hookBody("https://x.example", "")))
	w.must(w.delete(configurationID))
	w.now = w.now.Add(7 * day)
	w.expire(topicID)
	if w.exists(topicID) || w.exists(channelID) || w.exists(subscriptionID) {
		t.Error("something is left")
	}
	w.must(w.delete(namespaceID))
}

func TestEventSubscriptionEnds(t *testing.T) {
	w := newWorld(t).withSubscription()
	w.must(w.patch(subscriptionID, `{"expirationTimeUtc":"2026-03-01T10:00:00Z"}`))
	w.now = w.now.Add(time.Hour)
	w.expire(subscriptionID)
	if w.exists(subscriptionID) || !w.exists(topicID) {
		t.Error("the wrong one went")
	}
}
