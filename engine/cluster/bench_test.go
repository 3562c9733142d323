package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/engine"
)

// BenchmarkWaiting moves deliveries into Waiting, hands each out when it is due and
// settles it, beside others that stay for an hour.
func BenchmarkWaiting(b *testing.B) {
	for _, per := range []int{1, 64} {
		b.Run(fmt.Sprint(per), func(b *testing.B) {
			dir := b.TempDir()
			s := startServerIn(b, dir)
			o := options(s)
			o.Tiers = []time.Duration{time.Second, 3 * time.Second, 9 * time.Second, time.Minute, time.Hour}
			o.AckWait, o.TruncateEvery = 5*time.Second, time.Second
			e := open(b, o)
			var got atomic.Int64
			all := make(chan struct{})
			want := int64(b.N * per)
			background(b, func(ctx context.Context) error {
				return e.Due(ctx, engine.Waiting, func(ps []engine.Pending) {
					refs := make([]engine.Ref, len(ps))
					for i, p := range ps {
						refs[i] = p.Ref
					}
					e.Done(refs...)
					if got.Add(int64(len(ps))) == want {
						close(all)
					}
				})
			})
			body := make([]byte, 1024)
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						now := time.Now()
						var ds []engine.Delivery
						for j := range per {
							ds = append(ds, waiting("due", now.Add([]time.Duration{0, 1100 * time.Millisecond, 3300 * time.Millisecond}[j%3])))
							ds[j].Body = body
						}
						if i%4 == 0 {
							d := waiting("later", now.Add(2*time.Hour))
							d.Body = body
							ds = append(ds, d)
						}
						if err := e.Move(context.Background(), ds); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			<-all
			b.StopTimer()
			b.ReportMetric(float64(want)/b.Elapsed().Seconds(), "deliveries/s")
			var size int64
			_ = filepath.Walk(dir, func(_ string, i os.FileInfo, err error) error {
				if err == nil && !i.IsDir() {
					size += i.Size()
				}
				return nil
			})
			b.ReportMetric(float64(size)/1e6, "MB")
		})
	}
}

// BenchmarkCommit is a transaction of one write, and of three.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := open(b, options(startServer(b)))
			at := uint64(0)
			i := 0
			for b.Loop() {
				var ws []engine.Write
				for j := range n {
					ws = append(ws, engine.Write{Key: fmt.Sprintf("/k/%d", (i+j)%100), Value: []byte("value")})
				}
				i++
				var err error
				if at, err = e.Commit(b.Context(), at, ws); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAppend is a record of 64 KB, from one and from eight callers.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := open(b, options(startServer(b)))
			data := make([]byte, 64<<10)
			b.SetBytes(int64(len(data)))
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range n {
				wg.Go(func() {
					for i := c; i < b.N; i += n {
						if err := e.Append(context.Background(), data, 64); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
