package main

import (
	"runtime/debug"
	"testing"
)

func TestMemoryLimitLeavesRoomForWhatLives(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int64
	}{
		{0, 160 << 20},
		{20 << 20, 160 << 20},
		{80 << 20, 160 << 20},
		{150 << 20, 300 << 20},
		{4 << 30, 8 << 30},
		{1 << 63, 1 << 51},
	} {
		if got := memoryLimit(c.live); got != c.want {
			t.Errorf("%d MB live: limit %d MB, want %d MB", c.live>>20, got>>20, c.want>>20)
		}
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
