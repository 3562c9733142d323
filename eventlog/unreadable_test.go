package eventlog_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// lines keeps what is logged.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// What cannot be read (damage, or a newer program's) is neither misread nor lost, it
// is counted and logged, and what is around it goes its way.
func TestWhatCannotBeReadIsKept(t *testing.T) {
	fs := memory(t)
	for round := range 2 { // it is found again by the next process
		reg, log := prometheus.NewRegistry(), new(lines)
		n := start(t, fs, eventlog.Options{Registerer: reg, Logger: slog.New(slog.NewTextHandler(log, nil))})
		ctx := t.Context()
		if round == 0 {
			must(t, n.engine.Append(ctx, []byte{200, 1, 2, 3}, 1), n.engine.Append(ctx, []byte("garbage"), 2))
			for q := range engine.Queue(engine.Queues) {
				must(t, n.engine.Move(ctx, []engine.Delivery{
					{Queue: q, Subscription: subA, Head: []byte{200}, Body: []byte{200}},
					{Queue: q, Subscription: subA, Head: nil, Body: []byte("garbage")},
				}))
			}
		}
		good := transfers(7, 1, time.Time{})
		good[0].Delivery.Subscription = subA
		must(t, n.Append(ctx, entries(7, 1)), n.Retry(ctx, good), n.DeadLetter(ctx, good), n.Overflow(ctx, subA, good))
		var stop [4]func()
		out := make([]<-chan out, 4)
		out[0], stop[0] = n.events(t)
		out[1], stop[1] = deliveries(t, n.ConsumeRetries)
		out[2], stop[2] = deliveries(t, n.ConsumeDeadLetters)
		out[3], stop[3] = deliveries(t, func(ctx context.Context, handle func(eventlog.DeliveryBatch)) error {
			return n.ConsumeBacklog(ctx, subA, handle)
		})
		for i, name := range []string{"events", "retry", "deadletter", "backlog"} {
			o := within(t, out[i], name)
			if number(o.ID) != 7 {
				t.Errorf("%s: event %d", name, number(o.ID))
			}
			o.claim.Release()
			eventually(t, name+" to be counted", func() bool {
				return value(t, reg, "intertie_eventlog_unreadable_records_total", name) == 2
			})
			if n := log.count("level=ERROR", "cannot be read", "queue="+name); n != 2 {
				t.Errorf("%s: %d lines", name, n)
			}
			if n := log.count("record of version 200", "queue="+name); n != 1 {
				t.Errorf("%s: %d lines name the version", name, n)
			}
		}
		want := engine.Counts{Records: 2, Deliveries: [engine.Queues]int64{2, 2, 2}}
		eventually(t, "what was read to be gone", func() bool { return n.engine.Counts() == want })
		for _, stop := range stop {
			stop()
		}
		n.close(t)
	}
	n := start(t, fs, eventlog.Options{})
	dropped := 0
	must(t, n.DropBacklog(t.Context(), subA, func(d eventlog.Delivery) {
		if dropped++; d.Subscription != subA {
			t.Errorf("dropped %+v", d)
		}
	}))
	if dropped != 2 {
		t.Errorf("%d dropped, want those that cannot be read too", dropped)
	}
}

func value(t testing.TB, reg *prometheus.Registry, name, queue string) float64 {
	t.Helper()
	families, err := reg.Gather()
	must(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == queue {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := start(t, memory(t), eventlog.Options{Registerer: reg})
	must(t, n.Append(t.Context(), entries(0, 3)))
	later := time.Now().Add(time.Hour)
	must(t, n.Retry(t.Context(), transfers(0, 2, later)), n.DeadLetter(t.Context(), transfers(0, 4, later)))
	must(t, n.Overflow(t.Context(), resource.UID{2}, transfers(0, 5, later)))
	for queue, want := range map[string][3]float64{ // entries, writes, what waits
		"events": {3, 1, 1}, "retry": {2, 1, 2}, "deadletter": {4, 1, 4}, "backlog": {5, 1, 5},
	} {
		got := [3]float64{
			value(t, reg, "intertie_eventlog_appended_entries_total", queue),
			value(t, reg, "intertie_eventlog_appended_records_total", queue),
			value(t, reg, "intertie_eventlog_waiting_records", queue),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", queue, diff)
		}
		if b := value(t, reg, "intertie_eventlog_appended_bytes_total", queue); b < 50*want[0] {
			t.Errorf("%s: %v bytes", queue, b)
		}
	}
	families, err := reg.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == "intertie_eventlog_record_entries" {
			if h := f.GetMetric()[0].GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != 3 {
				t.Errorf("record_entries: %v", h)
			}
		}
	}
	if _, err := eventlog.Open(n.engine, eventlog.Options{Registerer: reg}); err == nil {
		t.Error("a second log has the same metrics")
	}
	n.Close()
	if fams, err := reg.Gather(); err != nil || len(fams) != 0 {
		t.Errorf("left in the registry: %v, %v", fams, err)
	}
}
