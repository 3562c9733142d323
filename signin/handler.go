package signin

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/intertie/intertie/access"
)

// Directory finds who wants to sign in.
type Directory interface {
	// ByAppID returns the principal with a client id, in any letter case.
	ByAppID(appID string) (access.ServicePrincipal, bool)
}

// Handler answers sign-in requests. All fields but Audiences, ClientIP, Now, Logger and
// Patience are required. It is safe for concurrent use when its fields are.
type Handler struct {
	Tokens    *access.Tokens
	Directory Directory
	Tenant    string // GUID of the one tenant this server has
	// BaseURL returns scheme, host and port by which the client reached us,
	// without a final slash, or an error when that is not one of our names.
	// Clients compare it with the authority they were given, and refuse a
	// document that names another host.
	BaseURL func(*http.Request) (string, error)
	// Audiences are further base URLs of this server that tokens may be asked
	// for, besides the one the client came by.
	Audiences []string
	// ClientIP returns the address that a request comes from, through proxies as
	// far as they are trusted; default: that of the connection.
	ClientIP func(*http.Request) string
	Now      func() time.Time // default time.Now
	Logger   *slog.Logger     // default: discards

	// Patience is how long a request's body may take to arrive, and its answer to
	// leave; default 30 s.
	Patience time.Duration

	refusals   access.Throttle // of the log
	assertions access.Assertions
}

// defaultPatience is more than a form needs: the listener, which serves large lists
// as well, waits for minutes.
const defaultPatience = 30 * time.Second

func (h *Handler) address(r *http.Request) string {
	if h.ClientIP != nil {
		return h.ClientIP(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Match reports whether a URL path belongs to this package.
func (h *Handler) Match(path string) bool {
	_, ok := parseRoute(path)
	return ok
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt, ok := parseRoute(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	h.hurry(w)
	base, err := h.BaseURL(r)
	if err != nil {
		h.refuse(w, r, "", errHost.withCause(err))
		return
	}
	base = strings.TrimRight(base, "/")

	method := http.MethodGet
	if rt.page == pageToken {
		method = http.MethodPost
	}
	if rt.page != pageInteractive && r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
		w.Header().Set("Allow", method)
		h.refuse(w, r, "", errMethod(r.Method))
		return
	}
	if rt.page != pageInstance {
		if t := rt.tenant(); t != "" && !strings.EqualFold(t, h.Tenant) {
			h.refuse(w, r, "", errTenant(t))
			return
		}
	}

	switch rt.page {
	case pageOpenID:
		writeJSON(w, http.StatusOK, h.openID(rt, base))
	case pageKeys:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(h.Tokens.JWKS())
	case pageInstance:
		writeJSON(w, http.StatusOK, h.instance(base))
	case pageToken:
		h.token(w, r, rt, base)
	default:
		h.refuse(w, r, "", errInteractive)
	}
}

// hurry bounds the time of a request. Deadlines are of the machine's clock, and a
// connection without any is none of a client's.
func (h *Handler) hurry(w http.ResponseWriter) {
	end := time.Now().Add(cmp.Or(h.Patience, defaultPatience))
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(end)
	_ = c.SetWriteDeadline(end.Add(cmp.Or(h.Patience, defaultPatience)))
}

// openIDDocument has the fields that clients insist on, and those a generic
// OpenID library expects.
type openIDDocument struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported"`
	Grants                []string `json:"grant_types_supported"`
	Scopes                []string `json:"scopes_supported"`
	Claims                []string `json:"claims_supported"`
}

func (h *Handler) openID(rt route, base string) openIDDocument {
	authority := base + rt.prefix()
	v2 := ""
	if rt.v2 {
		v2 = "/v2.0"
	}
	return openIDDocument{
		Issuer:                h.issuer(base),
		AuthorizationEndpoint: authority + "/oauth2" + v2 + "/authorize",
		TokenEndpoint:         authority + "/oauth2" + v2 + "/token",
		JWKSURI:               authority + "/discovery" + v2 + "/keys",
		DeviceEndpoint:        authority + "/oauth2" + v2 + "/devicecode",
		AuthMethods:           []string{"client_secret_post", "private_key_jwt"},
		ResponseTypes:         []string{"token"},
		ResponseModes:         []string{"form_post"},
		SubjectTypes:          []string{"pairwise"},
		Algorithms:            []string{"RS256"},
		Grants:                []string{"client_credentials"},
		Scopes:                []string{"openid"},
		Claims:                []string{"aud", "iss", "iat", "nbf", "exp", "sub", "oid", "tid", "appid", "azp", "ver", "idtyp", "uti"},
	}
}

// issuer is the same for every authority of a host. Its first path segment is
// the tenant id: az takes it from there.
func (h *Handler) issuer(base string) string { return base + "/" + h.Tenant + "/v2.0" }

// instance answers the question whether an authority can be trusted, for
// clients that were pointed here with it.
func (h *Handler) instance(base string) any {
	host := base
	if u, err := url.Parse(base); err == nil {
		host = u.Host
	}
	return map[string]any{
		"tenant_discovery_endpoint": base + "/" + h.Tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []map[string]any{{
			"preferred_network": host,
			"preferred_cache":   host,
			"aliases":           []string{host},
		}},
	}
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

// writeJSON cannot fail on our own types; a client that went away gets nothing.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
