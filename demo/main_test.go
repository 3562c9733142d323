package demo

import (
	"testing"

	"go.uber.org/goleak"
)

// The demo promises to leave nothing behind, goroutines included.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
