package bench

import (
	"syscall"
	"time"
)

// pause sleeps for about d, and may return early. The Go runtime rounds short
// sleeps of an idle program up to a millisecond, which is more than some of the
// latencies measured here; the system's own sleep is good to some 60 µs.
func pause(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(min(d, 50*time.Millisecond)))
	_ = syscall.Nanosleep(&ts, nil) // interrupted is early, the caller looks again
}
