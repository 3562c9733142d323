package app

import (
	"sync"
	"time"
)

// clock is the time of day, but for one thing: it never goes back. When the
// system's clock is set back, it goes on more slowly than time until that has
// caught up; when it is set forward, it follows at once. So what waits for a time
// does not wait for as long as a clock was wrong, and nothing is early.
//
// Its zero value is ready, and safe for concurrent use.
type clock struct {
	mu   sync.Mutex // protects the fields below
	seen time.Time  // of the system, with its monotonic reading
	told time.Time  // what was returned then
}

// catchUp is by how much slower than time it goes while it is ahead.
const catchUp = 10

// Now returns the time.
func (c *clock) Now() time.Time {
	now := time.Now()
	return c.steady(now, now.Round(0))
}

// steady returns the time when the system's clock says wall, and now is a reading
// whose difference to others is that of the monotonic clock.
func (c *clock) steady(now, wall time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := wall
	if !c.seen.IsZero() {
		passed := max(now.Sub(c.seen), 0)
		if slow := c.told.Add(passed - passed/catchUp); slow.After(wall) {
			next = slow
		}
	}
	c.seen, c.told = now, next
	return next
}
