package local_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// apartEnv makes a test the other process of apart, and says where it begins.
const apartEnv = "INTERTIE_TEST_FAULTS_FROM"

const (
	// apartSteps is how many steps one process makes: what failed engines leave
	// running is not to pile up.
	apartSteps = 100
	// endsAllowed is how often Pebble may end the process in one test.
	endsAllowed = 40
)

// apart makes the steps of a test, from 1 on until one says that it was the last, in
// processes of their own: an engine that has failed leaves things running, since its
// process has to end, and Pebble may end it at once by a panic in the background,
// which is an end like any other. Then another process goes on behind that step.
func apart(t *testing.T, panics int, prepare func() (step func(n int64) bool)) {
	t.Helper()
	if from, err := strconv.ParseInt(os.Getenv(apartEnv), 10, 64); err == nil {
		step, stride := prepare(), sparsely()
		for n := from; n < from+apartSteps*stride && !t.Failed(); n += stride {
			fmt.Printf(apartStep, n)
			if step(n) {
				fmt.Print(apartEnd)
				return
			}
		}
		return
	}
	test := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	for from, ended := int64(1), 0; ; {
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+test, "-test.timeout=120s")
		process.Env = append(os.Environ(), fmt.Sprintf("%s=%d", apartEnv, from))
		out, err := process.CombinedOutput()
		last, said := int64(0), strings.Builder{}
		for line := range strings.Lines(string(out)) {
			if n, _ := fmt.Sscanf(line, apartStep, &last); n == 0 {
				said.WriteString(line)
			}
		}
		text := said.String()
		trace := max(strings.Index(text, "panic: "), 0)
		switch {
		case last < from, err != nil && (trace == 0 && !strings.HasPrefix(text, "panic: ") || strings.Contains(text, "test timed out")):
			t.Fatalf("at step %d: %v:\n%.5000s", last, err, text)
		case err == nil && strings.Contains(text, apartEnd):
			t.Logf("%d steps", last)
			return
		case err == nil:
		case !strings.Contains(text, "cockroachdb/pebble") || ended == panics:
			t.Fatalf("at step %d: the process ended: %.3000s", last, text[trace:])
		default:
			ended++
			t.Logf("at step %d the process ended: %.100q", last, text[trace:])
		}
		from = last + sparsely()
	}
}

// sparsely is how many operations, offsets and the like to go on by: all are looked
// at when there is time.
func sparsely() int64 {
	if testing.Short() || underRace {
		return 10
	}
	return 1
}

const (
	apartStep = "at step %d\n"
	apartEnd  = "this was the last step\n"
)
