package publish

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/intertie/intertie/access"
)

// Tokens verifies bearer tokens; *access.Tokens does.
type Tokens interface {
	// Verify returns what a valid token for one of audiences says. Its errors
	// are shown to the publisher and must not repeat the token.
	Verify(token string, audiences []string) (access.Claims, error)
}

// Authorizer decides about data actions; *access.Authorizer does.
type Authorizer interface {
	// AllowedData reports whether the principal, being in groups, may carry out
	// the data action at the scope, an ARM id.
	AllowedData(principal, action, scope string, groups ...string) bool
}

// credentials are the ways to authenticate that a request uses.
type credentials struct {
	key, queryKey string
	keySent       bool // the key header is there, if only empty
	sas           []string
	bearer        []string
	unknown       bool // an Authorization scheme that is not ours
}

func readCredentials(r *http.Request, query url.Values) credentials {
	var c credentials
	if v := r.Header["Aeg-Sas-Key"]; len(v) > 0 {
		c.key, c.keySent = v[0], true
	}
	if v := r.Header["Aeg-Sas-Token"]; len(v) > 0 {
		c.sas = append(c.sas, v[0])
	}
	for _, v := range r.Header["Authorization"] {
		scheme, value, _ := strings.Cut(v, " ")
		switch value = strings.TrimSpace(value); {
		case strings.EqualFold(scheme, "Bearer"):
			c.bearer = append(c.bearer, value)
		case strings.EqualFold(scheme, "SharedAccessSignature"):
			c.sas = append(c.sas, value)
		default:
			c.unknown = true
		}
	}
	c.queryKey = query.Get("aeg-sas-key")
	return c
}

// authenticate refuses a request that may not publish to src. A bearer token
// decides alone; of the other credentials one valid is enough.
func (h *Handler) authenticate(r *http.Request, query url.Values, src *Source) *problem {
	c := readCredentials(r, query)
	switch {
	case len(c.bearer) > 0:
		return h.checkBearer(r, c.bearer, src)
	case c.keySent && c.key == "" && len(c.sas) == 0 && c.queryKey == "":
		return badRequest("InvalidSas", "The header 'aeg-sas-key' is empty; send an access key of the resource in it.")
	case !c.keySent && len(c.sas) == 0 && c.queryKey == "":
		if c.unknown {
			return unauthorized(r, "The scheme of the Authorization header is not supported; use Bearer or SharedAccessSignature, or send one of aeg-sas-token, aeg-sas-key.")
		}
		return unauthorized(r, "The request holds no credential; send one of aeg-sas-token, aeg-sas-key, or a Bearer token in Authorization.")
	case src.DisableLocalAuth:
		return unauthorized(r, "The resource does not accept keys or SAS tokens (disableLocalAuth is set); send a Bearer token.")
	case c.key != "" && access.VerifyKey(c.key, src.Keys...):
		return nil
	}
	refused := unauthorized(r, "The access key is not one of the resource's keys.")
	for _, token := range c.sas {
		err := access.VerifySAS(token, access.SASRequest{Host: r.Host, Path: r.URL.Path}, src.Keys, h.now())
		if err == nil {
			return nil
		}
		refused = refusedSAS(r, err)
	}
	if c.queryKey != "" && access.VerifyQueryKey(c.queryKey, src.Keys...) {
		return nil
	}
	return refused
}

// refusedSAS tells who sends something else than a token, such as a key, what
// one looks like.
func refusedSAS(r *http.Request, err error) *problem {
	if errors.Is(err, access.ErrSASMalformed) {
		return badRequest("InvalidSas", "The SAS token is not valid: "+err.Error()+". Its form is '"+access.SASForm+
			"', each value URL-encoded; an access key goes into the header 'aeg-sas-key'.")
	}
	return unauthorized(r, "The SAS token was refused: "+err.Error()+".")
}

// dataAudiences are made once: they are needed on every request.
var dataAudiences = access.DataAudiences()

func (h *Handler) checkBearer(r *http.Request, tokens []string, src *Source) *problem {
	if len(tokens) > 1 {
		return unauthorized(r, "The request holds several Bearer tokens; send one.")
	}
	if h.Tokens == nil || h.Authorizer == nil {
		return unauthorized(r, "Bearer tokens are not accepted here; send one of aeg-sas-token, aeg-sas-key.")
	}
	claims, err := h.Tokens.Verify(tokens[0], dataAudiences)
	if err != nil {
		return unauthorized(r, "The Bearer token was refused: "+err.Error()+".")
	}
	if !h.Authorizer.AllowedData(claims.ObjectID, access.ActionSendEvents, src.ID, claims.Groups...) {
		return forbidden("Forbidden", "The principal '"+claims.ObjectID+"' may not publish to '"+src.Name+"': it needs a role with the data action '"+
			access.ActionSendEvents+"', such as EventGrid Data Sender, at the scope '"+src.ID+"' or above.")
	}
	return nil
}

// unauthorized begins as Event Grid's does: clients compare that.
func unauthorized(r *http.Request, reason string) *problem {
	return &problem{
		status: http.StatusUnauthorized, detail: "Unauthorized", class: "Unauthorized",
		message: "The request authorization key is not authorized for " + strings.ToUpper(r.Host) + ". " + reason,
	}
}
