package publish

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

type nullLog struct{}

func (nullLog) Append(context.Context, []eventlog.Entry) error { return nil }

// nullWriter is a response that goes nowhere.
type nullWriter struct {
	header http.Header
	status int
}

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(status int)      { w.status = status }

// text1K is about a kilobyte of data.
var text1K = strings.Repeat("some text of an order ", 38)

// batch returns an array of n events.
func batch(n int, ev func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = ev(i)
	}
	return "[" + strings.Join(all, ",") + "]"
}

func cloudEvent(i int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"A-%04d","source":"/contoso/orders","type":"Contoso.Orders.Placed","subject":"orders/%d",`+
		`"time":"2024-05-01T12:00:00.1234567Z","data":{"text":"%s"}}`, i, i, text1K)
}

// gridEvent names a domain topic unless that is empty.
func gridEvent(i int, topic string) string {
	if topic != "" {
		topic = `"topic":"` + topic + `",`
	}
	return fmt.Sprintf(`{"id":"A-%04d",%s"eventType":"Contoso.Orders.Placed","subject":"orders/%d",`+
		`"eventTime":"2024-05-01T12:00:00.1234567Z","dataVersion":"1","data":{"text":"%s"}}`, i, topic, i, text1K)
}

// publishAgain measures the handler alone, without net/http around it: one
// request with these bodies in turn, again and again.
func publishAgain(b *testing.B, src *Source, bodies ...string) {
	b.Helper()
	metrics := NewMetrics(prometheus.NewRegistry())
	src.Name, src.Region, src.Keys, src.PublicNetworkAccess = "contoso", "westeurope", []string{key1, key2}, true
	src.Counts = metrics.Source(src.Kind, src.ID)
	src.Channels.each(func(c *Channel) { c.Counts = metrics.PartnerTopic(c.TopicID) })
	h := &Handler{Table: &Table{}, Log: nullLog{}, Metrics: metrics}
	h.Table.Set(src)
	r := httptest.NewRequest(http.MethodPost, path+"?api-version=2018-01-01", nil)
	r.Header.Set("aeg-sas-key", key1)
	r.Header.Set("aeg-channel-name", "orders")
	r.Header.Set("Content-Type", batchType)
	reader := strings.NewReader("")
	r.Body = io.NopCloser(reader)
	w := &nullWriter{header: http.Header{}}
	b.SetBytes(int64(len(bodies[0])))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		body := bodies[i%len(bodies)]
		r.ContentLength = int64(len(body))
		reader.Reset(body)
		if h.ServeHTTP(w, r); w.status != 200 {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkPublish is a partner's channel.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch/%d", n), func(b *testing.B) {
			publishAgain(b, &Source{
				UID: resource.NewUID(), ID: namespaceID,
				Channels: named(&Channel{Name: "orders", Topic: resource.NewUID(), State: Activated}),
			}, batch(n, cloudEvent))
		})
	}
}

// BenchmarkPublishTopic is a custom topic in each schema.
func BenchmarkPublishTopic(b *testing.B) {
	for _, n := range []int{1, 100} {
		for _, c := range []struct {
			schema event.Schema
			ev     func(i int) string
		}{
			{event.EventGrid, func(i int) string { return gridEvent(i, "") }},
			{event.CloudEvents, cloudEvent},
			{event.Custom, func(i int) string {
				return fmt.Sprintf(`{"ref":"A-%04d","kind":"Contoso.Orders.Placed","item":{"path":"orders/%d"},"at":"2024-05-01T12:00:00.1234567Z","text":"%s"}`, i, i, text1K)
			}},
		} {
			b.Run(fmt.Sprintf("%s/batch/%d", c.schema, n), func(b *testing.B) {
				src := &Source{}
				asTopic(c.schema)(nil, src)
				publishAgain(b, src, batch(n, c.ev))
			})
		}
	}
}

// BenchmarkPublishDomain is a domain with as many topics as there can be; each
// event is for another one.
func BenchmarkPublishDomain(b *testing.B) {
	topics := &DomainTopics{}
	const most = 100_000
	name := func(i int) string { return fmt.Sprintf("Customer-%06d", i%most) }
	for i := range most {
		topics.Set(name(i), resource.UID{1, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch/%d", n), func(b *testing.B) {
			src := &Source{}
			asDomain(event.EventGrid, topics)(nil, src)
			var bodies []string
			for k := range 10 * 7919 / n / 100 {
				bodies = append(bodies, batch(n, func(i int) string { return gridEvent(i, name((k*n+i)*7919)) }))
			}
			publishAgain(b, src, bodies...)
		})
	}
}

func BenchmarkDomainTopics(b *testing.B) {
	topics := &DomainTopics{}
	const most = 100_000
	names := make([]string, most)
	for i := range names {
		names[i] = fmt.Sprintf("customer-%06d", i)
		topics.Set(names[i], resource.UID{1, byte(i)})
	}
	b.Run("lookup", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, ok := topics.Lookup(names[i*7919%most]); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			topics.Set(names[i*7919%most], resource.UID{2, byte(i)})
		}
	})
}
