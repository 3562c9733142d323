package app

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestBaseFollowsTheClientOnlyToOurNames(t *testing.T) {
	o := Options{AllowedHosts: []string{"Intertie.Internal", "Mapped.example:9443"}, PublicURL: "https://events.example.com/"}
	h := newHosts(o, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 10), Port: 8443}, "Workbench", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	if h.fallback != "https://events.example.com" {
		t.Errorf("fallback %s", h.fallback)
	}
	for host, want := range map[string]string{
		"127.0.0.1:8443":          "https://127.0.0.1:8443",
		"LOCALHOST:8443":          "https://localhost:8443",
		"localhost":               "https://localhost",
		"[::1]:8443":              "https://[::1]:8443",
		"192.0.2.10:8443":         "https://192.0.2.10:8443",
		"workbench:8443":          "https://workbench:8443",
		"intertie.internal":       "https://intertie.internal",
		"events.example.com":      "https://events.example.com",
		"mapped.example:9443":     "https://mapped.example:9443",
		"localhost:9443":          "https://localhost:9443",
		"localhost:8080":          "", // another program on the same machine
		"events.example.com:4443": "",
		"evil.example":            "",
		"evil.example:8443":       "",
		"localhost.evil.example":  "",
		"localhost@evil.example":  "",
		"events.example.com.evil": "",
		"":                        "",
		":8443":                   "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host, r.TLS = host, &tls.ConnectionState{}
		got, ok := h.base(r)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", host, got, ok, want)
		}
		if _, err := h.baseURL(r); (err == nil) != ok {
			t.Errorf("%q: baseURL says %v", host, err)
		}
	}
}

func TestFallbackWithoutAPublicURL(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.10:8443": "https://192.0.2.10:8443", "0.0.0.0:8443": "https://127.0.0.1:8443", "[::]:8443": "https://127.0.0.1:8443", "[2001:db8::1]:443": "https://[2001:db8::1]:443"} {
		if got := newHosts(Options{}, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)), "", nil).fallback; got != want {
			t.Errorf("%s: got %s", addr, got)
		}
	}
	h := newHosts(Options{}, &net.TCPAddr{Port: 1}, "", nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "" // a machine without a name answers for no empty one
	if got, ok := h.base(r); ok {
		t.Errorf("got %s", got)
	}
}

func TestForwardedSchemeIsBelievedFromProxiesOnly(t *testing.T) {
	h := newHosts(Options{}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}, "", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for name, c := range map[string]struct {
		remote, proto string
		tls           bool
		want          string
	}{
		"TLS":                    {"192.0.2.1:1", "", true, "https"},
		"plain":                  {"192.0.2.1:1", "", false, "http"},
		"proxy":                  {"10.1.2.3:1", "HTTPS", false, "https"},
		"proxy, mapped address":  {"[::ffff:10.1.2.3]:1", "https", false, "https"},
		"proxy speaking plainly": {"10.1.2.3:1", "http", false, "http"},
		"stranger":               {"192.0.2.1:1", "https", false, "http"},
		"unreadable":             {"pipe", "https", false, "http"},
		"TLS, whatever they say": {"192.0.2.1:1", "http", true, "https"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host, r.RemoteAddr = "localhost", c.remote
		r.Header.Set("X-Forwarded-Proto", c.proto)
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got, _ := h.base(r); got != c.want+"://localhost" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// Proxies that put their own host into the request say elsewhere which one the client
// used; others may say what they like.
func TestForwardedHost(t *testing.T) {
	o := Options{PublicURL: "https://events.example.com", AllowedHosts: []string{"events.example.com:8443"}}
	h := newHosts(o, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}, "", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for name, c := range map[string]struct {
		remote, host, port string
		want               string
	}{
		"proxy":                     {"10.1.2.3:1", "events.example.com", "", "https://events.example.com"},
		"with its port":             {"10.1.2.3:1", "events.example.com", "443", "https://events.example.com"},
		"with another port":         {"10.1.2.3:1", "events.example.com", "8443", "https://events.example.com:8443"},
		"with the port in the host": {"10.1.2.3:1", "Events.example.com:8443", "443", "https://events.example.com:8443"},
		"the port alone":            {"10.1.2.3:1", "", "8443", "https://localhost:8443"},
		"several proxies":           {"10.1.2.3:1", " events.example.com , inner.example", "443, 80", "https://events.example.com"},
		"a host that is not ours":   {"10.1.2.3:1", "evil.example", "", ""},
		"a port that is not ours":   {"10.1.2.3:1", "events.example.com", "4443", ""},
		"a stranger":                {"192.0.2.1:1", "events.example.com", "8443", "https://localhost"},
		"no word of it":             {"10.1.2.3:1", "", "", "https://localhost"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host, r.RemoteAddr, r.TLS = "localhost", c.remote, &tls.ConnectionState{}
		r.Header.Set("X-Forwarded-Host", c.host)
		r.Header.Set("X-Forwarded-Port", c.port)
		h.forwarded(r)
		if got, _ := h.base(r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
