package disktest

import (
	"os"
	"testing"
)

// missing ends a test that has no disk.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("INTERTIE_REQUIRE_EXTERNAL") == "1" {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Skipf("this test mounts a small file system, which takes Linux and the right to mount: %v", err)
}
