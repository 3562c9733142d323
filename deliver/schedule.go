package deliver

import (
	"time"

	"github.com/intertie/intertie/destination"
)

// lateness is the largest random share that is added to a delay, longestLateness
// the most it may come to. Azure speaks of a small randomization; ours only ever
// adds, so that no attempt is early, and adds so little that all attempts that
// Azure documents fit into the life of an event: eleven in a day, the last of
// them 22 h 46 min 40 s after the first. A tenth of everything would end after
// 25 h.
const (
	lateness        = 0.1
	longestLateness = 10 * time.Minute
)

// schedule is the delay after the first, second … failed attempt; the last one
// repeats.
type schedule []time.Duration

// after returns the delay after the n-th failed attempt, n counting from 1.
func (s schedule) after(n int) time.Duration { return s[min(n, len(s))-1] }

// spread returns a time that is at least delay after now and a little later,
// but not after end. r is uniform in [0,1).
func spread(now time.Time, delay time.Duration, end time.Time, r float64) time.Time {
	late := min(time.Duration(lateness*float64(delay)), longestLateness)
	due := now.Add(delay + time.Duration(r*float64(late)))
	if due.After(end) {
		return end
	}
	return due
}

// scaled returns one of Azure's fixed times on the dispatcher's scale.
func (d *Dispatcher) scaled(t time.Duration) time.Duration {
	return time.Duration(float64(t) * d.opts.Scale)
}

// policy returns what a failure means, on the dispatcher's scale, and how long
// the verdict itself wants the next attempt to wait: Azure's wait for an HTTP
// status, which is scaled too, or longer because the receiver asked for it, which
// is obeyed to the second.
func (d *Dispatcher) policy(k destination.Kind, v destination.Verdict) (destination.Policy, time.Duration) {
	p := d.opts.Rules.Policy(k, v.Outcome)
	p.Earliest, p.Probation = d.scaled(p.Earliest), d.scaled(p.Probation)
	return p, max(d.scaled(v.After), v.Asked)
}
