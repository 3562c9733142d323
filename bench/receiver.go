package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxDelivery bounds one delivery's body, in bytes.
	maxDelivery = 16 << 20
	hookPath    = "/hook/"
)

// receiver is the server of all webhooks of a run. They agree to the
// CloudEvents validation handshake whatever they do with deliveries.
type receiver struct {
	base  string
	epoch time.Time
	srv   *http.Server
	done  chan struct{} // closed when Serve has returned
	bufs  sync.Pool

	mu    sync.Mutex // held to add a hook
	hooks atomic.Pointer[[]*hook]
}

// hook is one webhook. It answers deliveries 200 until told otherwise, and
// shows what arrives to its account.
type hook struct {
	url     string
	number  int
	conduct atomic.Pointer[conduct]
	account atomic.Pointer[account] // nil: nobody counts

	// taken and refused count requests, under those that are being served.
	taken, refused, under atomic.Int64
}

// conduct is how a hook behaves for a while.
type conduct struct {
	manner manner
	over   chan struct{} // closed when it behaves in another way
}

func newReceiver(epoch time.Time) (*receiver, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the receiver: %w", err)
	}
	r := &receiver{base: "http://" + ln.Addr().String(), epoch: epoch, done: make(chan struct{})}
	r.bufs.New = func() any { return new(bytes.Buffer) }
	r.hooks.Store(new([]*hook))
	r.srv = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.done)
		_ = r.srv.Serve(ln) // ends with ErrServerClosed; a broken listener shows as missing events
	}()
	return r, nil
}

// ease makes all hooks take what comes.
func (r *receiver) ease() {
	for _, h := range *r.hooks.Load() {
		h.behave(take)
	}
}

func (r *receiver) close() {
	r.ease()
	_ = r.srv.Close()
	<-r.done
}

// hook adds a webhook.
func (r *receiver) hook() *hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	hooks := *r.hooks.Load()
	h := &hook{number: len(hooks), url: r.base + hookPath + strconv.Itoa(len(hooks))}
	h.conduct.Store(&conduct{manner: take, over: make(chan struct{})})
	hooks = append(slices.Clip(hooks), h)
	r.hooks.Store(&hooks)
	return h
}

func (r *receiver) find(path string) *hook {
	digits, ok := strings.CutPrefix(path, hookPath)
	n, err := strconv.Atoi(digits)
	if hooks := *r.hooks.Load(); ok && err == nil && n >= 0 && n < len(hooks) {
		return hooks[n]
	}
	return nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := r.find(req.URL.Path)
	switch {
	case h == nil:
		w.WriteHeader(http.StatusNotFound)
		return
	case req.Method == http.MethodOptions:
		w.Header().Set("WebHook-Allowed-Origin", "*")
		w.Header().Set("WebHook-Allowed-Rate", "*")
		w.Header().Set("Allow", "POST, OPTIONS")
		return
	case req.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	h.under.Add(1)
	defer h.under.Add(-1)
	buf := r.bufs.Get().(*bytes.Buffer)
	defer r.bufs.Put(buf)
	buf.Reset()
	if _, err := io.Copy(buf, http.MaxBytesReader(w, req.Body, maxDelivery)); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c := h.conduct.Load()
	if !c.manner(w, req, c.over) {
		h.refused.Add(1)
		return
	}
	h.taken.Add(1)
	h.count(buf.Bytes(), int64(time.Since(r.epoch)))
}

// count books every event in a delivery, be it one object or an array.
func (h *hook) count(body []byte, now int64) {
	a := h.account.Load()
	for a != nil {
		at := bytes.Index(body, []byte(markKey))
		if at < 0 {
			return
		}
		body = body[at+len(markKey):]
		if m, ok := getMark(body); ok {
			(*a).book(h.number, m, now)
		}
	}
}

// report makes a the hook's account.
func (h *hook) report(a account) { h.account.Store(&a) }

// behave changes what the hook does with deliveries, also with those that linger
// in what it did before.
func (h *hook) behave(m manner) {
	close(h.conduct.Swap(&conduct{manner: m, over: make(chan struct{})}).over)
}

// idle waits until the hook serves no request.
func (h *hook) idle(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for h.under.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
