package publish

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Paths: one endpoint has two forms, which both always answer.
//
//	https://HOST/NAME.REGION-1/api/events     path-style
//	https://NAME.REGION-1.DOMAIN/api/events   host-style, with a publish domain
//
// Letter case does not count, and one trailing slash is tolerated.
const publishPath = "/api/events"

// Claims reports whether r is for the publish API, by its path alone or
// because its host is below the publish domain. The server asks it before any
// other routing, since net/http's cannot match without regard to case.
func (h *Handler) Claims(r *http.Request) bool {
	if h.hostLabel(r.Host) != "" {
		return true
	}
	key, ok := h.endpointKey(r)
	return ok && key != ""
}

// endpointKey returns what a request's URL calls the endpoint, in lower case;
// ok is false for a URL that is no publish URL.
func (h *Handler) endpointKey(r *http.Request) (key string, ok bool) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	at := len(path) - len(publishPath)
	if at < 0 || !strings.EqualFold(path[at:], publishPath) {
		return "", false
	}
	prefix := path[:at]
	if prefix == "" {
		key = h.hostLabel(r.Host)
		return key, key != ""
	}
	name := prefix[1:]
	if prefix[0] != '/' || name == "" || strings.IndexByte(name, '/') >= 0 {
		return "", false
	}
	return strings.ToLower(name), true
}

// hostLabel returns what stands before the publish domain in a host, in lower
// case, or "" if the host is not below it.
func (h *Handler) hostLabel(host string) string {
	if h.PublishDomain == "" {
		return ""
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	at := len(host) - len(h.PublishDomain) - 1
	if at < 1 || host[at] != '.' || !strings.EqualFold(host[at+1:], h.PublishDomain) {
		return ""
	}
	return strings.ToLower(host[:at])
}

// apiVersion is the one version of the publish API. A request without the
// parameter means it too, as Event Grid's own samples do.
const apiVersion = "2018-01-01"

// parseQuery returns the parameters of a URL. The query that every SDK sends
// needs no parsing, and gives nil.
func parseQuery(u *url.URL) url.Values {
	if u.RawQuery == "" || u.RawQuery == "api-version="+apiVersion {
		return nil
	}
	return u.Query()
}

// checkVersion refuses an api-version that is not ours.
func checkVersion(q url.Values) *problem {
	for _, v := range q["api-version"] {
		if v != "" && v != apiVersion {
			return badRequest("UnsupportedApiVersion", "The api-version '"+v+"' is not supported; use "+apiVersion+".")
		}
	}
	return nil
}
