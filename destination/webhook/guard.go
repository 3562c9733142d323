package webhook

import (
	"errors"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
)

// errAddress marks a dial that the guard refused.
var errAddress = errors.New("the address is not permitted for webhooks")

// guard decides which addresses may be dialed.
//
// Its answers name no address: they travel to whoever registered the endpoint,
// who must not learn what names inside the operator's network resolve to.
type guard struct {
	list *ssrf.Guardian
}

// never lists what no option opens: networks that make no sense for a webhook
// or that hand out the credentials of the machine the server runs on.
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),          // unspecified: Linux dials itself
	netip.MustParsePrefix("::/128"),             // unspecified
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local, metadata services
	netip.MustParsePrefix("fe80::/10"),          // link-local
	netip.MustParsePrefix("224.0.0.0/4"),        // multicast
	netip.MustParsePrefix("ff00::/8"),           // multicast
	netip.MustParsePrefix("fd00:ec2::/32"),      // metadata, AWS over IPv6
	netip.MustParsePrefix("fd20:ce::254/128"),   // metadata, Google over IPv6
	netip.MustParsePrefix("100.100.100.200/32"), // metadata, Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),   // wire server, Azure; a public address
}

func newGuard(allowPrivate bool) *guard {
	opts := []ssrf.Option{ssrf.WithAnyPort()}
	if allowPrivate {
		opts = append(
			opts,
			ssrf.WithAllowedV4Prefixes(
				netip.MustParsePrefix("127.0.0.0/8"),
				netip.MustParsePrefix("10.0.0.0/8"),
				netip.MustParsePrefix("172.16.0.0/12"),
				netip.MustParsePrefix("192.168.0.0/16"),
				netip.MustParsePrefix("100.64.0.0/10"),
			),
			ssrf.WithAllowedV6Prefixes(
				netip.MustParsePrefix("::1/128"),
				netip.MustParsePrefix("fc00::/7"),
			),
		)
	}
	return &guard{list: ssrf.New(opts...)}
}

// control is a [net.Dialer.Control]: it runs for each address that DNS gave,
// after resolution and before the connect, so a name that changes its address
// between a check and a delivery gains nothing.
func (g *guard) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return errAddress
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	return g.check(ap.Addr())
}

// check returns nil or errAddress. IPv4 inside IPv6 counts as the IPv4 address
// that the kernel would dial.
func (g *guard) check(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	for _, p := range never {
		if p.Contains(a) {
			return errAddress
		}
	}
	if g.list.SafeAddr(a) != nil {
		return errAddress
	}
	return nil
}
