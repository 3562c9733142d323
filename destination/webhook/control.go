package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// eventTime is how Event Grid writes instants: UTC, 7 fraction digits.
const eventTime = "2006-01-02T15:04:05.0000000Z"

// controlEvent is the one event of a message about the subscription itself. It
// is in the Event Grid schema.
type controlEvent struct {
	ID              string `json:"id"`
	Topic           string `json:"topic"`
	Subject         string `json:"subject"`
	Type            string `json:"eventType"`
	Time            string `json:"eventTime"`
	Data            any    `json:"data"`
	MetadataVersion string `json:"metadataVersion"`
	DataVersion     string `json:"dataVersion"`
}

// validationData is the data of a validation event.
type validationData struct {
	Code string `json:"validationCode"`
	URL  string `json:"validationUrl,omitempty"`
}

// deletionData is the data of a deletion notice.
type deletionData struct {
	SubscriptionID string `json:"eventSubscriptionId"`
}

// controlEvent returns an event without data.
func (c *Client) controlEvent(eventType, topic, dataVersion string) controlEvent {
	return controlEvent{
		ID: uuid.NewString(), Topic: topic, Type: eventType,
		Time:            c.opts.Now().UTC().Format(eventTime),
		MetadataVersion: "1", DataVersion: dataVersion,
	}
}

// encode returns the array that holds e only.
func (e controlEvent) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // links hold &, and people read them from logs
	if err := enc.Encode([]controlEvent{e}); err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type, err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// header returns the header of a request with e; kind is its aeg-event-type.
func (e controlEvent) header(kind, subscription string) http.Header {
	return http.Header{
		"aeg-event-type":        {kind},
		"aeg-subscription-name": {strings.ToUpper(subscription)},
		"aeg-delivery-count":    {"0"},
		"aeg-data-version":      {e.DataVersion},
		"aeg-metadata-version":  {e.MetadataVersion},
		"Content-Type":          {"application/json; charset=utf-8"},
		"User-Agent":            {""},
	}
}

// control sends q to u once, with a token if it asks for one.
func (c *Client) control(ctx context.Context, q question, u *url.URL, read func(*http.Response)) *failure {
	header := q.header.Clone()
	if f := c.authorize(ctx, q.token, header); f != nil {
		return f
	}
	return c.exchange(ctx, func(attempt context.Context) *http.Request {
		req := (&http.Request{
			Method: q.method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		}).WithContext(attempt)
		if q.body != nil {
			p := payload{whole: q.body}
			req.Body, req.ContentLength = p.open(), int64(len(q.body))
		}
		return req
	}, read)
}

// Deletion says that an event subscription is gone.
type Deletion struct {
	// URL is the endpoint exactly as it was registered.
	URL string
	// SubscriptionName is the name of the event subscription, SubscriptionID its
	// ARM id.
	SubscriptionName, SubscriptionID string
	// Topic is the ARM id of the source resource.
	Topic string
	// Token, if not nil, gives the bearer token that the request carries.
	Token TokenSource
}

// NotifyDeletion tells the endpoint of an event subscription that it was
// deleted, in the Event Grid schema: subscriptions that deliver CloudEvents have
// no such notice. It tries once, for [Options.Timeout] at most, and takes any
// answer for an answer. The error, a *[URLError] or an *[Error], says that there
// was none; it is good for a log line only.
func (c *Client) NotifyDeletion(ctx context.Context, d Deletion) error {
	u, bad := c.parse(d.URL)
	if bad != nil {
		return bad
	}
	e := c.controlEvent("Microsoft.EventGrid.SubscriptionDeletedEvent", d.Topic, "1")
	e.Data = deletionData{SubscriptionID: d.SubscriptionID}
	body, err := e.encode()
	if err != nil {
		return err
	}
	q := question{
		method: http.MethodPost, url: d.URL, token: d.Token, body: body,
		header: e.header("SubscriptionDeletion", d.SubscriptionName),
	}
	if f := c.control(ctx, q, u, func(*http.Response) {}); f != nil {
		return f.error(q.method, redact(u))
	}
	return nil
}
