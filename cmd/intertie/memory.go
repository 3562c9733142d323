package main

import (
	"os"
	"runtime/debug"
)

// The server's live heap is small (some 10 MB idle) and it allocates much, so
// Go's default of collecting whenever the heap has doubled spends a tenth of the
// processor on it. Four times the live heap is allowed instead, until the soft
// limit makes the collector busier again.
const (
	gcPercent   = 300
	memoryLimit = 400 << 20
)

// tuneMemory sets the above, unless the environment says otherwise.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
