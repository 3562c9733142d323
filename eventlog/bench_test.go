package eventlog_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/eventlog"
)

// kilobyte returns n events of 1 KB.
func kilobyte(n int) []eventlog.Entry {
	es := entries(0, n)
	for i := range es {
		es[i].Event.JSON = []byte(`{"specversion":"1.0","id":"0","source":"/s","type":"t","data":"` + strings.Repeat("x", 960) + `"}`)
	}
	return es
}

// processTime is the CPU time of this process so far.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// concurrently calls f b.N times from n goroutines and reports events/s and CPU
// time per event.
func concurrently(b *testing.B, n, eventsPerCall int, f func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	cpu := processTime()
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	events := float64(b.N * eventsPerCall)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((processTime()-cpu).Microseconds())/events, "cpu-µs/event")
}

// BenchmarkAppend appends and consumes, as the server does.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ publishers, batch int }{{1, 1}, {64, 1}, {512, 1}, {1, 100}, {64, 100}} {
		b.Run(fmt.Sprintf("publishers=%d/batch=%d", c.publishers, c.batch), func(b *testing.B) {
			n := startWith(b, local.Options{Dir: b.TempDir()}, eventlog.Options{})
			stop := background(b, func(ctx context.Context) error {
				return n.ConsumeEvents(ctx, func(batch eventlog.EventBatch) {
					for i := range batch.Claims {
						batch.Claims[i].Release()
					}
				})
			})
			es := kilobyte(c.batch)
			concurrently(b, c.publishers, c.batch, func() error { return n.Append(b.Context(), es) })
			stop()
		})
	}
}

func BenchmarkRetry(b *testing.B) {
	for _, c := range []struct{ callers, batch int }{{1, 1}, {64, 1}, {1, 32}, {8, 32}} {
		b.Run(fmt.Sprintf("callers=%d/batch=%d", c.callers, c.batch), func(b *testing.B) {
			n := startWith(b, local.Options{Dir: b.TempDir()}, eventlog.Options{})
			ts := transfers(0, c.batch, time.Now().Add(24*time.Hour))
			for i, e := range kilobyte(c.batch) {
				ts[i].Delivery.Entry = e
			}
			concurrently(b, c.callers, c.batch, func() error { return n.Retry(b.Context(), ts) })
		})
	}
}

// BenchmarkOpenWithWaitingRetries opens a folder in which 300,000 retries wait.
func BenchmarkOpenWithWaitingRetries(b *testing.B) {
	o := local.Options{Dir: b.TempDir()}
	n := startWith(b, o, eventlog.Options{})
	ts := transfers(0, 500, time.Now().Add(24*time.Hour))
	for i, e := range kilobyte(len(ts)) {
		ts[i].Delivery.Entry = e
	}
	for range 600 {
		must(b, n.Retry(b.Context(), ts))
	}
	n.close(b)
	for b.Loop() {
		n := startWith(b, o, eventlog.Options{})
		b.StopTimer()
		n.close(b)
		b.StartTimer()
	}
}
