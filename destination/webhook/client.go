package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"
)

// maxAnswer bounds what is read of an endpoint's answer. A longer body costs
// the endpoint its connection.
const maxAnswer = 64 << 10

// Options configures a [Client]. Zero fields take the default that is named.
type Options struct {
	// AllowPrivate permits http:// and loopback, private and shared address
	// ranges. Link-local, multicast and unspecified addresses and the metadata
	// services of clouds stay refused.
	AllowPrivate bool
	// RootCAs are the authorities that endpoints' certificates are verified
	// against; nil means those of the system. To trust one more, append it to
	// [x509.SystemCertPool].
	RootCAs *x509.CertPool
	// Origin is the name by which the server introduces itself to endpoints.
	// Default "eventgrid.azure.net", a literal that receivers compare with.
	Origin string
	// Timeout bounds one exchange from DNS to the end of the answer, and getting
	// a token before it. Default 30 s, Azure's limit.
	Timeout time.Duration
	// LateWindow is how long after its start an attempt may still be answered,
	// for a caller who asked to be told: [destination.Notification.Late].
	// Default 3 min, Azure's window; no longer than Timeout means that nobody
	// waits.
	LateWindow time.Duration
	// ConnectTimeout bounds DNS and TCP connect together, and then the TLS
	// handshake. Default 10 s.
	ConnectTimeout time.Duration
	// IdleTimeout is how long an unused connection is kept. Default 90 s.
	IdleTimeout time.Duration
	// HandshakeTries is how often a handshake is tried when nobody answers.
	// Default 3.
	HandshakeTries int
	// HandshakePause is the wait between these tries. Default 5 s.
	HandshakePause time.Duration
	// Resolver translates host names; nil means the system's. Its answers pass
	// the guard like any other.
	Resolver *net.Resolver
	// Now is the clock for event times and dates in Retry-After. Default
	// [time.Now].
	Now func() time.Time
}

// Client sends notifications and handshakes over one shared set of connections.
// It is safe for concurrent use.
type Client struct {
	opts      Options
	guard     *guard
	transport *http.Transport
	fresh     *http.Transport // keeps no connection
	late      latecomers
	runners   *runners
}

// NewClient returns a client. It starts nothing by itself; [Client.Close] ends
// what deliveries leave behind.
func NewClient(o Options) *Client {
	o.Origin = cmp.Or(o.Origin, "eventgrid.azure.net")
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.LateWindow = cmp.Or(o.LateWindow, 3*time.Minute)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 10*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 90*time.Second)
	o.HandshakeTries = cmp.Or(o.HandshakeTries, 3)
	o.HandshakePause = cmp.Or(o.HandshakePause, 5*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	g := newGuard(o.AllowPrivate)
	dialer := &net.Dialer{Timeout: o.ConnectTimeout, KeepAlive: 30 * time.Second, Resolver: o.Resolver, Control: g.control}
	transport := &http.Transport{
		Proxy:       nil, // a proxy would dial in our place, past the guard
		DialContext: dialer.DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            o.RootCAs,
			ClientSessionCache: tls.NewLRUClientSessionCache(1024),
		},
		TLSHandshakeTimeout: o.ConnectTimeout,
		ForceAttemptHTTP2:   true, // a dialer of one's own would switch it off
		// Without pings a dead HTTP/2 connection would swallow every attempt to
		// its host until TCP notices, which takes minutes.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		MaxIdleConns:           4096,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        o.IdleTimeout,
		DisableCompression:     true, // answers are discarded, not read
		MaxResponseHeaderBytes: maxAnswer,
	}
	fresh := transport.Clone()
	fresh.DisableKeepAlives = true
	return &Client{
		opts: o, guard: g, transport: transport, fresh: fresh,
		late: latecomers{window: o.LateWindow - o.Timeout}, runners: newRunners(),
	}
}

// Close cuts off the requests that wait for late answers, returns when no
// [destination.Notification.Late] is called any more, and drops the idle
// connections. Exchanges under way go on, and the client may still be used, but
// waits for no late answer.
func (c *Client) Close() {
	c.late.close()
	c.runners.close()
	c.transport.CloseIdleConnections()
}

// HTTP returns a client for requests to URLs that come from strangers, other
// than deliveries: it obeys [Client.Check] and the guard, follows no redirect
// and shares the connections of c. Its errors may quote the URL and what the
// server sent.
func (c *Client) HTTP() *http.Client {
	return &http.Client{
		Transport:     checked{c},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       c.opts.Timeout,
	}
}

// checked is the transport behind [Client.Check].
type checked struct{ client *Client }

// RoundTrip implements [http.RoundTripper].
func (t checked) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.client.Check(r.URL.String()); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	return t.client.send(r)
}

// send is the way of every request. An answer that switches protocols has no
// body that the request's context would end: reading it could take for ever.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	resp, err := c.roundTrip(r)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body.Close()
		resp.Body = http.NoBody
	}
	return resp, err
}

// roundTrip sends r. When a kept connection turns out to be closed, r is sent
// once more on a new one, since that says nothing of the endpoint; delivery is at
// least once in any case. The transport would go through all the connections it
// has kept: an endpoint that reads a request and then resets would get it from
// each.
func (c *Client) roundTrip(r *http.Request) (*http.Response, error) {
	var kept bool
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { kept = i.Reused }}
	resp, err := c.transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err == nil || !kept || r.Context().Err() != nil || r.Body != nil && r.GetBody == nil {
		return resp, err
	}
	again := *r
	if r.Body != nil {
		body, berr := r.GetBody()
		if berr != nil {
			return nil, err
		}
		again.Body = body
	}
	return c.fresh.RoundTrip(&again)
}

// exchange sends req once and hands the answer to use, within the time limit.
// There are no redirects, since only [http.Client] follows them. A failure is
// nil if and only if use was called.
func (c *Client) exchange(ctx context.Context, req func(context.Context) *http.Request, use func(*http.Response)) *failure {
	attempt, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	resp, err := c.send(req(attempt))
	if err != nil {
		return classify(err, ctx, attempt, c.opts.Timeout)
	}
	defer resp.Body.Close()
	use(resp)
	return nil
}
