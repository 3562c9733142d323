package app

import (
	"time"

	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/engine/cluster"
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

// tiers are the delays for which a cluster keeps deliveries; nil leaves them to it.
func (o Options) tiers() []time.Duration {
	if len(o.RetrySchedule) == 0 {
		return nil
	}
	return cluster.TiersFor(o.RetrySchedule)
}
