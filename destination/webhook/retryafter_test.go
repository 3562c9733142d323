package webhook

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"120":                            2 * time.Minute,
		" 120 ":                          2 * time.Minute,
		"3600":                           time.Hour,
		"3601":                           time.Hour,
		"99999999999999999999999":        time.Hour,
		"-1":                             0,
		"1.5":                            0,
		"soon":                           0,
		"12 s":                           0,
		"Sun, 01 Mar 2026 08:00:30 GMT":  30 * time.Second,
		"Sunday, 01-Mar-26 08:00:30 GMT": 30 * time.Second,
		"Sun Mar  1 08:00:30 2026":       30 * time.Second,
		"Sun, 01 Mar 2026 07:00:00 GMT":  0,
		"Sun, 01 Mar 2099 08:00:00 GMT":  time.Hour,
	} {
		if got := retryAfter(in, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "7", "Sun, 01 Mar 2026 08:00:30 GMT", "99999999999999999999", "-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := retryAfter(s, time.Unix(0, 0)); d < 0 || d > maxRetryAfter {
			t.Errorf("retryAfter(%q) = %s", s, d)
		}
	})
}
