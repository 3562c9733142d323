package webhook

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/intertie/intertie/destination"
)

// target delivers CloudEvents, one object to a request, to one URL.
type target struct {
	client *Client
	url    *url.URL
	shown  string // the URL as it may be shown
	fault  error  // why nothing can be sent at all, or nil

	// headers is the cached part of the request header. A target belongs to one
	// subscription, so it is built once.
	headers atomic.Pointer[fixedHeader]
}

// fixedHeader is what all requests of one subscription share. It is never
// changed after it was stored; requests clone the map and share the values.
type fixedHeader struct {
	subscription string
	header       http.Header
}

// Target returns a destination that posts CloudEvents to rawURL, one structured
// mode object per request (Azure's form when batching is off). The headers are
// those of Event Grid; the aeg- names go out in lower case, as Azure writes
// them.
//
// A URL that [Client.Check] refuses gives a target whose every attempt fails
// with ResolutionError: the URL was accepted once, so an operator's switch has
// changed since, and may change back.
func (c *Client) Target(rawURL string) destination.Target {
	u, err := c.parse(rawURL)
	if err != nil {
		return &target{client: c, shown: RedactURL(rawURL), fault: err}
	}
	return &target{client: c, url: u, shown: redact(u)}
}

// Deliver implements [destination.Target]. The notification must hold exactly
// one item.
func (t *target) Deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	if t.fault != nil {
		return t.failed(&failure{outcome: destination.ResolutionError, reason: t.fault.Error()})
	}
	if len(n.Items) != 1 {
		return t.failed(&failure{
			outcome: destination.GenericError,
			reason:  "a request carries one event, not " + strconv.Itoa(len(n.Items)),
		})
	}
	var v destination.Verdict
	f := t.client.exchange(ctx, func(attempt context.Context) *http.Request {
		return t.request(attempt, n)
	}, func(resp *http.Response) {
		v = t.verdict(resp)
	})
	if f != nil {
		return t.failed(f)
	}
	return v
}

func (t *target) failed(f *failure) destination.Verdict {
	return destination.Verdict{Outcome: f.outcome, Err: f.error(http.MethodPost, t.shown)}
}

// verdict judges an answer by its status line. The body is read only so that
// the connection can be used again: one that is too long, breaks off or does
// not end in time costs the endpoint its connection and changes nothing.
func (t *target) verdict(resp *http.Response) destination.Verdict {
	if resp.Body != http.NoBody && resp.ContentLength <= maxAnswer {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer+1)
	}
	o, after := destination.FromStatus(resp.StatusCode)
	v := destination.Verdict{Outcome: o, Status: resp.StatusCode, After: after}
	if o == destination.Delivered {
		return v
	}
	if o == destination.Busy {
		v.After = max(v.After, retryAfter(resp.Header.Get("Retry-After"), t.client.opts.Now()))
	}
	v.Err = &Error{
		Method: http.MethodPost, URL: t.shown,
		Outcome: o, Status: resp.StatusCode, Reason: statusReason(resp.StatusCode),
	}
	return v
}

// request builds one attempt. The transport may still read header and body
// after a cancelled attempt has returned, so neither is pooled.
func (t *target) request(ctx context.Context, n *destination.Notification) *http.Request {
	ev := n.Items[0].Event
	h := maps.Clone(t.fixed(n.Subscription))
	vary := [...]string{strconv.Itoa(n.Items[0].Attempt), ev.SpecVersion, uuid.UUID(n.Items[0].ID).String()}
	h["aeg-delivery-count"] = vary[0:1:1]
	h["aeg-metadata-version"] = vary[1:2:2]
	h["aeg-output-event-id"] = vary[2:3:3]

	// WithContext on a literal keeps the URL, parsed once and never written to.
	req := (&http.Request{
		Method: http.MethodPost, URL: t.url, Host: t.url.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: newBody(ev.JSON), ContentLength: int64(len(ev.JSON)),
		GetBody: func() (io.ReadCloser, error) { return newBody(ev.JSON), nil },
	}).WithContext(ctx)
	return req
}

// fixed returns the header map to clone for a subscription.
func (t *target) fixed(subscription string) http.Header {
	if f := t.headers.Load(); f != nil && f.subscription == subscription {
		return f.header
	}
	origin := []string{t.client.opts.Origin}
	f := &fixedHeader{subscription: subscription, header: http.Header{
		"aeg-event-type":         {"Notification"},
		"aeg-subscription-name":  {strings.ToUpper(subscription)},
		"aeg-data-version":       {""},
		"Origin":                 origin,
		"WebHook-Request-Origin": origin,
		"Content-Type":           {"application/cloudevents+json; charset=utf-8"},
		"Accept-Encoding":        {"gzip,deflate"},
		"User-Agent":             {""}, // net/http would send its own name
		// An empty key is not sent. It tells the transport that the request may
		// be repeated when a kept connection turns out to be closed; delivery is
		// at least once in any case.
		"Idempotency-Key": {},
	}}
	t.headers.Store(f)
	return f.header
}

// newBody returns a request body in the form that net/http knows to be in
// memory. For any other type it would send the header by itself before it reads
// the body: a second system call and packet for each attempt.
func newBody(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }
