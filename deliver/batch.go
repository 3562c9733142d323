package deliver

import (
	"math"
	"slices"
	"time"

	"github.com/intertie/intertie/destination"
)

// batches is what a lane knows about sending several events at a time. The
// lane's mu protects it.
type batches struct {
	Batch
	// ceiling bounds the bytes of a batch, below what the subscription wants,
	// after its endpoint found one too large; 0 while it did not. It rises with
	// every success that it bounded, for the endpoint may have objected to one
	// of the events, or change its mind.
	ceiling int
	// part means that the lane is one of those that share BatchMemory.
	part bool
	// extra is what its attempts under way take of that.
	extra int
}

func (b *batches) on() bool { return b.Events > 1 }

// bytes is how many bytes of events an attempt carries; 0 means any number.
func (b *batches) bytes() int {
	if b.ceiling > 0 && (b.Bytes <= 0 || b.ceiling < b.Bytes) {
		return b.ceiling
	}
	return max(0, b.Bytes)
}

// refuse records that the endpoint found a batch of so many bytes too large.
func (b *batches) refuse(bytes int) {
	half := max(1, bytes/2)
	if b.ceiling == 0 || half < b.ceiling {
		b.ceiling = half
	}
}

// accept records that the endpoint took a batch of so many bytes. The ceiling
// rises by a 64th: an endpoint with a limit then refuses about one batch in
// fifty, and one that refused for another reason is soon given whole ones.
func (b *batches) accept(bytes int) {
	if b.ceiling == 0 || bytes < b.ceiling-b.ceiling/4 {
		return // the ceiling did not matter
	}
	b.ceiling += max(1, b.ceiling/64)
	if b.Bytes > 0 && b.ceiling >= b.Bytes {
		b.ceiling = 0
	}
}

const (
	// fewestParts is among how many lanes BatchMemory is shared at least, so
	// that there is always something left for one that begins.
	fewestParts = 4
	// queuedBatches is how many batches a queue has room for: one for each of the
	// attempts that a lane begins with, or what it cannot take would go through
	// the disk while the endpoint keeps up.
	queuedBatches = 8
	// usualBytes is the room in a queue for a batch without a bound of its own.
	usualBytes = 1 << 20
)

// batchShare is what each lane that batches may use of BatchMemory. Lanes that
// took more when there were fewer give it back with their attempts, and before
// it gets too much nobody takes more than the least.
func (d *Dispatcher) batchShare() int {
	if d.batchBytes.Load() >= 2*d.opts.BatchMemory {
		return smallestWindow
	}
	return max(smallestWindow, int(d.opts.BatchMemory/max(fewestParts, d.batching.Load())))
}

// takePart makes the lane share BatchMemory while it has something in memory
// and batches. mu is held.
func (l *lane) takePart() {
	if part := l.watched && l.batches.on(); part != l.batches.part {
		l.batches.part = part
		if part {
			l.d.batching.Add(1)
		} else {
			l.d.batching.Add(-1)
		}
	}
}

// bounds returns how many items and bytes the queue takes: some whole batches,
// if the lane's share of BatchMemory
// allows for so much more than any queue may hold. mu is held.
func (l *lane) bounds() (items, bytes int) {
	o := &l.d.opts
	if !l.batches.on() {
		return o.QueueItems, o.QueueBytes
	}
	b, share := &l.batches, l.d.batchShare()
	wanted := b.Bytes
	if wanted <= 0 {
		wanted = usualBytes
	}
	items = max(o.QueueItems, min(queuedBatches*b.Events, share/itemOverhead))
	bytes = max(o.QueueBytes, min(queuedBatches*(wanted+b.Events*itemOverhead), share))
	return items, bytes
}

// exceeds reports whether more is queued than n attempts would carry. mu is
// held.
func (l *lane) exceeds(n int) bool {
	if l.queue.len > n*max(1, l.batches.Events) {
		return true
	}
	if !l.batches.on() {
		return false
	}
	limit := l.batches.bytes()
	return limit > 0 && l.queue.payload() > n*limit
}

// hireForWhole is hire, except that a lane that batches waits for
// [lane.endGathering] before it begins with less than a whole batch. False
// means that something waits for that. mu is held.
func (l *lane) hireForWhole(now time.Time) bool {
	if !l.batches.on() {
		l.hire(now, 0)
		return true
	}
	if !l.exceeds(l.hired + 1) {
		return false
	}
	l.hire(now, 0)
	return true
}

// endGathering sees to it that what was offered is attempted. It comes when
// everything is queued that came with it, so that it goes out together too; it
// does not wait for more.
func (l *lane) endGathering(now time.Time) {
	l.mu.Lock()
	l.gathering = false
	l.hire(now, 0)
	l.mu.Unlock()
}

// gathering are the lanes that wait for the end of what a reader of the log
// hands over. It belongs to that reader's goroutine.
type gathering []*lane

func (g *gathering) offer(l *lane, it *item, now time.Time) {
	if l.offer(it, now) {
		*g = append(*g, l)
	}
}

func (g *gathering) end(now time.Time) {
	for _, l := range *g {
		l.endGathering(now)
	}
	clear(*g)
	*g = (*g)[:0]
}

// take moves what the next attempt carries from the head of the queue to w: as
// many items as fit by count, bytes and the lane's share of BatchMemory, but at
// least one. Items that need no attempt are taken out on the way. mu is held.
func (l *lane) take(w *worker) {
	w.sub = l.sub.Load()
	w.items = resize(w.items, 0)
	if !l.batches.on() {
		for l.queue.len > 0 && len(w.items) == 0 {
			l.takeNext(w)
		}
		return
	}
	limit, share := l.batches.bytes(), l.d.batchShare()
	if limit == 0 {
		limit = math.MaxInt
	}
	payload, extra := 0, 0
	for l.queue.len > 0 && len(w.items) < l.batches.Events {
		it := l.queue.peek()
		if len(w.items) > 0 {
			cost := it.size + itemOverhead // of the queue, and of the copy
			if payload+it.payload() > limit || l.batches.extra+extra+cost > share || it.apartFrom(&w.items[0], w.sub) {
				break
			}
			extra += cost
		}
		if size := it.payload(); l.takeNext(w) {
			payload += size
		}
	}
	w.extra = extra
	l.batches.extra += extra
	l.d.batchBytes.Add(int64(extra))
}

// takeNext moves the oldest item to w and reports whether it is to be
// attempted. mu is held.
func (l *lane) takeNext(w *worker) bool {
	n := len(w.items)
	w.items = slices.Grow(w.items, 1)[:n+1]
	it := &w.items[n]
	l.queue.popInto(it)
	switch {
	case l.late.Load() > 0 && l.tookLate(it.entry.ID):
		w.late = append(w.late, *it)
	case l.over(w.sub, it, w.now):
		w.over = append(w.over, *it)
	default:
		return true
	}
	*it = item{}
	w.items = w.items[:n]
	return false
}

// give returns what the attempt took of BatchMemory. mu is held.
func (l *lane) give(w *worker) {
	if w.extra != 0 {
		l.batches.extra -= w.extra
		l.d.batchBytes.Add(-int64(w.extra))
		w.extra = 0
	}
}

// halve reacts to an endpoint that finds a batch too large. What Azure does is
// not documented; giving up all events for the size of their company would lose
// those that the endpoint takes. So they go back to the head of the queue, and
// out again at once, half as many bytes at a time. The refusal was about the
// batch: it is no attempt of any event, and one that is refused alone is given
// up as ever.
func (l *lane) halve(w *worker, v destination.Verdict) {
	l.mu.Lock()
	l.batches.refuse(w.payload())
	l.health.failed(v, w.now)
	its := l.land(w)
	l.mu.Unlock()
	l.putBack(its, w.now)
}
