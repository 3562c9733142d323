package e2e

import (
	"context"
	"testing"
	"time"
)

// until waits for cond, and ends the test when it does not come true in time.
func until(t *testing.T, within time.Duration, what string, cond func() bool) {
	t.Helper()
	if !cameTrue(t.Context(), within, cond) {
		t.Fatalf("not within %s: %s", within, what)
	}
}

// cameTrue looks at cond until it is true or time is up.
func cameTrue(ctx context.Context, within time.Duration, cond func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return cond()
		}
	}
	return true
}

// after waits for a moment under load; it is no way to wait for a condition.
func after(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
