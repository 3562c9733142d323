package deliver

import "time"

// concurrency is how many attempts a lane makes at a time: one more after each
// round of successes that left work waiting, half after a failure.
type concurrency struct {
	limit, max int
	// credit counts successes since the limit last changed.
	credit int
	// cut is when the limit was last halved. Attempts that began before say
	// nothing about the new limit.
	cut time.Time
}

// succeed records a success; waiting tells whether more work is queued.
func (c *concurrency) succeed(waiting bool) {
	if !waiting || c.limit == c.max {
		return
	}
	if c.credit++; c.credit >= c.limit {
		c.limit++
		c.credit = 0
	}
}

// fail records a failure of an attempt that began at started.
func (c *concurrency) fail(started, now time.Time) {
	if started.Before(c.cut) {
		return
	}
	c.limit = max(1, c.limit/2)
	c.credit = 0
	c.cut = now
}
