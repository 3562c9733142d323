package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/event"
)

func TestMarkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := mark{
			run:  rapid.Uint64Range(0, 999_999).Draw(t, "run"),
			seq:  rapid.Uint64Range(0, 999_999_999_999).Draw(t, "seq"),
			sent: rapid.Int64Min(0).Draw(t, "sent"),
		}
		b := make([]byte, markWidth)
		putMark(b, want)
		if got, ok := getMark(b); !ok || got != want {
			t.Fatalf("%+v comes back as %+v, %v from %s", want, got, ok, b)
		}
	})
	for _, bad := range []string{"", "000001", strings.Repeat("x", markWidth)} {
		if _, ok := getMark([]byte(bad)); ok {
			t.Errorf("%q was read as a mark", bad)
		}
	}
}

func TestRequestCarriesEvents(t *testing.T) {
	e := Endpoint{URL: "http://127.0.0.1:1234/x/api/events?a=b", Key: "k=", Header: map[string]string{"aeg-channel-name": "c"}}
	for _, n := range []int{1, 2, 100} {
		r, err := newRequest(e, n)
		if err != nil {
			t.Fatal(err)
		}
		r.stamp(mark{run: 3, seq: 70, sent: 12345})
		r.setKind(30_000 + uint64(n))
		head, body, _ := bytes.Cut(r.wire, []byte("\r\n\r\n"))
		for _, want := range []string{"POST /x/api/events?a=b HTTP/1.1\r\n", "Host: 127.0.0.1:1234\r\n", "aeg-sas-key: k=\r\n", "aeg-channel-name: c"} {
			if !bytes.Contains(head, []byte(want)) {
				t.Errorf("no %q in %s", want, head)
			}
		}
		contentType := map[bool]string{true: "application/cloudevents+json", false: "application/cloudevents-batch+json"}[n == 1]
		events, err := event.Parse(event.Request{ContentType: contentType, Body: body, Limits: event.DefaultLimits()})
		if err != nil || len(events) != n {
			t.Fatalf("%d events parse to %d: %v", n, len(events), err)
		}
		ids := map[string]bool{}
		for i, ev := range events {
			ids[ev.ID] = true
			if want := eventType(30_000 + uint64(n)); ev.Type != want {
				t.Errorf("event %d is a %s, not a %s", i, ev.Type, want)
			}
			if len(ev.JSON) != eventSize {
				t.Errorf("an event has %d bytes", len(ev.JSON))
			}
			at := bytes.Index(ev.JSON, []byte(markKey)) + len(markKey)
			if m, ok := getMark(ev.JSON[at:]); !ok || m != (mark{run: 3, seq: 70 + uint64(i), sent: 12345}) {
				t.Errorf("event %d carries %+v", i, m)
			}
		}
		if len(ids) != n {
			t.Errorf("%d events have %d ids", n, len(ids))
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, ok := range []string{"http://127.0.0.1:80/a", "http://[::1]:8080", "http://localhost:1/x", "http://127.9.9.9:5/"} {
		if _, err := loopback(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{
		"", "127.0.0.1:80", "https://127.0.0.1:443/", "http://127.0.0.1/", "http://10.0.0.1:80/", "http://192.0.2.1:80/",
		"http://example.com:80/", "http://localhost.example:80/", "http://0.0.0.0:80/", "http://127.0.0.1:99999/",
	} {
		if _, err := loopback(bad); err == nil {
			t.Errorf("%q was taken for loopback", bad)
		}
	}
}

func TestParseHead(t *testing.T) {
	tests := []struct {
		head           string
		status, length int
		bad            bool
	}{
		{head: "HTTP/1.1 200 OK\r\nContent-Length: 0", status: 200},
		{head: "HTTP/1.1 200 OK\r\nDate: x\r\ncontent-length:12\r\nServer: y", status: 200, length: 12},
		{head: "HTTP/1.1 503 Service Unavailable", status: 503},
		{head: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", bad: true},
		{head: "HTTP/1.1 200 OK\r\nContent-Length: many", bad: true},
		{head: "HTTP/1.1 200 OK\r\nContent-Length: -1", bad: true},
		{head: "HTTP/1.1 abc", bad: true},
		{head: "HTTP/1.0 200 OK\r\nContent-Length: 0", bad: true},
		{head: "", bad: true},
	}
	for _, tt := range tests {
		status, length, err := parseHead([]byte(tt.head))
		if (err != nil) != tt.bad || status != tt.status && !tt.bad || length != tt.length && !tt.bad {
			t.Errorf("%q gives %d, %d, %v", tt.head, status, length, err)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b"))
	f.Fuzz(func(t *testing.T, head []byte) {
		_, length, err := parseHead(head)
		if err == nil && length < 0 {
			t.Errorf("length %d", length)
		}
	})
}

// serve starts a server and returns an open client to it.
func serve(t *testing.T, h http.HandlerFunc) *client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := dial(t.Context(), plan{events: 1, endpoints: []Endpoint{{URL: srv.URL + "/"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestClosedLoopCounts(t *testing.T) {
	var got atomic.Uint64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		body := strings.Repeat("a body to skip ", 1000)[:got.Add(1)%15000]
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body)
	})
	s, err := c.drive(t.Context(), load{epoch: time.Now(), lasts: 100 * time.Millisecond, limit: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	if s.events == 0 || s.events != got.Load() {
		t.Errorf("counts %d, the server got %d", s.events, got.Load())
	}
	if s.elapsed < 90*time.Millisecond {
		t.Errorf("ended after %v", s.elapsed)
	}
}

// TestEndpointsTakeTurns: each of several endpoints gets an equal share, with
// marks of its own.
func TestEndpointsTakeTurns(t *testing.T) {
	const endpoints = 3
	var mu sync.Mutex
	got := map[string]map[mark]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_, marked, _ := bytes.Cut(body, []byte(markKey))
		m, ok := getMark(marked)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || !ok {
			t.Errorf("no mark in %s", body)
			return
		}
		m.sent = 0
		if got[r.URL.Path] == nil {
			got[r.URL.Path] = map[mark]int{}
		}
		got[r.URL.Path][m]++
	}))
	defer srv.Close()
	var es []Endpoint
	for i := range endpoints {
		es = append(es, Endpoint{URL: srv.URL + "/" + strconv.Itoa(i)})
	}
	c, err := dial(t.Context(), plan{conns: 4, events: 1, endpoints: es})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, rate := range []float64{0, 1000} {
		clear(got)
		s, err := c.drive(t.Context(), load{run: 5, epoch: time.Now(), lasts: 20 * time.Second, rate: rate, limit: 20})
		if err != nil || s.events != 60 {
			t.Fatalf("%d events, %v", s.events, err)
		}
		for i := range endpoints {
			marks := got["/"+strconv.Itoa(i)]
			for seq := range uint64(20) {
				if n := marks[mark{run: 5 + uint64(i), seq: seq}]; n != 1 {
					t.Errorf("rate %v: endpoint %d got event %d %d times", rate, i, seq, n)
				}
			}
		}
	}
	if _, err := dial(t.Context(), plan{events: 1, endpoints: []Endpoint{es[0], {URL: "http://127.0.0.1:1/"}}}); err == nil {
		t.Error("endpoints on two servers share connections")
	}
}

func TestClosedLoopKeepsLimit(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) {})
	s, err := c.drive(t.Context(), load{epoch: time.Now(), lasts: 20 * time.Second, limit: 100})
	if err != nil || s.events != 100 {
		t.Errorf("%d events, %v", s.events, err)
	}
}

// TestGate: nothing takes tokens out, so no more than fit may be sent.
func TestGate(t *testing.T) {
	var got atomic.Int64
	c := serve(t, func(http.ResponseWriter, *http.Request) { got.Add(1) })
	gate := newGate(10)
	s, err := c.drive(t.Context(), load{epoch: time.Now(), lasts: 150 * time.Millisecond, limit: 1 << 40, gate: gate})
	if err != nil || s.events != 10 || got.Load() != 10 {
		t.Errorf("%d events, the server got %d: %v", s.events, got.Load(), err)
	}
}

// TestOpenLoopSeesStalls: while the server answers nobody, requests keep
// falling due, and their latency must say so.
func TestOpenLoopSeesStalls(t *testing.T) {
	const stall = 300 * time.Millisecond
	var mu sync.Mutex
	var once sync.Once
	c := serve(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		once.Do(func() { <-time.After(stall) })
	})
	s, err := c.drive(t.Context(), load{epoch: time.Now(), lasts: 500 * time.Millisecond, rate: 1000, limit: maxTally})
	if err != nil {
		t.Fatal(err)
	}
	if s.events != 500 || len(s.latencies) != 500 {
		t.Fatalf("%d events, %d latencies; want 500 of each", s.events, len(s.latencies))
	}
	// 300 requests fell due during the stall and only 64 of them could leave;
	// a generator that forgets the others sees a median of far below.
	if mid := quantile(s.latencies, 0.5); mid < 30*time.Millisecond {
		t.Errorf("the median is %v although the server stood still for %v", mid, stall)
	}
}

func TestDriveStopsWithContext(t *testing.T) {
	block := make(chan struct{})
	c := serve(t, func(http.ResponseWriter, *http.Request) { <-block })
	t.Cleanup(func() { close(block) }) // before the server's own cleanup waits for its handlers
	for _, rate := range []float64{0, 1000} {
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, why)
		began := time.Now()
		if _, err := c.drive(ctx, load{epoch: time.Now(), lasts: time.Minute, rate: rate, limit: maxTally}); !errors.Is(err, why) {
			t.Errorf("rate %v: %v", rate, err)
		}
		cancel()
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("rate %v: stopped after %v", rate, d)
		}
	}
}

func TestQuantile(t *testing.T) {
	var ds []time.Duration
	for i := range 100 {
		ds = append(ds, time.Duration(i+1))
	}
	slices.Reverse(ds)
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := quantile(ds, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("a quantile of nothing")
	}
}
