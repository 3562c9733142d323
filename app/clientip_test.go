package app

import (
	"net/http"
	"net/netip"
	"testing"
)

// Several proxies may stand in front; the address that the audit line shows is
// the first one that none of them vouches for.
func TestClientIP(t *testing.T) {
	h := &hosts{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, tt := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "203.0.113.9", "192.0.2.1"},
		{"10.0.0.1:5", "203.0.113.9", "203.0.113.9"},
		{"10.0.0.1:5", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"},
		{"10.0.0.1:5", "line\nbreak", "10.0.0.1:5"},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{}}
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := h.clientIP(r); got != tt.want {
			t.Errorf("%s forwarding %q: %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}
