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
// a name and a port that are ours, or a forged Host header could send tokens
// elsewhere: on the same machine to another program.
type hosts struct {
	fallback string // base URL when nothing else is known
	names    map[string]bool
	ports    map[string]bool // "" is that of the scheme
	proxies  []netip.Prefix
}

var errForeignHost = errors.New("the request names a host or a port that is not one of this server; see --public-url and --allowed-hosts")

func newHosts(o Options, listen net.Addr, hostname string, proxies []netip.Prefix) *hosts {
	h := &hosts{names: map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}, ports: map[string]bool{"": true}, proxies: proxies}
	host, port, _ := net.SplitHostPort(listen.String()) // of a listener: always well-formed
	h.names[strings.ToLower(hostname)] = hostname != ""
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		h.names[ip.String()] = true
	} else {
		host = "127.0.0.1"
	}
	h.ports[port] = true
	for _, n := range o.AllowedHosts {
		if name, port, err := net.SplitHostPort(n); err == nil {
			n, h.ports[port] = name, true
		}
		h.names[strings.ToLower(strings.Trim(n, "[]"))] = true
	}
	h.fallback = "https://" + net.JoinHostPort(host, port)
	if o.PublicURL != "" {
		h.fallback = strings.TrimRight(o.PublicURL, "/")
		if u, err := url.Parse(o.PublicURL); err == nil {
			h.names[strings.ToLower(u.Hostname())], h.ports[u.Port()] = true, true
		}
	}
	return h
}

// base returns scheme, host and port by which the client came.
func (h *hosts) base(r *http.Request) (string, bool) {
	host := r.Host
	name, port := host, ""
	if n, p, err := net.SplitHostPort(host); err == nil {
		name, port = n, p
	}
	if !h.names[strings.ToLower(strings.Trim(name, "[]"))] || !h.ports[port] {
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

// forwarded gives a request the host by which the client came to a trusted proxy, if
// that says so: many proxies put their own into the Host header. It still has to be
// one of ours.
func (h *hosts) forwarded(r *http.Request) {
	first := func(name string) string {
		v, _, _ := strings.Cut(r.Header.Get(name), ",") // of several proxies, that of the outermost
		return strings.TrimSpace(v)
	}
	host, port := first("X-Forwarded-Host"), first("X-Forwarded-Port")
	if host == "" && port == "" || !h.fromProxy(r) {
		return
	}
	if host == "" {
		host = r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	if _, _, err := net.SplitHostPort(host); err != nil && port != "" && port != h.usualPort(r) {
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	r.Host = host
}

// usualPort is the port that clients leave out.
func (h *hosts) usualPort(r *http.Request) string {
	if r.TLS != nil || h.forwardedHTTPS(r) {
		return "443"
	}
	return "80"
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
