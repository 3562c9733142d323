package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// receiver is a webhook endpoint. Each path is an endpoint of its own, which
// consents and accepts unless told otherwise.
type receiver struct {
	*httptest.Server
	ended chan struct{} // closed when the test ends: lets endpoints that hang go

	mu       sync.Mutex // protects the fields below
	got      map[string][]delivery
	answers  map[string]http.HandlerFunc
	consents map[string]http.HandlerFunc
}

// delivery is one event of a request that an endpoint accepted.
type delivery struct {
	at     time.Time
	header http.Header
	id     string
	data   json.RawMessage
	body   []byte // of the event
	of     int    // events in the request
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{
		ended: make(chan struct{}), got: make(map[string][]delivery),
		answers: make(map[string]http.HandlerFunc), consents: make(map[string]http.HandlerFunc),
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() { close(r.ended); r.Close() })
	return r
}

// answer replaces how an endpoint takes events; only those answered 200 are
// recorded. nil is the default again.
func (r *receiver) answer(path string, h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[path] = h
}

// consent replaces how an endpoint answers the handshake.
func (r *receiver) consent(path string, h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.consents[path] = h
}

// hang makes an endpoint that never answers, and counts who asked.
func (r *receiver) hang(path string) *atomic.Int64 {
	var asked atomic.Int64
	r.answer(path, func(_ http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		select {
		case <-req.Context().Done():
		case <-r.ended:
		}
	})
	return &asked
}

// consentCount makes an endpoint that consents, and counts how often it is
// asked to.
func (r *receiver) consentCount(path string) *atomic.Int64 {
	var asked atomic.Int64
	r.consent(path, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("WebHook-Allowed-Origin", "*")
	})
	return &asked
}

// slow makes an endpoint that takes its time and then accepts.
func (r *receiver) slow(path string, d time.Duration) {
	r.answer(path, func(_ http.ResponseWriter, req *http.Request) { after(req.Context(), d) })
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	answer, consent := r.answers[req.URL.Path], r.consents[req.URL.Path]
	r.mu.Unlock()
	if req.Method == http.MethodOptions {
		if consent == nil {
			consent = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("WebHook-Allowed-Origin", "*") }
		}
		consent(w, req)
		return
	}
	at := time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the server broke off, so it will repeat
	}
	switch req.Header.Get("Aeg-Event-Type") {
	case "SubscriptionValidation":
		if consent == nil {
			consent = validate(body)
		}
		consent(w, req)
		return
	case "SubscriptionDeletion":
		r.record(deletionsOf(req.URL.Path), at, req.Header, body)
		return
	}
	status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	if answer != nil {
		answer(status, req)
	}
	if status.status == http.StatusOK && req.Context().Err() == nil {
		r.record(req.URL.Path, at, req.Header, body)
	}
}

// deletionsOf is under which the notices are that an event subscription to a
// path was deleted.
func deletionsOf(path string) string { return "deletions of " + path }

// validate consents as receivers of the Event Grid schema do.
func validate(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var events []struct {
			Data struct{ ValidationCode string }
		}
		if json.Unmarshal(body, &events) != nil || len(events) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"validationResponse": events[0].Data.ValidationCode})
	}
}

// statusWriter remembers what an endpoint answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// Unwrap lets answers be flushed and connections be taken.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// record keeps the events of a request: one object, or an array of them.
func (r *receiver) record(path string, at time.Time, header http.Header, body []byte) {
	events := []json.RawMessage{body}
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '[' {
		if json.Unmarshal(trimmed, &events) != nil {
			events = []json.RawMessage{body}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range events {
		d := delivery{at: at, header: header, body: b, of: len(events)}
		var e struct {
			ID   string          `json:"id"`
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(b, &e) == nil {
			d.id, d.data = e.ID, e.Data
		}
		r.got[path] = append(r.got[path], d)
	}
}

// deliveries returns what an endpoint has accepted so far, repeats included.
func (r *receiver) deliveries(path string) []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivery(nil), r.got[path]...)
}

// byID returns the first delivery of each event.
func (r *receiver) byID(path string) map[string]delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]delivery, len(r.got[path]))
	for _, d := range r.got[path] {
		if _, seen := out[d.id]; !seen {
			out[d.id] = d
		}
	}
	return out
}

// hasAll reports whether every id has arrived.
func (r *receiver) hasAll(path string, ids []string) bool { return len(r.missing(path, ids)) == 0 }

func (r *receiver) missing(path string, ids []string) []string {
	got := r.byID(path)
	var out []string
	for _, id := range ids {
		if _, ok := got[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}
