package publish

import (
	"sync"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// Throttle limits what each custom topic, partner topic and domain takes, with
// one second of burst. Event Grid allows 5,000 events or 5 MB a second, whichever
// comes first. It is safe for concurrent use.
type Throttle struct {
	// Events and Bytes a second; 0 does not limit. Bytes must be at least the
	// size of the largest request, or that can never pass.
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

// bucket is what one resource may still take at a point in time.
type bucket struct {
	events, bytes float64
	at            time.Time
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
		b.events--
		b.bytes -= float64(len(entries[i].Event.JSON))
	}
	for i := range entries {
		b := t.buckets[limited(&entries[i])]
		wait = max(wait, lacking(b.events, t.Events), lacking(b.bytes, t.Bytes))
	}
	if wait == 0 {
		return 0, true
	}
	for i := range entries {
		b := t.buckets[limited(&entries[i])]
		b.events++
		b.bytes += float64(len(entries[i].Event.JSON))
	}
	return wait, false
}

// lacking is how long a rate takes to make up for a negative balance.
func lacking(balance, rate float64) time.Duration {
	if rate <= 0 || balance >= 0 {
		return 0
	}
	return max(time.Duration(-balance/rate*float64(time.Second)), time.Millisecond)
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

// sweep drops the buckets that are full by now. A request's own are never among
// them: they were refilled at this very time.
func (t *Throttle) sweep(now time.Time) {
	for uid, b := range t.buckets {
		if now.Sub(b.at) > time.Second {
			delete(t.buckets, uid)
		}
	}
}
