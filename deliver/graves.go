package deliver

import (
	"sync"
	"time"

	"github.com/intertie/intertie/eventlog"
)

const (
	// blobItems and blobBytes bound the events of one blob.
	blobItems = 1000
	blobBytes = 4 << 20
	// gravesBytes bounds what all subscriptions have in memory of dead letters,
	// but for fewestGraves, which everyone may have: many stores that hang must
	// not keep others from being given something to write.
	gravesBytes  = 64 << 20
	fewestGraves = 64 << 10
	// blobLinger is how long a due dead letter waits for company.
	blobLinger = time.Second
	// blobPatience is how long a store may take before nothing more is kept in
	// memory for it: what waits there keeps records of the shared queue from
	// being Done.
	blobPatience = 2 * time.Second
	// shortestBlobRetry is how long a store that refused is left alone at least.
	shortestBlobRetry = 30 * time.Second
)

// graves are the due dead letters of one subscription. One goroutine writes
// them, while there are any.
type graves struct {
	full chan struct{}
	// mu protects the fields below.
	mu      sync.Mutex
	waiting []eventlog.Transfer
	bytes   int
	digging bool
	// began is when the blob under way was begun; zero when there is none.
	began time.Time
	// refusing is when the store refused for the first time since it last took a
	// blob, until how long it is left alone now. Both are zero while it works.
	refusing, until time.Time
}

// admits reports whether a dead letter may wait here for a store that has to be
// asked now: not while it is left alone or takes its time, and not more than
// two blobs. mu is held.
func (g *graves) admits(size int, buried int64, now time.Time) bool {
	switch {
	case pending(g.until, now), !g.began.IsZero() && now.Sub(g.began) > blobPatience:
		return false
	case len(g.waiting) >= 2*blobItems || g.bytes >= 2*blobBytes:
		return false
	default:
		return g.bytes+size <= fewestGraves || buried+int64(size) <= gravesBytes
	}
}

// bury takes over a due dead letter, unless it has to come back later.
func (l *lane) bury(p eventlog.Transfer, now time.Time) bool {
	size := len(p.Delivery.Event.JSON) + itemOverhead
	g := &l.graves
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.admits(size, l.d.buried.Load(), now) {
		return false
	}
	g.waiting = append(g.waiting, p)
	g.bytes += size
	l.d.buried.Add(int64(size))
	if !g.digging {
		g.digging = true
		l.d.tasks.Go(l.dig)
	}
	if len(g.waiting) >= blobItems || g.bytes >= blobBytes {
		select {
		case g.full <- struct{}{}:
		default:
		}
	}
	return true
}

// dig writes blobs until nothing is waiting.
func (l *lane) dig() {
	stopped := l.d.phases.intake.Done()
	for {
		linger := time.NewTimer(blobLinger)
		select {
		case <-linger.C:
		case <-l.graves.full:
		case <-stopped:
			linger.Stop()
			return // what waits stays in the dead-letter queue
		}
		linger.Stop()
		batch, size := l.graves.take(l.d.now())
		if len(batch) == 0 {
			return
		}
		l.write(l.d.phases.attempts, batch)
		l.d.buried.Add(-int64(size))
	}
}

// take returns the dead letters of the next blob; none means that the digging
// ended.
func (g *graves) take(now time.Time) (batch []eventlog.Transfer, size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for n < len(g.waiting) && n < blobItems && (n == 0 || size < blobBytes) {
		size += len(g.waiting[n].Delivery.Event.JSON) + itemOverhead
		n++
	}
	batch = g.waiting[:n:n]
	g.waiting = append([]eventlog.Transfer(nil), g.waiting[n:]...)
	g.bytes -= size
	g.digging = n > 0
	g.began = time.Time{}
	if n > 0 {
		g.began = now
	}
	return batch, size
}

// leftAlone reports whether the store is not to be asked now.
func (g *graves) leftAlone(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return pending(g.until, now)
}

// wrote records that the store took a blob, or that there was none to write.
func (g *graves) wrote() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.began, g.refusing, g.until = time.Time{}, time.Time{}, time.Time{}
}

// refused records that the store did not take a blob. It is left alone for as
// long as it has been refusing, but not longer than a fresh dead letter waits:
// the queue is read in the order written, so what comes back later than that
// would hold up the dead letters of others behind it.
func (g *graves) refused(now time.Time, longest time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.began = time.Time{}
	if g.refusing.IsZero() {
		g.refusing = now
	}
	g.until = now.Add(min(max(now.Sub(g.refusing), shortestBlobRetry), longest))
}

// next returns when a dead letter that finds no room now may come back, and
// whether the store is one that refuses.
func (g *graves) next(now time.Time) (due time.Time, refusing bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	due = now.Add(shortestBlobRetry)
	if pending(g.until, now) {
		due = g.until
	}
	return due, !g.refusing.IsZero()
}
