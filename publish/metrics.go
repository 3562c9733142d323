package publish

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are Event Grid's publish metrics under Prometheus names, labelled
// with the ARM id of the resource. Their number is bounded by that of the
// resources: a series is made for a resource and ends with it, and a domain
// counts for all its topics. It is safe for concurrent use; the nil Metrics
// counts nothing.
//
// Per resource the latency is a sum and a count, which is all that Azure's
// PublishSuccessLatencyInMs has (its aggregation is Total). How it is
// distributed is told for all resources together: a histogram for each of a
// thousand topics would be seventeen thousand series, to say of each what is
// the same disk's doing.
type Metrics struct {
	succeeded *prometheus.CounterVec
	latency   *prometheus.SummaryVec
	failed    *prometheus.CounterVec
	unmatched *prometheus.CounterVec
	duration  prometheus.Histogram
	// nowhere counts for requests that name no resource.
	nowhere *Counts

	mu sync.Mutex
	// counts of the resources there are, by lower-case ARM id.
	counts map[string]*Counts
}

// NewMetrics makes the metrics and registers them with reg, which must not have
// them already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		succeeded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventgrid_publish_success_total",
			Help: "Events accepted (PublishSuccessCount), by the ARM id of what they were published to; of a partner topic, those that were routed to it.",
		}, []string{"topic"}),
		latency: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: "eventgrid_publish_success_latency_ms",
			Help: "Time from a request's headers to its 200, in ms (PublishSuccessLatencyInMs).",
		}, []string{"topic"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventgrid_publish_fail_total",
			Help: "Publish failures (PublishFailCount): events, or 1 for a request whose events were not read. No topic: the request named no resource there is.",
		}, []string{"topic", "error_type", "error"}),
		unmatched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventgrid_publish_unmatched_events_total",
			Help: "Events accepted that no activated partner topic took (UnmatchedEventCount), by the partner namespace's ARM id.",
		}, []string{"topic"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "intertie", Subsystem: "publish", Name: "duration_seconds",
			Help:    "Time from the headers of a request to its 200, over all resources.",
			Buckets: []float64{.00025, .0005, .001, .002, .004, .008, .016, .032, .064, .128, .256, .512, 1, 4, 16},
		}),
		counts: map[string]*Counts{},
	}
	m.nowhere = &Counts{metrics: m}
	reg.MustRegister(m.succeeded, m.latency, m.failed, m.unmatched, m.duration)
	return m
}

// Source returns the series of a resource that has an endpoint, and begins them
// at 0 if there are none. It is called when a [Source] is built, never for a
// request.
func (m *Metrics) Source(kind Kind, id string) *Counts {
	return m.of(id, func(c *Counts) {
		c.latency = m.latency.WithLabelValues(id)
		if kind == Namespace {
			c.unmatched = m.unmatched.WithLabelValues(id)
		}
	})
}

// PartnerTopic is Source for a partner topic, which has no endpoint of its own
// and counts what is routed to it.
func (m *Metrics) PartnerTopic(id string) *Counts { return m.of(id, func(*Counts) {}) }

func (m *Metrics) of(id string, more func(*Counts)) *Counts {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := strings.ToLower(id)
	c := m.counts[key]
	if c == nil {
		c = &Counts{metrics: m, topic: id, succeeded: m.succeeded.WithLabelValues(id)}
		more(c)
		m.counts[key] = c
	}
	return c
}

// Forget ends the series of a resource that was deleted. What still counts on
// them, such as a request under way, counts nowhere and brings nothing back;
// a resource created anew under the id begins at 0.
func (m *Metrics) Forget(id string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := strings.ToLower(id)
	if c := m.counts[key]; c != nil {
		delete(m.counts, key)
		c.end()
	}
}

// Counts are the series of one resource. The nil Counts counts nothing.
type Counts struct {
	metrics   *Metrics
	topic     string
	succeeded prometheus.Counter
	latency   prometheus.Observer // nil for a partner topic
	unmatched prometheus.Counter  // nil but for a partner namespace

	// mu protects the fields below. Only a failure takes it.
	mu sync.Mutex
	// failed holds what has failed so far: most ways to fail are never seen, and
	// a series for each would be eleven for each resource.
	failed map[failure]prometheus.Counter
	ended  bool
}

// failure is one of the few pairs of class and status that problems have.
type failure struct {
	class  string
	status int
}

// end removes the series. The handles of c live on and are seen by nobody; the
// mark keeps fail from making new ones.
func (c *Counts) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	m := c.metrics
	m.succeeded.DeleteLabelValues(c.topic)
	m.latency.DeleteLabelValues(c.topic)
	m.unmatched.DeleteLabelValues(c.topic)
	for f := range c.failed {
		m.failed.DeleteLabelValues(c.topic, f.class, strconv.Itoa(f.status))
	}
}

// accepted counts a request that was answered 200.
func (c *Counts) accepted(events int, took time.Duration) {
	if c == nil {
		return
	}
	c.succeeded.Add(float64(events))
	c.latency.Observe(float64(took) / float64(time.Millisecond))
	c.metrics.duration.Observe(took.Seconds())
}

// routed counts events that a partner topic took.
func (c *Counts) routed(events int) {
	if c != nil {
		c.succeeded.Add(float64(events))
	}
}

// dropped counts events that no partner topic took.
func (c *Counts) dropped(events int) {
	if c != nil {
		c.unmatched.Add(float64(events))
	}
}

// refused counts a request that was answered p. Its events are 0 if they were
// not read.
func (c *Counts) refused(p *problem, events int) {
	if c == nil {
		return
	}
	f := failure{p.class, p.status}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	n := c.failed[f]
	if n == nil {
		if c.failed == nil {
			c.failed = map[failure]prometheus.Counter{}
		}
		n = c.metrics.failed.WithLabelValues(c.topic, f.class, strconv.Itoa(f.status))
		c.failed[f] = n
	}
	n.Add(float64(max(events, 1)))
}

// unknown returns what counts for requests that name no resource.
func (m *Metrics) unknown() *Counts {
	if m == nil {
		return nil
	}
	return m.nowhere
}
