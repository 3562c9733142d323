package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

// BenchmarkDeliver compares one attempt with a bare POST of the same body. The
// two take turns in one loop, so that the machine treats them alike; ratio is
// the attempt's time over the POST's, once against a POST without our headers
// and once with them: writing eleven headers, and reading them on the other side
// in this same process, is most of the difference. A late attempt is one whose
// caller would take a late answer.
func BenchmarkDeliver(b *testing.B) {
	url := serve(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	c := newTestClient(b, Options{})
	target := c.Target(url).(*target)
	n, late := notification(), notification()
	late.Late = func() {}
	bare := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	defer bare.CloseIdleConnections()
	post := func(headers bool) {
		req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(n.Items[0].Event.JSON))
		if err != nil {
			b.Fatal(err)
		}
		if headers {
			req.Header = target.header(n)
		}
		resp, err := bare.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	deliver := func(n *destination.Notification) {
		if v := target.Deliver(b.Context(), n); v.Outcome != destination.Delivered {
			b.Fatal(v)
		}
	}
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			post(false)
		}
	})
	for name, n := range map[string]*destination.Notification{"attempt": n, "late": late} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				deliver(n)
			}
		})
	}
	for _, x := range []struct {
		name    string
		headers bool
		n       *destination.Notification
	}{{"ratio", false, n}, {"ratio-same-headers", true, n}, {"ratio-late", false, late}} {
		b.Run(x.name, func(b *testing.B) {
			var ours, theirs time.Duration
			for b.Loop() {
				t0 := time.Now()
				deliver(x.n)
				t1 := time.Now()
				post(x.headers)
				ours, theirs = ours+t1.Sub(t0), theirs+time.Since(t1)
			}
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}

// BenchmarkRequest is the part of an attempt that is ours.
func BenchmarkRequest(b *testing.B) {
	t := newTestClient(b, Options{}).Target("http://127.0.0.1/hook").(*target)
	n := notification()
	b.ReportAllocs()
	for b.Loop() {
		p, err := t.pack(n)
		if err != nil {
			b.Fatal(err)
		}
		t.request(b.Context(), p)
	}
}

// BenchmarkBody delivers arrays of 1 KB events as one piece and as many, taking
// turns: ratio is the time of many pieces over that of one. It is what
// joinedUpTo rests on.
func BenchmarkBody(b *testing.B) {
	url := serve(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	c := newTestClient(b, Options{})
	for _, count := range []int{1, 8, 32, 64, 128, 256, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			t, n := batch(b, c, url, event.CloudEvents, count)
			deliver := func(body payload) {
				p := &parcel{header: t.header(n), body: body}
				f := c.exchange(b.Context(), func(ctx context.Context) *http.Request { return t.request(ctx, p) }, func(*http.Response) {})
				if f != nil {
					b.Fatal(f.reason)
				}
			}
			var many, one time.Duration
			for b.Loop() {
				t0 := time.Now()
				deliver(inPieces(n.Items))
				t1 := time.Now()
				deliver(joined(n.Items))
				many, one = many+t1.Sub(t0), one+time.Since(t1)
			}
			b.ReportMetric(float64(many)/float64(one), "ratio")
		})
	}
}

// BenchmarkBatch delivers batches of 1,000 events of 1 KB.
func BenchmarkBatch(b *testing.B) {
	url := serve(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	c := newTestClient(b, Options{})
	for name, schema := range map[string]event.Schema{"CloudEvents": event.CloudEvents, "EventGrid": event.EventGrid} {
		b.Run(name, func(b *testing.B) {
			t, n := batch(b, c, url, schema, 1000)
			b.ReportAllocs()
			for b.Loop() {
				if v := t.Deliver(b.Context(), n); v.Outcome != destination.Delivered {
					b.Fatal(v)
				}
			}
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// batch returns a target and a notification for it with events of 1 KB.
func batch(t testing.TB, c *Client, url string, s event.Schema, count int) (*target, *destination.Notification) {
	t.Helper()
	d, err := c.NewTarget(TargetOptions{URL: url, Schema: s, Batch: true})
	if err != nil {
		t.Fatal(err)
	}
	n := &destination.Notification{Subscription: "hook1"}
	for i := range count {
		e := &event.Event{Schema: s, JSON: fmt.Appendf(nil, `{"id":"%d","data":"%s"}`, i, strings.Repeat("x", 1000))}
		n.Items = append(n.Items, destination.Item{ID: [16]byte{byte(i >> 8), byte(i)}, Event: e})
	}
	return d.(*target), n
}
