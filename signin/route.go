package signin

import (
	"strings"

	"github.com/google/uuid"
)

// page is one thing that can be asked for.
type page int

const (
	pageNone page = iota
	pageOpenID
	pageKeys
	pageToken
	pageInteractive // browser and device code sign-in: known, not offered
	pageInstance
)

// pages are the paths below an authority, in lower case.
var pages = map[string]page{
	".well-known/openid-configuration":      pageOpenID,
	"v2.0/.well-known/openid-configuration": pageOpenID,
	"discovery/keys":                        pageKeys,
	"discovery/v2.0/keys":                   pageKeys,
	"oauth2/token":                          pageToken,
	"oauth2/v2.0/token":                     pageToken,
	"oauth2/authorize":                      pageInteractive,
	"oauth2/v2.0/authorize":                 pageInteractive,
	"oauth2/devicecode":                     pageInteractive,
	"oauth2/v2.0/devicecode":                pageInteractive,
}

const (
	adfs             = "adfs"
	instancePath     = "common/discovery/instance"
	maxAuthorityPath = 3 // adfs/{name}/{tenant}
)

// route is a path taken apart.
type route struct {
	page      page
	authority []string // segments before the page: {tenant}, or adfs and what follows
	v2        bool
}

// parseRoute reads a URL path. Letter case does not count and doubled slashes
// are one: az lower-cases authorities, and a base URL with a final slash is an
// easy mistake.
func parseRoute(path string) (route, bool) {
	segments := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if strings.EqualFold(strings.Join(segments, "/"), instancePath) {
		return route{page: pageInstance}, true
	}
	for n := 1; n < len(segments) && n <= maxAuthorityPath; n++ {
		rest := strings.ToLower(strings.Join(segments[n:], "/"))
		p, ok := pages[rest]
		if !ok {
			continue
		}
		if n > 1 && !strings.EqualFold(segments[0], adfs) {
			// "t/v2.0" is no authority: the page is the longer one.
			continue
		}
		return route{page: p, authority: segments[:n], v2: strings.Contains(rest, "v2.0/")}, true
	}
	return route{}, false
}

// isADFS reports whether the route belongs to the AD FS family.
func (r route) isADFS() bool { return strings.EqualFold(r.authority[0], adfs) }

// tenant returns the tenant id the path names, or "" when it names none: a
// segment behind adfs that is no GUID is a name for the tenant, which az
// resolves by reading the issuer.
func (r route) tenant() string {
	last := r.authority[len(r.authority)-1]
	if r.isADFS() {
		if _, err := uuid.Parse(last); err != nil {
			return ""
		}
	}
	return last
}

// prefix returns the authority's path, with the leading slash.
func (r route) prefix() string { return "/" + strings.Join(r.authority, "/") }
