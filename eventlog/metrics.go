package eventlog

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/engine"
)

// queueNames are the labels of the queues of deliveries.
var queueNames = [engine.Queues]string{engine.Waiting: "retry", engine.DeadLetters: "deadletter", engine.Spilled: "backlog"}

// metrics are the log's own; every label is a queue name, a closed set.
type metrics struct {
	engine                  engine.Engine
	entries, records, bytes *prometheus.CounterVec
	size                    prometheus.Histogram
	unreadable              *prometheus.CounterVec
	waiting                 *prometheus.Desc
}

func newMetrics(e engine.Engine) *metrics {
	label := []string{"queue"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "intertie", Subsystem: "eventlog", Name: name, Help: help}, label)
	}
	return &metrics{
		engine:     e,
		entries:    counter("appended_entries_total", "Events and deliveries made durable."),
		records:    counter("appended_records_total", "Writes they were made durable with."),
		bytes:      counter("appended_bytes_total", "Size of those writes."),
		unreadable: counter("unreadable_records_total", "Records that could not be read; they are kept."),
		size: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "intertie", Subsystem: "eventlog", Name: "record_entries",
			Help:    "Events per record: how many shared one sync.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}),
		waiting: prometheus.NewDesc("intertie_eventlog_waiting_records",
			"What a queue holds: deliveries, or records of up to some hundred events.", label, nil),
	}
}

// appended counts a record of events.
func (m *metrics) appended(entries, bytes int) {
	m.size.Observe(float64(entries))
	m.wrote("events", entries, bytes)
}

// moved counts a write of deliveries.
func (m *metrics) moved(q engine.Queue, entries, bytes int) { m.wrote(queueNames[q], entries, bytes) }

func (m *metrics) wrote(queue string, entries, bytes int) {
	m.entries.WithLabelValues(queue).Add(float64(entries))
	m.records.WithLabelValues(queue).Inc()
	m.bytes.WithLabelValues(queue).Add(float64(bytes))
}

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
	n := m.engine.Counts()
	ch <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(n.Records), "events")
	for q, name := range queueNames {
		ch <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(n.Deliveries[q]), name)
	}
}
