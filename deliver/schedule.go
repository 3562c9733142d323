package deliver

import "time"

// lateness is the largest random share that is added to a delay. Azure speaks
// of a small randomization; ours only ever adds, so that no attempt is early.
const lateness = 0.1

// schedule is the delay after the first, second … failed attempt; the last one
// repeats.
type schedule []time.Duration

// after returns the delay after the n-th failed attempt, n counting from 1.
func (s schedule) after(n int) time.Duration { return s[min(n, len(s))-1] }

// spread returns a time that is at least delay after now and at most a tenth of
// it later, but not after end. r is uniform in [0,1).
func spread(now time.Time, delay time.Duration, end time.Time, r float64) time.Time {
	due := now.Add(delay + time.Duration(r*lateness*float64(delay)))
	if due.After(end) {
		return end
	}
	return due
}
