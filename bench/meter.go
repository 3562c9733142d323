package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
)

// meter tells what a server and this process, with its load generator and
// webhooks, use of the processor from when it was made.
type meter struct {
	pid          int
	began        time.Time
	server, self time.Duration
	err          error
}

func newMeter(pid int) meter {
	server, err1 := cpuTime(pid)
	self, err2 := cpuTime(os.Getpid())
	return meter{pid: pid, began: time.Now(), server: server, self: self, err: errors.Join(err1, err2)}
}

// read returns how many cores were used on average; false where the system does
// not tell.
func (m meter) read() (server, self float64, ok bool) {
	now := newMeter(m.pid)
	if m.err != nil || now.err != nil {
		return 0, 0, false
	}
	took := now.began.Sub(m.began).Seconds()
	return (now.server - m.server).Seconds() / took, (now.self - m.self).Seconds() / took, true
}

// String says what read returns.
func (m meter) String() string {
	server, self, ok := m.read()
	if !ok {
		return "the system does not tell what the processor did"
	}
	return fmt.Sprintf("of %d cores the server used %.2f, load generator and webhooks %.2f", runtime.NumCPU(), server, self)
}
