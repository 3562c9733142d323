package publish

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are Event Grid's publish metrics under Prometheus names.
type Metrics struct {
	succeeded prometheus.Counter
	failed    *prometheus.CounterVec
	latency   prometheus.Histogram
	unmatched *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them with reg, which must not have
// them already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		succeeded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgrid_publish_success_total", Help: "Events accepted (PublishSuccessCount).",
		}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventgrid_publish_fail_total",
			Help: "Publish failures (PublishFailCount): events, or 1 for a request whose events were not read.",
		}, []string{"error_type", "error"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "eventgrid_publish_success_latency_ms", Help: "Time from a request's headers to its 200, in ms (PublishSuccessLatencyInMs).",
			Buckets: []float64{0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384},
		}),
		unmatched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventgrid_publish_unmatched_events_total",
			Help: "Events accepted that no activated partner topic took (UnmatchedEventCount), by the namespace's ARM id.",
		}, []string{"topic"}),
	}
	reg.MustRegister(m.succeeded, m.failed, m.latency, m.unmatched)
	return m
}

// Forget ends the series of a namespace that was deleted, so that their number
// stays that of the resources.
func (m *Metrics) Forget(id string) { m.unmatched.DeleteLabelValues(id) }

// The nil Metrics counts nothing.

func (m *Metrics) accepted(events int, took time.Duration) {
	if m == nil {
		return
	}
	m.succeeded.Add(float64(events))
	m.latency.Observe(float64(took) / float64(time.Millisecond))
}

func (m *Metrics) refused(p *problem, events int) {
	if m != nil {
		m.failed.WithLabelValues(p.class, strconv.Itoa(p.status)).Add(float64(max(events, 1)))
	}
}

func (m *Metrics) dropped(src *Source, events int) {
	if m != nil {
		m.unmatched.WithLabelValues(src.ID).Add(float64(events))
	}
}
