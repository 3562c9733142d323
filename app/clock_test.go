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
		{"set forward by a day and more", 12 * time.Hour, 25 * time.Hour, 37 * time.Hour},
		{"set back again: that was no time at all", 13 * time.Hour, 0, 13 * time.Hour},
	} {
		if got := steady(tt.passed, tt.offset); !got.Equal(base.Add(tt.want)) {
			t.Errorf("%s: %v after the start, want %v", tt.name, got.Sub(base), tt.want)
		}
	}
	if c.Now().Before(start) {
		t.Error("Now went back")
	}
}

func TestClockIsDoubted(t *testing.T) {
	const day = 24 * time.Hour
	type reading struct {
		passed, offset time.Duration
		until          time.Duration // after the start, by the right clock; 0: no doubt
	}
	for name, tt := range map[string]struct {
		away     time.Duration // since the time that is known
		readings []reading
	}{
		"a short absence":      {time.Hour, []reading{{0, 0, 0}, {2 * day, 0, 0}}},
		"a day's absence":      {day, []reading{{0, 0, 0}}},
		"behind what is known": {-400 * day, []reading{{0, 0, 0}}},
		"a long absence, and an hour's proof": {90 * day, []reading{
			{0, 0, time.Hour}, {time.Hour - 1, 0, time.Hour}, {time.Hour, 0, 0}, {2 * time.Hour, 0, 0},
		}},
		"a wrong start that is set right": {0, []reading{
			{0, 365 * day, time.Hour}, {time.Minute, 0, 0}, {2 * time.Hour, 0, 0},
		}},
		"a long absence, and steps": {90 * day, []reading{
			{0, 0, time.Hour}, {30 * time.Minute, 10 * time.Minute, 90 * time.Minute}, {time.Hour, 10 * time.Minute, 90 * time.Minute}, {90 * time.Minute, 10 * time.Minute, 0},
		}},
		"set forward while it runs": {0, []reading{
			{0, 0, 0}, {time.Hour, 365 * day, 2 * time.Hour}, {2*time.Hour - 1, 365 * day, 2 * time.Hour}, {2 * time.Hour, 365 * day, 0},
		}},
		"set forward and back": {0, []reading{
			{0, 0, 0}, {time.Hour, 365 * day, 2 * time.Hour}, {time.Hour + 1, 0, 0},
		}},
		"set forward and back by less than it goes back": {0, []reading{
			// It tells more than the system does, so an hour proves nothing.
			{0, 0, 0}, {time.Hour, 2 * time.Hour, 2 * time.Hour}, {time.Hour + 1, 0, 2 * time.Hour}, {3 * time.Hour, 0, 2 * time.Hour}, {25 * time.Hour, 0, 0},
		}},
		"a small step": {0, []reading{{0, 0, 0}, {time.Hour, 4 * time.Minute, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			var now, wall time.Time
			c := clock{read: func() (time.Time, time.Time) { return now, wall }}
			for i, r := range tt.readings {
				now, wall = start.Add(r.passed), start.Round(0).Add(r.passed+r.offset)
				if i == 0 {
					c.Remember(start.Add(-tt.away))
				}
				until, doubted := c.Doubt()
				if doubted != (r.until > 0) {
					t.Fatalf("after %v: doubted: %v", r.passed, doubted)
				}
				if want := wall.Add(r.until - r.passed); doubted && r.passed < r.until && until.Sub(want).Abs() > 3*time.Hour {
					t.Errorf("after %v: until %v, want %v", r.passed, until, want)
				}
			}
		})
	}
}
