package webhook

import (
	"sync"
	"time"
)

// Bounds of what waits for late answers. What finds no room is cut off at the
// time limit: its event is retried either way, a late answer only saves that
// retry.
const (
	maxLate          = 1024
	maxLatePerTarget = 64
	// maxLateBytes bounds the bodies, which stay in memory.
	maxLateBytes = 64 << 20
)

// latecomers are the flights of a client that go on after their attempt has
// ended.
type latecomers struct {
	window time.Duration // behind the time limit
	// wg counts the flights in open.
	wg sync.WaitGroup

	// mu protects the fields below and target.late.
	mu     sync.Mutex
	open   map[*flight]*time.Timer
	bytes  int64
	closed bool
}

// admit lets f go on until the window ends. False means that there is no room
// or that f has its answer; then it is the caller's to end it.
func (l *latecomers) admit(f *flight) bool {
	size := f.parcel.body.size
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.open) >= maxLate || f.target.late >= maxLatePerTarget || l.bytes+size > maxLateBytes {
		return false
	}
	if !f.decide(overdue) {
		return false
	}
	if l.open == nil {
		l.open = make(map[*flight]*time.Timer)
	}
	l.open[f] = time.AfterFunc(l.window, f.cancel)
	l.bytes += size
	f.target.late++
	l.wg.Add(1)
	return true
}

// leave ends the part of f.
func (l *latecomers) leave(f *flight) {
	l.mu.Lock()
	l.open[f].Stop()
	delete(l.open, f)
	l.bytes -= f.parcel.body.size
	f.target.late--
	l.mu.Unlock()
	l.wg.Done()
}

// close cuts off all flights and waits for them. Nothing is admitted any more.
func (l *latecomers) close() {
	l.mu.Lock()
	l.closed = true
	for f := range l.open {
		f.cancel()
	}
	l.mu.Unlock()
	l.wg.Wait()
}
