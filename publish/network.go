package publish

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkNetwork applies the network rules of a namespace.
func (h *Handler) checkNetwork(r *http.Request, src *Source) *problem {
	if !src.PublicNetworkAccess {
		return forbidden("ClientIPRejected", "Publishing to '"+src.Name+"' by client '"+text(h.clientAddr(r))+
			"' was refused: public network access to the resource is disabled.")
	}
	if len(src.IPRules) == 0 {
		return nil
	}
	client := h.clientAddr(r)
	if contains(src.IPRules, client) {
		return nil
	}
	return forbidden("ClientIPRejected", "Publishing to '"+src.Name+"' by client '"+text(client)+
		"' was refused by IP filtering: the address is not in the resource's inboundIpRules.")
}

func (h *Handler) clientAddr(r *http.Request) netip.Addr { return ClientAddr(r, h.TrustedProxies) }

// ClientAddr is the address that a request comes from. A forwarded address counts
// only as far as trusted proxies vouch for it: read from the right, the first one
// that is not a trusted proxy's is the client's. The zero address says that a
// proxy tells nothing that could be judged.
func ClientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // matches no rule
	}
	client := plain(ap.Addr())
	if !contains(trusted, client) {
		return client
	}
	for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
		hops := strings.Split(line, ",")
		for _, hop := range slices.Backward(hops) {
			addr, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return netip.Addr{} // the proxy says nothing we could judge
			}
			if client = addr; !contains(trusted, client) {
				return client
			}
		}
	}
	return client
}

// parseHop reads an address with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return plain(a), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	return netip.Addr{}, false
}

// plain is the form that rules are compared with.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.String()
}
