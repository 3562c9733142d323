package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
)

const code = "4E0B6B7C-AAAA-4D0E-9A1C-2B1F0E7F9D11"

func handshake(url string) Handshake {
	return Handshake{
		URL: url, SubscriptionName: "hook1", Topic: "/subscriptions/s/resourceGroups/g",
		CallbackURL: "https://grid.example/validate?id=1&token=t", Code: code,
	}
}

func TestHandshakeEventGrid(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		status       int
		want         Result
		outcome      destination.Outcome // of the error
	}{
		{name: "echo", status: 200, answer: `{"validationResponse":"` + code + `"}`, want: Granted},
		{name: "other case", status: 200, answer: `{"ValidationResponse":"` + strings.ToLower(code) + `"}`, want: Granted},
		{name: "more members", status: 200, answer: `{"x":[1],"validationresponse":"` + code + `"}`, want: Granted},
		{name: "byte order mark", status: 200, answer: "\xef\xbb\xbf" + `{"validationResponse":"` + code + `"}`, want: Granted},
		{name: "empty", status: 200, want: AwaitingManual},
		{name: "text", status: 200, answer: "OK", want: AwaitingManual},
		{name: "array", status: 200, answer: `[{"validationResponse":"` + code + `"}]`, want: AwaitingManual},
		{name: "null", status: 200, answer: `{"validationResponse":null}`, want: AwaitingManual},
		{name: "number", status: 200, answer: `{"validationResponse":4}`, want: AwaitingManual},
		{name: "empty code", status: 200, answer: `{"validationResponse":""}`, want: AwaitingManual},
		{name: "too long", status: 200, answer: `{"validationResponse":"` + code + `"}` + strings.Repeat(" ", maxAnswer), want: AwaitingManual},
		{name: "wrong code", status: 200, answer: `{"validationResponse":"nope"}`, outcome: destination.GenericError},
		{name: "accepted", status: 202, answer: `{"validationResponse":"` + code + `"}`, outcome: destination.GenericError},
		{name: "no content", status: 204, outcome: destination.GenericError},
		{name: "redirect", status: 302, outcome: destination.GenericError},
		{name: "forbidden", status: 403, outcome: destination.Forbidden},
		{name: "broken", status: 500, outcome: destination.GenericError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tries atomic.Int64
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				tries.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.answer)
			})
			got, err := newTestClient(t, Options{}).HandshakeEventGrid(t.Context(), handshake(url+"/?code=s3cret"))
			judge(t, got, err, tt.want, tt.outcome, tt.status)
			if n := tries.Load(); n != 1 {
				t.Errorf("%d tries, want 1: an answer is an answer", n)
			}
		})
	}
}

func judge(t *testing.T, got Result, err error, want Result, outcome destination.Outcome, status int) {
	t.Helper()
	if want != 0 {
		if got != want || err != nil {
			t.Errorf("result = %v, %v; want %v", got, err, want)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("result = %v, %v; want an *Error", got, err)
	}
	if e.Outcome != outcome || e.Status != status || got != 0 {
		t.Errorf("result = %v, %#v; want outcome %s, status %d", got, e, outcome, status)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error gives the secret away: %v", err)
	}
}

func TestHandshakeEventGridRequest(t *testing.T) {
	type request struct {
		Method string
		Header http.Header
		Body   any
	}
	seen := make(chan request, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		var body any
		_ = json.NewDecoder(r.Body).Decode(&body)
		seen <- request{r.Method, r.Header, body}
	})
	c := newTestClient(t, Options{Now: func() time.Time {
		return time.Date(2026, 3, 1, 9, 0, 0, 123456789, time.FixedZone("", 3600))
	}})
	h := handshake(url)
	if _, err := c.HandshakeEventGrid(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	got := <-seen
	ev := got.Body.([]any)[0].(map[string]any)
	id, _ := ev["id"].(string)
	if len(id) != 36 || id != strings.ToLower(id) {
		t.Errorf("id = %q, want a lower-case GUID", id)
	}
	ev["id"] = "GUID"
	got.Header.Del("Content-Length")
	want := request{
		Method: "POST",
		Header: http.Header{
			"Aeg-Event-Type":        {"SubscriptionValidation"},
			"Aeg-Subscription-Name": {"HOOK1"},
			"Aeg-Delivery-Count":    {"0"},
			"Aeg-Data-Version":      {"2"},
			"Aeg-Metadata-Version":  {"1"},
			"Content-Type":          {"application/json; charset=utf-8"},
		},
		Body: []any{map[string]any{
			"id": "GUID", "topic": h.Topic, "subject": "",
			"eventType":       "Microsoft.EventGrid.SubscriptionValidationEvent",
			"eventTime":       "2026-03-01T08:00:00.1234567Z",
			"data":            map[string]any{"validationCode": code, "validationUrl": h.CallbackURL},
			"metadataVersion": "1", "dataVersion": "2",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestHandshakeCloudEvents(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		allowed []string
		want    Result
		outcome destination.Outcome
	}{
		{name: "origin", status: 200, allowed: []string{"eventgrid.azure.net"}, want: Granted},
		{name: "other case", status: 200, allowed: []string{" EventGrid.Azure.NET "}, want: Granted},
		{name: "star", status: 200, allowed: []string{"*"}, want: Granted},
		{name: "second of two", status: 200, allowed: []string{"a.example", "*"}, want: Granted},
		{name: "no header", status: 200, want: AwaitingManual},
		{name: "empty header", status: 200, allowed: []string{""}, want: AwaitingManual},
		{name: "other origin", status: 200, allowed: []string{"eventgrid.azure.net.evil.example"}, outcome: destination.GenericError},
		{name: "list", status: 200, allowed: []string{"eventgrid.azure.net, b"}, outcome: destination.GenericError},
		{name: "no content", status: 204, allowed: []string{"*"}, want: Granted},
		{name: "accepted", status: 202, allowed: []string{"*"}, outcome: destination.GenericError},
		{name: "redirect", status: 307, allowed: []string{"*"}, outcome: destination.GenericError},
		{name: "not found", status: 404, allowed: []string{"*"}, outcome: destination.NotFound},
		{name: "method not allowed", status: 405, outcome: destination.GenericError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan *http.Request, 1)
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				seen <- r
				for _, v := range tt.allowed {
					w.Header().Add("WebHook-Allowed-Origin", v)
				}
				w.WriteHeader(tt.status)
			})
			h := handshake(url + "/hook?code=s3cret")
			got, err := newTestClient(t, Options{}).HandshakeCloudEvents(t.Context(), h)
			judge(t, got, err, tt.want, tt.outcome, tt.status)
			r := <-seen
			if r.Method != http.MethodOptions || r.RequestURI != "/hook?code=s3cret" || r.ContentLength != 0 {
				t.Errorf("request = %s %s with %d bytes, want OPTIONS of the exact URL without a body",
					r.Method, r.RequestURI, r.ContentLength)
			}
			wantHeader := http.Header{
				"Webhook-Request-Origin":   {"eventgrid.azure.net"},
				"Webhook-Request-Callback": {h.CallbackURL},
			}
			if diff := cmp.Diff(wantHeader, r.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHandshakesAreRepeatedWhenNobodyAnswers(t *testing.T) {
	type shake func(*Client, context.Context, Handshake) (Result, error)
	for name, do := range map[string]shake{
		"cloud events": (*Client).HandshakeCloudEvents, "event grid": (*Client).HandshakeEventGrid,
	} {
		t.Run(name+" never", func(t *testing.T) {
			var tries atomic.Int64
			url := raw(t, func(net.Conn) { tries.Add(1) })
			got, err := do(newTestClient(t, Options{HandshakeTries: 3}), t.Context(), handshake(url))
			judge(t, got, err, 0, destination.SocketError, 0)
			if n := tries.Load(); n != 3 {
				t.Errorf("%d tries, want 3", n)
			}
		})
		t.Run(name+" hangs", func(t *testing.T) {
			url := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			c := newTestClient(t, Options{HandshakeTries: 2, Timeout: 50 * time.Millisecond})
			got, err := do(c, t.Context(), handshake(url))
			judge(t, got, err, 0, destination.TimedOut, 0)
		})
		t.Run(name+" switches protocols", func(t *testing.T) {
			url := raw(t, switchProtocols)
			got, err := do(newTestClient(t, Options{}), t.Context(), handshake(url))
			judge(t, got, err, 0, destination.GenericError, 101)
		})
		t.Run(name+" at last", func(t *testing.T) {
			var tries atomic.Int64
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if tries.Add(1) < 3 {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("WebHook-Allowed-Origin", "*")
				fmt.Fprintf(w, `{"validationResponse":%q}`, code)
			})
			got, err := do(newTestClient(t, Options{}), t.Context(), handshake(url))
			judge(t, got, err, Granted, "", 0)
		})
		t.Run(name+" caller gives up", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			url := raw(t, func(net.Conn) { cancel() })
			c := newTestClient(t, Options{HandshakePause: time.Hour})
			got, err := do(c, ctx, handshake(url))
			judge(t, got, err, 0, destination.Aborted, 0)
		})
		t.Run(name+" refused address", func(t *testing.T) {
			c := NewClient(Options{})
			_, err := do(c, t.Context(), handshake("https://127.0.0.1/"))
			if _, ok := errors.AsType[*URLError](err); !ok {
				t.Errorf("error = %v, want a *URLError", err)
			}
		})
	}
}

func FuzzValidationAnswer(f *testing.F) {
	f.Add([]byte(`{"validationResponse":"abc"}`), "ABC")
	f.Add([]byte(`{"VALIDATIONRESPONSE":null,"validationResponse":"x"}`), "")
	f.Add([]byte("\xef\xbb\xbf[]"), "x")
	f.Fuzz(func(t *testing.T, body []byte, want string) {
		got := validationAnswer(body, want)
		if got == codeMatches && (want == "" || !json.Valid([]byte(strings.TrimPrefix(string(body), "\xef\xbb\xbf")))) {
			t.Errorf("validationAnswer(%q, %q) grants", body, want)
		}
		echo, err := json.Marshal(map[string]string{"validationResponse": want})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if json.Unmarshal(echo, &back) == nil && back["validationResponse"] == want && want != "" &&
			validationAnswer(echo, want) != codeMatches {
			t.Errorf("the echo %s is not accepted", echo)
		}
	})
}
