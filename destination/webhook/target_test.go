package webhook

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
)

// countingConn counts what its owner writes.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestDeliverSendsHeaderAndBodyTogether(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	c := newTestClient(t, Options{})
	var writes atomic.Int64
	dial := c.transport.DialContext
	c.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return countingConn{conn, &writes}, err
	}
	target := c.Target(url)
	for range 5 {
		if v := target.Deliver(t.Context(), notification()); v.Outcome != destination.Delivered {
			t.Fatalf("verdict = %+v, want delivered", v)
		}
	}
	if n := writes.Load(); n != 5 {
		t.Errorf("%d writes for 5 deliveries, want 5", n)
	}
}

func TestDeliverKeepsSubscriptionsOfOneTargetApart(t *testing.T) {
	names := make(chan string, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { names <- r.Header.Get("aeg-subscription-name") })
	target := newTestClient(t, Options{}).Target(url)
	for _, name := range []string{"one", "two", "one"} {
		n := notification()
		n.Subscription = name
		target.Deliver(t.Context(), n)
		if got := <-names; got != strings.ToUpper(name) {
			t.Errorf("aeg-subscription-name = %q, want %q", got, strings.ToUpper(name))
		}
	}
}

func TestDeliverJudgesTheStatus(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		status     int
		retryAfter string
		want       destination.Outcome
		after      time.Duration
	}{
		{status: 200, want: destination.Delivered},
		{status: 201, want: destination.Delivered},
		{status: 202, want: destination.Delivered},
		{status: 203, want: destination.Delivered},
		{status: 204, want: destination.Delivered},
		{status: 205, want: destination.GenericError},
		{status: 206, want: destination.GenericError},
		{status: 304, want: destination.GenericError},
		{status: 400, want: destination.BadRequest},
		{status: 401, want: destination.Unauthorized},
		{status: 403, want: destination.Forbidden},
		{status: 404, want: destination.NotFound},
		{status: 408, want: destination.TimedOut, after: 2 * time.Minute},
		{status: 410, want: destination.GenericError},
		{status: 413, want: destination.PayloadTooLarge},
		{status: 429, want: destination.Busy},
		{status: 429, retryAfter: "7", want: destination.Busy, after: 7 * time.Second},
		{status: 429, retryAfter: "Sun, 01 Mar 2026 08:02:00 GMT", want: destination.Busy, after: 2 * time.Minute},
		{status: 503, want: destination.Busy, after: 30 * time.Second},
		{status: 503, retryAfter: "7", want: destination.Busy, after: 30 * time.Second},
		{status: 503, retryAfter: "90", want: destination.Busy, after: 90 * time.Second},
		{status: 500, want: destination.GenericError},
		{status: 500, retryAfter: "90", want: destination.GenericError},
	} {
		t.Run(fmt.Sprintf("%d %s", tt.status, tt.retryAfter), func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
			})
			c := newTestClient(t, Options{Now: func() time.Time { return now }})
			v := c.Target(url).Deliver(t.Context(), notification())
			if v.Outcome != tt.want || v.Status != tt.status || max(v.After, v.Asked) != tt.after {
				t.Errorf("verdict = %+v, want %s, %d, after %s", v, tt.want, tt.status, tt.after)
			}
			if (v.Err == nil) != (tt.want == destination.Delivered) {
				t.Errorf("Err = %v for %s", v.Err, tt.want)
			}
		})
	}
}

func TestDeliverFollowsNoRedirect(t *testing.T) {
	var visited atomic.Bool
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { visited.Store(true) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, status) })
		v := newTestClient(t, Options{}).Target(url).Deliver(t.Context(), notification())
		if v.Outcome != destination.GenericError || v.Status != status {
			t.Errorf("%d: verdict = %+v, want GenericError", status, v)
		}
	}
	if visited.Load() {
		t.Error("a redirect was followed")
	}
}

func TestDeliverReusesConnections(t *testing.T) {
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, maxAnswer))
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	target := newTestClient(t, Options{}).Target(s.URL)
	for range 20 {
		if v := target.Deliver(t.Context(), notification()); v.Outcome != destination.Delivered {
			t.Fatalf("verdict = %+v, want delivered", v)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 20 deliveries, want 1", n)
	}
}

// A server may close a kept connection at the moment it is used again. That is
// nobody's failure and must not cost the event a retry.
func TestDeliverSurvivesAClosedIdleConnection(t *testing.T) {
	var requests atomic.Int64
	url := raw(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		requests.Add(1)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		// The next request is read and then left without an answer.
		if r, err = http.ReadRequest(br); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})
	target := newTestClient(t, Options{}).Target(url)
	for i := range 3 {
		if v := target.Deliver(t.Context(), notification()); v.Outcome != destination.Delivered {
			t.Fatalf("delivery %d: verdict = %+v, want delivered", i, v)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("%d requests answered, want 3", n)
	}
}

func TestDeliverIsAbortedByItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := raw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	v := newTestClient(t, Options{}).Target(url).Deliver(ctx, notification())
	if v.Outcome != destination.Aborted || v.Err == nil {
		t.Errorf("verdict = %+v, want Aborted", v)
	}
}

func TestDeliverToNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	v := newTestClient(t, Options{}).Target(url).Deliver(t.Context(), notification())
	if v.Outcome != destination.SocketError || !strings.Contains(v.Err.Error(), "refused") {
		t.Errorf("verdict = %+v, want SocketError, refused", v)
	}
}

// An endpoint that reads a request and then breaks the connection gets it once
// more, not once for each connection that the client has kept.
func TestDeliverRepeatsOnceOnly(t *testing.T) {
	var breaks atomic.Bool
	var got atomic.Int32
	together := make(chan struct{})
	var arrived atomic.Int32
	const kept = 4
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !breaks.Load() {
			if arrived.Add(1) == kept {
				close(together)
			}
			<-together // each on a connection of its own
			return
		}
		got.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	target := newTestClient(t, Options{}).Target(url)
	var group sync.WaitGroup
	for range kept {
		group.Go(func() { target.Deliver(t.Context(), notification()) })
	}
	group.Wait()
	breaks.Store(true)
	if v := target.Deliver(t.Context(), notification()); v.Outcome != destination.SocketError {
		t.Errorf("verdict = %+v, want SocketError", v)
	}
	if n := got.Load(); n != 2 {
		t.Errorf("the endpoint got %d requests, want 2", n)
	}
}
