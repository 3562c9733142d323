package pki

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Names says for which hosts the server certificate is to be good. localhost,
// 127.0.0.1 and ::1 are always among them.
type Names struct {
	// Hostname is the machine's own name, as os.Hostname gives it. Empty: none.
	// A name that no certificate can carry is left out.
	Hostname string
	// Extra are further DNS names (a leading "*." is allowed) and IP addresses.
	Extra []string
	// PublishDomain D adds D itself and, for each region R, "*.R-1.D": the
	// host-style publish endpoints. A wildcard covers one label only, so each
	// region needs its own. Empty: none.
	PublishDomain string
	// Regions are the regions that have endpoints below PublishDomain, in the
	// short form ("westeurope").
	Regions []string
}

// hosts returns the names lower-cased, sorted and without repeats; addresses in
// their canonical form.
func (n Names) hosts() ([]string, error) {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if h, ok := canonical(n.Hostname); ok {
		hosts = append(hosts, h)
	}
	for _, name := range n.Extra {
		h, ok := canonical(name)
		if !ok {
			return nil, fmt.Errorf("certificate name %q is neither a DNS name nor an IP address", name)
		}
		hosts = append(hosts, h)
	}
	if n.PublishDomain != "" {
		d, ok := canonical(n.PublishDomain)
		if !ok {
			return nil, fmt.Errorf("publish domain %q is not a DNS name", n.PublishDomain)
		}
		hosts = append(hosts, d)
		for _, r := range n.Regions {
			h, ok := canonical("*." + r + "-1." + d)
			if !ok {
				return nil, fmt.Errorf("region %q does not fit into a DNS name", r)
			}
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}

// canonical returns the form of a name in which it is compared and issued.
func canonical(name string) (string, bool) {
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" {
			return "", false // a zone has a meaning on one machine only
		}
		return ip.Unmap().String(), true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	labels := strings.Split(strings.TrimPrefix(name, "*."), ".")
	if len(name) > 253 || strings.HasPrefix(name, "*.") && len(labels) < 2 {
		return "", false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return "", false
		}
		for _, c := range []byte(l) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return "", false
			}
		}
	}
	return name, true
}
