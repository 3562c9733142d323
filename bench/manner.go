package bench

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// manner is what a webhook does with a delivery that it has read. It reports
// whether it took it; then the answer is 200. It returns soon after over is
// closed.
type manner func(w http.ResponseWriter, r *http.Request, over <-chan struct{}) bool

// take is how an endpoint should be.
func take(http.ResponseWriter, *http.Request, <-chan struct{}) bool { return true }

// answer refuses everything with a status.
func answer(status int) manner {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) bool {
		w.WriteHeader(status)
		return false
	}
}

// takeAfter takes everything, each request some time after it came.
func takeAfter(d time.Duration) manner {
	return func(_ http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
		linger(r, d, over)
		return r.Context().Err() == nil
	}
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
	select {
	case <-r.Context().Done():
	case <-over:
	}
	panic(http.ErrAbortHandler)
}

// reset breaks the connection without an answer.
func reset(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) bool {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // cannot be: the server speaks HTTP/1.1 only
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing sends a reset instead of a farewell
	}
	_ = c.Close()
	return false
}

// takePaced takes everything, so many requests a second and no more: one that
// comes too early waits for its turn.
func takePaced(rate float64) manner {
	p := &pacer{every: time.Duration(float64(time.Second) / rate)}
	return func(_ http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
		now := time.Now()
		linger(r, p.turn(now).Sub(now), over)
		return r.Context().Err() == nil
	}
}

// linger waits for d, or until nobody waits for the answer any more.
func linger(r *http.Request, d time.Duration, over <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	case <-over:
	}
}

// pacer gives out turns, each some time after the one before. A turn that nobody
// took is lost: there is no catching up. Safe for concurrent use.
type pacer struct {
	every time.Duration

	mu   sync.Mutex // protects last
	last time.Time  // turn given out
}

// turn returns when the one who comes now has been served.
func (p *pacer) turn(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.Before(now) {
		p.last = now
	}
	p.last = p.last.Add(p.every)
	return p.last
}
