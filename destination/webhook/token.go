package webhook

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/net/http/httpguts"

	"github.com/intertie/intertie/destination"
)

// TokenSource gives the bearer token for a protected endpoint.
//
// Token may block until ctx ends. Its token is sent at once and kept nowhere.
// The text of an *[Error] or a *[NoTokenError] that it returns is shown to people; of any
// other error only that there was one. It is safe for concurrent use.
//
// A source may also have a method Forget(token string): it is called when an
// endpoint answered 401 to that token, so that the next one is a new one.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// NoTokenError is why a [TokenSource] has no token, in words for people.
type NoTokenError struct{ Reason string }

func (e *NoTokenError) Error() string { return e.Reason }

// forget tells a source that an endpoint refused its token.
func forget(s TokenSource, token string) {
	if f, ok := s.(interface{ Forget(token string) }); ok {
		f.Forget(token)
	}
}

// maxToken bounds a token in bytes. Endpoints refuse headers long before.
const maxToken = 64 << 10

// bearer asks s for a token, within the time limit of one exchange.
//
// Without one nothing was sent, so the failure must not be Unauthorized, which
// would end the event at once: that is the endpoint's word, and an issuer that
// is down or a secret that has run out is an operator's to repair while the
// events wait. GenericError is retried and puts no blame on the endpoint.
func (c *Client) bearer(ctx context.Context, s TokenSource) (string, *failure) {
	limited, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	token, err := s.Token(limited)
	if err == nil && (token == "" || len(token) > maxToken || !httpguts.ValidHeaderFieldValue(token)) {
		err = errToken
	}
	switch {
	case err == nil:
		return token, nil
	case ctx.Err() != nil:
		return "", &failure{outcome: destination.Aborted, reason: "the attempt was given up", final: true}
	default:
		return "", &failure{outcome: destination.GenericError, reason: "there is no token for the endpoint" + shown(err)}
	}
}

// shown is what people may read of an error of a source.
func shown(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return ": " + e.Error()
	}
	if e, ok := errors.AsType[*NoTokenError](err); ok {
		return ": " + e.Reason
	}
	return ""
}

var errToken = errors.New("the token cannot stand in a header")

// authorize adds a token to the header of a control message. A nil source adds
// nothing.
func (c *Client) authorize(ctx context.Context, s TokenSource, h http.Header) *failure {
	if s == nil {
		return nil
	}
	token, f := c.bearer(ctx, s)
	if f != nil {
		return f
	}
	h["Authorization"] = []string{"Bearer " + token}
	return nil
}
