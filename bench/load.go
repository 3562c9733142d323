package bench

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// connections is how many requests are under way at most.
const connections = 64

// answerTimeout is how long a request may go unanswered after its slice ended.
const answerTimeout = 10 * time.Second

// client holds open connections to one endpoint. One load at a time.
type client struct {
	conns []*conn
	reqs  []*request // reqs[i] belongs to conns[i]
}

// dial opens the connections, each for requests of the given number of events.
func dial(ctx context.Context, e Endpoint, events int) (*client, error) {
	u, err := loopback(e.URL)
	if err != nil {
		return nil, err
	}
	c := &client{}
	for range connections {
		r, err := newRequest(e, events)
		if err != nil {
			c.close()
			return nil, err
		}
		nc, err := dialConn(ctx, u.Host)
		if err != nil {
			c.close()
			return nil, err
		}
		c.conns, c.reqs = append(c.conns, nc), append(c.reqs, r)
	}
	return c, nil
}

func (c *client) close() {
	for _, nc := range c.conns {
		_ = nc.c.Close()
	}
	c.conns = nil
}

// load describes what to send.
type load struct {
	run   uint64
	epoch time.Time // marks count from here
	lasts time.Duration
	// rate is the number of requests a second in an open loop; 0 is a closed
	// loop.
	rate float64
	// gate bounds the events that were sent and have not arrived: sending puts
	// one in, arriving takes one out. Nil: no bound. Closed loop with one event
	// a request only.
	gate chan struct{}
	// limit is the number of events after which to stop early.
	limit uint64
}

// sent is what a load came to.
type sent struct {
	events    uint64
	start     time.Time
	elapsed   time.Duration // until the last answer
	latencies []time.Duration
}

// drive sends a load and returns when every request is answered. The first
// error ends it.
func (c *client) drive(ctx context.Context, l load) (sent, error) {
	deadline := time.Now().Add(l.lasts + answerTimeout)
	for _, nc := range c.conns {
		if err := nc.c.SetDeadline(deadline); err != nil {
			return sent{}, fmt.Errorf("set a deadline: %w", err)
		}
	}
	// A cancelled run must not wait for answers.
	stop := context.AfterFunc(ctx, func() {
		for _, nc := range c.conns {
			_ = nc.c.SetDeadline(time.Unix(1, 0))
		}
	})
	defer stop()

	s := sent{start: time.Now()}
	var err error
	if l.rate > 0 {
		s.latencies, s.events, err = c.open(ctx, l, s.start)
	} else {
		s.events, err = c.closed(ctx, l, s.start)
	}
	s.elapsed = time.Since(s.start)
	if ctx.Err() != nil {
		return s, context.Cause(ctx)
	}
	return s, err
}

// closed lets every connection send again as soon as it was answered.
func (c *client) closed(ctx context.Context, l load, start time.Time) (uint64, error) {
	over, cancel := context.WithDeadline(ctx, start.Add(l.lasts))
	defer cancel()
	var next, total atomic.Uint64
	g, gctx := errgroup.WithContext(over)
	for i, nc := range c.conns {
		req := c.reqs[i]
		g.Go(func() error {
			n := req.events()
			for gctx.Err() == nil {
				if l.gate != nil {
					select {
					case l.gate <- struct{}{}:
					case <-gctx.Done():
						return nil
					}
				}
				seq := next.Add(n) - n
				if seq+n > l.limit {
					return nil
				}
				req.stamp(mark{run: l.run, seq: seq, sent: int64(time.Since(l.epoch))})
				if err := nc.roundTrip(req.wire); err != nil {
					return err
				}
				total.Add(n)
			}
			return nil
		})
	}
	err := g.Wait()
	return total.Load(), err
}

// open sends at l.rate whatever the answers do, and measures from the moment a
// request should have left. When all connections are busy the requests queue
// here, and their latency tells.
func (c *client) open(ctx context.Context, l load, start time.Time) ([]time.Duration, uint64, error) {
	count := uint64(min(l.rate*l.lasts.Seconds(), float64(l.limit)))
	at := func(i uint64) time.Time { return start.Add(time.Duration(float64(i) / l.rate * float64(time.Second))) }
	due := make(chan uint64, count) // never blocks the pacer
	perConn := make([][]time.Duration, len(c.conns))

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(due)
		for i := uint64(0); i < count && gctx.Err() == nil; {
			if wait := time.Until(at(i)); wait > 0 {
				pause(wait)
				continue
			}
			due <- i
			i++
		}
		return nil
	})
	var total atomic.Uint64
	for w, nc := range c.conns {
		req := c.reqs[w]
		g.Go(func() error {
			for i := range due {
				n := req.events()
				req.stamp(mark{run: l.run, seq: i * n, sent: int64(at(i).Sub(l.epoch))})
				if err := nc.roundTrip(req.wire); err != nil {
					return err
				}
				perConn[w] = append(perConn[w], time.Since(at(i)))
				total.Add(n)
			}
			return nil
		})
	}
	err := g.Wait()
	return slices.Concat(perConn...), total.Load(), err
}

// quantile returns the value below which the share q of ds lies, which it
// sorts; 0 when empty.
func quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	return ds[min(int(q*float64(len(ds))), len(ds)-1)]
}
