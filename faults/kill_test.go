package faults

import (
	"path/filepath"
	"testing"
	"time"
)

// TestKilled kills the server at random moments, under load and while it starts.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := chance(t)
	w := newWorld(t, filepath.Join(t.TempDir(), "data"))
	for round := range 6 * *rounds {
		work := w.work(t)
		after(t.Context(), time.Duration(100+r.IntN(1000))*time.Millisecond)
		w.kill(t)
		work.stop()
		for range r.IntN(3) {
			w.launch(t)
			after(t.Context(), time.Duration(r.IntN(300))*time.Millisecond)
			w.kill(t)
		}
		w.mustStart(t)
		t.Logf("round %d: %d events, %d resources", round, len(w.ledger.acknowledgedEvents()), len(w.ledger.ids()))
		w.check(t)
	}
}
