package armclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// A webhook handshake may hold a request for 30 s; this leaves room for it.
	requestTimeout = 60 * time.Second
	// No answer of the management API comes near this.
	maxAnswer = 16 << 20
	// Times that a request is sent when the server says it is busy.
	maxTries = 4
	// The scope real clients ask for; every Azure-compatible server knows it.
	armScope = "https://management.azure.com/.default"
)

// Client sends requests to one server as one principal. It is safe for
// concurrent use.
type Client struct {
	creds  Credentials
	base   *url.URL
	http   *http.Client
	tokens *tokens
	now    func() time.Time
	pause  func(context.Context, time.Duration) error
}

// New checks the credentials and reads the CA file. It connects to nothing.
func New(creds Credentials) (*Client, error) {
	if err := creds.Validate(); err != nil {
		return nil, err
	}
	base, err := url.Parse(strings.TrimRight(creds.BaseURL, "/"))
	if err != nil {
		return nil, err
	}
	tlsConfig, err := creds.TLSConfig()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsConfig
	return &Client{
		creds: creds,
		base:  base,
		http: &http.Client{
			Transport: transport,
			Timeout:   requestTimeout,
			// Nothing we call redirects; a token must not follow one.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		tokens: newTokens(),
		now:    time.Now,
		pause:  pause,
	}, nil
}

// Credentials returns what the client was made with.
func (c *Client) Credentials() Credentials { return c.creds }

// Close gives back idle connections. The client may still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends one request and decodes the answer into out.
//
// path begins with "/" and may carry a query; apiVersion is added to it unless
// "". in, if not nil, is sent as JSON; out, if not nil, receives the JSON of an
// answer that has a body. A refusal is an [*Error]. Answers 429 and 503 are
// tried again, after the time the server asks for; so is a token that the server no
// longer accepts; and a provider that is not registered in the subscription of
// the path is registered once, as az and Terraform do.
func (c *Client) Do(ctx context.Context, method, path, apiVersion string, in, out any) error {
	_, err := c.do(ctx, method, path, apiVersion, in, out)
	return err
}

func (c *Client) do(ctx context.Context, method, path, apiVersion string, in, out any) (http.Header, error) {
	header, err := c.send(ctx, method, path, apiVersion, in, out)
	var refused *Error
	if errors.As(err, &refused) && refused.Code == "MissingSubscriptionRegistration" {
		if sub := subscriptionOf(path); sub != "" {
			if rerr := c.RegisterProvider(ctx, sub, EventGrid); rerr != nil {
				return nil, err // the first refusal says more
			}
			return c.send(ctx, method, path, apiVersion, in, out)
		}
	}
	return header, err
}

func (c *Client) send(ctx context.Context, method, path, apiVersion string, in, out any) (http.Header, error) {
	target, err := c.resolve(path, apiVersion)
	if err != nil {
		return nil, err
	}
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("%s %s: encoding the body: %w", method, path, err)
		}
	}
	scope, stale := c.scope(target), ""
	for try := 1; ; try++ {
		bearer, err := c.token(ctx, scope, stale)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		req.Header.Set("Accept", "application/json")
		if in != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		header, answer, err := c.roundTrip(req)
		if err == nil {
			if out == nil || len(bytes.TrimSpace(answer)) == 0 {
				return header, nil
			}
			if err := json.Unmarshal(answer, out); err != nil {
				return nil, fmt.Errorf("%s %s: reading the answer: %w", method, target.Path, err)
			}
			return header, nil
		}
		var refused *Error
		if !errors.As(err, &refused) {
			return nil, err
		}
		switch {
		case refused.Status == http.StatusUnauthorized && stale == "":
			stale = bearer // the server restarted with another key, or the clock moved
		case busy(refused.Status) && try < maxTries:
			if perr := c.pause(ctx, retryAfter(header, time.Duration(try)*500*time.Millisecond)); perr != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// roundTrip sends one request and reads its answer; a status other than 2xx is
// an [*Error]. The header is valid in both cases.
func (c *Client) roundTrip(req *http.Request) (http.Header, []byte, error) {
	call := req.Method + " " + req.URL.Path
	resp, err := c.http.Do(req)
	if err != nil {
		// url.Error repeats the whole URL with its query; the path is enough.
		if uerr, ok := errors.AsType[*url.Error](err); ok {
			err = uerr.Err
		}
		return nil, nil, fmt.Errorf("%s: cannot reach %s: %w", call, c.base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return resp.Header, nil, fmt.Errorf("%s: reading the answer: %w", call, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.Header, body, errorFrom(resp.StatusCode, body, call)
	}
	return resp.Header, body, nil
}

// resolve makes the full URL. An absolute URL (a nextLink or a poll URL) is
// taken as it is, but only on our own server: the token goes nowhere else.
func (c *Client) resolve(path, apiVersion string) (*url.URL, error) {
	if strings.HasPrefix(path, "https://") || strings.HasPrefix(path, "http://") {
		u, err := url.Parse(path)
		if err != nil {
			return nil, err
		}
		if !c.sameOrigin(u) {
			return nil, fmt.Errorf("the server points to %s://%s, which is not %s", u.Scheme, u.Host, c.base)
		}
		return u, nil
	}
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("path %q does not begin with a slash", path)
	}
	u, err := url.Parse(c.base.String() + path)
	if err != nil {
		return nil, err
	}
	if apiVersion != "" {
		q := u.Query()
		q.Set("api-version", apiVersion)
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	}
	return u, nil
}

func (c *Client) sameOrigin(u *url.URL) bool {
	return u.Scheme == c.base.Scheme && hostPort(u) == hostPort(c.base)
}

// hostPort spells the port out: real poll URLs carry ":443".
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	if port == "" && u.Scheme == "http" {
		port = "80"
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// scope is what the token is asked for: the directory is a resource of its own.
func (c *Client) scope(target *url.URL) string {
	if strings.HasPrefix(strings.TrimPrefix(target.Path, c.base.Path), "/graph/") {
		return c.base.String() + "/graph/.default"
	}
	return armScope
}

func busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

func retryAfter(h http.Header, otherwise time.Duration) time.Duration {
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n >= 0 {
		return time.Duration(min(n, 30)) * time.Second
	}
	return otherwise
}

func subscriptionOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 3 && strings.EqualFold(parts[1], "subscriptions") {
		return parts[2]
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
