package signin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
)

// refusal is an answer other than a token, in Entra's words: an OAuth error, a
// number and a text that starts with it.
//
// The status matters beyond the text: az keeps a 400 for a minute and answers
// the next attempt from it. So what can heal, such as a principal that is about
// to be made or a secret about to be added, is a 401, and only a request that
// stays wrong is a 400.
type refusal struct {
	status int
	oauth  string
	number int
	text   string
	cause  error // for the log only
}

func (f refusal) withCause(err error) refusal {
	f.cause = err
	return f
}

var (
	errHost = refusal{
		http.StatusBadRequest, "invalid_request", 90023,
		"The request was made to a host name that is not one of this server's.", nil,
	}
	errInteractive = refusal{
		http.StatusBadRequest, "unauthorized_client", 7000218,
		"This server signs in programs only: use a service principal with a client secret or certificate.", nil,
	}
	errNoCredential = refusal{
		http.StatusUnauthorized, "invalid_client", 7000216,
		"'client_assertion' or 'client_secret' is required for the 'client_credentials' grant type.", nil,
	}
	errForm = refusal{
		http.StatusBadRequest, "invalid_request", 90023,
		"The request body must be a form (application/x-www-form-urlencoded) of at most 128 KiB.", nil,
	}
	// Not a 400, which az would keep.
	errSlow = refusal{
		http.StatusRequestTimeout, "invalid_request", 90023,
		"The request body did not arrive in time.", nil,
	}
)

func errMethod(method string) refusal {
	return refusal{
		http.StatusMethodNotAllowed, "invalid_request", 900561,
		fmt.Sprintf("The endpoint does not accept a %s request.", method), nil,
	}
}

func errTenant(tenant string) refusal {
	return refusal{
		http.StatusBadRequest, "invalid_request", 90002,
		fmt.Sprintf("Tenant '%s' not found. Use this server's tenant id, or 'adfs'.", tenant), nil,
	}
}

func errMissing(parameter string) refusal {
	return refusal{
		http.StatusBadRequest, "invalid_request", 900144,
		fmt.Sprintf("The request body must contain the following parameter: '%s'.", parameter), nil,
	}
}

func errGrant(grant string) refusal {
	return refusal{
		http.StatusBadRequest, "unsupported_grant_type", 70003,
		fmt.Sprintf("The grant type '%s' is not supported. Programs sign in with 'client_credentials'.", grant), nil,
	}
}

func errUnknownApp(appID, tenant string) refusal {
	return refusal{
		http.StatusUnauthorized, "unauthorized_client", 700016,
		fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. "+
			"It may have been created on another server, or not yet.", appID, tenant), nil,
	}
}

func errDisabled(appID string) refusal {
	return refusal{
		http.StatusUnauthorized, "unauthorized_client", 7000112,
		fmt.Sprintf("Application '%s' is disabled.", appID), nil,
	}
}

func errScope(scope string) refusal {
	return refusal{
		http.StatusBadRequest, "invalid_scope", 1002012,
		fmt.Sprintf("The provided value for scope %s is not valid. "+
			"Client credential flows must have a scope value with /.default suffixed to the resource identifier.", scope), nil,
	}
}

func errResource(resource, tenant string) refusal {
	return refusal{
		http.StatusBadRequest, "invalid_resource", 500011,
		fmt.Sprintf("The resource principal named %s was not found in the tenant %s. "+
			"Known are %s, %s, %s and this server's own URL.", resource, tenant,
			access.AudienceManagement, access.AudienceManagementClassic, access.AudienceEventGrid), nil,
	}
}

// credentialRefusals say what each error of a credential check means to a
// client. The first that matches counts.
var credentialRefusals = []struct {
	err    error
	number int
	text   string
}{
	{access.ErrSecretExpired, 7000222, "The provided client secret keys for app '%s' are expired. Create a new secret."},
	{
		access.ErrSecretWrong, 7000215,
		"Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, " +
			"not the client secret ID, for a secret added to app '%s'.",
	},
	{access.ErrAssertionMalformed, 50027, "JWT token is invalid or malformed: the client assertion of app '%s' is not one signed with RS256 or PS256."},
	{access.ErrAssertionClient, 700021, "Client assertion application identifier doesn't match 'client_id' parameter '%s': iss and sub must both be it."},
	{access.ErrAssertionAudience, 700023, "Client assertion audience claim of app '%s' does not match this token endpoint."},
	{access.ErrAssertionTime, 700024, "Client assertion of app '%s' is not within its valid time range (an hour at most), or its certificate is not. Check the clocks."},
	{access.ErrAssertionUsed, 50013, "Client assertion of app '%s' was used before for this resource. Sign a new one."},
	{access.ErrAssertionsMany, 50196, "App '%s' has used too many client assertions that have not expired. Give them a shorter life, or keep the tokens."},
	{access.ErrAssertionSignature, 700027, "The certificate used to sign the client assertion is not registered on application '%s', or the signature is wrong."},
}

func errCredential(err error, appID string) refusal {
	for _, c := range credentialRefusals {
		if errors.Is(err, c.err) {
			return refusal{http.StatusUnauthorized, "invalid_client", c.number, fmt.Sprintf(c.text, appID), err}
		}
	}
	return refusal{http.StatusUnauthorized, "invalid_client", 7000215, "Invalid client credential.", err}
}

type errorBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
}

// refuse answers and leaves a trace in the log: who, from where, why. The
// client id is logged only when it is a GUID. Otherwise it may be a secret that
// was put into the wrong field.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, clientID string, f refusal) {
	trace := uuid.NewString()
	correlation := r.Header.Get("client-request-id")
	if correlation == "" {
		correlation = r.URL.Query().Get("client-request-id") // where JavaScript puts it
	}
	if _, err := uuid.Parse(correlation); err != nil {
		correlation = trace
	}
	if _, err := uuid.Parse(clientID); err != nil && clientID != "" {
		clientID = "(not a GUID)"
	}
	address := h.address(r)
	attrs := []slog.Attr{
		slog.Int("code", f.number), slog.String("reason", f.oauth), slog.String("client_id", clientID),
		slog.String("address", address), slog.String("remote", r.RemoteAddr),
		slog.String("path", r.URL.Path), slog.String("trace_id", trace),
	}
	if f.cause != nil {
		attrs = append(attrs, slog.Any("cause", f.cause))
	}
	// A guesser must not bury what else the log has to say.
	if held, ok := h.refusals.News(address); ok {
		if held > 0 {
			attrs = append(attrs, slog.Int("left_out", held))
		}
		h.logger().LogAttrs(r.Context(), slog.LevelWarn, "sign-in refused", attrs...)
	}

	stamp := h.now().UTC().Format("2006-01-02 15:04:05Z")
	noStore(w, trace)
	writeJSON(w, f.status, errorBody{
		Error: f.oauth,
		Description: fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			f.number, f.text, trace, correlation, stamp),
		Codes: []int{f.number}, Timestamp: stamp, TraceID: trace, CorrelationID: correlation,
	})
}

// noStore keeps an answer of the token endpoint out of every cache.
func noStore(w http.ResponseWriter, requestID string) {
	hd := w.Header()
	hd.Set("Cache-Control", "no-store, no-cache")
	hd.Set("Pragma", "no-cache")
	hd.Set("Expires", "-1")
	hd.Set("X-Ms-Request-Id", requestID)
	hd.Set("X-Content-Type-Options", "nosniff")
}
