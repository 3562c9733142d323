package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"
	"golang.org/x/sync/errgroup"
)

// awkward is data that a server which decodes and encodes again would change.
var awkward = []string{
	`{"n":12345678901234567890123,"f":1.0,"e":1E+2,"z":-0.0}`,
	`{"text":"tab\tquote\"slash\/back\\nul\u0000low\ud83d\ude00<b>&\u2028"}`,
	`{"å":"Grüße, 世界, 🐙, e\u0301","":"empty name"}`,
	`{"b":1,"a":2,"b":3}`,
	strings.Repeat(`{"d":[`, 60) + `null` + strings.Repeat(`]}`, 60),
	`"only a string"`,
	`[1,[2,[3.50]],{}]`,
	`null`,
	`0.1000000000000000055511151231257827`,
}

// TestTenThousandEvents publishes with the Azure SDK in its three ways to
// authenticate, singly and in batches, and compares what arrives.
func TestTenThousandEvents(t *testing.T) {
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	connect(t, partner, customer, "invoices", hook.URL+"/invoices")
	want := map[string]map[string]string{"orders": {}, "invoices": {}}
	ids := map[string][]string{}
	event := func(channel string, i int) messaging.CloudEvent {
		id := fmt.Sprintf("%s-%d", channel, i)
		raw := json.RawMessage(awkward[i%len(awkward)])
		sent, err := json.Marshal(raw) // as the SDK will write it
		if err != nil {
			t.Fatal(err)
		}
		want[channel][id], ids[channel] = string(sent), append(ids[channel], id)
		return messaging.CloudEvent{
			ID: id, Source: "/northwave", Type: "Northwave.Order.Placed", SpecVersion: "1.0", Data: raw, Time: new(time.Now().UTC()),
			Extensions: map[string]any{"sequence": fmt.Sprint(i)},
		}
	}
	var batches []batch
	for _, channel := range []string{"orders", "invoices"} {
		for i := 0; i < 4400; i += 400 {
			b := batch{channel: channel}
			for j := range 400 {
				b.events = append(b.events, event(channel, i+j))
			}
			batches = append(batches, b)
		}
		for i := range 600 {
			batches = append(batches, batch{channel, []messaging.CloudEvent{event(channel, 4400+i)}})
		}
	}
	began := time.Now()
	publishAll(t, batches, sdkPublishers(t, partner, customer))
	t.Logf("published %d events in %d requests in %s", 10000, len(batches), time.Since(began).Round(time.Millisecond))
	for channel := range want {
		until(t, time.Minute, "every event arrives on "+channel, func() bool { return hook.hasAll("/"+channel, ids[channel]) })
	}
	t.Logf("all arrived after %s", time.Since(began).Round(time.Millisecond))
	for channel, sent := range want {
		got := hook.byID("/" + channel)
		if len(got) != len(sent) {
			t.Errorf("%s: %d events, want %d", channel, len(got), len(sent))
		}
		for id, data := range sent {
			if string(got[id].data) != data {
				t.Fatalf("%s: data of %s is\n%s\nwant\n%s", channel, id, got[id].data, data)
			}
		}
	}
	checkNotification(t, hook.byID("/orders")["orders-0"])
}

type batch struct {
	channel string
	events  []messaging.CloudEvent
}

// sdkPublishers returns one client for each way to authenticate.
func sdkPublishers(t *testing.T, partner, customer *side) []*azeventgrid.Client {
	t.Helper()
	p := publisherOf(t, partner, "")
	options := &azeventgrid.ClientOptions{ClientOptions: partner.server.clientOptions()}
	scope := partner.id("partnerNamespaces", namespace)
	sender := newMember(t, partner.server, "sender", "EventGrid Data Sender", partner.subscription, scope)
	// Neither the partner's manager nor the customer's may publish by token.
	for _, other := range []*side{partner, customer} {
		c := must(azeventgrid.NewClient(p.endpoint, other.credential, options))(t)
		_, err := c.PublishCloudEvents(t.Context(), []messaging.CloudEvent{{ID: "1", Source: "/s", Type: "t", SpecVersion: "1.0"}},
			&azeventgrid.PublishCloudEventsOptions{AegChannelName: new("orders")})
		wantRefusal(t, err, 403, "Forbidden")
	}
	return []*azeventgrid.Client{
		must(azeventgrid.NewClientWithSharedKeyCredential(p.endpoint, azcore.NewKeyCredential(p.key), options))(t),
		must(azeventgrid.NewClientWithSAS(p.endpoint, azcore.NewSASCredential(sas(p.endpoint, time.Now().Add(time.Hour), p.key)), options))(t),
		must(azeventgrid.NewClient(p.endpoint, sender.credential, options))(t),
	}
}

// publishAll sends the batches, those of one kind of client beside the others.
func publishAll(t *testing.T, batches []batch, clients []*azeventgrid.Client) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(16)
	for i, b := range batches {
		g.Go(func() error {
			_, err := clients[i%len(clients)].PublishCloudEvents(ctx, b.events, &azeventgrid.PublishCloudEventsOptions{AegChannelName: new(b.channel)})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func checkNotification(t *testing.T, d delivery) {
	t.Helper()
	for name, want := range map[string]string{
		"Aeg-Event-Type": "Notification", "Aeg-Subscription-Name": "TO-ERP", "Aeg-Delivery-Count": "0", "Aeg-Metadata-Version": "1.0",
		"Content-Type": "application/cloudevents+json; charset=utf-8", "Webhook-Request-Origin": "eventgrid.azure.net", "Aeg-Data-Version": "",
	} {
		if got := d.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(d.header["Aeg-Output-Event-Id"]) != 1 {
		t.Error("no system event id")
	}
}

// TestBytesAreKept sends bytes that no SDK would write: the delivered event is
// the published one, byte for byte, but for a specversion that consumers refuse.
func TestBytesAreKept(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	p := publisherOf(t, partner, "orders")
	const spaced = "{ \"specversion\" : \"1.0\",\n\t\"id\":\"spaced\", \"source\":\" /northwave \",\"type\":\"t\" ,\"data\" : {\r\n \"a\" : [ 1 ,2e400, \"\\/\" ] } , \"comnorthwaveX\":{\"o\":1}}"
	const release = `{"specversion":"1.0-rc1","id":"rc","source":"s","type":"t","data":{ "a" : 1 }}`
	a, err := p.post(t.Context(), []byte(" [ "+spaced+" ,\n"+release+" ] "), map[string]string{"Content-Type": "application/cloudevents-batch+json; charset=UTF-8a"})
	if err != nil || a.status != 200 {
		t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	if len(a.body) != 0 || a.header.Get("api-supported-versions") != "2018-01-01" || a.header.Get("x-ms-request-id") == "" {
		t.Errorf("the answer of a publish: %q %v", a.body, a.header)
	}
	until(t, 10*time.Second, "both arrive", func() bool { return hook.hasAll("/orders", []string{"spaced", "rc"}) })
	got := hook.byID("/orders")
	if !bytes.Equal(got["spaced"].body, []byte(spaced)) {
		t.Errorf("got  %q\nwant %q", got["spaced"].body, spaced)
	}
	if want := strings.Replace(release, "1.0-rc1", "1.0", 1); string(got["rc"].body) != want {
		t.Errorf("got  %q\nwant %q", got["rc"].body, want)
	}
}
