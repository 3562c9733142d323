package bench

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// delivery is what came of a POST to a hook.
type delivery struct {
	status int
	err    error
}

func deliverTo(t *testing.T, h *hook) <-chan delivery {
	t.Helper()
	out := make(chan delivery, 1)
	tr := &http.Transport{DisableKeepAlives: true}
	go func() {
		defer tr.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url, strings.NewReader("{}"))
		if err != nil {
			out <- delivery{err: err}
			return
		}
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			out <- delivery{err: err}
			return
		}
		_ = resp.Body.Close()
		out <- delivery{status: resp.StatusCode}
	}()
	return out
}

func startHook(t *testing.T) *hook {
	t.Helper()
	r, err := newReceiver(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r.hook()
}

func within(t *testing.T, out <-chan delivery) delivery {
	t.Helper()
	select {
	case d := <-out:
		return d
	case <-time.After(10 * time.Second):
		t.Fatal("no end of the delivery")
		return delivery{}
	}
}

func TestManners(t *testing.T) {
	for name, tt := range map[string]struct {
		manner manner
		check  func(delivery) bool
		taken  int64
	}{
		"takes":         {take, func(d delivery) bool { return d.status == 200 }, 1},
		"answers 503":   {answer(503), func(d delivery) bool { return d.status == 503 }, 0},
		"takes later":   {takeAfter(5 * time.Millisecond), func(d delivery) bool { return d.status == 200 }, 1},
		"takes in turn": {takePaced(1000), func(d delivery) bool { return d.status == 200 }, 1},
		"resets":        {reset, func(d delivery) bool { return errors.Is(d.err, syscall.ECONNRESET) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := startHook(t)
			h.behave(tt.manner)
			if d := within(t, deliverTo(t, h)); !tt.check(d) {
				t.Errorf("the delivery came to %+v", d)
			}
			if err := h.idle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if h.taken.Load() != tt.taken {
				t.Errorf("%d taken, want %d", h.taken.Load(), tt.taken)
			}
		})
	}
}

// TestHangs: nothing comes of a delivery until the endpoint behaves otherwise;
// then the one that hung is dropped and the next one taken.
func TestHangs(t *testing.T) {
	h := startHook(t)
	h.behave(hang)
	out := deliverTo(t, h)
	for h.under.Load() == 0 {
		select {
		case d := <-out:
			t.Fatalf("the delivery came to %+v", d)
		case <-time.After(time.Millisecond):
		}
	}
	h.behave(take)
	if d := within(t, out); !errors.Is(d.err, io.EOF) {
		t.Errorf("the one that hung came to %+v", d)
	}
	if d := within(t, deliverTo(t, h)); d.status != 200 || h.taken.Load() != 1 {
		t.Errorf("the next one came to %+v, %d taken", d, h.taken.Load())
	}
}

// TestLingeringEnds: who waits for a slow endpoint is served when it turns fast.
func TestLingeringEnds(t *testing.T) {
	h := startHook(t)
	h.behave(takeAfter(time.Hour))
	out := deliverTo(t, h)
	for h.under.Load() == 0 {
		select {
		case d := <-out:
			t.Fatalf("the delivery came to %+v", d)
		case <-time.After(time.Millisecond):
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if h.idle(ctx) == nil {
		t.Error("a hook that serves a request says that it is idle")
	}
	h.behave(take)
	if d := within(t, out); d.status != 200 {
		t.Errorf("the delivery came to %+v", d)
	}
}

func TestPacer(t *testing.T) {
	start := time.Now()
	p := &pacer{every: 5 * time.Millisecond}
	for _, tt := range []struct{ comes, turn int }{
		{0, 5}, {0, 10}, {1, 15}, {14, 20}, // each waits for those before
		{100, 105}, // what was not used is lost
		{100, 110},
	} {
		if got := p.turn(start.Add(time.Duration(tt.comes) * time.Millisecond)).Sub(start); got != time.Duration(tt.turn)*time.Millisecond {
			t.Errorf("who comes at %d ms is served at %v, want %d ms", tt.comes, got, tt.turn)
		}
	}
}
