package webhook

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

// form is how events stand in a request.
type form struct {
	schema event.Schema
	batch  bool // several events are permitted
	// array is false for CloudEvents without batching, the one form in which the
	// event itself is the body.
	array       bool
	contentType string
}

// formOf returns Azure's form of a schema: arrays always, but for CloudEvents
// without batching.
func formOf(s event.Schema, batch bool) (form, error) {
	f := form{schema: s, batch: batch, array: true}
	switch {
	case s == event.EventGrid, s == event.Custom:
		f.contentType = "application/json; charset=utf-8"
	case s == event.CloudEvents && batch:
		f.contentType = "application/cloudevents-batch+json; charset=utf-8"
	case s == event.CloudEvents:
		f.array, f.contentType = false, "application/cloudevents+json; charset=utf-8"
	default:
		return form{}, fmt.Errorf("no delivery schema has the number %d", s)
	}
	return f, nil
}

// fixedHeader is what all requests of one subscription share. It is never
// changed after it was stored; requests clone the map and share the values.
type fixedHeader struct {
	subscription string
	header       http.Header
}

// fixed returns the header map to clone for a subscription.
func (t *target) fixed(subscription string) http.Header {
	if f := t.headers.Load(); f != nil && f.subscription == subscription {
		return f.header
	}
	h := http.Header{
		"aeg-event-type":        {"Notification"},
		"aeg-subscription-name": {strings.ToUpper(subscription)},
		"aeg-data-version":      {""},
		"Content-Type":          {t.form.contentType},
		"Accept-Encoding":       {"gzip,deflate"},
		"User-Agent":            {""}, // net/http would send its own name
	}
	if t.form.schema == event.CloudEvents {
		origin := []string{t.client.opts.Origin}
		h["Origin"], h["WebHook-Request-Origin"] = origin, origin
	}
	maps.Copy(h, t.properties.fixed)
	t.headers.Store(&fixedHeader{subscription: subscription, header: h})
	return h
}

// header returns the header of an attempt. The aeg- names go out in lower case,
// as Azure writes them. What can be said of one event only (its data version,
// its id, how often it was tried) is said of the first: Azure does not document
// more, and a batch is regrouped on every attempt.
func (t *target) header(n *destination.Notification) http.Header {
	first := &n.Items[0]
	h := maps.Clone(t.fixed(n.Subscription))
	// SpecVersion is empty for what did not arrive as a CloudEvent. Its envelope
	// has the version "1", also when it leaves as a CloudEvent.
	metadata := first.Event.SpecVersion
	if first.Event.Schema != event.CloudEvents {
		metadata = "1"
	}
	vary := [...]string{strconv.Itoa(first.Attempt), metadata, uuid.UUID(first.ID).String()}
	h["aeg-delivery-count"] = vary[0:1:1]
	h["aeg-metadata-version"] = vary[1:2:2]
	h["aeg-output-event-id"] = vary[2:3:3]
	if t.form.schema != event.CloudEvents {
		if v := first.Event.DataVersion(); validValue(v) { // the publisher chose it
			h["aeg-data-version"] = []string{v}
		}
	}
	if t.properties.dynamic() {
		t.properties.add(h, first.Event)
	}
	return h
}
