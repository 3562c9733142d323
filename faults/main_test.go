package faults

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/intertie/intertie/internal/process"
)

var (
	seed   = flag.Uint64("faults.seed", 1, "decides what is broken where")
	rounds = flag.Int("faults.rounds", 1, "how often everything is done, in units of what CI does")
)

// binary is the program under test, built once.
var binary string

// sideBySide is how many parallel tests run at once. They wait more than they
// compute.
const sideBySide = 5

func TestMain(m *testing.M) {
	process.Main(m, sideBySide, func(built string) { binary = built })
}

var (
	cameTrue = process.CameTrue
	after    = process.After
)

// chance is a source of random numbers of a test's own, so that tests do not
// depend on which of them run.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	h := fnv.New64a()
	fmt.Fprint(h, t.Name())
	return rand.New(rand.NewPCG(*seed, h.Sum64()))
}
