package deliver

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// pump is a log that hands out a number of events as fast as they are taken,
// with a bound on the records that are not settled, as the real one has.
type pump struct {
	*session
	batches [][]eventlog.Entry
	rounds  int
	open    chan struct{}
}

func (p *pump) ConsumeEvents(ctx context.Context, handle func(eventlog.EventBatch)) error {
	for i := range p.rounds {
		p.open <- struct{}{}
		es, left := p.batches[i%len(p.batches)], new(atomic.Int64)
		left.Store(int64(len(es)))
		refs := make([]engine.Ref, len(es))
		for i := range refs {
			refs[i] = engine.Ref{Of: left, Index: i}
		}
		handle(eventlog.NewEventBatch(p, es, refs))
	}
	<-ctx.Done()
	return ctx.Err()
}

// Done settles events of a record that the pump has made, or of one on the disk.
func (p *pump) Done(refs ...engine.Ref) {
	for _, ref := range refs {
		if left, ok := ref.Of.(*atomic.Int64); !ok {
			p.session.Done(ref)
		} else if left.Add(-1) == 0 {
			<-p.open
		}
	}
}

// counter is a target that tells when everything arrived.
type counter struct {
	next           destination.Target
	left, attempts atomic.Int64
	all            chan struct{}
}

func (c *counter) Deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	v := delivered
	if c.next != nil {
		v = c.next.Deliver(ctx, n)
	}
	if v.Outcome == destination.Delivered {
		c.attempts.Add(1)
		if c.left.Add(-int64(len(n.Items))) == 0 {
			close(c.all)
		}
	}
	return v
}

// flow is what a benchmark sends through a dispatcher: events of 1 KiB, so many
// to a record of the log.
type flow struct {
	record int
	inHand int // events that are not Done at most; 0 means 8192
	subs   int
	batch  Batch
	next   destination.Target
}

// run delivers b.N events, rounded to whole records.
func (f flow) run(b *testing.B) {
	b.Helper()
	if f.inHand == 0 {
		f.inHand = 8192
	}
	rounds := max(1, b.N/f.record)
	events := rounds * f.record
	c := &counter{next: f.next, all: make(chan struct{})}
	c.left.Store(int64(events * f.subs))
	p := &pump{session: newDisk().open(-1), rounds: rounds, open: make(chan struct{}, max(1, f.inHand/f.record))}
	for i := range 16 {
		es := make([]eventlog.Entry, f.record)
		for j := range es {
			es[j] = sized(i*f.record+j, 1024)
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
	for i := range f.subs {
		s := sub(b, 0, c)
		binary.BigEndian.PutUint32(s.UID[1:], uint32(i))
		s.Name, s.Batch = fmt.Sprint("sub", i), f.batch
		all = append(all, s)
	}
	d.SetTopic(topicUID, topicID, all)
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	go func() { ended <- d.Run(context.Background()) }()
	<-c.all
	took := time.Since(start).Seconds()
	b.ReportMetric(float64(events)/took, "events/s")
	b.ReportMetric(float64(events*f.subs)/took, "deliveries/s")
	b.ReportMetric(float64(events*f.subs)/float64(c.attempts.Load()), "events/attempt")
	b.StopTimer()
	if err := d.Drain(context.Background()); err != nil {
		b.Error(err)
	}
	if err := <-ended; err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(p.written(queueBacklog)), "overflows")
}

// One event matches so many subscriptions, each of which gets it by itself.
func BenchmarkDeliver(b *testing.B) {
	for _, subs := range []int{1, 10, 500} {
		b.Run(fmt.Sprintf("subscriptions=%d", subs), func(b *testing.B) { flow{record: 64, subs: subs}.run(b) })
	}
}

// reading is an endpoint that looks at each byte, as one that encodes would.
func reading(_ context.Context, n *destination.Notification) destination.Verdict {
	for i := range n.Items {
		sum := byte(0)
		for _, c := range n.Items[i].Event.JSON {
			sum ^= c
		}
		if sum == 0 && len(n.Items[i].Event.JSON) == 0 {
			return erred
		}
	}
	return delivered
}

func BenchmarkDeliverBatches(b *testing.B) {
	large := Batch{Events: 1000, Bytes: 1024 << 10}
	// As many events in hand as a queue takes: the way without a backlog.
	const fits = 2000
	for _, row := range []struct {
		name string
		flow flow
	}{
		{"records of 1000", flow{record: 1000, inHand: fits, subs: 1, batch: large}},
		{"records of 1000, read", flow{record: 1000, inHand: fits, subs: 1, batch: large, next: batchFunc(reading)}},
		{"records of 64", flow{record: 64, inHand: fits, subs: 1, batch: large}},
		{"records of 64, 5 ms", flow{record: 64, subs: 1, batch: large, next: slowly(5*time.Millisecond, delivered)}},
		{"records of 64, 50 ms", flow{record: 64, subs: 1, batch: large, next: slowly(50*time.Millisecond, delivered)}},
		{"records of 1000, too fast", flow{record: 1000, subs: 1, batch: large}},
		{"records of 1000, 10 subscriptions", flow{record: 1000, subs: 10, batch: large}},
		{"records of 1000, 500 subscriptions", flow{record: 1000, subs: 500, batch: large}},
	} {
		b.Run(row.name, row.flow.run)
	}
}

func webhookTo(b *testing.B, batch bool) destination.Target {
	b.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	client := webhook.NewClient(webhook.Options{AllowPrivate: true})
	b.Cleanup(func() {
		client.Close()
		server.Close()
	})
	t, err := client.NewTarget(webhook.TargetOptions{URL: server.URL, Schema: event.CloudEvents, Batch: batch})
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func BenchmarkDeliverWebhook(b *testing.B) {
	flow{record: 64, subs: 1, next: webhookTo(b, false)}.run(b)
}

func BenchmarkDeliverWebhookBatches(b *testing.B) {
	flow{record: 1000, subs: 1, batch: Batch{Events: 1000, Bytes: 1024 << 10}, next: webhookTo(b, true)}.run(b)
}

// manyTopics returns subscriptions of so many topics, each with as many event
// types as it has subscriptions.
func manyTopics(b *testing.B, topics, each int) [][]*Subscription {
	b.Helper()
	filters := make([]*filter.Filter, each)
	for i := range filters {
		f, err := filter.Compile(filter.Spec{IncludedEventTypes: []string{fmt.Sprint("type", i)}})
		if err != nil {
			b.Fatal(err)
		}
		filters[i] = f
	}
	all := make([][]*Subscription, topics)
	for n := range all {
		for i := range each {
			s := sub(b, 0, always(delivered))
			binary.BigEndian.PutUint32(s.UID[1:], uint32(n))
			binary.BigEndian.PutUint32(s.UID[5:], uint32(i))
			s.Name, s.Filter = fmt.Sprint("sub", i), filters[i]
			all[n] = append(all[n], s)
		}
	}
	return all
}

func topicNumber(n int) (uid resource.UID) {
	binary.BigEndian.PutUint32(uid[1:], uint32(n))
	return uid
}

// 100,000 subscriptions of 1,000 topics: what it takes to know them all, to
// change one, and to match an event.
func BenchmarkManyTopics(b *testing.B) {
	const topics, each = 1000, 100
	all := manyTopics(b, topics, each)
	fill := func(b *testing.B) *Dispatcher {
		b.Helper()
		o := DefaultOptions()
		o.Log = newDisk().open(-1)
		d, err := New(o)
		if err != nil {
			b.Fatal(err)
		}
		for n := range all {
			d.SetTopic(topicNumber(n), fmt.Sprint(topicID, n), all[n])
		}
		return d
	}
	b.Run("SetTopic all", func(b *testing.B) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var d *Dispatcher
		for b.Loop() {
			d = fill(b)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(topics*each), "B/subscription")
		runtime.KeepAlive(d)
	})
	d := fill(b)
	b.Run("SetTopic one", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			n := i % topics
			d.SetTopic(topicNumber(n), fmt.Sprint(topicID, n), all[n])
		}
	})
	b.Run("match", func(b *testing.B) {
		es := make([]eventlog.Entry, topics)
		for n := range es {
			es[n] = sized(n, 1024)
			es[n].Topic, es[n].Event.Type = topicNumber(n), fmt.Sprint("type", n%each)
		}
		r := &router{d: d}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if r.match(&es[i%topics]); len(r.matched) != 1 {
				b.Fatalf("%d subscriptions match", len(r.matched))
			}
		}
	})
}
