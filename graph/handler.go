package graph

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
)

// Directory keeps the service principals, pending ones included. Ids are found
// in any letter case. What it returns belongs to the caller.
type Directory interface {
	List(ctx context.Context) ([]access.ServicePrincipal, error)
	ByAppID(appID string) (access.ServicePrincipal, bool)
	ByObjectID(objectID string) (access.ServicePrincipal, bool)
	// Put creates the principal when its Revision is 0, else replaces it. It
	// fails with [access.ErrConflict] when Revision is not the newest. Once it
	// returned nil the principal can sign in.
	Put(ctx context.Context, sp access.ServicePrincipal) error
	// Remove deletes the principal, and puts another one in its place unless
	// instead is nil, as one change. It fails with [access.ErrConflict] when the
	// Revision of sp is not the newest. Once it returned nil, no token of the
	// principal is accepted any more.
	Remove(ctx context.Context, sp access.ServicePrincipal, instead *access.ServicePrincipal) error
}

// Verifier checks bearer tokens, as [access.Tokens] does.
type Verifier interface {
	Verify(token string, audiences []string) (access.Claims, error)
}

// Authorizer decides what a principal may do, as [access.Authorizer] does.
type Authorizer interface {
	Allowed(principal, action, scope string, groups ...string) bool
}

// Handler serves /graph/v1.0. All fields but Audiences, ClientIP, Now and Logger are
// required. It is safe for concurrent use when its fields are.
type Handler struct {
	Tokens     Verifier
	Authorizer Authorizer
	Directory  Directory
	Tenant     string // GUID, given to new principals
	// BaseURL returns scheme, host and port by which the client reached us,
	// without a final slash, or an error when that is not one of our names.
	BaseURL func(*http.Request) (string, error)
	// Audiences are further base URLs of this server that tokens may be made
	// out to, besides the one the client came by.
	Audiences []string
	// ClientIP returns the address that a request comes from, through proxies as
	// far as they are trusted; default: that of the connection.
	ClientIP func(*http.Request) string
	Now      func() time.Time // default time.Now
	Logger   *slog.Logger     // default: discards
}

const (
	root      = "graph"
	version   = "v1.0"
	rootScope = "/"
	maxBody   = 256 << 10
)

// call is one authorized request.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	id     string // told to the client, and in the log
	base   string
	caller access.Claims
}

// Match reports whether a URL path belongs to this package.
func (h *Handler) Match(path string) bool {
	s := split(path)
	return len(s) > 0 && strings.EqualFold(s[0], root)
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	c := &call{w: w, r: r, id: uuid.NewString()}
	w.Header().Set("request-id", c.id)
	base, err := h.BaseURL(r)
	if err != nil {
		h.fail(c, badRequest("Request_BadRequest", "The request was made to a host name that is not one of this server's."))
		return
	}
	c.base = strings.TrimRight(base, "/")

	s := split(r.URL.Path)
	if len(s) < 3 || !strings.EqualFold(s[0], root) || !strings.EqualFold(s[1], version) {
		h.fail(c, notFound("BadRequest", "Only "+version+" of the API is served, at /"+root+"/"+version+"."))
		return
	}
	op, err := h.operation(r.Method, s[2:])
	if err == nil {
		err = h.authorize(c, op.action)
	}
	if err == nil {
		err = op.do(c)
	}
	if err != nil {
		h.fail(c, err)
	}
}

// operation is what a request asks for, and the action it needs: none where a
// valid token is enough.
type operation struct {
	action string
	do     func(*call) error
}

// operation finds what the path below the version stands for. An id may stand
// in its own segment or, as an alternate key, in parentheses.
func (h *Handler) operation(method string, s []string) (operation, error) {
	set, key, hasKey := cutKey(s[0])
	if hasKey {
		s = append([]string{set, key}, s[1:]...)
	}
	ref := ""
	if len(s) > 1 {
		ref = s[1]
	}
	member := ""
	if len(s) > 2 {
		member = "/" + strings.ToLower(strings.Join(s[2:], "/"))
	}
	if len(s) > 1 {
		member = "/{id}" + member
	}

	find := h.byApplicationID
	if strings.EqualFold(set, "servicePrincipals") {
		find = h.byPrincipalID
	}
	if hasKey {
		find = h.byAppID
	}
	read := func(f func(*call) error) (operation, error) { return operation{access.ActionReadPrincipals, f}, nil }
	write := func(f func(*call) error) (operation, error) { return operation{access.ActionWritePrincipals, f}, nil }
	open := func(f func(*call) error) (operation, error) { return operation{"", f}, nil }
	ofApplication := strings.EqualFold(set, "applications")

	switch method + " " + strings.ToLower(set) + member {
	case "GET applications":
		return read(h.listApplications)
	case "POST applications":
		return write(h.createApplication)
	case "GET applications/{id}":
		return read(func(c *call) error { return h.getApplication(c, find, ref) })
	case "PATCH applications/{id}":
		return write(func(c *call) error { return h.updateApplication(c, find, ref) })
	case "DELETE applications/{id}":
		return write(func(c *call) error { return h.deleteApplication(c, find, ref) })
	case "GET serviceprincipals":
		return read(h.listPrincipals)
	case "POST serviceprincipals":
		return write(h.createPrincipal)
	case "GET serviceprincipals/{id}":
		return read(func(c *call) error { return h.getPrincipal(c, find, ref) })
	case "PATCH serviceprincipals/{id}":
		return write(func(c *call) error { return h.updatePrincipal(c, find, ref) })
	case "DELETE serviceprincipals/{id}":
		return write(func(c *call) error { return h.deletePrincipal(c, find, ref) })
	case "GET applications/{id}/owners", "GET serviceprincipals/{id}/owners":
		return read(func(c *call) error { return h.listOwners(c, find, ref) })
	case "POST applications/{id}/owners/$ref", "POST serviceprincipals/{id}/owners/$ref":
		return write(func(c *call) error { return h.addOwner(c, find, ref) })
	case "GET me":
		return open(h.getMe)
	case "GET me/{id}":
		if strings.EqualFold(ref, "ownedObjects") {
			return open(h.listOwned)
		}
	case "GET organization":
		return open(h.listOrganization)
	case "GET organization/{id}":
		return open(func(c *call) error { return h.getOrganization(c, ref) })
	case "GET users":
		return read(func(c *call) error { return nobody(c, "users") })
	case "GET groups":
		return read(func(c *call) error { return nobody(c, "groups") })
	case "GET users/{id}", "GET groups/{id}":
		return read(func(*call) error { return noSuch(ref) })
	case "POST applications/{id}/addpassword", "POST serviceprincipals/{id}/addpassword":
		return write(func(c *call) error { return h.addPassword(c, find, ref) })
	case "POST applications/{id}/removepassword", "POST serviceprincipals/{id}/removepassword":
		return write(func(c *call) error { return h.removePassword(c, find, ref) })
	case "POST directoryobjects/{id}":
		if strings.EqualFold(ref, "getByIds") {
			return read(h.getByIDs)
		}
	}
	// DELETE …/owners/{id}/$ref is the one path with an id of its own.
	if method == http.MethodDelete && len(s) == 5 && strings.EqualFold(s[2], "owners") && strings.EqualFold(s[4], "$ref") &&
		(ofApplication || strings.EqualFold(set, "servicePrincipals")) {
		return write(func(c *call) error { return h.removeOwner(c, find, ref, s[3]) })
	}
	return operation{}, notFound("BadRequest", "There is no "+method+" for the segment '"+strings.Join(s, "/")+"' here.")
}

// cutKey takes set(appId='KEY') apart.
func cutKey(segment string) (set, key string, ok bool) {
	set, rest, found := strings.Cut(segment, "(")
	if !found {
		return segment, "", false
	}
	rest, closed := strings.CutSuffix(rest, ")")
	name, value, eq := strings.Cut(rest, "=")
	key, quoted := unquote(strings.TrimSpace(value))
	if !closed || !eq || !quoted || !strings.EqualFold(strings.TrimSpace(name), "appId") {
		return segment, "", false
	}
	return set, key, true
}

// authorize lets a call through whose token is good and whose principal may do
// action everywhere.
func (h *Handler) authorize(c *call, action string) error {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return h.unauthenticated(c, "Access token is empty.")
	}
	bases := append([]string{c.base}, h.Audiences...)
	claims, err := h.Tokens.Verify(strings.TrimSpace(token), append(access.GraphAudiences(bases...), access.ManagementAudiences(bases...)...))
	switch {
	case errors.Is(err, access.ErrTokenExpired):
		return h.unauthenticated(c, "Lifetime validation failed, the token is expired.")
	case errors.Is(err, access.ErrTokenAudience):
		return h.unauthenticated(c, "Access token validation failure. Invalid audience.")
	case errors.Is(err, access.ErrIssuerDown):
		return &problem{http.StatusServiceUnavailable, "Service_ServiceUnavailable", "The access token cannot be checked now; try again."}
	case err != nil:
		return h.unauthenticated(c, "Access token validation failure.")
	}
	c.caller = claims
	if action != "" && !h.Authorizer.Allowed(claims.ObjectID, action, rootScope, claims.Groups...) {
		h.logger().With(h.who(c)...).Warn("directory access denied", slog.String("action", action), slog.String("path", c.r.URL.Path))
		return &problem{
			status: http.StatusForbidden, code: "Authorization_RequestDenied",
			message: "Insufficient privileges to complete the operation: '" + action + "' at scope '/' is needed.",
		}
	}
	return nil
}

func (h *Handler) unauthenticated(c *call, message string) error {
	c.w.Header().Set("WWW-Authenticate",
		`Bearer authorization_uri="`+c.base+"/"+h.Tenant+`/oauth2/v2.0/authorize", error="invalid_token", error_description="`+message+`"`)
	return &problem{status: http.StatusUnauthorized, code: "InvalidAuthenticationToken", message: message}
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Logger
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
