package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// The server's live heap is small (some 10 MB idle) and it allocates much, so
// Go's default of collecting whenever the heap has doubled spends a tenth of the
// processor on it. Four times the live heap is allowed instead, until the soft
// limit makes the collector busier again. Under load most of what lives are
// blocks of bytes, which cost the collector next to nothing, so a low limit saves
// memory and takes no time that could be measured.
//
// The limit must leave room for what lives, or the collector would run all the
// time on a server with very many resources; so it moves up with that.
const (
	gcPercent        = 300
	leastMemoryLimit = 160 << 20
	liveShare        = 2 // the limit is at least that many times what lives
	memoryLookEvery  = time.Second

	liveHeap = "/gc/heap/live:bytes"
)

// tuneMemory sets the above, unless the environment says otherwise, until stop is
// called.
func tuneMemory() (stop func()) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	debug.SetMemoryLimit(leastMemoryLimit)
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { followLiveHeap(done) })
	return func() {
		close(done)
		running.Wait()
	}
}

// followLiveHeap keeps the limit above what lives, until done is closed.
func followLiveHeap(done <-chan struct{}) {
	tick := time.NewTicker(memoryLookEvery)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: liveHeap}}
	limit := memoryLimit(0)
	for {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindUint64 {
			return // this Go does not tell; the limit stays
		}
		if next := memoryLimit(sample[0].Value.Uint64()); next != limit {
			debug.SetMemoryLimit(next)
			limit = next
		}
	}
}

// memoryLimit is the soft limit while live bytes survived the last collection.
func memoryLimit(live uint64) int64 {
	return max(leastMemoryLimit, int64(min(live, 1<<50))*liveShare)
}

// settleMemory gives back what starting took and nothing needs any more: reading
// many resources leaves several times their size behind, which an idle server
// would keep until its next collection.
func settleMemory() { debug.FreeOSMemory() }
