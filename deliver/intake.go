package deliver

import (
	"context"

	"github.com/intertie/intertie/eventlog"
)

// events returns the handler of accepted events.
func (d *Dispatcher) events(ctx context.Context) func(eventlog.EventBatch) {
	r := &router{d: d}
	return func(b eventlog.EventBatch) {
		var bytes int64
		for i := range b.Entries {
			bytes += int64(len(b.Entries[i].Event.JSON)) + itemOverhead
		}
		if d.memory.acquire(ctx, bytes) != nil {
			return // stopping; the batch is handed out again
		}
		b.Finally(func() { d.memory.release(bytes) })
		now := d.now()
		for i := range b.Entries {
			r.route(&b.Entries[i], &b.Claims[i], now)
		}
		r.gathering.end(now)
	}
}

// dueRetries returns the handler of deliveries whose time has come.
func (d *Dispatcher) dueRetries(ctx context.Context) func(eventlog.DeliveryBatch) {
	var together gathering
	return func(b eventlog.DeliveryBatch) {
		bytes := batchBytes(b.Deliveries)
		if d.memory.acquire(ctx, bytes) != nil {
			return
		}
		b.Finally(func() { d.memory.release(bytes) })
		d.bodies.share(b.Deliveries)
		now := d.now()
		for i := range b.Deliveries {
			dl := &b.Deliveries[i]
			if l := d.lane(dl.Subscription); l != nil {
				it := returningItem(dl, &b.Claims[i], fromRetries, now)
				together.offer(l, &it, now)
				continue
			}
			d.drop(nil, *dl, reasonSubscriptionDeleted)
			b.Claims[i].Release()
		}
		together.end(now)
	}
}

func batchBytes(ds []eventlog.Delivery) int64 {
	var n int64
	for i := range ds {
		n += int64(len(ds[i].Event.JSON)) + itemOverhead
	}
	return n
}
