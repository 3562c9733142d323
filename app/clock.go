package app

import (
	"sync"
	"time"
)

// clock is the time of day, but for two things.
//
// It does not go back by less than a day: when the system's clock is set back, it
// goes on more slowly than time until that has caught up; when it is set forward, it
// follows at once. So what waits for a time does not wait for as long as a clock was
// wrong, and nothing is early. A clock that was more than a day ahead was simply
// wrong, and is followed back: credentials and certificates are judged by this time
// as well, and it would take weeks to catch up.
//
// And it says when it is doubted, which see [clock.Doubt].
//
// Its zero value is ready, and safe for concurrent use.
type clock struct {
	// read returns a reading whose difference to others is that of the monotonic
	// clock, and what the system's clock says; nil reads both.
	read func() (now, wall time.Time)

	mu   sync.Mutex // protects the fields below
	seen time.Time  // of the system, with its monotonic reading
	told time.Time  // what was returned then
	// limit is the latest that it could be then without doubt; zero: nothing is known.
	limit time.Time
	// doubted is the reading at which the doubt began; zero: there is none.
	doubted time.Time
}

const (
	// catchUp is by how much slower than time it goes while it is ahead.
	catchUp = 10
	// longestCatchUp is how far ahead it may be without following the system back.
	longestCatchUp = 24 * time.Hour
	// longestAbsence is how far ahead of the time that was known last the clock may
	// be at a start.
	longestAbsence = 24 * time.Hour
	// longestStep is how far the clock may be set forward at once.
	longestStep = 5 * time.Minute
	// clockProof is for how long a clock has to run without a step to be believed.
	clockProof = time.Hour
)

// Now returns the time.
func (c *clock) Now() time.Time {
	if c.read != nil {
		return c.steady(c.read())
	}
	now := time.Now()
	return c.steady(now, now.Round(0))
}

// steady returns the time when the system's clock says wall, and now is a reading
// whose difference to others is that of the monotonic clock.
func (c *clock) steady(now, wall time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, passed := wall, time.Duration(0)
	if !c.seen.IsZero() {
		passed = max(now.Sub(c.seen), 0)
		slow := c.told.Add(passed - passed/catchUp)
		if ahead := slow.Sub(wall); ahead > 0 && ahead <= longestCatchUp {
			next = slow
		}
	}
	c.judge(now, passed, wall, next)
	c.seen, c.told = now, next
	return next
}

// judge decides whether next, which is to be told, is doubted. The caller holds mu.
func (c *clock) judge(now time.Time, passed time.Duration, wall, next time.Time) {
	if c.limit.IsZero() {
		return
	}
	c.limit = c.limit.Add(passed)
	stepped := next.Sub(c.told) > passed+longestStep
	switch {
	case !next.After(c.limit):
		c.doubted = time.Time{}
	case c.doubted.IsZero(), stepped:
		c.doubted = now
	case now.Sub(c.doubted) >= clockProof && next.Sub(wall) <= longestStep:
		c.doubted = time.Time{}
	}
	if c.doubted.IsZero() {
		c.limit = next.Add(longestStep)
	}
}

// Remember tells the clock a time that has certainly been. From now on it is doubted
// when it is ahead of that by more than a day.
func (c *clock) Remember(last time.Time) {
	c.Now() // limit is about the last reading
	c.mu.Lock()
	c.limit = last.Add(longestAbsence)
	c.mu.Unlock()
}

// Doubt says whether the clock may be far ahead, and if so, until when that holds if
// it goes on as it does. It is so from a start far ahead of what [clock.Remember] was
// told, or from a step forward, until the clock has run for an hour without a step,
// or is back. What cannot be undone and follows from the time alone has to wait: ask
// after the time that it is decided by was read.
func (c *clock) Doubt() (until time.Time, doubted bool) {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doubted.IsZero() {
		return time.Time{}, false
	}
	return now.Add(clockProof - c.seen.Sub(c.doubted)), true
}

// Doubted is whether there is [clock.Doubt].
func (c *clock) Doubted() bool {
	_, doubted := c.Doubt()
	return doubted
}
