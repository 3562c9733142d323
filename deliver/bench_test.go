package deliver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/eventlog"
)

// pump is a log that hands out a number of events as fast as they are taken,
// with a bound on the batches that are not Done, as the real one has.
type pump struct {
	*session
	batches [][]eventlog.Entry
	rounds  int
	open    chan struct{}
}

func (p *pump) ConsumeEvents(ctx context.Context, handle func(eventlog.EventBatch)) error {
	done := func() { <-p.open }
	for i := range p.rounds {
		p.open <- struct{}{}
		handle(eventlog.EventBatch{Entries: p.batches[i%len(p.batches)], Done: done})
	}
	<-ctx.Done()
	return ctx.Err()
}

// counter is a target that tells when everything arrived.
type counter struct {
	next destination.Target
	left atomic.Int64
	all  chan struct{}
}

func (c *counter) Deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	v := delivered
	if c.next != nil {
		v = c.next.Deliver(ctx, n)
	}
	if v.Outcome == destination.Delivered && c.left.Add(-1) == 0 {
		close(c.all)
	}
	return v
}

// deliverAll runs b.N events of 1 KiB through a dispatcher, in batches of 64,
// to the given number of subscriptions.
func deliverAll(b *testing.B, subs int, next destination.Target) {
	b.Helper()
	const size = 64
	rounds := max(1, b.N/size)
	c := &counter{next: next, all: make(chan struct{})}
	c.left.Store(int64(rounds * size * subs))
	p := &pump{session: newDisk().open(-1), rounds: rounds, open: make(chan struct{}, 128)}
	for i := range 16 {
		es := entries(i*size, size)
		for j := range es {
			es[j].Event.JSON = make([]byte, 1024)
			copy(es[j].Event.JSON, `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`)
			for k := len(`{"specversion":"1.0","id":"1","source":"/s","type":"t"}`); k < 1024; k++ {
				es[j].Event.JSON[k] = ' '
			}
		}
		p.batches = append(p.batches, es)
	}
	o := DefaultOptions()
	o.Log = p
	d, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	var all []*Subscription
	for i := range subs {
		all = append(all, sub(b, byte(i), c))
	}
	d.SetTopic(topicUID, topicID, all)
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	go func() { ended <- d.Run(context.Background()) }()
	<-c.all
	b.ReportMetric(float64(rounds*size*subs)/time.Since(start).Seconds(), "deliveries/s")
	b.StopTimer()
	if err := d.Drain(context.Background()); err != nil {
		b.Error(err)
	}
	if err := <-ended; err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(p.written(queueBacklog)), "overflows")
}

func BenchmarkDeliver(b *testing.B) {
	for _, subs := range []int{1, 10} {
		b.Run(fmt.Sprintf("subscriptions=%d", subs), func(b *testing.B) { deliverAll(b, subs, nil) })
	}
}

func BenchmarkDeliverWebhook(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	client := webhook.NewClient(webhook.Options{AllowPrivate: true})
	deliverAll(b, 1, client.Target(server.URL))
}
