package process

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// Main is the TestMain of a suite that runs the program: it builds it once, with
// further flags of go build, tells where it is, and ends the process. At most
// sideBySide parallel tests run at once, unless -parallel says otherwise.
func Main(m *testing.M, sideBySide int, built func(binary string), flags ...string) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(sideBySide)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(run(m, built, flags))
}

func run(m *testing.M, built func(string), flags []string) int {
	dir, err := os.MkdirTemp("", "intertie-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary one
	binary, err := Build(dir, flags...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	built(binary)
	return m.Run()
}

// CameTrue looks at cond until it is true or time is up.
func CameTrue(ctx context.Context, within time.Duration, cond func() bool) bool {
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

// After waits for a moment under load; it is no way to wait for a condition.
func After(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
