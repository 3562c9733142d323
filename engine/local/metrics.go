package local

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// register makes the metrics of the disk and the database known, and returns what
// takes them back.
func (e *Engine) register(to prometheus.Registerer) (undo func(), err error) {
	if to == nil {
		return func() {}, nil
	}
	s := e.space
	gauge := func(subsystem, name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "intertie", Subsystem: subsystem, Name: name, Help: help}, value)
	}
	all := []prometheus.Collector{
		gauge("disk", "free_bytes", "Free bytes of the data folder's file system.", func() float64 { return float64(s.freeBytes()) }),
		gauge("disk", "reserve_bytes", "Free bytes below which publishing and changes are refused.", func() float64 { return float64(s.mark.Load()) }),
		gauge("database", "bytes", "Size of the database's files.", func() float64 { return float64(e.db.Metrics().DiskSpaceUsage()) }),
	}
	for of, n := range map[string]*atomic.Uint64{"outside": &s.refused, "own": &s.refusedOwn} {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "intertie", Subsystem: "disk", Name: "refused_writes_total",
			Help: "Writes refused because the disk was nearly full.", ConstLabels: prometheus.Labels{"of": of},
		}, func() float64 { return float64(n.Load()) }))
	}
	undo = func() {
		for _, c := range all {
			to.Unregister(c)
		}
	}
	for _, c := range all {
		if err := to.Register(c); err != nil {
			undo()
			return nil, fmt.Errorf("register the metrics of the disk: %w", err)
		}
	}
	return undo, nil
}
