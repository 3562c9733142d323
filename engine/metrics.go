package engine

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of an embedded server's disk.
type metrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector
}

func register(to prometheus.Registerer, s *Space) (*metrics, error) {
	if to == nil {
		return nil, nil //nolint:nilnil // no metrics is what was asked for
	}
	m := &metrics{registerer: to}
	name := func(name, help string, label ...string) prometheus.Opts {
		o := prometheus.Opts{Namespace: "intertie", Subsystem: "disk", Name: name, Help: help}
		if len(label) == 2 {
			o.ConstLabels = prometheus.Labels{label[0]: label[1]}
		}
		return o
	}
	all := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(name("free_bytes", "Free bytes of the data folder's file system.")),
			func() float64 { return float64(s.freeBytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(name("reserve_bytes", "Free bytes below which publishing and changes are refused.")),
			func() float64 { return float64(s.mark.Load()) }),
	}
	for of, n := range map[string]*atomic.Uint64{"outside": &s.refused, "own": &s.refusedOwn, "freeing": &s.refusedFreeing} {
		all = append(all, prometheus.NewCounterFunc(
			prometheus.CounterOpts(name("refused_writes_total", "Writes refused because the disk was nearly full, or failed.", "of", of)),
			func() float64 { return float64(n.Load()) }))
	}
	for _, c := range all {
		if err := to.Register(c); err != nil {
			m.unregister()
			return nil, fmt.Errorf("register the disk's metrics: %w", err)
		}
		m.all = append(m.all, c)
	}
	return m, nil
}

func (m *metrics) unregister() {
	if m == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
	m.all = nil
}
