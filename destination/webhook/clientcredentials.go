package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/intertie/intertie/destination"
)

const (
	// tokenTimeout bounds one request to an issuer.
	tokenTimeout = 10 * time.Second
	// tokenMargin is how long before its end a token is not used any more; a
	// short-lived one for the last tenth of its life.
	tokenMargin = 5 * time.Minute
	// tokenLife is assumed of a token whose issuer does not say.
	tokenLife = 5 * time.Minute
	// tokenRefusal is how long an issuer is left alone that gave no token.
	tokenRefusal = 5 * time.Second
)

// ClientCredentials is what a token is asked for with: the client-credential
// grant of OAuth 2.0, as Microsoft Entra ID speaks it.
type ClientCredentials struct {
	// TokenURL is the issuer's token endpoint.
	TokenURL string
	// ClientID and ClientSecret go into the body of the request.
	ClientID, ClientSecret string
	// Audience is whom tokens are made out to: the application id of the
	// endpoint, or its URI. It is asked for as scope, with /.default behind it.
	Audience string
	// Scope, if not empty, is sent in place of that.
	Scope string
	// More holds further parameters that an issuer wants, such as resource
	// (version 1 of Entra's endpoint) or audience.
	More map[string]string
	// HTTP sends the requests and must be set. Where the URL comes from a
	// stranger, it has to be [Client.HTTP]. Its redirects are not followed.
	HTTP *http.Client
	// Now is the clock. Default [time.Now].
	Now func() time.Time
}

// clientCredentials is a TokenSource that keeps its token.
type clientCredentials struct {
	url   string
	shown string
	form  string // the body, which holds the secret
	http  *http.Client
	now   func() time.Time

	// turn is held by whoever asks the issuer. It is no mutex because those who
	// wait may give up.
	turn chan struct{}

	// mu protects the fields below. It is not held while the issuer is asked.
	mu    sync.Mutex
	token string
	until time.Time // when token is too old, or err old enough
	err   error     // why there is no token
	// refused is when an endpoint refused a token last and it was dropped.
	refused time.Time
}

// NewClientCredentials returns a source that asks the issuer when it has no
// token that lives 5 minutes more (one of less than 50 minutes: a tenth of its
// life). It asks once at a time, however many wait, and not again for 5 s after
// a failure.
//
// An endpoint's refusal drops the token, but not when that happened less than 5
// minutes ago: an endpoint that refuses all tokens must not cost the issuer a
// request for each event.
//
// Errors are an *[Error] whose text holds nothing that the issuer made up, or
// the context's.
func NewClientCredentials(o ClientCredentials) TokenSource {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {o.ClientID}, "client_secret": {o.ClientSecret},
		"scope": {cmp.Or(o.Scope, strings.TrimSuffix(o.Audience, "/")+"/.default")},
	}
	for name, v := range o.More {
		form.Set(name, v)
	}
	client := *o.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if o.Now == nil {
		o.Now = time.Now
	}
	return &clientCredentials{
		url: o.TokenURL, shown: RedactURL(o.TokenURL), form: form.Encode(), http: &client, now: o.Now,
		turn: make(chan struct{}, 1),
	}
}

// Token implements [TokenSource].
func (s *clientCredentials) Token(ctx context.Context) (string, error) {
	if token, err, ok := s.kept(); ok {
		return token, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-s.turn }()
	if token, err, ok := s.kept(); ok { // whoever had the turn before
		return token, err
	}
	asked := s.now()
	token, life, err := s.ask(ctx)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err() // says nothing about the issuer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.err = token, err
	if s.until = asked.Add(tokenRefusal); err == nil {
		s.until = asked.Add(life - min(tokenMargin, life/10))
	}
	return token, err
}

// kept returns what the last request to the issuer came to, while it holds.
func (s *clientCredentials) kept() (string, error, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.err, s.now().Before(s.until)
}

// Forget drops a token that an endpoint refused.
func (s *clientCredentials) Forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if token != s.token || s.err != nil || now.Before(s.refused.Add(tokenMargin)) {
		return
	}
	s.refused, s.until = now, time.Time{}
}

// ask makes one request for a token.
func (s *clientCredentials) ask(ctx context.Context) (token string, life time.Duration, err error) {
	limited, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, s.url, strings.NewReader(s.form))
	if err != nil {
		return "", 0, s.failed(0, "the URL of the issuer is not valid")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := s.http.Do(req)
	if bad, ok := errors.AsType[*URLError](err); ok { // HTTP is that of a Client
		return "", 0, s.failed(0, bad.Reason)
	}
	if err != nil {
		f := classify(err, ctx, limited, tokenTimeout)
		return "", 0, f.error(http.MethodPost, s.shown)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return "", 0, s.failed(resp.StatusCode, "the issuer answered 101") // a body without end
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 2*maxToken))
	if err != nil {
		return "", 0, s.failed(resp.StatusCode, "the issuer's answer broke off")
	}
	var a struct {
		Token string      `json:"access_token"`
		Life  json.Number `json:"expires_in"` // Entra's version 1 quotes it
		Error string      `json:"error"`
	}
	bad := json.Unmarshal(body, &a)
	if resp.StatusCode != http.StatusOK {
		return "", 0, s.failed(resp.StatusCode, "the issuer answered "+strconv.Itoa(resp.StatusCode)+errorCode(a.Error))
	}
	if bad != nil || a.Token == "" {
		return "", 0, s.failed(resp.StatusCode, "the issuer's answer holds no token")
	}
	life = tokenLife
	if n, err := a.Life.Int64(); err == nil && n > 0 {
		life = time.Duration(min(n, int64(24*time.Hour/time.Second))) * time.Second
	}
	return a.Token, life, nil
}

func (s *clientCredentials) failed(status int, reason string) *Error {
	return &Error{
		Method: http.MethodPost, URL: s.shown, Outcome: destination.GenericError, Status: status, Reason: reason,
	}
}

// errorCode words the code of an issuer's error if it is one of the standards.
// Anything else an issuer says might repeat what it was sent.
func errorCode(code string) string {
	switch code {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "invalid_target", "invalid_resource", "temporarily_unavailable", "server_error":
		return ": " + code
	}
	return ""
}
