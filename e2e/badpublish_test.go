package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const goodEvent = `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`

// TestRefusedPublishes sends what the publish API must refuse, each with the
// status and the codes that Event Grid's clients read. None of it arrives.
func TestRefusedPublishes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	p := publisherOf(t, partner, "orders")
	reader := newMember(t, s, "reader", "Reader", partner.subscription, "")
	manyEvents := "[" + strings.TrimSuffix(strings.Repeat(goodEvent+",", 5001), ",") + "]"
	sized := func(n int, prefix, suffix string) string {
		return prefix + strings.Repeat("x", n-len(prefix)-len(suffix)) + suffix
	}
	event := func(n int) string {
		return sized(n, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"`, `"}`)
	}
	base := strings.TrimSuffix(p.endpoint, "/api/events")
	type header map[string]string
	structured := header{"Content-Type": "application/cloudevents+json"}
	binary := header{"Content-Type": "application/json", "ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s"}
	bearer := func(token string) header { return header{"aeg-sas-key": "", "Authorization": "Bearer " + token} }
	for _, tt := range []struct {
		name         string
		method, url  string // POST and the endpoint unless set
		body         string // a batch of one good event unless set
		header       header
		status       int
		code, detail string
		says         string
	}{
		{name: "no json", body: "{", status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "empty body", body: " ", status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "empty array", body: "[]", status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "object as batch", body: goodEvent, status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "array as structured", header: structured, status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "no source", body: `[{"specversion":"1.0","id":"1","type":"t"}]`, status: 400, code: "BadRequest", detail: "InputJsonInvalid", says: "source"},
		{name: "no specversion", body: `[{"id":"1","source":"/s","type":"t"}]`, status: 400, code: "BadRequest", detail: "InputJsonInvalid", says: "specversion"},
		{name: "data twice", body: `[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"MQ=="}]`, status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "bad time", body: `[{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"yesterday"}]`, status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "event grid schema", body: `[{"id":"1","subject":"s","eventType":"t","eventTime":"2026-01-01T00:00:00Z","data":{},"dataVersion":"1"}]`, status: 400, code: "BadRequest", detail: "InputJsonInvalid", says: "CloudEventV10"},
		{name: "one bad of two", body: "[" + goodEvent + `,{"specversion":"1.0","id":"2","source":"/s"}]`, status: 400, code: "BadRequest", detail: "InputJsonInvalid"},
		{name: "binary without id", header: binary, body: "{}", status: 400, code: "BadRequest", detail: "InvalidCloudEventHeader", says: "ce-id"},
		{name: "api version", url: p.endpoint + "?api-version=1999-01-01", status: 400, code: "BadRequest", detail: "UnsupportedApiVersion"},
		{name: "no channel", header: header{"aeg-channel-name": ""}, status: 400, code: "BadRequest", detail: "MissingChannelName"},
		{name: "unknown channel", header: header{"aeg-channel-name": "nobody"}, status: 404, code: "NotFound", detail: "ResourceNotFound"},
		{name: "unknown namespace", url: strings.Replace(p.endpoint, namespace, "nobody", 1), status: 404, code: "NotFound", detail: "ResourceNotFound", says: "No HTTP resource was found that matches the request URI"},
		{name: "unknown path", url: base + "/api/other", status: 404, code: "NotFound", detail: "ResourceNotFound", says: "No HTTP resource was found"},
		{name: "root", url: s.url + "/", status: 404, code: "NotFound", detail: "ResourceNotFound"},
		{name: "method", method: http.MethodPut, status: 405, code: "MethodNotAllowed", detail: "MethodNotAllowed"},
		{name: "content type", header: header{"Content-Type": "text/plain"}, status: 415, code: "UnsupportedMediaType", detail: "InvalidContentType"},
		{name: "no content type", header: header{"Content-Type": ""}, status: 415, code: "UnsupportedMediaType", detail: "InvalidContentType"},
		{name: "large body", body: sized(1_536_001, `[`+goodEvent+`,`+goodEvent[:len(goodEvent)-1]+`,"data":"`, `"}]`), status: 413, code: "RequestEntityTooLarge", detail: "PayloadTooLarge", says: "The maximum size (1536000) has been exceeded."},
		{name: "large event", body: "[" + event(1_049_601) + "]", status: 413, code: "RequestEntityTooLarge", detail: "PayloadTooLarge"},
		{name: "many events", body: manyEvents, status: 413, code: "RequestEntityTooLarge", detail: "PayloadTooLarge"},
		{name: "empty key", header: header{"aeg-sas-key": emptyValue}, status: 400, code: "BadRequest", detail: "InvalidSas"},
		{name: "no credential", header: header{"aeg-sas-key": ""}, status: 401, code: "Unauthorized", detail: "Unauthorized", says: "aeg-sas-token"},
		{name: "wrong key", header: header{"aeg-sas-key": "d3Jvbmc="}, status: 401, code: "Unauthorized", detail: "Unauthorized", says: "The request authorization key is not authorized for " + strings.ToUpper(strings.TrimPrefix(s.url, "https://"))},
		{name: "expired SAS", header: header{"aeg-sas-key": "", "aeg-sas-token": sas(p.endpoint, time.Now().Add(-time.Hour), p.key)}, status: 401, code: "Unauthorized", detail: "Unauthorized"},
		{name: "SAS of another", header: header{"aeg-sas-key": "", "aeg-sas-token": sas(s.url+"/other.westeurope-1/api/events", time.Now().Add(time.Hour), p.key)}, status: 401, code: "Unauthorized", detail: "Unauthorized"},
		{name: "scheme", header: header{"aeg-sas-key": "", "Authorization": "Basic eDp5"}, status: 401, code: "Unauthorized", detail: "Unauthorized"},
		{name: "no token", header: bearer("eyJhbGciOiJub25lIn0.e30."), status: 401, code: "Unauthorized", detail: "Unauthorized"},
		{name: "token for management", header: bearer(reader.token(t, "https://management.azure.com/.default")), status: 401, code: "Unauthorized", detail: "Unauthorized"},
		{name: "token without role", header: bearer(reader.token(t, "https://eventgrid.azure.net/.default")), status: 403, code: "Forbidden", detail: "Forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.body == "" {
				tt.body = "[" + goodEvent + "]"
			}
			a := publishAs(t, p, tt.method, tt.url, tt.header, tt.body)
			if a.status != tt.status || a.code() != tt.code || a.detail() != tt.detail {
				t.Errorf("%d %s %s, want %d %s %s\n%.300s", a.status, a.code(), a.detail(), tt.status, tt.code, tt.detail, a.body)
			}
			if e := a.error(); !strings.Contains(e.Message, tt.says) || (len(e.Details) > 0 && e.Details[0].Message != e.Message) {
				t.Errorf("message %q", e.Message)
			}
			if ct := a.header.Get("Content-Type"); ct != "application/json; charset=utf-8" || a.header.Get("x-ms-request-id") == "" {
				t.Errorf("content type %q, request id %q", ct, a.header.Get("x-ms-request-id"))
			}
		})
	}
	t.Run("just small enough", func(t *testing.T) {
		for i, body := range []string{
			"[" + event(1_049_600) + "]",
			sized(1_536_000, `[`+goodEvent+`,`+goodEvent[:len(goodEvent)-1]+`,"data":"`+strings.Repeat("y", 600_000)+`"},`+goodEvent[:len(goodEvent)-1]+`,"data":"`, `"}]`),
			strings.Replace(manyEvents, goodEvent+",", "", 1),
		} {
			if a := publishAs(t, p, "", "", nil, body); a.status != 200 {
				t.Errorf("%d: %d %.200s", i, a.status, a.body)
			}
		}
	})
	until(t, 30*time.Second, "the good ones arrive", func() bool { return len(hook.deliveries("/orders")) >= 1+3+5000 })
	if n := len(hook.deliveries("/orders")); n != 1+3+5000 {
		t.Errorf("%d events arrived, want %d: something refused was delivered", n, 1+3+5000)
	}
}

func publishAs(t *testing.T, p *publisher, method, url string, header map[string]string, body string) answer {
	t.Helper()
	target := *p
	if url != "" {
		target.endpoint = url
	}
	if method == "" {
		a, err := target.post(t.Context(), []byte(body), header)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a, err := p.server.send(t.Context(), method, target.endpoint, map[string]string{"aeg-sas-key": p.key}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestNetworkRules refuses publishers by address and by credential kind.
func TestNetworkRules(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	p := publisherOf(t, partner, "orders")
	id := partner.id("partnerNamespaces", namespace)
	for _, tt := range []struct {
		properties string
		status     int
		detail     string
	}{
		{`{"inboundIpRules":[{"ipMask":"192.0.2.0/24","action":"Allow"}]}`, 403, "Forbidden"},
		{`{"inboundIpRules":[{"ipMask":"127.0.0.0/8","action":"Allow"}]}`, 200, ""},
		{`{"publicNetworkAccess":"Disabled"}`, 403, "Forbidden"},
		{`{"publicNetworkAccess":"Enabled","disableLocalAuth":true}`, 401, "Unauthorized"},
		{`{"disableLocalAuth":false}`, 200, ""},
	} {
		if a := partner.call(t, http.MethodPatch, id, fmt.Sprintf(`{"properties":%s}`, tt.properties)); a.status/100 != 2 {
			t.Fatalf("%s: %d %s", tt.properties, a.status, a.body)
		}
		a, err := p.post(t.Context(), []byte("["+goodEvent+"]"), nil)
		if err != nil || a.status != tt.status || a.detail() != tt.detail {
			t.Errorf("%s: %d %s %v, want %d %s", tt.properties, a.status, a.detail(), err, tt.status, tt.detail)
		}
		if bytes.Contains(a.body, []byte(p.key)) {
			t.Error("the answer repeats the key")
		}
	}
}
