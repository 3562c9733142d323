package publish

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestNetworkRules(t *testing.T) {
	prefixes := func(s ...string) (ps []netip.Prefix) {
		for _, p := range s {
			ps = append(ps, netip.MustParsePrefix(p))
		}
		return ps
	}
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		rules        []netip.Prefix
		want         bool
	}{
		{"no rules", "203.0.113.9:1", nil, nil, true},
		{"listed", "203.0.113.9:1", nil, prefixes("10.0.0.0/8", "203.0.113.0/24"), true},
		{"not listed", "203.0.114.9:1", nil, prefixes("203.0.113.0/24"), false},
		{"v4 in v6", "[::ffff:203.0.113.9]:1", nil, prefixes("203.0.113.0/24"), true},
		{"v6", "[2001:db8::1]:1", nil, prefixes("2001:db8::/32"), true},
		{"v6 with a zone", "[fe80::1%eth0]:1", nil, prefixes("fe80::/10"), true},
		{"no address", "@", nil, prefixes("0.0.0.0/0", "::/0"), false},
		{"forwarded by a stranger", "198.51.100.1:1", []string{"203.0.113.9"}, prefixes("203.0.113.0/24"), false},
		{"forwarded by a proxy", "192.0.2.1:1", []string{"203.0.113.9"}, prefixes("203.0.113.0/24"), true},
		{"forwarded with a port", "192.0.2.1:1", []string{"203.0.113.9:4711"}, prefixes("203.0.113.0/24"), true},
		{"forwarded v6", "192.0.2.1:1", []string{"[2001:db8::1]"}, prefixes("2001:db8::/32"), true},
		{"two proxies", "192.0.2.1:1", []string{"203.0.113.9, 192.0.2.2"}, prefixes("203.0.113.0/24"), true},
		{"two lines", "192.0.2.1:1", []string{"198.51.100.1, 203.0.113.9", "192.0.2.2"}, prefixes("203.0.113.0/24"), true},
		{"client lies to the proxy", "192.0.2.1:1", []string{"203.0.113.9, 198.51.100.1"}, prefixes("203.0.113.0/24"), false},
		{"garbage from the proxy", "192.0.2.1:1", []string{"203.0.113.9, unknown"}, prefixes("203.0.113.0/24"), false},
		{"the proxy itself", "192.0.2.1:1", nil, prefixes("192.0.2.0/24"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &Handler{TrustedProxies: prefixes("192.0.2.0/24")}
			r := httptest.NewRequest(http.MethodPost, path, nil)
			r.RemoteAddr = tt.remote
			if tt.forwarded != nil {
				r.Header["X-Forwarded-For"] = tt.forwarded
			}
			p := h.checkNetwork(r, &Source{Name: "n", PublicNetworkAccess: true, IPRules: tt.rules})
			if got := p == nil; got != tt.want {
				t.Errorf("allowed: %v, client %v", got, h.clientAddr(r))
			}
			if p := h.checkNetwork(r, &Source{Name: "n", IPRules: tt.rules}); p == nil || p.status != 403 {
				t.Error("disabled public access let a request pass")
			}
		})
	}
}
