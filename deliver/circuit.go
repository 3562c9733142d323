package deliver

import "time"

const (
	// patience is how many failures in a row leave the probation time as the
	// policy has it; each further one doubles it.
	patience = 10
	// longestProbation bounds the doubling, on Azure's scale.
	longestProbation = time.Hour
	// farAhead is longer than any endpoint or store is left alone: an end further
	// ahead is of a clock that was wrong, and has come.
	farAhead = 24 * time.Hour
)

// CircuitState says whether a subscription's endpoint is attempted.
type CircuitState string

const (
	// Closed: the endpoint is attempted.
	Closed CircuitState = "Closed"
	// Open: in probation, no attempts.
	Open CircuitState = "Open"
	// HalfOpen: probation is over, one attempt at a time until one succeeds.
	HalfOpen CircuitState = "HalfOpen"
)

// circuit keeps an unhealthy endpoint from being attempted. It is plain state:
// its lane's mutex protects it and no timer runs; an open circuit becomes half
// open by being asked after its end.
type circuit struct {
	// until is the end of probation; zero while closed.
	until time.Time
	// round counts the openings. An attempt that began in an earlier round says
	// nothing new about the endpoint.
	round int
	// failures counts since the last success.
	failures int
	// longest is longestProbation on the dispatcher's scale.
	longest time.Duration
}

func (c *circuit) state(now time.Time) CircuitState {
	switch {
	case c.until.IsZero():
		return Closed
	case pending(c.until, now):
		return Open
	default:
		return HalfOpen
	}
}

// pending reports whether until is still to come.
func pending(until, now time.Time) bool {
	return now.Before(until) && until.Sub(now) <= farAhead
}

// fail records a failed attempt that began in the given round, after which the
// endpoint deserves probation (0: none), and reports whether the circuit is
// open now.
//
// Attempts made at the same time fail together: one burst would otherwise count
// as many failures in a row and double the time at once to its bound. So those
// that began in an earlier round may exhaust the patience but never double.
func (c *circuit) fail(round int, probation time.Duration, now time.Time) bool {
	if c.until.Sub(now) > farAhead {
		c.until = now
	}
	if round != c.round {
		c.failures = max(c.failures, min(c.failures+1, patience))
		if probation > 0 {
			c.extend(now.Add(probation))
		}
		return c.state(now) == Open
	}
	c.failures++
	if probation == 0 {
		return c.state(now) == Open
	}
	c.round++
	c.extend(now.Add(c.lengthen(probation)))
	return true
}

// lengthen doubles d for each failure beyond patience. A policy's own time that
// is longer than the bound stays.
func (c *circuit) lengthen(d time.Duration) time.Duration {
	for n := c.failures; n > patience && d < c.longest; n-- {
		d = min(2*d, c.longest)
	}
	return d
}

func (c *circuit) extend(until time.Time) {
	if until.After(c.until) {
		c.until = until
	}
}

// succeed closes the circuit.
func (c *circuit) succeed() {
	c.until, c.failures = time.Time{}, 0
}
