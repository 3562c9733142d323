package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/access"
)

// named answers with its name.
type named string

func (n named) ServeHTTP(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, string(n)) }

func (n named) Match(path string) bool { return strings.HasPrefix(path, "/"+string(n)) }

func (n named) Claims(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/api/events") }

func newFront() *front {
	return &front{
		forwarded: func(*http.Request) {},
		publish:   named("publish"), edges: []edge{named("arm"), named("graph")}, metrics: named("metrics"),
		mayReadMetrics: func(*http.Request) bool { return false }, ready: func() error { return nil }, draining: &atomic.Bool{},
		secure: func(r *http.Request) bool { return r.Header.Get("X-Forwarded-Proto") == "https" },
	}
}

// A token that came over plain HTTP is known to everybody on the way.
func TestTokensAreRefusedWithoutTLS(t *testing.T) {
	plain := newFront()
	plain.plain = true
	for _, c := range []struct {
		front       *front
		header      string
		value, told string
		want        int
	}{
		{plain, "Authorization", "Bearer x", "", 403},
		{plain, "Authorization", "bearer x", "", 403},
		{plain, "Authorization", "Bearer x", "https", 200}, // the proxy has taken it over TLS
		{plain, "Authorization", "SharedAccessSignature r=x", "", 200},
		{plain, "aeg-sas-key", "x", "", 200},
		{newFront(), "Authorization", "Bearer x", "", 200},
	} {
		for _, path := range []string{"/ns1.westeurope-1/api/events", "/else"} {
			r := httptest.NewRequest(http.MethodPost, path, nil)
			r.Header.Set(c.header, c.value)
			r.Header.Set("X-Forwarded-Proto", c.told)
			w := httptest.NewRecorder()
			c.front.ServeHTTP(w, r)
			if w.Code != c.want || w.Code == 403 && !strings.Contains(w.Body.String(), `"code":"HttpsRequired"`) {
				t.Errorf("%s, plain %v, %s %s, by a proxy over %q: %d %s", path, c.front.plain, c.header, c.value, c.told, w.Code, w.Body)
			}
		}
	}
}

// Where a proxy may stand on this machine, nobody is this machine.
func TestMetricsBehindAProxyNeedAToken(t *testing.T) {
	for _, set := range []func(*Options){
		func(o *Options) { o.PublicURL = "https://events.example" },
		func(o *Options) { o.TrustedProxies = []string{"127.0.0.1"} },
		func(*Options) {},
	} {
		o := DefaultOptions()
		set(&o)
		dir := t.TempDir()
		a := start(t, dir, set)
		resp, err := client(t, dir).Get("https://" + a.listener.Addr().String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		want := http.StatusForbidden
		if o.PublicURL == "" && len(o.TrustedProxies) == 0 {
			want = http.StatusOK
		}
		if resp.StatusCode != want {
			t.Errorf("public URL %q, proxies %q: %s", o.PublicURL, o.TrustedProxies, resp.Status)
		}
		stop(t, a)
	}
}

func TestWhereRequestsGo(t *testing.T) {
	plain := newFront()
	plain.plain = true
	for path, want := range map[string][2]string{ // over TLS, over plain HTTP
		"/ns1.westeurope-1/api/events": {"publish", "publish"},
		"/arm/api/events":              {"publish", "publish"}, // what publishing claims is its own
		"/arm/x":                       {"arm", "publish"},
		"/graph":                       {"graph", "publish"},
		"/else":                        {"publish", "publish"},
		"/healthz":                     {"ok", "ok"},
		"/readyz":                      {"ready", "ready"},
		"/metrics":                     {"metrics", "publish"},
	} {
		for i, f := range []*front{newFront(), plain} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = "127.0.0.1:5"
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			if got := strings.TrimSpace(w.Body.String()); got != want[i] || w.Code != 200 {
				t.Errorf("%s (plain %v): %d %s", path, f.plain, w.Code, got)
			}
		}
	}
}

func TestReadiness(t *testing.T) {
	f := newFront()
	status := func() (int, string) {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	f.ready = func() error { return errors.New("not yet") }
	if code, text := status(); code != 503 || text != "not yet" {
		t.Errorf("%d %s", code, text)
	}
	f.ready = func() error { return nil }
	if code, _ := status(); code != 200 {
		t.Errorf("%d", code)
	}
	f.draining.Store(true)
	if code, text := status(); code != 503 || text != "draining" {
		t.Errorf("%d %s", code, text)
	}
}

func TestWhoSeesTheMetrics(t *testing.T) {
	key, err := access.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := access.NewTokens([][]byte{key}, access.TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	authorizer := &access.Authorizer{}
	authorizer.Set([]access.Assignment{
		{Scope: "/", RoleID: access.RoleReader, PrincipalID: "root-reader"},
		{Scope: "/subscriptions/s", RoleID: access.RoleOwner, PrincipalID: "owner-of-one"},
		{Scope: "/", RoleID: access.RoleEventGridContributor, PrincipalID: "contributor"},
	}, nil)
	bearer := func(who, audience string) string {
		text, _, err := tokens.Issue(access.Subject{ObjectID: who}, audience, "https://x", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + text
	}
	f := newFront()
	f.mayReadMetrics = mayReadMetrics(tokens, authorizer, &hosts{fallback: "https://events.example"})
	const arm = access.AudienceManagement
	for name, c := range map[string]struct {
		remote, header, value string
		want                  int
	}{
		"this machine":             {"127.0.0.1:1", "", "", 200},
		"this machine, IPv6":       {"[::1]:1", "", "", 200},
		"this machine, mapped":     {"[::ffff:127.0.0.1]:1", "", "", 200},
		"elsewhere":                {"192.0.2.1:1", "", "", 403},
		"through a local proxy":    {"127.0.0.1:1", "X-Forwarded-For", "192.0.2.1", 403},
		"through another":          {"127.0.0.1:1", "Forwarded", "for=192.0.2.1", 403},
		"unreadable address":       {"@", "", "", 403},
		"reader at the root":       {"192.0.2.1:1", "Authorization", bearer("root-reader", arm), 200},
		"own audience":             {"192.0.2.1:1", "Authorization", bearer("root-reader", "https://events.example/"), 200},
		"audience of publishing":   {"192.0.2.1:1", "Authorization", bearer("root-reader", access.AudienceEventGrid), 403},
		"owner of a subscription":  {"192.0.2.1:1", "Authorization", bearer("owner-of-one", arm), 403},
		"contributor of one kind":  {"192.0.2.1:1", "Authorization", bearer("contributor", arm), 403},
		"nobody":                   {"192.0.2.1:1", "Authorization", bearer("nobody", arm), 403},
		"no token":                 {"192.0.2.1:1", "Authorization", "Bearer x", 403},
		"a token without a scheme": {"192.0.2.1:1", "Authorization", strings.TrimPrefix(bearer("root-reader", arm), "Bearer "), 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr = c.remote
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
