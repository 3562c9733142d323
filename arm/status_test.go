package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The codes of the strictest client, operation by operation.
func TestStatusOfEachOperation(t *testing.T) {
	f := newFixture(t)
	grant := `{"partnerName":"Northwave"}`
	for _, s := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", registration, `{"location":"global","properties":{"partnerName":"Northwave"}}`, 200},
		{"PUT", registration, `{"location":"global","properties":{"partnerName":"Northwave"}}`, 200},
		{"PATCH", registration, `{"tags":{"a":"b"}}`, 200},
		{"GET", registration, ``, 200},
		{"HEAD", registration, ``, 204},
		{"PUT", namespace, `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"` + registration + `","partnerTopicRoutingMode":"ChannelNameHeader"}}`, 201},
		{"PUT", namespace, `{"location":"westeurope","properties":{}}`, 201},
		{"PATCH", namespace, `{"tags":{"a":"b"}}`, 200},
		{"POST", namespace + "/listKeys", ``, 200},
		{"POST", namespace + "/regenerateKey", `{"keyName":"key1"}`, 200},
		{"PUT", config, `{"location":"global"}`, 200},
		{"PATCH", config, `{"properties":{"defaultMaximumExpirationTimeInDays":9}}`, 200},
		{"POST", config + "/authorizePartner", grant, 200},
		{"POST", config + "/unauthorizePartner", grant, 200},
		{"POST", config + "/authorizePartner", grant, 200},
		{"PUT", channel, channelBody("pt1"), 200},
		{"PUT", channel, channelBody("pt1"), 200},
		{"PATCH", channel, `{"properties":{}}`, 200},
		{"PUT", topic, `{"tags":{"a":"b"}}`, 200},
		{"PATCH", topic, `{"tags":{"a":"c"}}`, 200},
		{"POST", topic + "/activate", ``, 200},
		{"POST", topic + "/deactivate", ``, 200},
		{"PUT", eventSub, hookBody, 201},
		{"PUT", eventSub, hookBody, 201},
		{"PATCH", eventSub, `{"labels":["x"]}`, 201},
		{"POST", eventSub + "/getFullUrl", ``, 200},
		{"POST", eventSub + "/getDeliveryAttributes", ``, 200},
		{"DELETE", eventSub, ``, 200},
		{"DELETE", eventSub, ``, 204},
		{"DELETE", channel, ``, 200},
		{"DELETE", topic, ``, 204}, // went with the channel
		{"DELETE", channel, ``, 204},
		{"DELETE", namespace, ``, 200},
		{"DELETE", namespace, ``, 204},
		{"DELETE", namespace + "/channels/never", ``, 204},
		{"DELETE", registration, ``, 200},
		{"DELETE", config, ``, 200},
		{"HEAD", config, ``, 404},
	} {
		a := f.do("owner", s.method, s.path, s.body).want(s.want)
		if (s.method == "DELETE" || s.method == "HEAD") && a.raw != "" && s.want < 300 {
			t.Errorf("%s has a body: %s", a.what, a.raw)
		}
		if a.header.Get("Azure-AsyncOperation") != "" || a.header.Get("Location") != "" {
			t.Errorf("%s tells the client to wait: %v", a.what, a.header)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	f := newFixture(t)
	guid := `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	for _, a := range []*answer{
		f.get("owner", "/subscriptions"), f.get("owner", registration), f.get("", "/subscriptions"), f.delete("owner", channel), f.get("", "/metadata/endpoints"),
	} {
		for name, want := range map[string]string{
			"Cache-Control": `^no-cache$`, "Pragma": `^no-cache$`, "Expires": `^-1$`, "X-Content-Type-Options": `^nosniff$`,
			"Strict-Transport-Security":   `^max-age=31536000; includeSubDomains$`,
			"X-Ms-Request-Id":             `^` + guid + `$`,
			"X-Ms-Correlation-Request-Id": `^` + guid + `$`,
			"X-Ms-Routing-Request-Id":     `^[A-Z]+:20260301T090000Z:` + guid + `$`,
			"X-Ms-Client-Request-Id":      `^$`,
		} {
			if got := a.header.Get(name); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: %s is %q", a.what, name, got)
			}
		}
		if want := map[bool]string{true: "", false: "application/json; charset=utf-8"}[a.raw == ""]; a.header.Get("Content-Type") != want {
			t.Errorf("%s: content type %q", a.what, a.header.Get("Content-Type"))
		}
	}
	r := httptest.NewRequest(http.MethodGet, base+"/metadata/endpoints", nil)
	r.Header.Set("X-Ms-Client-Request-Id", "mine")
	r.Header.Set("X-Ms-Return-Client-Request-Id", "True")
	if got := f.send(r).header.Get("X-Ms-Client-Request-Id"); got != "mine" {
		t.Errorf("client request id %q", got)
	}
}

func TestEnvelopeMembers(t *testing.T) {
	f := newFixture(t).partnerFlow()
	members := func(a *answer) map[string]any {
		out := map[string]any{}
		for k, v := range a.body {
			switch k {
			case "properties", "systemData":
				out[k] = v != nil
			default:
				out[k] = v
			}
		}
		return out
	}
	type m = map[string]any
	for path, want := range map[string]m{
		registration: {"id": registration, "name": "reg", "type": "Microsoft.EventGrid/partnerRegistrations", "location": "global", "tags": nil, "systemData": true, "properties": true},
		namespace:    {"id": namespace, "name": "ns1", "type": "Microsoft.EventGrid/partnerNamespaces", "location": "westeurope", "tags": nil, "systemData": true, "properties": true},
		channel:      {"id": channel, "name": "ch1", "type": "Microsoft.EventGrid/partnerNamespaces/channels", "systemData": true, "properties": true},
		config:       {"id": config, "name": "default", "type": "Microsoft.EventGrid/partnerConfigurations", "location": "global", "tags": nil, "systemData": true, "properties": true},
		// Who made it is the partner's business.
		topic:    {"id": topic, "name": "pt1", "type": "Microsoft.EventGrid/partnerTopics", "location": "westeurope", "tags": nil, "systemData": false, "properties": true},
		eventSub: {"id": eventSub, "name": "es1", "type": "Microsoft.EventGrid/partnerTopics/eventSubscriptions", "systemData": true, "properties": true},
	} {
		a := f.get("owner", path).want(200)
		if diff := cmp.Diff(want, members(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if a.at("properties", "provisioningState") != "Succeeded" {
			t.Errorf("%s: %s", path, a.raw)
		}
	}
	want := m{
		"createdBy": f.objects["owner"], "createdByType": "Application", "createdAt": "2026-03-01T09:00:00Z",
		"lastModifiedBy": f.objects["owner"], "lastModifiedByType": "Application", "lastModifiedAt": "2026-03-01T09:00:00Z",
	}
	if diff := cmp.Diff(want, f.get("owner", channel).at("systemData")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if tags := f.patch("owner", topic, `{"tags":{"cost":"42"}}`).want(200).at("tags", "cost"); tags != "42" {
		t.Errorf("tags %v", tags)
	}
	a := f.patch("owner", topic, `{"identity":{"type":"SystemAssigned"}}`).want(200)
	if a.at("identity", "type") != "SystemAssigned" || a.at("tags", "cost") != "42" {
		t.Errorf("got %s", a.raw)
	}
	if got := f.get("owner", namespace).at("properties", "endpoint"); got != base+"/ns1.westeurope-1/api/events" {
		t.Errorf("endpoint %v", got)
	}
	if raw := f.get("owner", eventSub).raw; !strings.Contains(raw, `"endpointUrl":null`) || !strings.Contains(raw, `"labels":null`) || strings.Contains(raw, "secret") {
		t.Errorf("got %s", raw)
	}
}

func TestURLsFollowTheHostOfTheClientIfItIsOurs(t *testing.T) {
	f := newFixture(t).partnerFlow()
	for host, want := range map[string]string{"arm.example:8443": base, "evil.example": "https://fallback.example"} {
		r := httptest.NewRequest(http.MethodGet, "https://"+host+namespace+"?api-version="+version, nil)
		r.Header.Set("Authorization", "Bearer "+f.token("owner", "https://management.azure.com/"))
		a := f.send(r).want(200)
		if got, _ := a.at("properties", "endpoint").(string); !strings.HasPrefix(got, want+"/ns1") {
			t.Errorf("%s: endpoint %s", host, got)
		}
	}
}

func TestPathsIgnoreCaseAndDoubledSlashes(t *testing.T) {
	f := newFixture(t).partnerFlow()
	for _, path := range []string{
		strings.ToUpper(topic),
		strings.ReplaceAll(topic, "resourceGroups", "resourcegroups"),
		strings.ReplaceAll(topic, "EventGrid/", "EventGrid//"),
		"/" + topic + "/",
		strings.ReplaceAll(topic[1:], "/", "//"),
	} {
		a := f.get("owner", "/"+strings.TrimLeft(path, "/")).want(200)
		if a.at("id") != topic || a.at("type") != "Microsoft.EventGrid/partnerTopics" {
			t.Errorf("%s shows %v", path, a.at("id"))
		}
	}
	r := httptest.NewRequest(http.MethodGet, base+strings.ReplaceAll(topic, "/providers", "%2Fproviders")+"?API-version="+version, nil)
	r.Header.Set("Authorization", "bearer "+f.token("owner", "https://management.core.windows.net"))
	f.send(r).want(200)
	// The casing of creation stays, whatever a later PUT writes.
	up := strings.Replace(registration, "/reg", "/REG", 1)
	if a := f.put("owner", up, `{"properties":{"partnerName":"Northwave"}}`).want(200); a.at("id") != registration || a.at("name") != "reg" {
		t.Errorf("got %v", a.at("id"))
	}
	f.delete("owner", strings.ToLower(eventSub)).want(200)
	f.get("owner", eventSub).want(404)
}

// A body in any of the forms that clients send.
func TestBodies(t *testing.T) {
	f := newFixture(t).partnerFlow()
	for body, want := range map[string]int{
		``: 200, ` `: 200, `{}`: 200, "\xef\xbb\xbf{}": 200, `{"unknown":{"a":[1]}}`: 200, `{"properties":null}`: 200, `{"tags":null}`: 200,
		`null`: 200, `[]`: 400, `5`: 400, `"x"`: 400, `{`: 400, `{}{}`: 400, `{"properties":[]}`: 400, `{"properties":"x"}`: 400,
		`{"tags":[]}`: 400, `{"tags":{"a":1}}`: 400, `{"location":5}`: 400,
	} {
		a := f.patch("owner", registration, body).want(want)
		if want == 400 {
			a.wantError(400, "InvalidRequestContent")
		}
	}
	for body, want := range map[string]int{`{"labels":["a"]}`: 201, `{"properties":{"labels":["b"]}}`: 201, ``: 201, `[]`: 400, `{`: 400, `null`: 400, `{"labels":5}`: 400} {
		f.patch("owner", eventSub, body).want(want)
	}
	f.put("owner", registration, `{"tags":{"x":"`+strings.Repeat("y", maxBody)+`"}}`).wantError(413, "RequestEntityTooLarge", fmt.Sprint(maxBody))
}

func TestEveryErrorCodeHasItsStatusOnce(t *testing.T) {
	f := newFixture(t)
	f.store.fail = json.Unmarshal([]byte("{"), new(int)) // an error that is not the caller's
	a := f.put("owner", partnerRG, `{"location":"westeurope"}`).wantError(500, "InternalServerError", "request id")
	if strings.Contains(a.raw, "JSON") {
		t.Errorf("it tells inner things: %s", a.raw)
	}
	for code, status := range statuses {
		if status < 400 || status > 599 || code == "" {
			t.Errorf("%s: %d", code, status)
		}
	}
	for code := range gatewayErrors {
		if statuses[code] == 0 {
			t.Errorf("%s has no status", code)
		}
	}
}
