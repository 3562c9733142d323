package armclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A token is renewed this long before the server says it ends, so that none
// expires between our check and the server's.
const tokenMargin = 2 * time.Minute

type token struct {
	value string
	until time.Time
}

// tokens gets and keeps one token for each scope. The slot channel is a lock
// that a waiting caller can give up when its context ends.
type tokens struct {
	slot     chan struct{}
	endpoint string // learned from the OpenID document
	cached   map[string]token
}

func newTokens() *tokens {
	return &tokens{slot: make(chan struct{}, 1), cached: map[string]token{}}
}

// token answers with a cached token, or signs in. stale is a token that the
// server has just refused: it is not handed out again.
func (c *Client) token(ctx context.Context, scope, stale string) (string, error) {
	t := c.tokens
	select {
	case t.slot <- struct{}{}:
		defer func() { <-t.slot }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if have, ok := t.cached[scope]; ok && have.value != stale && c.now().Before(have.until) {
		return have.value, nil
	}
	if t.endpoint == "" {
		endpoint, err := c.discover(ctx)
		if err != nil {
			return "", fmt.Errorf("signing in: %w", err)
		}
		t.endpoint = endpoint
	}
	fresh, err := c.signIn(ctx, t.endpoint, scope)
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	t.cached[scope] = fresh
	return fresh.value, nil
}

// discover asks for the token endpoint, as Azure's own libraries do. The
// endpoint must be on the server we were given: the secret goes nowhere else.
func (c *Client) discover(ctx context.Context) (string, error) {
	path := "/" + url.PathEscape(c.creds.Tenant)
	if !strings.EqualFold(c.creds.Tenant, "adfs") {
		path += "/v2.0"
	}
	path += "/.well-known/openid-configuration"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.String()+path, nil)
	if err != nil {
		return "", err
	}
	_, body, err := c.roundTrip(req)
	if err != nil {
		return "", err
	}
	var doc struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", fmt.Errorf("GET %s: not an OpenID document: %w", path, err)
	}
	u, err := url.Parse(doc.TokenEndpoint)
	if err != nil || !c.sameOrigin(u) {
		return "", fmt.Errorf("GET %s: token endpoint %q is not on %s", path, doc.TokenEndpoint, c.base)
	}
	return u.String(), nil
}

func (c *Client) signIn(ctx context.Context, endpoint, scope string) (token, error) {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.creds.ClientID},
		"client_secret": {c.creds.ClientSecret},
		"scope":         {scope},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	asked := c.now()
	_, body, err := c.roundTrip(req)
	if err != nil {
		return token{}, err
	}
	var answer struct {
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"` // a number, or the same in quotes
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return token{}, fmt.Errorf("reading the token: %w", err)
	}
	if answer.AccessToken == "" {
		return token{}, errors.New("the answer holds no access token")
	}
	seconds, err := strconv.ParseFloat(answer.ExpiresIn.String(), 64)
	if err != nil {
		seconds = 0 // no life time told: use it once
	}
	life := time.Duration(seconds * float64(time.Second))
	return token{value: answer.AccessToken, until: asked.Add(life - min(tokenMargin, life/2))}, nil
}
