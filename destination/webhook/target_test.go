package webhook

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
)

func TestDeliverWritesTheRequestOfEventGrid(t *testing.T) {
	got := make(chan string, 1)
	url := raw(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		var b strings.Builder
		length := 0
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			b.WriteString(line)
			fmt.Sscanf(line, "Content-Length: %d", &length)
			if line == "\r\n" {
				break
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(br, body); err != nil {
			return
		}
		b.Write(body)
		got <- b.String()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	c := newTestClient(t, Options{})
	v := c.Target(url+"/api/hook?code=a%2Fb&x=1").Deliver(t.Context(), notification())
	if v.Outcome != destination.Delivered || v.Status != 200 || v.Err != nil {
		t.Fatalf("verdict = %+v, want delivered with 200", v)
	}
	want := "POST /api/hook?code=a%2Fb&x=1 HTTP/1.1\r\n" +
		"Host: " + strings.TrimPrefix(url, "http://") + "\r\n" +
		"Content-Length: 91\r\n" +
		"Accept-Encoding: gzip,deflate\r\n" +
		"Content-Type: application/cloudevents+json; charset=utf-8\r\n" +
		"Origin: eventgrid.azure.net\r\n" +
		"WebHook-Request-Origin: eventgrid.azure.net\r\n" +
		"aeg-data-version: \r\n" +
		"aeg-delivery-count: 2\r\n" +
		"aeg-event-type: Notification\r\n" +
		"aeg-metadata-version: 1.0\r\n" +
		"aeg-output-event-id: 0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11\r\n" +
		"aeg-subscription-name: HOOK1\r\n" +
		"\r\n" +
		string(notification().Items[0].Event.JSON)
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

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
			if v.Outcome != tt.want || v.Status != tt.status || v.After != tt.after {
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

func TestDeliverToBadEndpoints(t *testing.T) {
	const secret = "s3cret"
	readRequest := func(c net.Conn) string {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return ""
		}
		_, _ = io.Copy(io.Discard, r.Body)
		return r.RequestURI
	}
	// untilClosed waits for the client to give the connection up.
	untilClosed := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	const short = 150 * time.Millisecond
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		talk    func(net.Conn)
		want    destination.Outcome
		status  int
	}{
		{name: "says nothing", timeout: short, want: destination.TimedOut, talk: func(c net.Conn) {
			readRequest(c)
			untilClosed(c)
		}},
		{name: "does not even read", timeout: short, want: destination.TimedOut, talk: untilClosed},
		{name: "trickles its header", timeout: short, want: destination.TimedOut, talk: func(c net.Conn) {
			readRequest(c)
			for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); err == nil; {
				_, err = io.WriteString(c, "x")
				<-time.After(5 * time.Millisecond)
			}
		}},
		{
			name: "trickles its body", timeout: short, want: destination.Delivered, status: 200,
			talk: func(c net.Conn) {
				readRequest(c)
				for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"); err == nil; {
					_, err = io.WriteString(c, "x")
					<-time.After(5 * time.Millisecond)
				}
			},
		},
		{name: "endless header", want: destination.SocketError, talk: func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(c, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}},
		{name: "closes at once", want: destination.SocketError, talk: func(net.Conn) {}},
		{name: "closes without an answer", want: destination.SocketError, talk: func(c net.Conn) { readRequest(c) }},
		{name: "resets", want: destination.SocketError, talk: func(c net.Conn) {
			readRequest(c)
			_ = c.(*net.TCPConn).SetLinger(0)
		}},
		{name: "answers garbage", want: destination.SocketError, talk: func(c net.Conn) {
			uri := readRequest(c)
			io.WriteString(c, "SSH-2.0-"+uri+"\r\n\r\n")
		}},
		{name: "echoes the URL as its status", want: destination.SocketError, talk: func(c net.Conn) {
			uri := readRequest(c)
			io.WriteString(c, "HTTP/1.1 "+uri+"\r\n\r\n")
		}},
		{name: "echoes the URL as its reason", want: destination.GenericError, status: 500, talk: func(c net.Conn) {
			uri := readRequest(c)
			io.WriteString(c, "HTTP/1.1 500 "+uri+"\r\nContent-Length: 0\r\n\r\n")
		}},
		{name: "breaks off in the body", want: destination.Delivered, status: 200, talk: func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
		}},
		{name: "refuses before reading", want: destination.PayloadTooLarge, status: 413, talk: func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			io.WriteString(c, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			readRequest(c)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := raw(t, tt.talk)
			c := newTestClient(t, Options{Timeout: tt.timeout})
			v := c.Target(url+"/hook?code="+secret).Deliver(t.Context(), notification())
			if v.Outcome != tt.want || v.Status != tt.status {
				t.Errorf("verdict = %+v, want %s with status %d", v, tt.want, tt.status)
			}
			if (v.Err == nil) != (tt.want == destination.Delivered) {
				t.Errorf("Err = %v for %s", v.Err, tt.want)
			}
			for _, text := range []string{fmt.Sprint(v.Err), fmt.Sprintf("%#v", v.Err), fmt.Sprintf("%+v", v)} {
				if strings.Contains(text, secret) {
					t.Errorf("the verdict gives the secret away: %s", text)
				}
			}
		})
	}
}

func TestDeliverReadsABoundedAnswer(t *testing.T) {
	const size = 100 << 20
	var wrote atomic.Int64
	done := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(done)
		chunk := make([]byte, 32<<10)
		for wrote.Load() < size {
			n, err := w.Write(chunk)
			wrote.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	v := newTestClient(t, Options{}).Target(url).Deliver(t.Context(), notification())
	if v.Outcome != destination.Delivered {
		t.Fatalf("verdict = %+v, want delivered", v)
	}
	<-done
	if n := wrote.Load(); n >= size/2 {
		t.Errorf("the endpoint could send %d bytes; the connection should have been dropped", n)
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

func TestDeliverRefusesBatches(t *testing.T) {
	n := notification()
	n.Items = append(n.Items, n.Items[0])
	var asked atomic.Bool
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	v := newTestClient(t, Options{}).Target(url).Deliver(t.Context(), n)
	if v.Outcome != destination.GenericError || asked.Load() {
		t.Errorf("verdict = %+v, request sent: %v; want GenericError without a request", v, asked.Load())
	}
}

func TestDeliverVerifiesCertificates(t *testing.T) {
	seen := make(chan *http.Request, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)

	v := newTestClient(t, Options{}).Target(s.URL).Deliver(t.Context(), notification())
	if v.Outcome != destination.SocketError || !strings.Contains(v.Err.Error(), "unknown authority") {
		t.Errorf("self-signed: verdict = %+v, want SocketError", v)
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	c := newTestClient(t, Options{RootCAs: pool})
	if v = c.Target(s.URL).Deliver(t.Context(), notification()); v.Outcome != destination.Delivered {
		t.Fatalf("trusted: verdict = %+v, want Delivered", v)
	}
	r := <-seen
	if r.Proto != "HTTP/2.0" || r.Header.Get("aeg-subscription-name") != "HOOK1" {
		t.Errorf("request = %s with %v, want HTTP/2.0 with the headers of Event Grid", r.Proto, r.Header)
	}
	for _, name := range []string{"User-Agent", "Idempotency-Key"} {
		if v, ok := r.Header[name]; ok {
			t.Errorf("%s: %q was sent", name, v)
		}
	}
	other := strings.Replace(s.URL, "127.0.0.1", "127.0.0.2", 1)
	if v = c.Target(other).Deliver(t.Context(), notification()); v.Outcome != destination.SocketError {
		t.Errorf("other host: verdict = %+v, want SocketError", v)
	}
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	v = c.Target(strings.Replace(plain, "http:", "https:", 1)).Deliver(t.Context(), notification())
	if v.Outcome != destination.SocketError || !strings.Contains(v.Err.Error(), "TLS") {
		t.Errorf("no TLS: verdict = %+v, want SocketError", v)
	}
}
