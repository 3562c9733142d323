package publish

import (
	"sync"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// Throttle limits what each custom topic, partner topic and domain takes, with
// one second of burst. Event Grid allows 5,000 events or 5 MB a second, whichever
// comes first. A request that is more than a second's worth passes when nothing else
// did for a second, and what comes after it waits until it is made up for. It is safe
// for concurrent use.
type Throttle struct {
	// Events and Bytes a second; 0 does not limit.
	Events, Bytes float64

	mu      sync.Mutex
	buckets map[resource.UID]*bucket
}

// limited is the resource whose limit an entry counts against: topics of a
// domain share the domain's.
func limited(e *eventlog.Entry) resource.UID {
	if !e.Domain.IsZero() {
		return e.Domain
	}
	return e.Topic
}

// bucket is what one resource may still take at a point in time: less than nothing
// after a request of more than a second's worth.
type bucket struct {
	events, bytes float64
	at            time.Time
	// asked is what the request under way wants; otherwise zero.
	asked struct{ events, bytes float64 }
}

// sweepAt is how many buckets there are before those that have filled up again,
// and so say nothing, are thrown away.
const sweepAt = 4096

// take books the entries with what they count against, or none of them and
// returns after which time to try again.
func (t *Throttle) take(entries []eventlog.Entry, now time.Time) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range entries {
		b := t.refill(limited(&entries[i]), now)
		b.asked.events++
		b.asked.bytes += float64(len(entries[i].Event.JSON))
	}
	for i := range entries {
		b := t.buckets[limited(&entries[i])]
		wait = max(wait, lacking(b.events, b.asked.events, t.Events), lacking(b.bytes, b.asked.bytes, t.Bytes))
	}
	for i := range entries {
		b := t.buckets[limited(&entries[i])]
		if wait == 0 {
			b.events -= b.asked.events
			b.bytes -= b.asked.bytes
		}
		b.asked.events, b.asked.bytes = 0, 0
	}
	return wait, wait == 0
}

// lacking is how long a rate takes until there is what was asked for, or as much as
// there can be.
func lacking(balance, asked, rate float64) time.Duration {
	if asked = min(asked, rate); rate <= 0 || balance >= asked {
		return 0
	}
	return max(time.Duration((asked-balance)/rate*float64(time.Second)), time.Millisecond)
}

// refill returns the bucket of a resource as it is now.
func (t *Throttle) refill(uid resource.UID, now time.Time) *bucket {
	b := t.buckets[uid]
	if b == nil {
		if t.buckets == nil {
			t.buckets = map[resource.UID]*bucket{}
		}
		if len(t.buckets) >= sweepAt {
			t.sweep(now)
		}
		b = &bucket{events: t.Events, bytes: t.Bytes, at: now}
		t.buckets[uid] = b
		return b
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.events = min(t.Events, b.events+passed*t.Events)
		b.bytes = min(t.Bytes, b.bytes+passed*t.Bytes)
		b.at = now
	}
	return b
}

// sweep drops the buckets that are full by now, but for those of the request under
// way.
func (t *Throttle) sweep(now time.Time) {
	for uid, b := range t.buckets {
		passed := now.Sub(b.at).Seconds()
		if b.asked.events == 0 && full(b.events, passed, t.Events) && full(b.bytes, passed, t.Bytes) {
			delete(t.buckets, uid)
		}
	}
}

// full reports whether a balance is as large as it gets after so many seconds.
func full(balance, passed, rate float64) bool { return rate <= 0 || balance+passed*rate >= rate }
