package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/intertie/intertie/resource"
)

// The names and labels that dashboards are built on.
func TestMetricSeries(t *testing.T) {
	f := newFixture(t, nil)
	to := func(channel string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("aeg-channel-name", channel) }
	}
	f.send(t, events("/a", "/b", "/c"), to("orders"))
	f.send(t, events("/a", "/b"), to("off"))
	f.send(t, one, to("nope"))
	f.send(t, "{", nil)
	f.send(t, one, func(r *http.Request) { r.Header.Set("aeg-sas-key", "wrong") })
	f.send(t, one, func(r *http.Request) { r.URL.Path = "/stranger.westeurope-1/api/events" })
	f.send(t, one, func(r *http.Request) { r.Method = http.MethodGet }) // no publish, so no failure
	want := strings.ReplaceAll(`
# HELP eventgrid_publish_fail_total Publish failures (PublishFailCount): events, or 1 for a request whose events were not read. No topic: the request named no resource there is.
# TYPE eventgrid_publish_fail_total counter
eventgrid_publish_fail_total{error="400",error_type="BadRequest",topic="NS"} 1
eventgrid_publish_fail_total{error="401",error_type="Unauthorized",topic="NS"} 1
eventgrid_publish_fail_total{error="404",error_type="NotFound",topic=""} 1
eventgrid_publish_fail_total{error="404",error_type="NotFound",topic="NS"} 1
# HELP eventgrid_publish_success_latency_ms Time from a request's headers to its 200, in ms (PublishSuccessLatencyInMs).
# TYPE eventgrid_publish_success_latency_ms summary
eventgrid_publish_success_latency_ms_sum{topic="NS"} 0
eventgrid_publish_success_latency_ms_count{topic="NS"} 2
# HELP eventgrid_publish_success_total Events accepted (PublishSuccessCount), by the ARM id of what they were published to; of a partner topic, those that were routed to it.
# TYPE eventgrid_publish_success_total counter
eventgrid_publish_success_total{topic="NS"} 5
eventgrid_publish_success_total{topic="/topics/declared"} 0
eventgrid_publish_success_total{topic="/topics/dest"} 0
eventgrid_publish_success_total{topic="/topics/never"} 0
eventgrid_publish_success_total{topic="/topics/off"} 0
eventgrid_publish_success_total{topic="/topics/orders"} 3
# HELP eventgrid_publish_unmatched_events_total Events accepted that no activated partner topic took (UnmatchedEventCount), by the partner namespace's ARM id.
# TYPE eventgrid_publish_unmatched_events_total counter
eventgrid_publish_unmatched_events_total{topic="NS"} 2
`, "NS", namespaceID)
	if err := testutil.GatherAndCompare(f.metrics, strings.NewReader(want),
		"eventgrid_publish_success_total", "eventgrid_publish_fail_total", "eventgrid_publish_success_latency_ms", "eventgrid_publish_unmatched_events_total"); err != nil {
		t.Error(err)
	}
}

// seriesOf returns how many series of m have a label topic of that value.
func seriesOf(t *testing.T, reg *prometheus.Registry, topic string) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "topic" && l.GetValue() == topic {
					n++
				}
			}
		}
	}
	return n
}

// A thousand topics are a few thousand series, also when each fails in each
// way there is.
func TestSeriesAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	const topics = 1000
	for i := range topics {
		c := m.Source(Topic, fmt.Sprintf("/topics/%d", i))
		c.accepted(1, time.Millisecond)
		for range 3 {
			c.refused(badRequest("InputJsonInvalid", "no"), 1)
			c.refused(badRequest("UnsupportedApiVersion", "no"), 1)
		}
	}
	n, err := testutil.GatherAndCount(reg)
	if err != nil {
		t.Fatal(err)
	}
	// testutil counts a histogram or summary as one: the latter is two series.
	if n > topics*3+1 {
		t.Errorf("%d metrics for %d topics", n, topics)
	}
	for i := range topics {
		m.Forget(fmt.Sprintf("/Topics/%d", i)) // ids are compared without case
	}
	if n, _ := testutil.GatherAndCount(reg); n != 1 || len(m.counts) != 0 {
		t.Errorf("%d metrics and %d counts are left", n, len(m.counts))
	}
}

func TestForget(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	old := m.Source(Namespace, "x")
	if again := m.Source(Namespace, "X"); again != old {
		t.Error("one resource has two sets of series")
	}
	use := func(c *Counts) {
		c.accepted(1, time.Second)
		c.routed(1)
		c.dropped(1)
		c.refused(badRequest("d", "m"), 1)
		c.refused(tooLarge("m"), 1)
	}
	use(old)
	if n := seriesOf(t, reg, "x"); n != 5 {
		t.Errorf("%d metrics, want 5", n)
	}
	m.Forget("x")
	use(old)
	if n := seriesOf(t, reg, "x"); n != 0 {
		t.Errorf("%d metrics came back", n)
	}
	m.Forget("x") // again, and of what never was
	m.Forget("y")

	next := m.Source(Namespace, "x")
	use(old)
	if got := testutil.ToFloat64(next.succeeded); got != 0 || seriesOf(t, reg, "x") != 3 {
		t.Errorf("created anew: %v events, %d metrics", got, seriesOf(t, reg, "x"))
	}

	var none *Metrics
	none.Forget("x")
	use(none.Source(Topic, "x"))
	use(none.PartnerTopic("x"))
	none.unknown().refused(tooLarge("m"), 1)
}

// A resource may be deleted while its events are being stored.
func TestForgetUnderARequest(t *testing.T) {
	for _, stored := range []error{nil, errors.New("no")} {
		f := newFixture(t, func(h *Handler, s *Source) {
			h.Log = &memoryLog{append: func(context.Context) error {
				h.Table.Remove(s.UID)
				h.Metrics.Forget(s.ID)
				h.Metrics.Forget("/topics/orders")
				return stored
			}}
		})
		f.send(t, one, nil)
		if n := seriesOf(t, f.metrics, namespaceID) + seriesOf(t, f.metrics, "/topics/orders"); n != 0 {
			t.Errorf("append says %v: %d series are left", stored, n)
		}
	}
}

// Resources come, fail and go while metrics are read; run with -race.
func TestCountsRace(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 300 {
				id := fmt.Sprint(i % 7)
				switch c := m.Source(Namespace, id); worker {
				case 0:
					m.Forget(id)
				case 1:
					seriesOf(t, reg, id)
				default:
					c.accepted(1, 0)
					c.dropped(1)
					c.refused(tooLarge("m"), 1)
				}
			}
		})
	}
	wg.Wait()
	for i := range 7 {
		m.Forget(fmt.Sprint(i))
	}
	for i := range 7 {
		if n := seriesOf(t, reg, fmt.Sprint(i)); n != 0 {
			t.Errorf("%d series of %d are left", n, i)
		}
	}
}

// One event may be routed to several partner topics, and counts for each.
func TestRoutedEventsCountPerPartnerTopic(t *testing.T) {
	f := newFixture(t, func(h *Handler, s *Source) {
		a := &Channel{Name: "a", Topic: resource.NewUID(), State: Activated, Counts: h.Metrics.PartnerTopic("/a")}
		b := &Channel{Name: "b", Topic: resource.NewUID(), State: Activated, Counts: h.Metrics.PartnerTopic("/b")}
		a2 := *a
		a2.Name = "a2"
		s.Routing, s.Channels = SourceEventAttribute, bySource(map[string][]*Channel{"/a": {a}, "/both": {&a2, b}})
	})
	f.send(t, events("/a", "/both", "/both", "/x", "/a"), nil)
	for id, want := range map[string]float64{"/a": 4, "/b": 2, namespaceID: 5} {
		if got := testutil.ToFloat64(f.Metrics.succeeded.WithLabelValues(id)); got != want {
			t.Errorf("%s: %v events, want %v", id, got, want)
		}
	}
	h := &Handler{Table: f.Table, Log: &memoryLog{append: func(context.Context) error { return errors.New("no") }}, Metrics: f.Metrics}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(events("/both")))
	r.Header.Set("aeg-sas-key", key1)
	r.Header.Set("Content-Type", batchType)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got := testutil.ToFloat64(f.Metrics.succeeded.WithLabelValues("/b")); got != 2 {
		t.Errorf("an event that was not stored counts: %v", got)
	}
}
