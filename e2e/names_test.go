package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestForeignHost sends requests that name another host: no answer may lead a
// client there.
func TestForeignHost(t *testing.T) {
	t.Parallel()
	s := serve(t)
	partner, _ := pair(t, s)
	token := partner.token(t, "https://management.azure.com/.default")
	for _, path := range []string{
		partner.id("partnerNamespaces", namespace) + "?api-version=2022-06-15",
		"/metadata/endpoints?api-version=2022-09-01",
		"/adfs/.well-known/openid-configuration",
		"/" + s.tenant(t) + "/v2.0/.well-known/openid-configuration",
		"/subscriptions/" + partner.subscription + "/resourceGroups?api-version=2021-04-01",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := s.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body json.RawMessage
		_ = json.NewDecoder(resp.Body).Decode(&body) // an answer without JSON leads nowhere
		resp.Body.Close()
		if strings.Contains(string(body), "evil.example/") || strings.Contains(strings.Join(resp.Header["Location"], ""), "evil") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

// TestPlainListener publishes over plain HTTP, which serves nothing else.
func TestPlainListener(t *testing.T) {
	t.Parallel()
	s := serve(t, "--listen-http", "127.0.0.1:0")
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	var run struct{ HTTP string }
	text, err := os.ReadFile(filepath.Join(s.dir, "run.json"))
	if err != nil || json.Unmarshal(text, &run) != nil || run.HTTP == "" {
		t.Fatalf("run.json: %s %v", text, err)
	}
	p := publisherOf(t, partner, "orders")
	p.endpoint = strings.Replace(p.endpoint, s.url, run.HTTP, 1)
	if ok, err := p.publish(t.Context(), "plain"); !ok {
		t.Errorf("publish over plain HTTP: %v", err)
	}
	until(t, 10*time.Second, "it arrives", func() bool { return hook.hasAll("/orders", []string{"plain"}) })
	for _, path := range []string{"/subscriptions?api-version=2022-12-01", "/adfs/oauth2/token", "/metadata/endpoints?api-version=2022-09-01", "/graph/v1.0/servicePrincipals", "/metrics"} {
		a, err := s.send(t.Context(), http.MethodGet, run.HTTP+path, nil, nil)
		if err != nil || a.status != 404 {
			t.Errorf("%s over plain HTTP: %d %v", path, a.status, err)
		}
	}
}

// TestPublishDomain publishes to a host of the namespace's own, with a name in
// the certificate and without any DNS server, and to the path as well.
func TestPublishDomain(t *testing.T) {
	t.Parallel()
	s := serve(t, "--publish-domain", "events.test")
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	p := publisherOf(t, partner, "orders")
	port := s.url[strings.LastIndex(s.url, ":"):]
	if want := "https://" + namespace + ".westeurope-1.events.test" + port + "/api/events"; p.endpoint != want {
		t.Fatalf("endpoint %s, want %s", p.endpoint, want)
	}
	if ok, err := (&publisher{server: s, endpoint: s.url + "/" + namespace + ".westeurope-1/api/events", key: p.key, channel: "orders"}).publish(t.Context(), "by-path"); !ok {
		t.Errorf("by path: %v", err)
	}
	s.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.listen)
	}
	if ok, err := p.publish(t.Context(), "by-host"); !ok {
		t.Errorf("by host: %v", err)
	}
	until(t, 10*time.Second, "both arrive", func() bool { return hook.hasAll("/orders", []string{"by-path", "by-host"}) })
}
