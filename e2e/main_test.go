package e2e

import (
	"testing"

	"github.com/intertie/intertie/internal/process"
)

// binary is the program under test, built once.
var binary string

// sideBySide is how many parallel tests run at once. They wait for time-outs and
// retries rather than compute, so it is more than there are processors.
const sideBySide = 6

func TestMain(m *testing.M) {
	var flags []string
	if raceEnabled {
		flags = append(flags, "-race")
	}
	process.Main(m, sideBySide, func(built string) { binary = built }, flags...)
}
