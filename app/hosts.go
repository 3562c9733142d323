package app

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// hosts knows the names of this server. Clients follow the URLs in our answers
// literally, so those are built from the name the client came by; but only from
// a name that is ours, or a forged Host header could send tokens elsewhere.
type hosts struct {
	fallback string // base URL when nothing else is known
	names    map[string]bool
	proxies  []netip.Prefix
}

var errForeignHost = errors.New("the request names a host that is not one of this server; see --public-url and --allowed-hosts")

func newHosts(o Options, listen net.Addr, hostname string, proxies []netip.Prefix) *hosts {
	h := &hosts{names: map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}, proxies: proxies}
	host, port, _ := net.SplitHostPort(listen.String()) // of a listener: always well-formed
	h.names[strings.ToLower(hostname)] = hostname != ""
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		h.names[ip.String()] = true
	} else {
		host = "127.0.0.1"
	}
	for _, n := range o.AllowedHosts {
		h.names[strings.ToLower(n)] = true
	}
	h.fallback = "https://" + net.JoinHostPort(host, port)
	if o.PublicURL != "" {
		h.fallback = strings.TrimRight(o.PublicURL, "/")
		if u, err := url.Parse(o.PublicURL); err == nil {
			h.names[strings.ToLower(u.Hostname())] = true
		}
	}
	return h
}

// base returns scheme, host and port by which the client came.
func (h *hosts) base(r *http.Request) (string, bool) {
	host := r.Host
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	if !h.names[strings.ToLower(strings.Trim(name, "[]"))] {
		return "", false
	}
	scheme := "https"
	if r.TLS == nil && !h.forwardedHTTPS(r) {
		scheme = "http"
	}
	return scheme + "://" + strings.ToLower(host), true
}

// baseURL is base for those who refuse a foreign host.
func (h *hosts) baseURL(r *http.Request) (string, error) {
	if base, ok := h.base(r); ok {
		return base, nil
	}
	return "", errForeignHost
}

func (h *hosts) forwardedHTTPS(r *http.Request) bool {
	return h.fromProxy(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func (h *hosts) fromProxy(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range h.proxies {
		if p.Contains(addr.Addr().Unmap()) {
			return true
		}
	}
	return false
}
