package listen

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post hands one request to s and returns the answer.
func post(s *Server, header map[string]string, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/any?code=x", strings.NewReader(body))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestConsent(t *testing.T) {
	var out bytes.Buffer
	s := &Server{Out: &out, Fail: 503}
	r := httptest.NewRequest(http.MethodOptions, "/hook", nil)
	r.Header.Set("WebHook-Request-Origin", "eventgrid.azure.net")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	want := http.Header{
		"Allow":                  {"POST, OPTIONS"},
		"Webhook-Allowed-Origin": {"eventgrid.azure.net"},
		"Webhook-Allowed-Rate":   {"*"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" || w.Code != 200 {
		t.Errorf("status %d, header (-want +got):\n%s", w.Code, diff)
	}
	if !strings.Contains(out.String(), "handshake from eventgrid.azure.net") {
		t.Errorf("printed %q", &out)
	}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodOptions, "/hook", nil))
	if w.Code != 200 || w.Header().Get("WebHook-Allowed-Origin") != "" {
		t.Errorf("nobody asked, but %d, %v", w.Code, w.Header())
	}
}

func TestValidationEvent(t *testing.T) {
	const ev = `{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"AB\"C"}}`
	for name, body := range map[string]string{"array": "[" + ev + "]", "object": ev} {
		s := &Server{Fail: 500, OnEvent: func(Event) { t.Error("the handshake was counted as an event") }}
		w := post(s, map[string]string{"aeg-event-type": "SubscriptionValidation"}, body)
		if got, want := w.Body.String(), `{"validationResponse":"AB\"C"}`; w.Code != 200 || got != want {
			t.Errorf("%s: answered %d %s, want %s", name, w.Code, got, want)
		}
	}
}

func TestReceiveDecodesEveryForm(t *testing.T) {
	const ce = `{"specversion":"1.0","id":"1","source":"/s","type":"T","subject":"sub","time":"2026-03-01T08:00:00Z","data":{"a": 1}}`
	want := Event{
		Type: "T", Source: "/s", Subject: "sub", ID: "1", Time: "2026-03-01T08:00:00Z", Data: []byte(`{"a": 1}`), Status: 200,
	}
	base64 := Event{Type: "T", Source: "/s", ID: "2", Data: []byte(`"AAEC"`), Status: 200}
	for _, tt := range []struct {
		name   string
		header map[string]string
		body   string
		want   []Event
	}{
		{"single", map[string]string{"Content-Type": "application/cloudevents+json"}, ce, []Event{want}},
		{"batch", nil, "[" + ce + "," + ce + "]", []Event{want, want}},
		{"empty batch", nil, "[]", nil},
		{"white space", nil, "\n " + ce + "\n", []Event{want}},
		{"base64", nil, `{"specversion":"1.0","id":"2","source":"/s","type":"T","data_base64":"AAEC"}`, []Event{base64}},
		{"binary", map[string]string{
			"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "T", "ce-subject": "sub",
			"ce-time": "2026-03-01T08:00:00Z",
		}, `{"a": 1}`, []Event{want}},
		{
			"event grid", nil,
			`[{"id":"1","topic":"/s","eventType":"T","subject":"sub","eventTime":"2026-03-01T08:00:00Z","data":{"a": 1}}]`,
			[]Event{want},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []Event
			w := post(&Server{OnEvent: func(e Event) {
				if e.Header == nil {
					t.Error("the event has no header")
				}
				e.Header = nil
				got = append(got, e)
			}}, tt.header, tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" || w.Code != 200 {
				t.Errorf("status %d, events (-want +got):\n%s", w.Code, diff)
			}
		})
	}
}

func TestReceiveRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want int
	}{
		"nothing":        {"", 400},
		"text":           {"hello", 400},
		"number":         {"[1]", 400},
		"foreign object": {`{"a":1}`, 400},
		"half":           {`[{"specversion":"1.0"`, 400},
		"too large":      {`{"specversion":"1.0","data":"` + strings.Repeat("x", maxBody) + `"}`, 413},
	} {
		var out bytes.Buffer
		w := post(&Server{Out: &out, OnEvent: func(Event) { t.Errorf("%s: taken as an event", name) }}, nil, tt.body)
		if w.Code != tt.want {
			t.Errorf("%s: answered %d, want %d", name, w.Code, tt.want)
		}
		if !strings.Contains(out.String(), fmt.Sprint(tt.want)) {
			t.Errorf("%s: printed %q, which does not name the status", name, &out)
		}
	}
	largest := `{"specversion":"1.0","type":"T","data":"`
	largest += strings.Repeat("x", maxBody-len(largest)-2) + `"}`
	if w := post(&Server{}, nil, largest); w.Code != 200 {
		t.Errorf("2 MiB: answered %d, want 200", w.Code)
	}
	w := httptest.NewRecorder()
	(&Server{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("GET: answered %d, %v", w.Code, w.Header())
	}
}

func TestPrintedEvents(t *testing.T) {
	var out bytes.Buffer
	s := &Server{Out: &out, Fail: 503, Now: func() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 5e6, time.UTC) }}
	w := post(s, map[string]string{
		"aeg-event-type": "Notification", "aeg-subscription-name": "HOOK1", "aeg-delivery-count": "2", "aeg-output-event-id": "0c2c",
	}, `[{"specversion":"1.0","id":"1","source":"/s","type":"Order.Placed","subject":"orders/1","data":{"total": 12}},
	     {"specversion":"1.0","id":"2","source":"/s","type":"Order.Placed","data":{"text":"`+strings.Repeat("x", 90)+`","n":[1]}}]`)
	if w.Code != 503 {
		t.Errorf("answered %d, want 503", w.Code)
	}
	want := `08:00:00.005  Order.Placed  (answered 503 Service Unavailable)
  source    /s
  subject   orders/1
  id        1
  delivery  subscription HOOK1, earlier attempts 2, delivery id 0c2c
  data      {"total":12}
08:00:00.005  Order.Placed  (answered 503 Service Unavailable)
  source    /s
  id        2
  delivery  subscription HOOK1, earlier attempts 2, delivery id 0c2c
  data
    {
      "text": "` + strings.Repeat("x", 90) + `",
      "n": [
        1
      ]
    }
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestNothingSteersTheTerminal(t *testing.T) {
	const evil = "\x1b[2J\x07\r\u009b31m\u202egnp\u200b\x7f\xff\xfe"
	for name, send := range map[string]func(*Server){
		"junk":   func(s *Server) { post(s, nil, "junk\n"+evil) },
		"binary": func(s *Server) { post(s, map[string]string{"ce-specversion": "1.0", "ce-type": "T\u202e\u009b"}, evil) },
		"json": func(s *Server) {
			post(s, nil, `{"specversion":"1.0","type":"\u001b[31mT","source":"a\nb","subject":"\u202e","data":"`+"\u009b\u202e\x7f"+`"}`)
		},
		"header": func(s *Server) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"specversion":"1.0","type":"T"}`))
			r.Header["Aeg-Subscription-Name"] = []string{evil}
			s.ServeHTTP(httptest.NewRecorder(), r)
		},
		"origin": func(s *Server) {
			r := httptest.NewRequest(http.MethodOptions, "/", nil)
			r.Header["Webhook-Request-Origin"] = []string{evil}
			s.ServeHTTP(httptest.NewRecorder(), r)
		},
		"long": func(s *Server) {
			post(s, nil, strings.Repeat("\x1b\u20ac", maxShown))
		},
	} {
		var out bytes.Buffer
		send(&Server{Out: &out})
		if out.Len() == 0 {
			t.Errorf("%s: nothing was printed", name)
		}
		checkSafe(t, name, out.String())
	}
}

func checkSafe(t *testing.T, name, s string) {
	t.Helper()
	for i, r := range s {
		if r != '\n' && !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			t.Errorf("%s: %U printed at %d of %.200q", name, r, i, s)
			return
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte(`[{"specversion":"1.0","type":"T","data":{"a":"\u001b"}}]`), "")
	f.Add([]byte("\x1b[2J"), "1.0")
	f.Fuzz(func(t *testing.T, body []byte, spec string) {
		var out bytes.Buffer
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header["Ce-Specversion"] = []string{spec}
		r.Header["Ce-Type"] = []string{string(body)}
		w := httptest.NewRecorder()
		(&Server{Out: &out}).ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 {
			t.Errorf("answered %d", w.Code)
		}
		for i, c := range out.String() {
			if c != '\n' && c != unicode.ReplacementChar && !unicode.IsPrint(c) {
				t.Fatalf("%U printed at %d", c, i)
			}
		}
	})
}

func TestRunServesUntilItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr := make(chan net.Addr, 1)
	seen := make(chan Event, 1)
	s := &Server{Addr: "127.0.0.1:0", Started: func(a net.Addr) { addr <- a }, OnEvent: func(e Event) { seen <- e }}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	resp, err := http.Post("http://"+(<-addr).String()+"/x", "application/cloudevents+json",
		strings.NewReader(`{"specversion":"1.0","type":"T"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if e := <-seen; e.Type != "T" || resp.StatusCode != http.StatusOK {
		t.Errorf("event %+v, status %d", e, resp.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestRunCutsADelayShort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr := make(chan net.Addr, 1)
	s := &Server{
		Addr: "127.0.0.1:0", Delay: time.Hour, Started: func(a net.Addr) { addr <- a },
		OnEvent: func(Event) { t.Error("an event was taken before its delay ended") },
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c, err := net.Dial("tcp", (<-addr).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const body = `{"specversion":"1.0","type":"T"}`
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	buf := make([]byte, 64)
	if n, err := c.Read(buf); err != nil || !strings.Contains(string(buf[:n]), "100 Continue") {
		t.Fatalf("got %q, %v", buf[:n], err) // the handler now reads the body
	}
	io.WriteString(c, body)
	cancel()
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503") {
		t.Errorf("answer = %q, %v; want 503", answer, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestRunRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, s := range map[string]*Server{
		"a taken address":   {Addr: l.Addr().String()},
		"a status too low":  {Addr: "127.0.0.1:0", Fail: 100},
		"a status too high": {Addr: "127.0.0.1:0", Fail: 600},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := s.Run(ctx); err == nil {
			t.Errorf("%s: Run = nil", name)
		}
		cancel()
	}
}

func TestDelayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := post(&Server{Delay: time.Minute}, nil, `{"specversion":"1.0","type":"T"}`)
		if d := time.Since(start); w.Code != 200 || d != time.Minute {
			t.Errorf("answered %d after %s, want 200 after 1m", w.Code, d)
		}
	})
}
