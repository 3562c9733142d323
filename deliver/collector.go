package deliver

import "github.com/prometheus/client_golang/prometheus"

// collector shows the state of every subscription that has had an event. It
// looks at the lanes when it is asked and costs nothing in between.
type collector struct {
	d                                   *Dispatcher
	circuit, attempts, queued, backlogs *prometheus.Desc
	parked                              *prometheus.Desc
}

func newCollector(d *Dispatcher) *collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{labelTopic, labelSubscription}, nil)
	}
	return &collector{
		d: d,
		circuit: desc("eventgrid_delivery_circuit_state",
			"Whether the endpoint is attempted: 0 yes, 1 one attempt at a time after a probation, 2 in probation."),
		attempts: desc("eventgrid_delivery_attempts_under_way", "Attempts that wait for the endpoint's answer."),
		queued:   desc("eventgrid_delivery_queued_events", "Events in memory that wait for an attempt."),
		backlogs: desc("eventgrid_delivery_backlogged", "1 while events wait on disk because there is no room in memory."),
		parked: prometheus.NewDesc("intertie_parked_subscriptions",
			"Event subscriptions that this version cannot read: their events wait.", nil, nil),
	}
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.circuit, c.attempts, c.queued, c.backlogs, c.parked} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	states := map[CircuitState]float64{Closed: 0, HalfOpen: 1, Open: 2}
	now := c.d.now()
	out <- prometheus.MustNewConstMetric(c.parked, prometheus.GaugeValue, float64(c.d.parkedLanes()))
	// Two with the same labels would fail the whole scrape. They exist only while
	// a topic is replaced by another one of its name.
	type labels struct{ topic, name string }
	seen := make(map[labels]bool)
	for _, l := range c.d.allLanes() {
		name := labels{l.metrics.topic, l.metrics.name}
		if !l.metrics.begun() || seen[name] {
			continue
		}
		seen[name] = true
		s := l.status(now)
		backlogged := 0.0
		if s.Backlogged {
			backlogged = 1
		}
		for desc, v := range map[*prometheus.Desc]float64{
			c.circuit: states[s.Circuit], c.attempts: float64(s.Attempts),
			c.queued: float64(s.Queued), c.backlogs: backlogged,
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, name.topic, name.name)
		}
	}
}

// allLanes returns the lanes there are now.
func (d *Dispatcher) allLanes() []*lane {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]*lane, 0, len(d.lanes))
	for _, l := range d.lanes {
		all = append(all, l)
	}
	return all
}
