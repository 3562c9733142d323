package faults

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/intertie/intertie/internal/process"
)

var (
	seed   = flag.Uint64("faults.seed", 1, "decides what is broken where")
	rounds = flag.Int("faults.rounds", 1, "how often everything is done, in units of what CI does")
)

// binary is the program under test, built once.
var binary string

// sideBySide is how many parallel tests run at once, unless -parallel says
// otherwise. They wait more than they compute.
const sideBySide = "5"

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", sideBySide); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "intertie-faults-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = process.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// chance is a source of random numbers of a test's own, so that tests do not
// depend on which of them run.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	h := fnv.New64a()
	fmt.Fprint(h, t.Name())
	return rand.New(rand.NewPCG(*seed, h.Sum64()))
}
