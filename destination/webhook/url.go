package webhook

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL bounds an endpoint URL in bytes.
const maxURL = 8192

// URLError says why an endpoint URL was refused. Its text is a sentence for the
// person who wrote the URL and repeats nothing of it.
type URLError struct{ Reason string }

// Error implements error.
func (e *URLError) Error() string { return e.Reason }

// Check refuses, with a *[URLError], an endpoint URL that could never be
// delivered to: the rules of Azure (an absolute HTTPS URL) and those that keep
// the server from being used against its own network. It asks no DNS server;
// what a name resolves to is judged at each dial.
func (c *Client) Check(rawURL string) error {
	_, err := c.parse(rawURL)
	if err != nil {
		return err
	}
	return nil
}

// parse is Check with the parsed URL.
func (c *Client) parse(rawURL string) (*url.URL, *URLError) {
	refuse := func(reason string) (*url.URL, *URLError) { return nil, &URLError{Reason: reason} }
	if rawURL == "" {
		return refuse("The endpoint URL is missing.")
	}
	if len(rawURL) > maxURL {
		return refuse("The endpoint URL is longer than " + strconv.Itoa(maxURL) + " characters.")
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return refuse("The endpoint is not a proper HTTPS URL: it cannot be parsed.")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && c.opts.AllowPrivate:
	default:
		return refuse("The endpoint is not a proper HTTPS URL: it must begin with https://.")
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return refuse("The endpoint is not a proper HTTPS URL: it names no host.")
	}
	if u.User != nil {
		return refuse("The endpoint URL must not hold a user name or password; put a secret into the query instead.")
	}
	if u.Fragment != "" || strings.Contains(rawURL, "#") {
		return refuse("The endpoint URL must not hold a fragment (#): it would never be sent.")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return refuse("The endpoint is not a proper HTTPS URL: its port is not a number from 1 to 65535.")
		}
	}
	if reason := c.checkHost(u.Hostname()); reason != "" {
		return refuse(reason)
	}
	return u, nil
}

// checkHost returns why a host is refused, or "".
func (c *Client) checkHost(host string) string {
	const private = "The endpoint's address is not reachable for webhooks: loopback, private, link-local and reserved addresses are not permitted."
	if a, err := netip.ParseAddr(host); err == nil {
		if c.guard.check(a) != nil {
			return private
		}
		return ""
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if !c.opts.AllowPrivate && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return private
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" {
		return "The endpoint is not a proper HTTPS URL: its host name has an empty part."
	}
	if endsInNumber(last) {
		return "The endpoint is not a proper HTTPS URL: its host is neither a name nor an IP address in the usual form."
	}
	return ""
}

// endsInNumber reports whether the last label of a host makes it an IPv4
// address in one of the old spellings (2130706433, 0x7f.1, 0177.0.0.1) that
// some resolvers understand. No top-level domain looks like that.
func endsInNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// RedactURL returns scheme, host and path of an endpoint URL: the part that
// may be shown, since queries and user names hold secrets.
func RedactURL(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return "(not a URL)"
	}
	return redact(u)
}

func redact(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
