package demo

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Each order has exactly one place at each customer: this is why the demo can
// promise as many deliveries as it publishes.
func TestEachOrderHasOnePlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := orderNumber(rapid.IntRange(0, 1_000_000).Draw(t, "n"))
		for _, c := range customers() {
			places := 0
			for _, box := range c.boxes {
				if box.wants(o) {
					places++
				}
			}
			if places != 1 {
				t.Fatalf("%+v has %d places at %s", o, places, c.name)
			}
		}
	})
}

func TestEveryMailboxGetsSomething(t *testing.T) {
	seen := map[string]int{}
	for n := range 100 {
		for _, c := range customers() {
			for _, box := range c.boxes {
				if box.wants(orderNumber(n)) {
					seen[box.name]++
				}
			}
		}
	}
	for _, c := range customers() {
		for _, box := range c.boxes {
			if seen[box.name] < 10 {
				t.Errorf("%s gets %d of 100 orders", box.name, seen[box.name])
			}
		}
	}
}

func TestEventSurvivesTheWay(t *testing.T) {
	c := customers()[0]
	body := orderNumber(7).event(c, time.Unix(0, 0))
	var attributes map[string]any
	if err := json.Unmarshal(body, &attributes); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"specversion", "id", "source", "type", "subject", "time", "data"} {
		if attributes[name] == nil {
			t.Errorf("no %s in %s", name, body)
		}
	}
	for contentType, sent := range map[string]string{
		"application/cloudevents+json; charset=utf-8":       string(body),
		"application/cloudevents-batch+json; charset=utf-8": "[" + string(body) + "]",
	} {
		got, err := decodeEvents(contentType, []byte(sent))
		if err != nil || len(got) != 1 || got[0].order() != orderNumber(7) {
			t.Errorf("%s: read %+v, %v", contentType, got, err)
		}
	}
}

func TestReceiver(t *testing.T) {
	book := newLedger(time.Now)
	r := &receiver{customer: "contoso", ledger: book}
	book.expect(place{"contoso", "sales"}, orderNumber(0).id())
	event := string(orderNumber(0).event(customers()[0], time.Now()))
	const single = "application/cloudevents+json"
	for _, tt := range []struct {
		method, contentType, body string
		status                    int
		want                      tally
	}{
		{"OPTIONS", "", "", 200, tally{expected: 1}},
		{"GET", "", "", 405, tally{expected: 1}},
		{"POST", single, "{", 400, tally{expected: 1}},
		{"POST", "application/cloudevents-batch+json", event, 400, tally{expected: 1}},
		{"POST", "text/plain", event, 400, tally{expected: 1}},
		{"POST", "", event, 400, tally{expected: 1}},
		{"POST", single, strings.Repeat(" ", 3<<20), 413, tally{expected: 1}},
		{"POST", single, event, 200, tally{expected: 1, delivered: 1}},
		{"POST", single, event, 200, tally{expected: 1, delivered: 1, duplicates: 1}},
	} {
		req := httptest.NewRequest(tt.method, "/sales", strings.NewReader(tt.body))
		req.Header.Set("Content-Type", tt.contentType)
		req.Header.Set("WebHook-Request-Origin", "eventgrid.azure.net")
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		if rec.Code != tt.status {
			t.Errorf("%s %q: status %d, want %d", tt.method, tt.contentType, rec.Code, tt.status)
		}
		if tt.method == http.MethodOptions && rec.Header().Get("WebHook-Allowed-Origin") != "eventgrid.azure.net" {
			t.Errorf("no consent: %v", rec.Header())
		}
		if got := book.tally(); got != tt.want {
			t.Errorf("%s %q: tally %+v, want %+v", tt.method, tt.contentType, got, tt.want)
		}
	}
	req := httptest.NewRequest(http.MethodPost, "/service", strings.NewReader(event))
	req.Header.Set("Content-Type", single)
	r.ServeHTTP(httptest.NewRecorder(), req)
	if got := book.tally().misrouted; got != 1 {
		t.Errorf("misrouted %d, want 1", got)
	}
}
