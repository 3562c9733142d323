package app

import (
	"testing"
	"time"
)

// TestClockNeverGoesBack moves the wall clock beside the monotonic one: a time with
// another offset is one that was set.
func TestClockNeverGoesBack(t *testing.T) {
	start := time.Now()
	var c clock
	steady := func(passed, offset time.Duration) time.Time {
		return c.steady(start.Add(passed), start.Round(0).Add(passed+offset))
	}
	base := start.Round(0)
	for _, tt := range []struct {
		name                 string
		passed, offset, want time.Duration
	}{
		{"the first", 0, 0, 0},
		{"as time goes by", time.Second, 0, time.Second},
		{"set forward by an hour", 2 * time.Second, time.Hour, time.Hour + 2*time.Second},
		{"set back again: nine tenths of a second in one", 3 * time.Second, 0, time.Hour + 2900*time.Millisecond},
		{"an hour later still ahead", time.Hour + 3*time.Second, 0, time.Hour + 54*time.Minute + 2900*time.Millisecond},
		{"it has caught up", 11 * time.Hour, 0, 11 * time.Hour},
	} {
		if got := steady(tt.passed, tt.offset); !got.Equal(base.Add(tt.want)) {
			t.Errorf("%s: %v after the start, want %v", tt.name, got.Sub(base), tt.want)
		}
	}
	if c.Now().Before(start) {
		t.Error("Now went back")
	}
}
