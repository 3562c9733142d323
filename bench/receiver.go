package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxTally is the number of events a slice can have.
	maxTally = 1 << 20
	// maxDelivery bounds one delivery's body, in bytes.
	maxDelivery = 16 << 20
	// drainTimeout is how long a slice's events may take to arrive after the
	// last was published.
	drainTimeout = 10 * time.Second
)

// receiver is the webhook that Intertie and the forwarder deliver to. It agrees
// to the CloudEvents validation handshake and answers every delivery 200.
type receiver struct {
	url   string
	epoch time.Time
	srv   *http.Server
	done  chan struct{} // closed when Serve has returned
	bufs  sync.Pool
	tally atomic.Pointer[tally]
}

// tally counts the events of one slice.
type tally struct {
	run  uint64
	gate chan struct{} // see load.gate
	// took is the time from sent to received in nanoseconds by sequence
	// number, 0 for what has not arrived.
	took     []atomic.Int64
	count    atomic.Uint64
	repeats  atomic.Uint64
	lastSeen atomic.Int64 // nanoseconds since the epoch
}

func newReceiver(epoch time.Time) (*receiver, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the receiver: %w", err)
	}
	r := &receiver{url: "http://" + ln.Addr().String() + "/events", epoch: epoch, done: make(chan struct{})}
	r.bufs.New = func() any { return new(bytes.Buffer) }
	r.srv = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.done)
		_ = r.srv.Serve(ln) // ends with ErrServerClosed; a broken listener shows as missing events
	}()
	return r, nil
}

func (r *receiver) close() {
	_ = r.srv.Close()
	<-r.done
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch req.Method {
	case http.MethodOptions:
		w.Header().Set("WebHook-Allowed-Origin", "*")
		w.Header().Set("WebHook-Allowed-Rate", "*")
		w.Header().Set("Allow", "POST, OPTIONS")
		return
	case http.MethodPost:
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	buf := r.bufs.Get().(*bytes.Buffer)
	defer r.bufs.Put(buf)
	buf.Reset()
	if _, err := io.Copy(buf, http.MaxBytesReader(w, req.Body, maxDelivery)); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.count(buf.Bytes())
}

// count books every event in a delivery, be it one object or an array.
func (r *receiver) count(body []byte) {
	t := r.tally.Load()
	now := int64(time.Since(r.epoch))
	for t != nil {
		at := bytes.Index(body, []byte(markKey))
		if at < 0 {
			return
		}
		body = body[at+len(markKey):]
		if m, ok := getMark(body); ok && m.run == t.run && m.seq < uint64(len(t.took)) {
			t.book(m, now)
		}
	}
}

func (t *tally) book(m mark, now int64) {
	if !t.took[m.seq].CompareAndSwap(0, max(now-m.sent, 1)) {
		t.repeats.Add(1)
		return
	}
	for last := t.lastSeen.Load(); now > last && !t.lastSeen.CompareAndSwap(last, now); last = t.lastSeen.Load() {
	}
	t.count.Add(1)
	select {
	case <-t.gate:
	default:
	}
}

// begin starts counting a slice; what arrives late from another is ignored.
func (r *receiver) begin(run uint64, gate chan struct{}) *tally {
	t := &tally{run: run, gate: gate, took: make([]atomic.Int64, maxTally)}
	r.tally.Store(t)
	return t
}

// errMissing is the cause when events did not arrive.
var errMissing = errors.New("events were published and did not arrive")

// wait returns when n events have arrived, and errMissing when they have not
// after the given time.
func (t *tally) wait(ctx context.Context, n uint64, drain time.Duration) error {
	late := time.NewTimer(drain)
	defer late.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for t.count.Load() < n {
		select {
		case <-tick.C:
		case <-late.C:
			return fmt.Errorf("%w: %d of %d are missing after %v", errMissing, n-t.count.Load(), n, drain)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// latencies returns the time each of the first n events took.
func (t *tally) latencies(n uint64) []time.Duration {
	ds := make([]time.Duration, 0, n)
	for i := range t.took[:n] {
		if d := t.took[i].Load(); d > 0 {
			ds = append(ds, time.Duration(d))
		}
	}
	return ds
}
