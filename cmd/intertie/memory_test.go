package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryLimitLeavesRoomForWhatLives(t *testing.T) {
	for _, c := range []struct {
		live, rest uint64
		want       int64
	}{
		{0, 0, 160 << 20},
		{20 << 20, 10 << 20, 160 << 20},
		{80 << 20, 0, 160 << 20},
		{80 << 20, 1, 176 << 20},
		{60 << 20, 100 << 20, 224 << 20},
		{160 << 20, 0, 320 << 20},
		{4 << 30, 0, 8 << 30},
		{1 << 63, 1 << 63, 3 << 50},
	} {
		if got := memoryLimit(c.live, c.rest); got != c.want {
			t.Errorf("%d MB live, %d MB besides: limit %d MB, want %d MB", c.live>>20, c.rest>>20, got>>20, c.want>>20)
		}
	}
}

// All that is asked for must be known to the Go that this is built with.
func TestMemoryCanBeRead(t *testing.T) {
	runtime.GC()
	live, rest, ok := readMemory(memorySamples())
	if !ok || live == 0 || rest == 0 {
		t.Errorf("live %d, besides %d, %v", live, rest, ok)
	}
}

func TestEnvironmentDecidesOnMemory(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	defer func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}()
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	tuneMemory()()
	if got := debug.SetMemoryLimit(-1); got != leastMemoryLimit {
		t.Errorf("limit %d", got)
	}
	if got := debug.SetGCPercent(100); got != gcPercent {
		t.Errorf("percent %d", got)
	}
	debug.SetMemoryLimit(12345678)
	t.Setenv("GOGC", "77")
	t.Setenv("GOMEMLIMIT", "12345678")
	tuneMemory()()
	if got := debug.SetMemoryLimit(-1); got != 12345678 {
		t.Errorf("limit %d is not the environment's", got)
	}
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("percent %d is not the environment's", got)
	}
}
