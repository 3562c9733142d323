package deliver

import (
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// itemOverhead is what an item costs beside the event itself.
const itemOverhead = 256

// source says which queue of the log holds an item.
type source uint8

const (
	fromEvents source = iota
	fromRetries
	fromBacklog
)

// item is one event on its way to one subscription.
type item struct {
	entry *eventlog.Entry
	// prior is the record of what happened before; nil on the first try.
	prior *eventlog.Delivery
	claim *eventlog.Claim
	// queued is when the item was read from the log.
	queued time.Time
	size   int
	from   source
	// group is what a target that groups said of the event; nil until it was
	// asked.
	group *group
}

func freshItem(e *eventlog.Entry, c *eventlog.Claim, now time.Time) item {
	return item{entry: e, claim: c, queued: now, size: len(e.Event.JSON) + itemOverhead, from: fromEvents}
}

func returningItem(d *eventlog.Delivery, c *eventlog.Claim, from source, now time.Time) item {
	return item{
		entry: &d.Entry, prior: d, claim: c, queued: now, size: len(d.Event.JSON) + itemOverhead, from: from,
	}
}

// attempts counts those already made.
func (it *item) attempts() int {
	if it.prior == nil {
		return 0
	}
	return it.prior.Attempts
}

// payload is the size of the event itself.
func (it *item) payload() int { return it.size - itemOverhead }

// delivery returns the item as a record that the log can keep.
func (it *item) delivery(sub resource.UID) eventlog.Delivery {
	if it.prior == nil {
		return eventlog.Delivery{Entry: *it.entry, Subscription: sub}
	}
	return *it.prior
}

// queue is a ring of items that grows as needed; its bound is the lane's
// business. The zero value is empty.
type queue struct {
	ring  []item
	head  int
	len   int
	bytes int
	// loose counts the items that hold something else than the lane's backlog.
	loose int
}

func (q *queue) push(it *item) {
	if q.len == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.len)&(len(q.ring)-1)] = *it
	q.len++
	q.bytes += it.size
	if it.from != fromBacklog {
		q.loose++
	}
}

// pushFront puts an item back that was popped last.
func (q *queue) pushFront(it *item) {
	if q.len == len(q.ring) {
		q.grow()
	}
	q.head = (q.head - 1) & (len(q.ring) - 1)
	q.ring[q.head] = *it
	q.len++
	q.bytes += it.size
	if it.from != fromBacklog {
		q.loose++
	}
}

// payload is the size of the events themselves.
func (q *queue) payload() int { return q.bytes - q.len*itemOverhead }

// pop removes the oldest item. The queue must not be empty.
func (q *queue) pop() (it item) {
	q.popInto(&it)
	return it
}

// popInto is pop without a further copy.
func (q *queue) popInto(it *item) {
	*it = q.ring[q.head]
	q.ring[q.head] = item{} // lets go of the batch
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.len--
	q.bytes -= it.size
	if it.from != fromBacklog {
		q.loose--
	}
}

// peek returns the oldest item. The queue must not be empty.
func (q *queue) peek() *item { return &q.ring[q.head] }

// takeAll empties the queue and frees the ring.
func (q *queue) takeAll() []item {
	all := make([]item, 0, q.len)
	for q.len > 0 {
		all = append(all, q.pop())
	}
	*q = queue{}
	return all
}

// grow doubles the ring. Its length is always a power of two.
func (q *queue) grow() {
	ring := make([]item, max(8, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}
