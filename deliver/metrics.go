package deliver

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/destination"
)

// metrics are Azure's delivery metrics under Prometheus names. Series live as
// long as their subscription or topic. What happens to events of subscriptions
// and topics that are gone is counted with empty labels.
type metrics struct {
	matched, delivered, failed, deadLettered, dropped, unmatched *prometheus.CounterVec
	duration                                                     *prometheus.HistogramVec

	unmatchedOrphan prometheus.Counter
}

const (
	labelTopic        = "topic"
	labelSubscription = "event_subscription"
	labelReason       = "reason"
	labelError        = "error"
	labelErrorType    = "error_type"
)

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		matched: counter("eventgrid_matched_events_total",
			"Events that matched an event subscription.", labelTopic, labelSubscription),
		delivered: counter("eventgrid_delivery_success_total",
			"Events delivered.", labelTopic, labelSubscription),
		failed: counter("eventgrid_delivery_attempt_fail_total",
			"Attempts that failed: error is the HTTP status or the outcome, error_type the outcome.",
			labelTopic, labelSubscription, labelError, labelErrorType),
		deadLettered: counter("eventgrid_dead_lettered_total",
			"Events written to a dead-letter destination.", labelTopic, labelSubscription, labelReason),
		dropped: counter("eventgrid_dropped_total",
			"Events that were given up and written nowhere.", labelTopic, labelSubscription, labelReason),
		unmatched: counter("eventgrid_unmatched_events_total",
			"Events that matched no event subscription.", labelTopic),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "eventgrid_destination_processing_duration_ms",
			Help:    "Time the destination took to answer an attempt, in milliseconds.",
			Buckets: []float64{1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000},
		}, []string{labelTopic, labelSubscription}),
	}
	m.unmatchedOrphan = m.unmatched.WithLabelValues("")
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.matched, m.delivered, m.failed, m.deadLettered, m.dropped, m.unmatched, m.duration,
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) unmatchedOf(topic string) prometheus.Counter {
	return m.unmatched.WithLabelValues(topic)
}

func (m *metrics) forgetTopic(topic string) { m.unmatched.DeleteLabelValues(topic) }

func (m *metrics) droppedOrphan(why reason) {
	m.dropped.WithLabelValues("", "", string(why)).Inc()
}

// laneMetrics are the series of one subscription, looked up once. Those with a
// further label are looked up when they are needed, off the hot path.
type laneMetrics struct {
	all               *metrics
	topic, name       string
	matched, success  prometheus.Counter
	durationHistogram prometheus.Observer

	// mu protects gone. After forget nothing may bring a series back.
	mu   sync.Mutex
	gone bool
}

func (m *metrics) lane(topic, name string) *laneMetrics {
	return &laneMetrics{
		all: m, topic: topic, name: name,
		matched:           m.matched.WithLabelValues(topic, name),
		success:           m.delivered.WithLabelValues(topic, name),
		durationHistogram: m.duration.WithLabelValues(topic, name),
	}
}

func (m *laneMetrics) attempted(took time.Duration) {
	m.durationHistogram.Observe(float64(took) / float64(time.Millisecond))
}

func (m *laneMetrics) failed(v destination.Verdict) {
	text := string(v.Outcome)
	if v.Status != 0 {
		text = strconv.Itoa(v.Status)
	}
	m.count(m.all.failed, text, string(v.Outcome))
}

func (m *laneMetrics) deadLettered(why reason) { m.count(m.all.deadLettered, string(why)) }

func (m *laneMetrics) dropped(why reason) { m.count(m.all.dropped, string(why)) }

func (m *laneMetrics) count(vec *prometheus.CounterVec, labels ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.gone {
		vec.WithLabelValues(append([]string{m.topic, m.name}, labels...)...).Inc()
	}
}

// forget removes the subscription's series.
func (m *laneMetrics) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
	labels := prometheus.Labels{labelTopic: m.topic, labelSubscription: m.name}
	for _, vec := range []*prometheus.CounterVec{
		m.all.matched, m.all.delivered, m.all.failed, m.all.deadLettered, m.all.dropped,
	} {
		vec.DeletePartialMatch(labels)
	}
	m.all.duration.DeletePartialMatch(labels)
}
