package arm

import (
	"errors"
	"net/http"
	"strings"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// authenticate returns the claims of the caller's bearer token.
func (h *Handler) authenticate(rq *request) (access.Claims, error) {
	scheme, token, ok := strings.Cut(rq.http.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return access.Claims{}, h.challenge(rq, resource.Errorf(resource.AuthenticationFailed,
			"Authentication failed. The 'Authorization' header is missing or is not a bearer token."))
	}
	claims, err := h.Tokens.Verify(strings.TrimSpace(token), access.ManagementAudiences(rq.base, h.DefaultBase))
	switch {
	case err == nil:
		return claims, nil
	case errors.Is(err, access.ErrTokenExpired):
		return access.Claims{}, h.challenge(rq, resource.Errorf(resource.ExpiredToken, "The access token expiry has passed; get a new token."))
	case errors.Is(err, access.ErrIssuerDown):
		return access.Claims{}, resource.Errorf(resource.Unavailable, "The access token cannot be checked now: %v. Try again.", err)
	default:
		return access.Claims{}, h.challenge(rq, resource.Errorf(resource.InvalidToken, "The access token is invalid: %v.", err))
	}
}

// serveAdmitted is serveCaller for a request that the server itself makes in
// somebody's name, maybe long after they showed their token: they must still be one
// who may sign in. Of principals of other issuers nothing is known here.
func (h *Handler) serveAdmitted(rq *request) error {
	if p, ok := h.Principal(rq.caller.ObjectID); !rq.caller.External && (!ok || !p.MaySignIn()) {
		return resource.Errorf(resource.InvalidToken, "The principal '%s' may not sign in any more, so nothing is done in its name.", rq.caller.ObjectID)
	}
	return h.serveCaller(rq)
}

// challenge adds the header that tells a client where to get a token.
func (h *Handler) challenge(rq *request, e *resource.Error) error {
	rq.out.Header().Set("WWW-Authenticate", `Bearer authorization_uri="`+rq.base+`/`+h.Tenant+`", error="invalid_token", error_description="`+headerText(e.Message)+`"`)
	return e
}

func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == '\\' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// authorize asks for one action at one scope: the only place where a management
// request is allowed.
func (h *Handler) authorize(rq *request, action string, scope resource.ID) error {
	rq.action, rq.scope = action, scope
	if rq.grant, rq.allowed = h.Authorizer.Decide(rq.caller.ObjectID, action, scope.String(), rq.caller.Groups...); rq.allowed {
		return nil
	}
	return forbidden(rq, action, scope)
}

// authorizeToo asks for something else that a request amounts to, after it was
// allowed. What decided the request itself stays on record, unless this refuses.
func (h *Handler) authorizeToo(rq *request, action string, scope resource.ID) error {
	if h.Authorizer.Allowed(rq.caller.ObjectID, action, scope.String(), rq.caller.Groups...) {
		return nil
	}
	rq.action, rq.scope, rq.allowed = action, scope, false
	return forbidden(rq, action, scope)
}

func forbidden(rq *request, action string, scope resource.ID) error {
	return resource.Errorf(resource.AuthorizationFailed,
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. "+
			"If access was recently granted, please refresh your credentials.",
		rq.caller.AppID, rq.caller.ObjectID, action, scope)
}

// verbs maps a method to the last part of an action.
var verbs = map[string]string{
	http.MethodGet: "read", http.MethodHead: "read",
	http.MethodPut: "write", http.MethodPatch: "write", http.MethodDelete: "delete",
}
