package app

import (
	"slices"
	"time"

	"github.com/intertie/intertie/deliver"
)

// firstRetry is Event Grid's first delay. A schedule that begins with another
// one scales the waits that outcomes ask for with it.
const firstRetry = 10 * time.Second

// tune applies the settings that make retries and dead letters quick to test.
func (o Options) tune(d *deliver.Options) {
	if len(o.RetrySchedule) > 0 {
		d.Schedule = o.RetrySchedule
		d.Scale = float64(o.RetrySchedule[0]) / float64(firstRetry)
	}
	if o.DeadLetterDelay > 0 {
		d.DeadLetterDelay = o.DeadLetterDelay
	}
	d.Rules.RetryWebhookNotFound = o.RetryNotFound
}

// tiers are the delays of the retry streams: nine tenths of each delay in the
// schedule, as the log has it by default, and two short ones for the rest.
func (o Options) tiers() []time.Duration {
	if len(o.RetrySchedule) == 0 {
		return nil // the log's own
	}
	tiers := []time.Duration{time.Second, 3 * time.Second}
	for _, d := range o.RetrySchedule {
		if d = (d / 10 * 9).Truncate(time.Millisecond); d > tiers[0] {
			tiers = append(tiers, d)
		}
	}
	slices.Sort(tiers)
	return slices.Compact(tiers)
}
