package enginetest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
)

// Harness makes the engines of one implementation, and says where the contract
// leaves it a choice.
type Harness struct {
	// New makes an empty place. What it takes is given back when t ends.
	New func(t testing.TB) Place

	// Atomic says that a Move is one write: once it has returned, what it moved
	// from does not come back after a crash.
	Atomic bool
	// SettledSurvives says that what a record tells of its settled events outlives
	// a crash.
	SettledSurvives bool

	// Checks is how many histories Random tries; 0 means 100. It is a fifth of it
	// with -short, and -rapid.checks goes before it.
	Checks int
	// Patience is how long a test waits for what must come; 0 means 30 s.
	Patience time.Duration
	// Leaks are goroutines that an engine may leave behind.
	Leaks []goleak.Option
}

// Place is where an engine keeps its things. One engine at a time is open on it.
type Place interface {
	// Open opens an engine on what is there.
	Open(ctx context.Context) (engine.Engine, error)
	// Crash ends e as kill -9 or a power cut does, at once, and waits for what it
	// leaves running. The next engine finds what was durable when Crash was called,
	// and perhaps some of what was under way.
	Crash(e engine.Engine)
}

// Clock is a [Place] whose engines look at a clock that can be set.
type Clock interface {
	// Now is what the clock says.
	Now() time.Time
	// Shift sets it on, or back.
	Shift(d time.Duration)
}

// Disk is a [Place] whose disk can be filled.
type Disk interface {
	// Fill takes all room, or gives it back, while e is open.
	Fill(e engine.Engine, full bool)
}

// A check is one test of the suite.
type check struct {
	name string
	run  func(s *site)
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.Patience == 0 {
		h.Patience = 30 * time.Second
	}
	for _, group := range []struct {
		name   string
		checks []check
	}{
		{"Append", appending},
		{"Events", reading},
		{"Settle", settling},
		{"Move", moving},
		{"Due", due},
		{"Spilled", spilling},
		{"Drop", dropping},
		{"Commit", committing},
		{"Follow", following},
		{"Close", closing},
		{"Space", filling},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.checks {
				t.Run(c.name, func(t *testing.T) { c.run(newSite(t, h)) })
			}
		})
	}
	t.Run("Random", func(t *testing.T) { random(t, h) })
	t.Run("Storm", func(t *testing.T) { storm(newSite(t, h)) })
}
