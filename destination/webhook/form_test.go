package webhook

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

const (
	topicID = "/subscriptions/5b/resourceGroups/rg1/providers/Microsoft.EventGrid/topics/orders"

	cloudJSON = `{"specversion":"1.0","id":"7f0c","source":"/contoso","type":"Order.Placed","data":{"n": 1}}`
	gridJSON  = `{"id":"7f0c","topic":"` + topicID + `","subject":"orders/42","eventType":"Order.Placed",` +
		`"eventTime":"2026-03-01T08:00:00Z","data":{"n": 12345678901234567890},"dataVersion":"2.1","metadataVersion":"1"}`
	customJSON = `{"id":"7f0c","topic":"` + topicID + `","subject":"orders/42","eventType":"Order.Placed",` +
		`"eventTime":"2026-03-01T08:00:00Z","data":{ "my":"object" },"dataVersion":"","metadataVersion":"1"}`
	convertedJSON = `{"id":"7f0c","source":"` + topicID + `","specversion":"1.0","type":"Order.Placed","dataschema":"#2.1",` +
		`"subject":"orders/42","time":"2026-03-01T08:00:00Z","data":{"n": 12345678901234567890}}`
	convertedCustomJSON = `{"id":"7f0c","source":"` + topicID + `","specversion":"1.0","type":"Order.Placed","dataschema":"#",` +
		`"subject":"orders/42","time":"2026-03-01T08:00:00Z","data":{ "my":"object" }}`
)

// stored returns an event as a topic of that schema holds it.
func stored(s event.Schema) *event.Event {
	switch s {
	case event.EventGrid:
		return &event.Event{Schema: s, JSON: []byte(gridJSON), ID: "7f0c", Source: topicID, Type: "Order.Placed", Subject: "orders/42"}
	case event.Custom:
		return &event.Event{Schema: s, JSON: []byte(customJSON), ID: "7f0c", Source: topicID, Type: "Order.Placed", Subject: "orders/42"}
	}
	return &event.Event{JSON: []byte(cloudJSON), ID: "7f0c", Source: "/contoso", Type: "Order.Placed", SpecVersion: "1.0"}
}

// notify returns a notification of events; the n-th has been tried n+2 times.
func notify(events ...*event.Event) *destination.Notification {
	n := &destination.Notification{Subscription: "hook1"}
	for i, e := range events {
		id := notification().Items[0].ID
		id[15] += byte(i)
		n.Items = append(n.Items, destination.Item{Attempt: 2 + i, ID: id, Event: e})
	}
	return n
}

func newTestTarget(t testing.TB, c *Client, o TargetOptions) destination.Target {
	t.Helper()
	target, err := c.NewTarget(o)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestDeliverWritesTheRequestOfEachForm(t *testing.T) {
	const grid, cloud, batch = "application/json; charset=utf-8", "application/cloudevents+json; charset=utf-8",
		"application/cloudevents-batch+json; charset=utf-8"
	for _, tt := range []struct {
		in, as                             event.Schema
		count                              int // of events; 0 is one, without batching
		contentType, dataVersion, metadata string
		body                               string
	}{
		{event.CloudEvents, event.CloudEvents, 0, cloud, "", "1.0", cloudJSON},
		{event.CloudEvents, event.CloudEvents, 1, batch, "", "1.0", "[" + cloudJSON + "]"},
		{event.CloudEvents, event.CloudEvents, 3, batch, "", "1.0", "[" + cloudJSON + "," + cloudJSON + "," + cloudJSON + "]"},
		{event.EventGrid, event.EventGrid, 0, grid, "2.1", "1", "[" + gridJSON + "]"},
		{event.EventGrid, event.EventGrid, 1, grid, "2.1", "1", "[" + gridJSON + "]"},
		{event.EventGrid, event.EventGrid, 2, grid, "2.1", "1", "[" + gridJSON + "," + gridJSON + "]"},
		{event.EventGrid, event.CloudEvents, 0, cloud, "", "1", convertedJSON},
		{event.EventGrid, event.CloudEvents, 1, batch, "", "1", "[" + convertedJSON + "]"},
		{event.EventGrid, event.CloudEvents, 2, batch, "", "1", "[" + convertedJSON + "," + convertedJSON + "]"},
		{event.Custom, event.EventGrid, 0, grid, "", "1", "[" + customJSON + "]"},
		{event.Custom, event.EventGrid, 2, grid, "", "1", "[" + customJSON + "," + customJSON + "]"},
		{event.Custom, event.CloudEvents, 0, cloud, "", "1", convertedCustomJSON},
		{event.Custom, event.CloudEvents, 2, batch, "", "1", "[" + convertedCustomJSON + "," + convertedCustomJSON + "]"},
		{event.Custom, event.Custom, 0, grid, "", "1", `[{ "my":"object" }]`},
		{event.Custom, event.Custom, 2, grid, "", "1", `[{ "my":"object" },{ "my":"object" }]`},
	} {
		t.Run(fmt.Sprintf("%s as %s, %d", tt.in, tt.as, tt.count), func(t *testing.T) {
			url, got := wire(t)
			c := newTestClient(t, Options{})
			d := newTestTarget(t, c, TargetOptions{URL: url + "/api/hook?code=a%2Fb&x=1", Schema: tt.as, Batch: tt.count > 0})
			events := []*event.Event{stored(tt.in)}
			for len(events) < tt.count {
				events = append(events, stored(tt.in))
			}
			if v := d.Deliver(t.Context(), notify(events...)); v.Outcome != destination.Delivered || v.Status != 200 || v.Err != nil {
				t.Fatalf("verdict = %+v, want delivered with 200", v)
			}
			origin := ""
			if tt.as == event.CloudEvents {
				origin = "Origin: eventgrid.azure.net\r\nWebHook-Request-Origin: eventgrid.azure.net\r\n"
			}
			want := "POST /api/hook?code=a%2Fb&x=1 HTTP/1.1\r\n" +
				"Host: " + strings.TrimPrefix(url, "http://") + "\r\n" +
				fmt.Sprintf("Content-Length: %d\r\n", len(tt.body)) +
				"Accept-Encoding: gzip,deflate\r\n" +
				"Content-Type: " + tt.contentType + "\r\n" +
				origin +
				"aeg-data-version: " + tt.dataVersion + "\r\n" +
				"aeg-delivery-count: 2\r\n" +
				"aeg-event-type: Notification\r\n" +
				"aeg-metadata-version: " + tt.metadata + "\r\n" +
				"aeg-output-event-id: 0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11\r\n" +
				"aeg-subscription-name: HOOK1\r\n" +
				"\r\n" +
				tt.body
			if diff := cmp.Diff(want, <-got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// What a publisher wrote as dataVersion may be anything.
func TestDataVersionThatIsNoHeaderIsLeftOut(t *testing.T) {
	for _, v := range []string{`a\r\nX-Injected: 1`, `\u0000`, strings.Repeat("x", maxValue+1)} {
		url, got := wire(t)
		d := newTestTarget(t, newTestClient(t, Options{}), TargetOptions{URL: url, Schema: event.EventGrid})
		e := stored(event.EventGrid)
		e.JSON = []byte(strings.Replace(gridJSON, `"2.1"`, `"`+v+`"`, 1))
		if v := d.Deliver(t.Context(), notify(e)); v.Outcome != destination.Delivered {
			t.Fatalf("verdict = %+v, want delivered", v)
		}
		header, body, _ := strings.Cut(<-got, "\r\n\r\n")
		if !strings.Contains(header, "aeg-data-version: \r\n") || strings.Contains(header, "X-Injected") {
			t.Errorf("header = %q, want an empty aeg-data-version", header)
		}
		if body != "["+string(e.JSON)+"]" {
			t.Errorf("body = %.200q", body)
		}
	}
}

func TestDeliverRefusesWhatDoesNotFitTheForm(t *testing.T) {
	var asked atomic.Bool
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	c := newTestClient(t, Options{})
	for _, tt := range []struct {
		name   string
		o      TargetOptions
		events []*event.Event
		text   string
	}{
		{"two without batching", TargetOptions{}, []*event.Event{stored(0), stored(0)}, "carries one event, not 2"},
		{"none", TargetOptions{Batch: true}, nil, "not 0"},
		{"conversion that does not exist", TargetOptions{Schema: event.EventGrid}, []*event.Event{stored(event.CloudEvents)}, "0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11"},
	} {
		tt.o.URL = url
		v := newTestTarget(t, c, tt.o).Deliver(t.Context(), notify(tt.events...))
		if v.Outcome != destination.GenericError || v.Err == nil || !strings.Contains(v.Err.Error(), tt.text) {
			t.Errorf("%s: verdict = %+v, want GenericError: %s", tt.name, v, tt.text)
		}
	}
	if asked.Load() {
		t.Error("a request was sent")
	}
	if _, err := c.NewTarget(TargetOptions{URL: url, Schema: 9}); err == nil {
		t.Error("a schema that does not exist was taken")
	}
}
