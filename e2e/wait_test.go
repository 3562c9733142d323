package e2e

import (
	"testing"
	"time"

	"github.com/intertie/intertie/internal/process"
)

// until waits for cond, and ends the test when it does not come true in time.
func until(t *testing.T, within time.Duration, what string, cond func() bool) {
	t.Helper()
	if !cameTrue(t.Context(), within, cond) {
		t.Fatalf("not within %s: %s", within, what)
	}
}

var (
	cameTrue = process.CameTrue
	after    = process.After
)
