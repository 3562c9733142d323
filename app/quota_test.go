package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

func TestStorageLimit(t *testing.T) {
	for text, want := range map[string]StorageLimit{
		"auto": ThirdOfFree, "": ThirdOfFree, "none": NoStorageLimit,
		"20GB": 20 << 30, "500 mb": 500 << 20, "33554432": 32 << 20, "1TB": 1 << 40,
		"0": -2, "-5GB": -2, "lots": -2, "1KB": 1 << 10, "9999999999TB": -2,
	} {
		var got StorageLimit
		err := got.UnmarshalText([]byte(text))
		if (err != nil) != (want == -2) || err == nil && got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, row := range []struct {
		limit      StorageLimit
		free, want int64
	}{
		{20 << 30, 5, 20 << 30},
		{NoStorageLimit, 5, 0},
		{ThirdOfFree, -1, 0},
		{ThirdOfFree, 9 << 30, 3 << 30},
		{ThirdOfFree, 0, leastStorage},
	} {
		if got := row.limit.bytes(row.free); got != row.want {
			t.Errorf("%d with %d free is %d, want %d", row.limit, row.free, got, row.want)
		}
	}
}

// What waits is charged to the Azure subscription of the event subscription it waits
// for, and refuses its publishers and nobody else's, wherever they come in.
func TestStorageIsChargedToTheCustomer(t *testing.T) {
	p := newPlane(t)
	p.ledger.SetPayer(p.payer)
	ns := namespaceOf(t, "ns", eventgrid.ChannelNameHeader)
	full, fullTopic := channelOf(t, ns, eventgrid.TypeChannel, "full")
	free, freeTopic := channelOf(t, ns, eventgrid.TypeChannel, "free")
	moveTo(t, full, fullTopic, "s2")
	p.put(t, ns, full, fullTopic, free, freeTopic)

	waits := resource.UID{7}
	all, err := filter.Compile(filter.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	topicID := fullTopic.ID.String()
	p.dispatcher.SetTopic(fullTopic.UID, topicID, []*deliver.Subscription{{
		UID: waits, ID: topicID + "/eventSubscriptions/es", Name: "es", Topic: fullTopic.UID, Filter: all, Kind: destination.WebHook,
	}})
	p.ledger.SetLimit(1000)
	for _, name := range []string{"full", "free"} {
		if got := p.send("ns", name); got != 200 {
			t.Fatalf("%s: %d before anything waits", name, got)
		}
	}
	err = p.events.Retry(t.Context(), []eventlog.Transfer{{Delivery: eventlog.Delivery{
		Entry: eventlog.Entry{Event: event.Event{JSON: make([]byte, 1000)}}, Subscription: waits, Due: time.Now().Add(time.Hour),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.send("ns", "full"); got != 429 {
		t.Errorf("to the customer that keeps too much: %d", got)
	}
	if got := p.send("ns", "free"); got != 200 {
		t.Errorf("to another customer: %d", got)
	}
}

// An event counts from when it is accepted, for each event subscription that may come
// to keep it, and a request that was slow to arrive is asked again.
func TestStorageIsChargedAtOnce(t *testing.T) {
	p := newPlane(t)
	topic := made(t, resource.GroupID("s", "g").Provider(eventgrid.TypeTopic, "slow"), &eventgrid.Topic{PublicNetworkAccess: eventgrid.AccessEnabled, InputSchema: "EventGridSchema", DataResidency: "WithinGeopair"})
	topic.Secrets[eventgrid.SecretKey1] = planeKey
	p.put(t, topic)
	p.ledger.SetTopic(topic.UID, "s", 100)
	p.ledger.SetLimit(10_000)
	post := func(body io.Reader) int {
		src, _ := p.store.Get(topic.ID)
		r := httptest.NewRequest(http.MethodPost, "/"+src.ID.Name()+"."+src.Location+"-1/api/events?api-version=2018-01-01", body)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Aeg-Sas-Key", planeKey)
		w := httptest.NewRecorder()
		p.publish.ServeHTTP(w, r)
		return w.Code
	}
	const one = `[{"id":"1","subject":"s","eventType":"t","eventTime":"2026-12-01T00:00:00Z","dataVersion":"1","data":1}]`
	slow, pipe := io.Pipe()
	answered := make(chan int)
	go func() { answered <- post(slow) }()
	_, _ = pipe.Write([]byte(one[:1])) // it was asked before its body
	if got := post(strings.NewReader(one)); got != 200 {
		t.Fatalf("the first: %d %s", got, p.log)
	}
	if got := post(strings.NewReader(one)); got != 429 {
		t.Errorf("the second: %d, with %d bytes charged", got, p.ledger.Account("s").Kept())
	}
	_, _ = pipe.Write([]byte(one[1:]))
	_ = pipe.Close()
	if got := <-answered; got != 429 {
		t.Errorf("one that began to arrive before: %d", got)
	}
}

// moveTo puts what a channel leads to into another Azure subscription.
func moveTo(t *testing.T, channel, topic *resource.Resource, subscription string) {
	t.Helper()
	topic.ID = resource.GroupID(subscription, "customer").Provider(eventgrid.TypePartnerTopic, topic.ID.Name())
	err := resource.Encode(channel, &eventgrid.Channel{
		Type:         eventgrid.ChannelToPartnerTopic,
		PartnerTopic: &eventgrid.PartnerTopicInfo{Subscription: subscription, Group: "customer", Name: topic.ID.Name()},
	})
	if err != nil {
		t.Fatal(err)
	}
}
