package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

// TargetOptions describes the endpoint of one event subscription.
type TargetOptions struct {
	// URL is the endpoint exactly as it was registered.
	URL string
	// Schema is the schema that events are delivered in.
	Schema event.Schema
	// Batch permits several events in a request. It also changes the form of a
	// request with one CloudEvent: an array instead of an object.
	Batch bool
	// Properties are headers that the subscriber asked for.
	Properties []Property
	// Token, if not nil, gives the bearer token that every request carries.
	Token TokenSource
}

// target delivers events to one URL.
type target struct {
	client *Client
	url    *url.URL
	shown  string // the URL as it may be shown
	fault  error  // why nothing can be sent at all, or nil

	form       form
	properties properties
	token      TokenSource

	// headers is the cached part of the request header. A target belongs to one
	// subscription, so it is built once.
	headers atomic.Pointer[fixedHeader]
	// late counts the requests that go on after their attempt has ended. The
	// client's mutex for these protects it.
	late int
}

// NewTarget returns a destination that posts events to o.URL in the form that
// Event Grid uses for o.Schema. With o.Batch and properties whose value comes
// from the event, the destination is a [destination.Grouper].
//
// A URL that [Client.Check] refuses gives a target whose every attempt fails
// with ResolutionError: the URL was accepted once, so an operator's switch has
// changed since, and may change back. The error says that a property is not
// possible; it holds names, never values.
func (c *Client) NewTarget(o TargetOptions) (destination.Target, error) {
	p, err := newProperties(o.Properties, o.Token != nil)
	if err != nil {
		return nil, err
	}
	f, err := formOf(o.Schema, o.Batch)
	if err != nil {
		return nil, err
	}
	t := &target{client: c, form: f, properties: p, token: o.Token}
	if u, bad := c.parse(o.URL); bad != nil {
		t.shown, t.fault = RedactURL(o.URL), bad
	} else {
		t.url, t.shown = u, redact(u)
	}
	if o.Batch && p.dynamic() {
		return grouping{t}, nil
	}
	return t, nil
}

// grouping is a target whose headers depend on the events of a request.
type grouping struct{ *target }

// Group implements [destination.Grouper].
func (g grouping) Group(e *event.Event) string { return g.properties.group(e) }

// errBatch refuses what the caller must not hand over.
var errBatch = errors.New("without batching a request carries one event")

// Deliver implements [destination.Target]. Headers that describe one event
// describe the first of n's items.
func (t *target) Deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	if t.fault != nil {
		return t.failed(&failure{outcome: destination.ResolutionError, reason: t.fault.Error()})
	}
	p, err := t.pack(n)
	if err != nil {
		// Retried, so that no event is lost to a mistake of this program.
		return t.failed(&failure{outcome: destination.GenericError, reason: err.Error()})
	}
	if t.token != nil {
		var f *failure
		if p.token, f = t.client.bearer(ctx, t.token); f != nil {
			return t.failed(f)
		}
		p.header["Authorization"] = []string{"Bearer " + p.token}
	}
	if n.Late != nil && t.client.opts.LateWindow > t.client.opts.Timeout {
		return t.fly(ctx, p, n.Late)
	}
	var v destination.Verdict
	f := t.client.exchange(ctx, func(attempt context.Context) *http.Request {
		return t.request(attempt, p)
	}, func(resp *http.Response) {
		v = t.verdict(resp, p)
	})
	if f != nil {
		return t.failed(f)
	}
	return v
}

// parcel is what one attempt sends.
type parcel struct {
	header http.Header
	body   payload
	token  string // "" without one
}

// pack makes the header, but for the token, and the body of an attempt.
func (t *target) pack(n *destination.Notification) (*parcel, error) {
	if len(n.Items) != 1 && (!t.form.batch || len(n.Items) == 0) {
		return nil, fmt.Errorf("%w, not %s", errBatch, strconv.Itoa(len(n.Items)))
	}
	body, err := t.form.pack(n.Items)
	if err != nil {
		return nil, err
	}
	return &parcel{header: t.header(n), body: body}, nil
}

// request builds the request of one attempt. The transport may still read
// header and body after a cancelled attempt has returned, so neither is pooled.
func (t *target) request(ctx context.Context, p *parcel) *http.Request {
	// WithContext on a literal keeps the URL, parsed once and never written to.
	return (&http.Request{
		Method: http.MethodPost, URL: t.url, Host: t.url.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: p.header, Body: p.body.open(), ContentLength: p.body.size,
		GetBody: func() (io.ReadCloser, error) { return p.body.open(), nil },
	}).WithContext(ctx)
}

func (t *target) failed(f *failure) destination.Verdict {
	return destination.Verdict{Outcome: f.outcome, Err: f.error(http.MethodPost, t.shown)}
}

// verdict judges an answer by its status line. The body is read only so that
// the connection can be used again: one that is too long, breaks off or does
// not end in time costs the endpoint its connection and changes nothing.
func (t *target) verdict(resp *http.Response, p *parcel) destination.Verdict {
	if resp.Body != http.NoBody && resp.ContentLength <= maxAnswer {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer+1)
	}
	o, after := destination.FromStatus(resp.StatusCode)
	v := destination.Verdict{Outcome: o, Status: resp.StatusCode, After: after}
	switch o {
	case destination.Delivered:
		return v
	case destination.Busy:
		v.Asked = retryAfter(resp.Header.Get("Retry-After"), t.client.opts.Now())
	case destination.Unauthorized:
		forget(t.token, p.token)
	}
	v.Err = &Error{
		Method: http.MethodPost, URL: t.shown,
		Outcome: o, Status: resp.StatusCode, Reason: statusReason(resp.StatusCode),
	}
	return v
}
