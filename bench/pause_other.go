//go:build !linux

package bench

import "time"

// pause sleeps for about d, and may return early.
func pause(d time.Duration) { time.Sleep(min(d, 50*time.Millisecond)) }
