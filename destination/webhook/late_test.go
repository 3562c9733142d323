package webhook

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

// endpoint is a receiver without a network, so that its clock can be a fake
// one. It reads each request and answers status after the delay; without a
// status it answers nothing.
type endpoint struct {
	delay  time.Duration
	status string
	began  time.Time
	mu     sync.Mutex
	closed []time.Duration // when requests were cut off, after the beginning
	open   sync.WaitGroup
}

// client returns a client with default times, all of whose requests reach e.
func (e *endpoint) client() *Client {
	e.began = time.Now()
	c := NewClient(Options{AllowPrivate: true})
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		e.open.Go(func() { e.talk(theirs) })
		return ours, nil
	}
	return c
}

func (e *endpoint) talk(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		cut := make(chan struct{})
		e.open.Go(func() {
			defer close(cut)
			_, _ = br.Peek(1)
		})
		answer := (<-chan time.Time)(nil)
		if e.status != "" {
			answer = time.After(e.delay)
		}
		select {
		case <-answer:
			_, _ = io.WriteString(c, "HTTP/1.1 "+e.status+"\r\nContent-Length: 0\r\n\r\n")
			<-cut
		case <-cut:
			e.mu.Lock()
			e.closed = append(e.closed, time.Since(e.began))
			e.mu.Unlock()
			return
		}
	}
}

// cuts returns when requests were cut off, and forgets it.
func (e *endpoint) cuts() []time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	closed := e.closed
	e.closed = nil
	return closed
}

// held returns how many requests wait for late answers, and their bytes.
func held(c *Client) (int, int64) {
	c.late.mu.Lock()
	defer c.late.mu.Unlock()
	return len(c.late.open), c.late.bytes
}

// wait ends the client and waits for what is left of the requests.
func (e *endpoint) wait(c *Client) {
	c.Close()
	e.open.Wait()
}

// late returns a notification that counts late answers.
func late(calls *atomic.Int64) *destination.Notification {
	n := notification()
	n.Late = func() { calls.Add(1) }
	return n
}

func TestLateAnswers(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name   string
		delay  time.Duration
		status string
		deaf   bool // nobody wants to know of late answers
		want   destination.Outcome
		took   time.Duration
		late   int64
		closed []time.Duration
	}{
		{name: "in time", delay: 29 * s, status: "200 OK", want: destination.Delivered, took: 29 * s},
		{name: "in time, refused", delay: 29 * s, status: "400 Bad", want: destination.BadRequest, took: 29 * s},
		{name: "late", delay: 31 * s, status: "200 OK", want: destination.TimedOut, took: 30 * s, late: 1},
		{name: "late, no content", delay: 90 * s, status: "204 No Content", want: destination.TimedOut, took: 30 * s, late: 1},
		{name: "late, at the end", delay: 179 * s, status: "200 OK", want: destination.TimedOut, took: 30 * s, late: 1},
		{name: "late, refused", delay: 31 * s, status: "503 Busy", want: destination.TimedOut, took: 30 * s},
		{name: "late, no success", delay: 31 * s, status: "206 Partial", want: destination.TimedOut, took: 30 * s},
		{
			name: "too late", delay: 181 * s, status: "200 OK", want: destination.TimedOut, took: 30 * s,
			closed: []time.Duration{180 * s},
		},
		{name: "never", want: destination.TimedOut, took: 30 * s, closed: []time.Duration{180 * s}},
		{
			name: "nobody listens", delay: 31 * s, status: "200 OK", deaf: true, want: destination.TimedOut, took: 30 * s,
			closed: []time.Duration{30 * s},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{delay: tt.delay, status: tt.status}
				c := e.client()
				defer e.wait(c)
				var calls atomic.Int64
				n := late(&calls)
				if tt.deaf {
					n.Late = nil
				}
				v := c.Target("http://hook.test/").Deliver(t.Context(), n)
				if took := time.Since(e.began); v.Outcome != tt.want || took != tt.took {
					t.Errorf("verdict = %+v after %s, want %s after %s", v, took, tt.want, tt.took)
				}
				if n := calls.Load(); n != 0 {
					t.Errorf("Late was called %d times before its time", n)
				}
				<-time.After(10 * time.Minute)
				if n := calls.Load(); n != tt.late {
					t.Errorf("Late was called %d times, want %d", n, tt.late)
				}
				if diff := cmp.Diff(tt.closed, e.cuts()); diff != "" {
					t.Errorf("cut off (-want +got):\n%s", diff)
				}
				if n, bytes := held(c); n != 0 || bytes != 0 {
					t.Errorf("%d requests, %d bytes are left", n, bytes)
				}
			})
		})
	}
}

// deliverAll makes count deliveries at once.
func deliverAll(t *testing.T, d destination.Target, n *destination.Notification, count int) {
	t.Helper()
	var wg sync.WaitGroup
	for range count {
		wg.Go(func() {
			if v := d.Deliver(t.Context(), n); v.Outcome != destination.TimedOut {
				t.Errorf("verdict = %+v, want TimedOut", v)
			}
		})
	}
	wg.Wait()
}

func TestLateAnswersAreBounded(t *testing.T) {
	big := notify(&event.Event{JSON: bytes.Repeat([]byte("x"), maxLateBytes/2+1)})
	for _, tt := range []struct {
		name           string
		targets, each  int
		n              *destination.Notification
		wait, cutShort int
	}{
		{"per target", 2, maxLatePerTarget + 3, notification(), 2 * maxLatePerTarget, 6},
		{"per client", maxLate/maxLatePerTarget + 2, maxLatePerTarget, notification(), maxLate, 2 * maxLatePerTarget},
		{"by size", 1, 3, big, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				c := e.client()
				defer e.wait(c)
				var calls atomic.Int64
				n := *tt.n
				n.Late = func() { calls.Add(1) }
				targets := make([]destination.Target, tt.targets)
				for i := range targets {
					targets[i] = c.Target("http://hook.test/")
				}
				// The second round finds the room that the first one gave back.
				for round := range 2 {
					e.began = time.Now()
					var wg sync.WaitGroup
					for _, d := range targets {
						wg.Go(func() { deliverAll(t, d, &n, tt.each) })
					}
					wg.Wait()
					if n, _ := held(c); n != tt.wait {
						t.Errorf("round %d: %d requests go on, want %d", round, n, tt.wait)
					}
					<-time.After(10 * time.Minute)
					at := map[time.Duration]int{}
					for _, d := range e.cuts() {
						at[d]++
					}
					want := map[time.Duration]int{30 * time.Second: tt.cutShort, 180 * time.Second: tt.wait}
					if diff := cmp.Diff(want, at); diff != "" {
						t.Errorf("round %d: cut off (-want +got):\n%s", round, diff)
					}
				}
				if n := calls.Load(); n != 0 {
					t.Errorf("Late was called %d times", n)
				}
			})
		})
	}
}

func TestCloseEndsWhatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{delay: 40 * time.Second, status: "200 OK"}
		c := e.client()
		var calls atomic.Int64
		deliverAll(t, c.Target("http://hook.test/"), late(&calls), 5)
		c.Close()
		if took := time.Since(e.began); took != 30*time.Second {
			t.Errorf("Close took until %s", took)
		}
		e.open.Wait()
		if cut := len(e.cuts()); cut != 5 || calls.Load() != 0 {
			t.Errorf("%d requests cut off, %d late answers; want 5, none", cut, calls.Load())
		}
		// A closed client still delivers, but waits for nothing.
		deliverAll(t, c.Target("http://hook.test/"), late(&calls), 1)
		<-time.After(time.Minute)
		e.wait(c)
		if diff := cmp.Diff([]time.Duration{60 * time.Second}, e.cuts()); diff != "" {
			t.Errorf("cut off (-want +got):\n%s", diff)
		}
	})
}

func TestALateRequestOutlivesItsCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{delay: 40 * time.Second, status: "200 OK"}
		c := e.client()
		defer e.wait(c)
		var calls atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		if v := c.Target("http://hook.test/").Deliver(ctx, late(&calls)); v.Outcome != destination.TimedOut {
			t.Fatalf("verdict = %+v, want TimedOut", v)
		}
		cancel()
		<-time.After(time.Minute)
		if calls.Load() != 1 {
			t.Errorf("Late was called %d times, want once", calls.Load())
		}
	})
}

func TestALateRefusalForgetsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{delay: 40 * time.Second, status: "401 Unauthorized"}
		c := e.client()
		defer e.wait(c)
		s := &numbered{}
		var calls atomic.Int64
		deliverAll(t, newTestTarget(t, c, TargetOptions{URL: "http://hook.test/", Token: s}), late(&calls), 1)
		<-time.After(time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if diff := cmp.Diff([]string{"token-0"}, s.refused); diff != "" || calls.Load() != 0 {
			t.Errorf("%d late answers, forgotten (-want +got):\n%s", calls.Load(), diff)
		}
	})
}

func TestIdleRunnersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{delay: time.Second, status: "200 OK"}
		c := e.client()
		defer e.wait(c)
		d := c.Target("http://hook.test/")
		for range 2 {
			var wg sync.WaitGroup
			for range 2 * maxIdleRunners {
				wg.Go(func() {
					var calls atomic.Int64
					if v := d.Deliver(t.Context(), late(&calls)); v.Outcome != destination.Delivered {
						t.Errorf("verdict = %+v, want Delivered", v)
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			c.runners.mu.Lock()
			idle := c.runners.idle
			c.runners.mu.Unlock()
			if idle != maxIdleRunners {
				t.Errorf("%d goroutines are idle, want %d", idle, maxIdleRunners)
			}
		}
	})
}

func TestACallerWhoGivesUpEndsItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.client()
		defer e.wait(c)
		var calls atomic.Int64
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		v := c.Target("http://hook.test/").Deliver(ctx, late(&calls))
		if took := time.Since(e.began); v.Outcome != destination.Aborted || took != 7*time.Second {
			t.Errorf("verdict = %+v after %s, want Aborted after 7 s", v, took)
		}
	})
}

// Around the time limit an answer is in time or late, never both and never
// lost.
func TestAnswersAtTheTimeLimitCountOnce(t *testing.T) {
	const limit = 20 * time.Millisecond
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		<-time.After(limit - 5*time.Millisecond + rand.N(10*time.Millisecond))
	})
	c := newTestClient(t, Options{Timeout: limit})
	var inTime, overtime, told atomic.Int64
	d := c.Target(url)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				answered := make(chan struct{})
				n := notification()
				n.Late = func() { told.Add(1); close(answered) } // a second call would panic
				switch v := d.Deliver(t.Context(), n); v.Outcome {
				case destination.Delivered:
					inTime.Add(1)
				case destination.TimedOut:
					overtime.Add(1)
					<-answered
				default:
					t.Errorf("verdict = %+v", v)
				}
			}
		})
	}
	wg.Wait()
	if inTime.Load()+overtime.Load() != 160 || told.Load() != overtime.Load() {
		t.Errorf("%d in time, %d late, %d told", inTime.Load(), overtime.Load(), told.Load())
	}
}
