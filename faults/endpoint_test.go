package faults

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// endpoint is a webhook. It takes what is sent to /orders, except for a part of
// it and except while it is down, and refuses all else.
type endpoint struct {
	*httptest.Server

	mu   sync.Mutex // protects the fields below
	down bool
	got  map[string]bool // ids
}

func listen(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{got: make(map[string]bool)}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

// ServeHTTP implements [http.Handler].
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.Header().Set("WebHook-Allowed-Origin", "*")
		return
	}
	body, err := io.ReadAll(r.Body)
	var event struct{ ID string }
	if err != nil || json.Unmarshal(body, &event) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case r.URL.Path != "/orders":
		w.WriteHeader(http.StatusBadRequest)
	case e.down, rand.N(10) == 0:
		w.WriteHeader(http.StatusInternalServerError)
	default:
		e.got[event.ID] = true
	}
}

// setDown makes it fail for everything, or stop to. What it had taken is
// forgotten.
func (e *endpoint) setDown(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
	clear(e.got)
}

// missing returns which of the events have not arrived.
func (e *endpoint) missing(ids []string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, id := range ids {
		if !e.got[id] {
			out = append(out, id)
		}
	}
	return out
}
