package signin

import (
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
)

const (
	// maxForm holds an assertion with a certificate chain.
	maxForm = 128 << 10
	// maxEcho bounds how much of a client's own value an error repeats.
	maxEcho       = 128
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// tokenBody is the answer of both protocol versions.
type tokenBody struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
}

// tokenBodyV1 answers a request that named a resource, as version 1 of the
// protocol has it: numbers are text there.
type tokenBodyV1 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    string `json:"expires_in"`
	ExtExpiresIn string `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource"`
	AccessToken  string `json:"access_token"`
}

func (h *Handler) token(w http.ResponseWriter, r *http.Request, rt route, base string) {
	form, err := readForm(w, r)
	if err != nil {
		f := errForm
		if errors.Is(err, os.ErrDeadlineExceeded) {
			f = errSlow
		}
		h.refuse(w, r, "", f) // without its cause, which may quote a secret
		return
	}
	clientID := form.Get("client_id")
	p, assertion, f, ok := h.authenticate(form, rt, base)
	if !ok {
		h.refuse(w, r, clientID, f)
		return
	}
	audience, f, ok := h.audience(form, base)
	if !ok {
		h.refuse(w, r, clientID, f)
		return
	}

	now := h.now()
	if assertion != nil {
		if err := h.assertions.Take(*assertion, audience, now); err != nil {
			h.refuse(w, r, clientID, errCredential(err, p.AppID))
			return
		}
	}
	token, life, err := h.Tokens.Issue(access.Subject{
		ObjectID: p.ObjectID, AppID: p.AppID, Tenant: h.Tenant, Name: p.DisplayName,
	}, audience, h.issuer(base), now)
	if err != nil {
		h.refuse(w, r, clientID, refusal{
			http.StatusInternalServerError, "server_error", 90033, "A token could not be issued. Try again.", err,
		})
		return
	}
	id := uuid.NewString()
	h.logger().LogAttrs(r.Context(), slog.LevelDebug, "signed in", slog.String("client_id", p.AppID),
		slog.String("audience", audience), slog.String("remote", r.RemoteAddr), slog.String("trace_id", id))
	noStore(w, id)
	seconds := int64(life / time.Second)
	if form.Get("resource") == "" {
		writeJSON(w, http.StatusOK, tokenBody{"Bearer", seconds, seconds, token})
		return
	}
	text := strconv.FormatInt(seconds, 10)
	writeJSON(w, http.StatusOK, tokenBodyV1{
		TokenType: "Bearer", ExpiresIn: text, ExtExpiresIn: text,
		ExpiresOn: strconv.FormatInt(now.Add(life).Unix(), 10), NotBefore: strconv.FormatInt(now.Unix(), 10),
		Resource: form.Get("resource"), AccessToken: token,
	})
}

// readForm reads the body only. Credentials in a query would end in the logs of
// every proxy on the way, so they are not looked for there.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || ct != "application/x-www-form-urlencoded" {
		return nil, errors.New("the content type is not that of a form")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	return r.PostForm, nil
}

// authenticate finds out who asks, and whether it is true. The assertion is what
// proved it, nil if that was a secret.
func (h *Handler) authenticate(form url.Values, rt route, base string) (access.ServicePrincipal, *access.Assertion, refusal, bool) {
	var none access.ServicePrincipal
	grant, clientID := form.Get("grant_type"), form.Get("client_id")
	secret, assertion := form.Get("client_secret"), form.Get("client_assertion")
	switch {
	case grant == "":
		return none, nil, errMissing("grant_type"), false
	case grant != "client_credentials":
		return none, nil, errGrant(echo(grant)), false
	case clientID == "":
		return none, nil, errMissing("client_id"), false
	case assertion != "" && form.Get("client_assertion_type") != assertionType:
		return none, nil, errMissing("client_assertion_type"), false
	}

	p, ok := h.Directory.ByAppID(clientID)
	if !ok || p.Pending || p.Tenant != "" && !strings.EqualFold(p.Tenant, h.Tenant) {
		return none, nil, errUnknownApp(echo(clientID), h.Tenant), false
	}
	var err error
	var proof *access.Assertion
	switch {
	case assertion != "":
		var v access.Assertion
		v, err = p.VerifyAssertion(assertion, h.tokenEndpoints(rt, base), h.now())
		proof = &v
	case secret != "":
		err = p.VerifySecret(secret, h.now())
	default:
		return none, nil, errNoCredential, false
	}
	if err != nil {
		return none, nil, errCredential(err, p.AppID), false
	}
	if !p.MaySignIn() {
		return none, nil, errDisabled(p.AppID), false
	}
	return p, proof, refusal{}, true
}

// tokenEndpoints are the URLs an assertion may be made out to: the token
// endpoints of all authorities this request could have been sent to by the same
// host name.
func (h *Handler) tokenEndpoints(rt route, base string) []string {
	var out []string
	for _, authority := range []string{rt.prefix(), "/" + h.Tenant, "/" + adfs} {
		out = append(out, base+authority+"/oauth2/token", base+authority+"/oauth2/v2.0/token")
	}
	return out
}

// audience returns what the token is to be made out to: the resource of version
// 1, or the first scope of version 2 that is not one of OpenID's own, without
// /.default and final slashes.
func (h *Handler) audience(form url.Values, base string) (string, refusal, bool) {
	want := form.Get("resource")
	if want == "" {
		for s := range strings.FieldsSeq(form.Get("scope")) {
			if s == "openid" || s == "offline_access" || s == "profile" {
				continue
			}
			var ok bool
			if want, ok = strings.CutSuffix(s, "/.default"); !ok {
				return "", errScope(echo(s)), false
			}
			break
		}
	}
	if want == "" {
		return "", errMissing("scope"), false
	}
	for _, known := range h.audiences(base) {
		if access.SameAudience(want, known) {
			return known, refusal{}, true
		}
	}
	return "", errResource(echo(want), h.Tenant), false
}

func (h *Handler) audiences(base string) []string {
	bases := append([]string{base}, h.Audiences...)
	out := access.ManagementAudiences(bases...)
	out = append(out, access.DataAudiences()...)
	return append(out, access.GraphAudiences(bases...)...)
}

// echo makes a client's value fit to be repeated in an error text.
func echo(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxEcho {
		s = strings.ToValidUTF8(s[:maxEcho], "") + "…"
	}
	return s
}
