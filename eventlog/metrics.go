package eventlog

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the log's own; every label is a queue name, a closed set.
type metrics struct {
	entries, records, bytes *prometheus.CounterVec
	size                    *prometheus.HistogramVec
	unreadable              *prometheus.CounterVec
	waiting                 *prometheus.Desc

	queues []*queueMetrics // fixed before the first scrape
}

// queueMetrics are one queue's.
type queueMetrics struct {
	name                             string
	entriesC, recordsC, bytesC, badC prometheus.Counter
	sizeH                            prometheus.Observer
	// records in the stream that are not done, as of the last truncation.
	records atomic.Uint64
	appends atomic.Bool
}

func newMetrics() *metrics {
	label := []string{"queue"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "intertie", Subsystem: "eventlog", Name: name, Help: help}, label)
	}
	return &metrics{
		entries:    counter("appended_entries_total", "Events and deliveries made durable."),
		records:    counter("appended_records_total", "Records they were committed in, one sync each."),
		bytes:      counter("appended_bytes_total", "Size of those records."),
		unreadable: counter("unreadable_records_total", "Records that could not be read; they are kept."),
		size: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "intertie", Subsystem: "eventlog", Name: "record_entries",
			Help:    "Entries per record: how many shared one sync.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}, label),
		waiting: prometheus.NewDesc("intertie_eventlog_waiting_records",
			"Records in a queue that are not done; a record holds up to some hundred entries.", label, nil),
	}
}

// queue returns the metrics of one queue; only while the log is being opened.
func (m *metrics) queue(name string) *queueMetrics {
	q := &queueMetrics{
		name:     name,
		entriesC: m.entries.WithLabelValues(name), recordsC: m.records.WithLabelValues(name),
		bytesC: m.bytes.WithLabelValues(name), badC: m.unreadable.WithLabelValues(name),
		sizeH: m.size.WithLabelValues(name),
	}
	m.queues = append(m.queues, q)
	return q
}

func (q *queueMetrics) appended(calls []*call, bytes int) {
	entries := 0
	for _, c := range calls {
		entries += c.entries
	}
	q.entriesC.Add(float64(entries))
	q.recordsC.Inc()
	q.bytesC.Add(float64(bytes))
	q.sizeH.Observe(float64(entries))
	q.appends.Store(true)
}

// moved reports whether something was appended since it was last asked.
func (q *queueMetrics) moved() bool { return q.appends.Swap(false) }

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.entries, m.records, m.bytes, m.size, m.unreadable}
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
	ch <- m.waiting
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
	for _, q := range m.queues {
		ch <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(q.records.Load()), q.name)
	}
}
