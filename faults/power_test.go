package faults

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// TestPowerCut takes the power away under load, which leaves what was synced, and
// every second time a part of what was not.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	r := chance(t)
	d := newDisk()
	dir, unmount := mount(t, d)
	w := newWorld(t, filepath.Join(dir, "data"))
	for round := range 8 * *rounds {
		work := w.work(t)
		after(t.Context(), time.Duration(100+r.IntN(1000))*time.Millisecond)
		w.kill(t)
		work.stop()
		unmount()
		var some *rand.Rand
		if round%2 == 1 {
			some = r
		}
		d = d.cut(some)
		unmount = w.moveTo(t, d)
		w.mustStart(t)
		t.Logf("round %d: %d events, %d resources", round, len(w.ledger.acknowledgedEvents()), len(w.ledger.ids()))
		w.check(t)
	}
}
