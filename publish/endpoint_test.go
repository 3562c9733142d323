package publish

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMethodsAndPaths(t *testing.T) {
	f := newFixture(t, func(h *Handler, _ *Source) { h.PublishDomain = "Events.Example" })
	for _, tt := range []struct {
		method, path, host string
		status             int
		allow              string
	}{
		{"POST", path, "", 200, ""},
		{"POST", path + "/", "", 200, ""},
		{"POST", "/CONTOSO.WestEurope-1/API/Events", "", 200, ""},
		{"POST", path + "?api-version=2018-01-01&api-version=2018-01-01&x=1", "", 200, ""},
		{"POST", "/api/events", "contoso.westeurope-1.events.example", 200, ""},
		{"POST", "/api/events/", "Contoso.WestEurope-1.Events.Example.:8443", 200, ""},
		{"POST", path, "contoso.westeurope-1.events.example", 200, ""},
		{"OPTIONS", path, "", 200, "POST, OPTIONS"},
		{"HEAD", path, "", 404, ""},
		{"GET", path, "", 405, "OPTIONS, POST"},
		{"PUT", path, "", 405, "OPTIONS, POST"},
		{"DELETE", path, "", 405, "OPTIONS, POST"},
		{"POST", "/", "", 404, ""},
		{"GET", "/", "", 404, ""},
		{"OPTIONS", "/other.westeurope-1/api/events", "", 404, ""},
		{"POST", "/other.westeurope-1/api/events", "", 404, ""},
		{"POST", "/contoso.westeurope/api/events", "", 404, ""},
		{"POST", "/a/contoso.westeurope-1/api/events", "", 404, ""},
		{"POST", path + "//", "", 404, ""},
		{"POST", "//api/events", "", 404, ""},
		{"POST", "/api/events", "", 404, ""},
		{"POST", "/api/events", "other.westeurope-1.events.example", 404, ""},
		{"POST", "/api/events", "events.example", 404, ""},
		{"POST", "/api/events", "contoso.westeurope-1-events.example", 404, ""},
	} {
		t.Run(tt.method+" "+tt.host+tt.path, func(t *testing.T) {
			a := f.send(t, one, func(r *http.Request) {
				r.Method, r.Host = tt.method, tt.host
				u, err := r.URL.Parse(f.server.URL + tt.path)
				if err != nil {
					t.Fatal(err)
				}
				r.URL = u
			})
			if a.status != tt.status || a.header.Get("Allow") != tt.allow {
				t.Errorf("%d, Allow %q: %s", a.status, a.header.Get("Allow"), a.body)
			}
			if a.header.Get("api-supported-versions") == "" || a.header.Get("x-ms-request-id") == "" {
				t.Error("headers of every answer are missing")
			}
			if tt.method == "OPTIONS" && a.status == 200 && a.header.Get("aeg-input-event-schema") != "CloudEventV10" {
				t.Errorf("headers %v", a.header)
			}
			switch {
			case tt.method == "HEAD":
			case tt.status == 405:
				a.problemOf(t, "MethodNotAllowed", "MethodNotAllowed")
			case tt.status == 404:
				if m := a.problemOf(t, "NotFound", "ResourceNotFound"); !strings.Contains(m, "No HTTP resource was found that matches the request URI 'http://") {
					t.Errorf("message %q", m)
				}
			}
		})
	}
}

func TestClaims(t *testing.T) {
	h := &Handler{PublishDomain: "events.example"}
	for target, want := range map[string]bool{
		"http://server/contoso.westeurope-1/API/events/":         true,
		"http://server/api/events":                               false,
		"http://server/subscriptions/x":                          false,
		"http://contoso.westeurope-1.events.example/api/events":  true,
		"http://contoso.westeurope-1.events.example/other":       true,
		"http://events.example/subscriptions/x":                  false,
		"http://server/subscriptions/s/contoso/api/events/extra": false,
	} {
		if got := h.Claims(httptest.NewRequest(http.MethodPost, target, nil)); got != want {
			t.Errorf("Claims(%s) = %v", target, got)
		}
	}
}

// The 404 names the URI, which must not bring a key into logs.
func TestNotFoundHidesQuery(t *testing.T) {
	f := newFixture(t, nil)
	a := f.send(t, one, func(r *http.Request) { r.URL.Path, r.URL.RawQuery = "/nowhere", "aeg-sas-key=secret" })
	if a.status != 404 || strings.Contains(a.body+f.logged.String(), "secret") {
		t.Errorf("%d %s\n%s", a.status, a.body, f.logged)
	}
}
