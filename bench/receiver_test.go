package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

func body(marks ...mark) []byte {
	var b bytes.Buffer
	for i, m := range marks {
		e := make([]byte, markWidth)
		putMark(e, m)
		fmt.Fprintf(&b, `%c{"data":{%s%s"}}`, "[,"[min(i, 1)], markKey, e)
	}
	b.WriteByte(']')
	return b.Bytes()
}

func TestReceiver(t *testing.T) {
	r, err := newReceiver(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	other, h := r.hook(), r.hook()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	send := func(method string, b []byte) (status int, allowed string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, h.url, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("WebHook-Allowed-Origin")
	}

	if status, allowed := send(http.MethodOptions, nil); status != http.StatusOK || allowed != "*" {
		t.Errorf("the handshake is answered %d, allowed %q", status, allowed)
	}
	send(http.MethodPost, body(mark{run: 1})) // nobody counts yet

	gate := newGate(5)
	if !gate.enter(t.Context(), 5) {
		t.Fatal("an empty gate is full")
	}
	tally := newTally(2, 100, gate)
	h.report(tally)
	send(http.MethodPost, body(mark{run: 2, seq: 0}, mark{run: 2, seq: 1}))
	send(http.MethodPost, body(mark{run: 2, seq: 1})) // a repeat
	send(http.MethodPost, body(mark{run: 1, seq: 2})) // late, from another slice
	send(http.MethodPost, body(mark{run: 2, seq: 100}))
	send(http.MethodPost, []byte(`{"`+markKey))
	if n, again := tally.count.Load(), tally.repeats.Load(); n != 2 || again != 1 {
		t.Errorf("%d events and %d repeats; want 2 and 1", n, again)
	}
	if under := gate.under.Load(); under != 3 {
		t.Errorf("%d left in the gate, want 3", under)
	}
	if h.taken.Load() != 6 || other.taken.Load() != 0 {
		t.Errorf("the hook took %d deliveries, another one %d", h.taken.Load(), other.taken.Load())
	}
	if status, _ := send(http.MethodGet, nil); status != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered %d", status)
	}

	if err := tally.wait(t.Context(), 2, time.Second); err != nil {
		t.Errorf("everything is there, yet: %v", err)
	}
	if err := tally.wait(t.Context(), 3, 20*time.Millisecond); !errors.Is(err, errMissing) {
		t.Errorf("one is missing, yet: %v", err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := tally.wait(ctx, 3, time.Minute); !errors.Is(err, why) {
		t.Errorf("cancelled, yet: %v", err)
	}
	if got := len(tally.latencies(2)); got != 2 {
		t.Errorf("%d latencies of 2 events", got)
	}
}
