package deliver

import (
	"strconv"
	"sync"
	"sync/atomic"
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
			"Attempts that failed, counted for each event: error is the HTTP status or the outcome, error_type the outcome.",
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

// topicMetrics are the series of one topic. They begin with the first event
// they count: a domain may have 100,000 topics that never count one.
type topicMetrics struct {
	all *metrics
	id  string

	// mu protects the fields below. After forget nothing may bring a series back.
	mu      sync.Mutex
	counter prometheus.Counter
	gone    bool
}

func (m *metrics) topic(id string) *topicMetrics { return &topicMetrics{all: m, id: id} }

func (m *topicMetrics) unmatched() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		m.all.unmatchedOrphan.Inc()
		return
	}
	if m.counter == nil {
		m.counter = m.all.unmatched.WithLabelValues(m.id)
	}
	m.counter.Inc()
}

// forget removes the topic's series.
func (m *topicMetrics) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
	m.all.unmatched.DeleteLabelValues(m.id)
}

func (m *metrics) droppedOrphan(why reason) {
	m.dropped.WithLabelValues("", "", string(why)).Inc()
}

// laneMetrics are the series of one subscription. Those of the hot path are
// looked up once, with the first event; those with a further label when they
// are needed.
type laneMetrics struct {
	all         *metrics
	topic, name string
	hot         atomic.Pointer[laneSeries]

	// mu protects gone, and the making of hot. After forget nothing may bring a
	// series back.
	mu   sync.Mutex
	gone bool
}

// laneSeries are what every event counts in.
type laneSeries struct {
	matched, success prometheus.Counter
	duration         prometheus.Observer
}

func (m *metrics) lane(topic, name string) *laneMetrics {
	return &laneMetrics{all: m, topic: topic, name: name}
}

// series returns the hot series, making them.
func (m *laneMetrics) series() *laneSeries {
	if s := m.hot.Load(); s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.hot.Load(); s != nil {
		return s
	}
	if m.gone {
		return m.all.series("", "")
	}
	s := m.all.series(m.topic, m.name)
	m.hot.Store(s)
	return s
}

func (m *metrics) series(topic, name string) *laneSeries {
	return &laneSeries{
		matched:  m.matched.WithLabelValues(topic, name),
		success:  m.delivered.WithLabelValues(topic, name),
		duration: m.duration.WithLabelValues(topic, name),
	}
}

// begun reports whether there are series.
func (m *laneMetrics) begun() bool { return m.hot.Load() != nil }

func (m *laneMetrics) matched() { m.series().matched.Inc() }

func (m *laneMetrics) delivered(events int) {
	if events == 1 {
		m.series().success.Inc()
		return
	}
	m.series().success.Add(float64(events))
}

func (m *laneMetrics) attempted(took time.Duration) {
	m.series().duration.Observe(float64(took) / float64(time.Millisecond))
}

func (m *laneMetrics) failed(v destination.Verdict, events int) {
	text := string(v.Outcome)
	if v.Status != 0 {
		text = strconv.Itoa(v.Status)
	}
	m.count(m.all.failed, events, text, string(v.Outcome))
}

func (m *laneMetrics) deadLettered(why reason) { m.count(m.all.deadLettered, 1, string(why)) }

func (m *laneMetrics) dropped(why reason) { m.count(m.all.dropped, 1, string(why)) }

func (m *laneMetrics) count(vec *prometheus.CounterVec, n int, labels ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	topic, name := m.topic, m.name
	if m.gone {
		topic, name = "", ""
	}
	vec.WithLabelValues(append([]string{topic, name}, labels...)...).Add(float64(n))
}

// forget removes the subscription's series.
func (m *laneMetrics) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
	m.hot.Store(nil) // what still comes is counted where there is no subscription
	labels := prometheus.Labels{labelTopic: m.topic, labelSubscription: m.name}
	for _, vec := range []*prometheus.CounterVec{
		m.all.matched, m.all.delivered, m.all.failed, m.all.deadLettered, m.all.dropped,
	} {
		vec.DeletePartialMatch(labels)
	}
	m.all.duration.DeletePartialMatch(labels)
}
