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
// The limit must leave room for what lives and for what is no heap and counts all
// the same, or the collector would run all the time on a server with very many
// resources, or with very many connections and their stacks; so it moves up with
// them.
const (
	gcPercent        = 300
	leastMemoryLimit = 160 << 20
	liveShare        = 2 // the limit is at least that many times what lives, and what is no heap
	memoryStep       = 16 << 20
	memoryLookEvery  = time.Second

	liveHeap = "/gc/heap/live:bytes"
)

// noHeap are the metrics of memory that counts for the limit and is no heap.
var noHeap = []string{
	"/memory/classes/heap/stacks:bytes",
	"/memory/classes/metadata/mcache/free:bytes",
	"/memory/classes/metadata/mcache/inuse:bytes",
	"/memory/classes/metadata/mspan/free:bytes",
	"/memory/classes/metadata/mspan/inuse:bytes",
	"/memory/classes/metadata/other:bytes",
	"/memory/classes/os-stacks:bytes",
	"/memory/classes/other:bytes",
	"/memory/classes/profiling/buckets:bytes",
}

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
	samples := memorySamples()
	limit := memoryLimit(0, 0)
	for {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		live, rest, ok := readMemory(samples)
		if !ok {
			return // this Go does not tell; the limit stays
		}
		if next := memoryLimit(live, rest); next != limit {
			debug.SetMemoryLimit(next)
			limit = next
		}
	}
}

func memorySamples() []metrics.Sample {
	samples := []metrics.Sample{{Name: liveHeap}}
	for _, name := range noHeap {
		samples = append(samples, metrics.Sample{Name: name})
	}
	return samples
}

// readMemory returns how many bytes survived the last collection, and how many are
// no heap.
func readMemory(samples []metrics.Sample) (live, rest uint64, ok bool) {
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() != metrics.KindUint64 {
			return 0, 0, false
		}
		rest += s.Value.Uint64()
	}
	live = samples[0].Value.Uint64()
	return live, rest - live, true
}

// memoryLimit is the soft limit while live bytes survived the last collection, and
// rest bytes are no heap, in steps: each change of it stops the program for a moment.
func memoryLimit(live, rest uint64) int64 {
	need := min(live, 1<<50)*liveShare + min(rest, 1<<50)
	return max(leastMemoryLimit, int64(need+memoryStep-1)/memoryStep*memoryStep)
}

// settleMemory gives back what starting took and nothing needs any more: reading
// many resources leaves several times their size behind, which an idle server
// would keep until its next collection.
func settleMemory() { debug.FreeOSMemory() }
