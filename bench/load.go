package bench

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// connections is how many requests are under way at most, unless a scenario
// says otherwise.
const connections = 64

// answerTimeout is how long a request may go unanswered after its load ended,
// unless a scenario says otherwise.
const answerTimeout = 10 * time.Second

// client holds open connections to one server. One load at a time.
type client struct {
	conns []*conn
	// reqs[i] belong to conns[i]: one for each endpoint.
	reqs [][]*request
}

// plan is what a client is for.
type plan struct {
	conns  int // 0 is [connections]
	events int // in a request
	// endpoints are all on one server and get a request each in turn.
	endpoints []Endpoint
}

// dial opens the connections.
func dial(ctx context.Context, p plan) (*client, error) {
	if p.conns == 0 {
		p.conns = connections
	}
	host := ""
	for _, e := range p.endpoints {
		u, err := loopback(e.URL)
		if err != nil {
			return nil, err
		}
		if host != "" && host != u.Host {
			return nil, fmt.Errorf("%s and %s are two servers", host, u.Host)
		}
		host = u.Host
	}
	c := &client{}
	for range p.conns {
		var reqs []*request
		for _, e := range p.endpoints {
			r, err := newRequest(e, p.events)
			if err != nil {
				c.close()
				return nil, err
			}
			reqs = append(reqs, r)
		}
		nc, err := dialConn(ctx, host)
		if err != nil {
			c.close()
			return nil, err
		}
		c.conns, c.reqs = append(c.conns, nc), append(c.reqs, reqs)
	}
	return c, nil
}

func (c *client) close() {
	for _, nc := range c.conns {
		_ = nc.c.Close()
	}
	c.conns = nil
}

// load describes what to send. With several endpoints, the first request goes to
// the first, the next to the second and so on; each has sequence numbers of its
// own, and the number of its run is run and its index.
type load struct {
	run   uint64
	epoch time.Time // marks count from here
	lasts time.Duration
	// patience is how long after that the last request may go unanswered; 0 is
	// answerTimeout.
	patience time.Duration
	// rate is the number of requests a second in an open loop; 0 is a closed
	// loop.
	rate float64
	// gate bounds what was sent and has not arrived, in a closed loop; arrivals
	// is how often an event arrives, 0 is once.
	gate     *gate
	arrivals uint64
	// limit is the number of events, for each endpoint, after which to stop
	// early.
	limit uint64
	// kind is the kind of an event by its sequence number; nil: 0. With one
	// event a request only.
	kind func(seq uint64) uint64
}

// next prepares the n-th request of a load on connection w.
func (c *client) next(l *load, w int, n uint64, at time.Time) (wire []byte, events uint64) {
	endpoints := uint64(len(c.reqs[w]))
	req := c.reqs[w][n%endpoints]
	events = req.events()
	seq := n / endpoints * events
	req.stamp(mark{run: l.run + n%endpoints, seq: seq, sent: int64(at.Sub(l.epoch))})
	if l.kind != nil {
		req.setKind(l.kind(seq))
	}
	return req.wire, events
}

// requests is how many requests a load may have.
func (c *client) requests(l *load) uint64 {
	return l.limit / c.reqs[0][0].events() * uint64(len(c.reqs[0]))
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
	deadline := time.Now().Add(l.lasts + max(l.patience, answerTimeout))
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
	most := c.requests(&l)
	arrivals := int64(max(l.arrivals, 1) * c.reqs[0][0].events()) //nolint:gosec // both are small
	var next, total atomic.Uint64
	g, gctx := errgroup.WithContext(over)
	for w, nc := range c.conns {
		g.Go(func() error {
			for l.gate.enter(gctx, arrivals) {
				n := next.Add(1) - 1
				if n >= most {
					return nil
				}
				wire, events := c.next(&l, w, n, time.Now())
				if err := nc.roundTrip(wire); err != nil {
					return err
				}
				total.Add(events)
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
	count := min(uint64(l.rate*l.lasts.Seconds()), c.requests(&l))
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
		g.Go(func() error {
			for i := range due {
				wire, events := c.next(&l, w, i, at(i))
				if err := nc.roundTrip(wire); err != nil {
					return err
				}
				perConn[w] = append(perConn[w], time.Since(at(i)))
				total.Add(events)
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
