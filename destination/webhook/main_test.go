package webhook

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is a time limit that a healthy exchange never meets.
const patience = 30 * time.Second

// newTestClient returns a client that may talk to loopback; zero fields of o
// get values for tests.
func newTestClient(t testing.TB, o Options) *Client {
	t.Helper()
	o.AllowPrivate = true
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	if o.HandshakePause == 0 {
		o.HandshakePause = time.Millisecond
	}
	c := NewClient(o)
	t.Cleanup(c.Close)
	return c
}

// serve starts a real server with h.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// raw starts a listener that hands each connection to talk and closes it
// afterwards, waiting for all at the end of the test.
func raw(t testing.TB, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			talk(conn)
			stop()
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); cancel(); <-done })
	return "http://" + l.Addr().String()
}

// readRequest reads one request and returns its URI.
func readRequest(c net.Conn) string {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return ""
	}
	_, _ = io.Copy(io.Discard, r.Body)
	return r.RequestURI
}

// untilClosed waits for the client to give the connection up.
func untilClosed(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// switchProtocols answers a request with another protocol, in which nothing is
// said.
func switchProtocols(c net.Conn) {
	readRequest(c)
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
	untilClosed(c)
}

// wire starts a listener that takes one request to a connection, gives its bytes
// to the channel as they came, and answers 200.
func wire(t testing.TB) (url string, requests <-chan string) {
	t.Helper()
	got := make(chan string, 1)
	return raw(t, func(c net.Conn) {
		var b strings.Builder
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &b)))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		got <- b.String()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}), got
}

func notification() *destination.Notification {
	return &destination.Notification{
		Subscription: "hook1",
		Items: []destination.Item{{
			Attempt: 2,
			ID:      [16]byte{0x0c, 0x2c, 0x8a, 0x52, 0x6a, 0x1e, 0x4d, 0x0e, 0x9a, 0x1c, 0x2b, 0x1f, 0x0e, 0x7f, 0x9d, 0x11},
			Event: &event.Event{
				JSON: []byte(`{"specversion":"1.0","id":"7f0c","source":"/contoso","type":"Order.Placed","data":{"n": 1}}`),
				ID:   "7f0c", Source: "/contoso", Type: "Order.Placed", SpecVersion: "1.0",
			},
		}},
	}
}

// resolver answers every question with the addresses that answer returns at
// that moment; none means that the name does not exist. It needs no socket.
func resolver(t testing.TB, answer func() []netip.Addr) *net.Resolver {
	t.Helper()
	var open sync.WaitGroup
	t.Cleanup(open.Wait)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		open.Go(func() { // ends when the resolver closes its side
			defer ours.Close()
			for answerOne(ours, answer) == nil {
			}
		})
		return theirs, nil
	}}
}

// answerOne speaks DNS over a stream: two bytes of length, then the message.
func answerOne(c net.Conn, answer func() []netip.Addr) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	in := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, in); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(in); err != nil {
		return err
	}
	if len(m.Questions) != 1 {
		return errors.New("want one question")
	}
	q := m.Questions[0]
	addrs := answer()
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if len(addrs) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 0}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint16(size[:], uint16(len(out)))
	_, err = c.Write(append(size[:], out...))
	return err
}

// Target is [Client.NewTarget] for CloudEvents, one to a request, without
// properties or token.
func (c *Client) Target(rawURL string) destination.Target {
	t, err := c.NewTarget(TargetOptions{URL: rawURL, Schema: event.CloudEvents})
	if err != nil {
		panic(fmt.Sprintf("webhook: a target without properties: %v", err)) // nothing in it can be refused
	}
	return t
}
