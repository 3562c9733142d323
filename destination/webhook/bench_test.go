package webhook

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
)

// BenchmarkDeliver compares one attempt with a bare POST of the same body. The
// two take turns in one loop, so that the machine treats them alike; ratio is
// the attempt's time over the POST's, once against a POST without our headers
// and once with them: writing eleven headers, and reading them on the other side
// in this same process, is most of the difference.
func BenchmarkDeliver(b *testing.B) {
	url := serve(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	c := newTestClient(b, Options{})
	target := c.Target(url).(*target)
	n := notification()
	bare := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	defer bare.CloseIdleConnections()
	post := func(headers bool) {
		req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(n.Items[0].Event.JSON))
		if err != nil {
			b.Fatal(err)
		}
		if headers {
			req.Header = target.request(b.Context(), n).Header
		}
		resp, err := bare.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	deliver := func() {
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
	b.Run("attempt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			deliver()
		}
	})
	for name, headers := range map[string]bool{"ratio": false, "ratio-same-headers": true} {
		b.Run(name, func(b *testing.B) {
			var ours, theirs time.Duration
			for b.Loop() {
				t0 := time.Now()
				deliver()
				t1 := time.Now()
				post(headers)
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
		t.request(b.Context(), n)
	}
}
