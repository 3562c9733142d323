package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

func TestDeliverToBadEndpoints(t *testing.T) {
	const secret = "s3cret"
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
		{name: "resets within its answer", want: destination.SocketError, talk: func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-")
			_ = c.(*net.TCPConn).SetLinger(0)
		}},
		{name: "resets while reading", want: destination.SocketError, talk: func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
		}},
		{name: "announces more than it sends", want: destination.Delivered, status: 200, talk: func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\nhalf")
		}},
		{name: "breaks off between chunks", want: destination.Delivered, status: 200, talk: func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n")
		}},
		{name: "two lengths", want: destination.SocketError, talk: func(c net.Conn) {
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
		}},
		{name: "informs without end", want: destination.SocketError, talk: func(c net.Conn) {
			readRequest(c)
			for _, err := io.WriteString(c, ""); err == nil; {
				_, err = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
			}
		}},
		{
			name: "switches protocols and says nothing more", timeout: patience, want: destination.GenericError, status: 101,
			talk: switchProtocols,
		},
		{name: "answers in HTTP/2", want: destination.SocketError, talk: func(c net.Conn) {
			readRequest(c)
			c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS
		}},
		{name: "refuses before reading", want: destination.PayloadTooLarge, status: 413, talk: func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			io.WriteString(c, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			readRequest(c)
		}},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late %v", tt.name, late), func(t *testing.T) {
				url := raw(t, tt.talk)
				c := newTestClient(t, Options{Timeout: tt.timeout})
				n := notification()
				if late {
					n.Late = func() { t.Error("there was a late answer") }
				}
				began := time.Now()
				v := c.Target(url+"/hook?code="+secret).Deliver(t.Context(), n)
				if took := time.Since(began); took > patience/2 {
					t.Errorf("it took %s", took)
				}
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
}

// secure starts a server with TLS that speaks HTTP/2 and returns a client that
// trusts it.
func secure(t *testing.T, o Options, h http.HandlerFunc) (url string, c *Client) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(s.Certificate())
	return s.URL, newTestClient(t, o)
}

func TestDeliverReadsABoundedAnswer(t *testing.T) {
	const size = 100 << 20
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			var wrote atomic.Int64
			done := make(chan string, 1)
			answer := func(w http.ResponseWriter, r *http.Request) {
				defer func() { done <- r.Proto }()
				chunk := make([]byte, 32<<10)
				for wrote.Load() < size {
					n, err := w.Write(chunk)
					wrote.Add(int64(n))
					if err != nil {
						return
					}
				}
			}
			url, c := secure(t, Options{}, answer)
			if proto == "HTTP/1.1" {
				url = serve(t, answer)
			}
			if v := c.Target(url).Deliver(t.Context(), notification()); v.Outcome != destination.Delivered {
				t.Fatalf("verdict = %+v, want delivered", v)
			}
			if got := <-done; got != proto {
				t.Errorf("the request was %s, want %s", got, proto)
			}
			if n := wrote.Load(); n >= size/2 {
				t.Errorf("the endpoint could send %d bytes; it should have been cut off", n)
			}
		})
	}
}

func TestDeliverOverHTTP2(t *testing.T) {
	got := make(chan string, 1)
	url, c := secure(t, Options{Timeout: patience}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusPermanentRedirect)
		case "/hang":
			<-r.Context().Done()
		default:
			got <- r.Proto + " " + string(body)
		}
	})
	_, n := batch(t, c, url, event.CloudEvents, 200)
	want := make([]string, len(n.Items))
	for i := range n.Items {
		want[i] = string(n.Items[i].Event.JSON)
	}
	d := newTestTarget(t, c, TargetOptions{URL: url, Batch: true})
	for range 2 {
		if v := d.Deliver(t.Context(), n); v.Outcome != destination.Delivered {
			t.Fatalf("verdict = %+v, want delivered", v)
		}
		if diff := cmp.Diff("HTTP/2.0 ["+strings.Join(want, ",")+"]", <-got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
	for path, outcome := range map[string]destination.Outcome{
		"/abort": destination.SocketError, "/redirect": destination.GenericError,
	} {
		if v := c.Target(url+path).Deliver(t.Context(), notification()); v.Outcome != outcome {
			t.Errorf("%s: verdict = %+v, want %s", path, v, outcome)
		}
	}
	// One stream that hangs does not hold up the others of its connection.
	hung := make(chan destination.Verdict, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { hung <- c.Target(url+"/hang").Deliver(ctx, notification()) }()
	if v := d.Deliver(t.Context(), n); v.Outcome != destination.Delivered {
		t.Errorf("beside one that hangs: verdict = %+v, want delivered", v)
	}
	cancel()
	if v := <-hung; v.Outcome != destination.Aborted {
		t.Errorf("/hang: verdict = %+v, want Aborted", v)
	}
}

// signed returns a certificate of its own authority for 127.0.0.1.
func signed(t *testing.T, notBefore, notAfter time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: notBefore, NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestDeliverRefusesCertificates(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name        string
		certificate tls.Certificate
		trusted     bool
		reason      string // "" when it is fine
	}{
		{"good", signed(t, now.Add(-day), now.Add(day)), true, ""},
		{"self-signed", signed(t, now.Add(-day), now.Add(day)), false, "unknown authority"},
		{"expired", signed(t, now.Add(-2*day), now.Add(-day)), true, "has expired"},
		{"not yet valid", signed(t, now.Add(day), now.Add(2*day)), true, "not yet valid"},
		{"expired and self-signed", signed(t, now.Add(-2*day), now.Add(-day)), false, "certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked atomic.Bool
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{tt.certificate}, MinVersion: tls.VersionTLS12}
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			s.StartTLS()
			t.Cleanup(s.Close)
			pool := x509.NewCertPool()
			if tt.trusted {
				pool.AddCert(tt.certificate.Leaf)
			}
			v := newTestClient(t, Options{RootCAs: pool}).Target(s.URL).Deliver(t.Context(), notification())
			if tt.reason == "" {
				if v.Outcome != destination.Delivered {
					t.Fatalf("verdict = %+v, want delivered", v)
				}
				return
			}
			if v.Outcome != destination.SocketError || !strings.Contains(v.Err.Error(), tt.reason) || asked.Load() {
				t.Errorf("verdict = %+v, asked %v; want SocketError: %s", v, asked.Load(), tt.reason)
			}
		})
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
