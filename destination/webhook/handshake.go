package webhook

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/intertie/intertie/destination"
)

// Handshake asks an endpoint for its consent to receive events.
type Handshake struct {
	// URL is the endpoint exactly as it was registered.
	URL string
	// SubscriptionName is the name of the event subscription.
	SubscriptionName string
	// Topic is the ARM id of the source resource (Event Grid schema only).
	Topic string
	// CallbackURL is the link by which a person may consent later.
	CallbackURL string
	// Code is what the endpoint must echo (Event Grid schema only).
	Code string
	// Token, if not nil, gives the bearer token that the request carries.
	Token TokenSource
}

// Result is what a handshake without error came to.
type Result int

const (
	// Granted means that the endpoint consented.
	Granted Result = iota + 1
	// AwaitingManual means that the endpoint answered 200 without consenting:
	// it has until the end of the validation window to follow CallbackURL.
	AwaitingManual
)

// String returns the name of r.
func (r Result) String() string {
	switch r {
	case Granted:
		return "Granted"
	case AwaitingManual:
		return "AwaitingManual"
	default:
		return fmt.Sprintf("Result(%d)", int(r))
	}
}

// answer is what a handshake needs to know of a response.
type answer struct {
	status int
	header http.Header
	body   []byte // empty when it was cut short or longer than maxAnswer
}

// HandshakeEventGrid sends the validation event of the Event Grid schema and
// waits for its code to come back. Only a 200 counts; a 202 is explicitly not
// enough. It blocks up to tries × (timeout + pause), 105 s by default.
//
// The error is a *[URLError] when nothing was sent, else an *[Error].
func (c *Client) HandshakeEventGrid(ctx context.Context, h Handshake) (Result, error) {
	e := c.controlEvent("Microsoft.EventGrid.SubscriptionValidationEvent", h.Topic, "2")
	e.Data = validationData{Code: h.Code, URL: h.CallbackURL}
	body, err := e.encode()
	if err != nil {
		return 0, err
	}
	a, err := c.ask(ctx, question{
		method: http.MethodPost, url: h.URL, token: h.Token, body: body,
		header: e.header("SubscriptionValidation", h.SubscriptionName),
	})
	if err != nil {
		return 0, err
	}
	switch validationAnswer(a.body, h.Code) {
	case codeMatches:
		return Granted, nil
	case codeWrong:
		return 0, refused(http.MethodPost, h.URL, a.status, "the endpoint answered with another validation code")
	default:
		return AwaitingManual, nil
	}
}

// HandshakeCloudEvents asks for consent as the CloudEvents webhook
// specification says: OPTIONS with the server's origin, which the endpoint
// must allow with 200 or 204. A status alone is never consent. Times and errors are those of
// [Client.HandshakeEventGrid].
func (c *Client) HandshakeCloudEvents(ctx context.Context, h Handshake) (Result, error) {
	header := http.Header{"WebHook-Request-Origin": {c.opts.Origin}}
	if h.CallbackURL != "" {
		header["WebHook-Request-Callback"] = []string{h.CallbackURL}
	}
	a, err := c.ask(ctx, question{method: http.MethodOptions, url: h.URL, token: h.Token, header: header, also: http.StatusNoContent})
	if err != nil {
		return 0, err
	}
	said := false
	for _, v := range a.header.Values("WebHook-Allowed-Origin") {
		v = strings.TrimSpace(v)
		if v == "*" || strings.EqualFold(v, c.opts.Origin) {
			return Granted, nil
		}
		said = said || v != ""
	}
	if said {
		return 0, refused(http.MethodOptions, h.URL, a.status, "the endpoint allows another origin than "+c.opts.Origin)
	}
	if a.status != http.StatusOK {
		return 0, refused(http.MethodOptions, h.URL, a.status, statusReason(a.status)+" without the header WebHook-Allowed-Origin")
	}
	return AwaitingManual, nil
}

func refused(method, rawURL string, status int, reason string) *Error {
	return &Error{
		Method: method, URL: RedactURL(rawURL),
		Outcome: destination.GenericError, Status: status, Reason: reason,
	}
}

// question is one handshake request.
type question struct {
	method, url string
	header      http.Header
	body        []byte // nil for none
	token       TokenSource
	also        int // a status that is as good as 200; 0 for none
}

// ask sends a handshake request, again after a pause when nobody answers, and
// returns the first answer. Any status but 200 and the one that q names is an error.
func (c *Client) ask(ctx context.Context, q question) (answer, error) {
	u, bad := c.parse(q.url)
	if bad != nil {
		return answer{}, bad
	}
	q.header["User-Agent"] = []string{""}
	var a answer
	read := func(resp *http.Response) {
		a = answer{status: resp.StatusCode, header: resp.Header}
		// A body that breaks off or is too long holds no usable answer.
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		if err == nil && len(b) <= maxAnswer {
			a.body = b
		}
	}
	for try := 1; ; try++ {
		f := c.control(ctx, q, u, read)
		if f == nil {
			break
		}
		if f.final || try >= c.opts.HandshakeTries {
			return answer{}, f.error(q.method, redact(u))
		}
		if !pause(ctx, c.opts.HandshakePause) {
			f = &failure{outcome: destination.Aborted, reason: "the attempt was given up"}
			return answer{}, f.error(q.method, redact(u))
		}
	}
	if a.status != http.StatusOK && a.status != q.also {
		needed := "200"
		if q.also != 0 {
			needed += " or " + strconv.Itoa(q.also)
		}
		o, _ := destination.FromStatus(a.status)
		if o == destination.Delivered { // a success elsewhere, but not here
			o = destination.GenericError
		}
		return answer{}, &Error{
			Method: q.method, URL: redact(u), Outcome: o, Status: a.status,
			Reason: statusReason(a.status) + "; the handshake needs " + needed,
		}
	}
	return a, nil
}

// pause waits and reports whether it did so to the end.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
