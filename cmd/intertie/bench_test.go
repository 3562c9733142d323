package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/intertie/intertie/bench"
)

// TestBenchScenarios runs the scenarios that need more than a stream, tiny, with
// this binary as the server. What they measure says nothing here; that they end
// without an error says that every event was accounted for.
func TestBenchScenarios(t *testing.T) {
	program, err := exec.LookPath("intertie") // testscript puts the test binary there
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]float64{
		"neighbour": 0.2, "burst": 0.005, "burst-long": 0.004, "waiting": 0.002, "fanout": 0.01, "batch": 1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			results, err := bench.Run(t.Context(), bench.Options{
				Scenario: name, Size: size, Duration: 4 * time.Second, Grace: 2 * time.Minute,
				Setup: setUpBench, Executable: program, TempDir: folder, Progress: t.Output(),
			})
			if err != nil {
				t.Fatal(err)
			}
			figures, goals := 0, 0
			for _, r := range results {
				if r.Scenario != name || r.Metric == "" || r.Unit == "" {
					t.Errorf("incomplete: %+v", r)
				}
				if r.Value != nil {
					figures++
				}
				if r.Judged() {
					goals++
				}
			}
			if figures < 5 || goals < 2 {
				t.Errorf("%d figures, %d of them with a goal", figures, goals)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
