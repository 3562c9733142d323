package webhook

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/intertie/intertie/destination"
)

// flight is one delivery whose caller wants to know of a late answer.
//
// It is decided once how it ends, by state: either the answer comes first and
// Deliver returns what it says, or the time limit does. After the limit the
// flight goes on without Deliver if the client has room for it, and is cut off
// if not.
type flight struct {
	target *target
	parcel *parcel
	late   func()
	cancel context.CancelFunc
	state  atomic.Int32
	// done closes at the end. Then verdict is there, if the flight was answered.
	done    chan struct{}
	verdict destination.Verdict
}

// The states of a flight.
const (
	underWay int32 = iota
	answered       // Deliver waits for the verdict
	overdue        // Deliver has returned, or is about to
)

// decide moves a flight that is under way into a state, and reports whether
// it was the first to do so.
func (f *flight) decide(state int32) bool { return f.state.CompareAndSwap(underWay, state) }

// fly makes one attempt and waits for its answer up to the time limit.
func (t *target) fly(ctx context.Context, p *parcel, late func()) destination.Verdict {
	limit := t.client.opts.Timeout
	// The request outlives ctx when it is late.
	attempt, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{target: t, parcel: p, late: late, cancel: cancel, done: make(chan struct{})}
	t.client.runners.start(func() { f.run(ctx, attempt) })
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-ctx.Done():
	case <-timer.C:
		if t.client.late.admit(f) {
			return t.failed(tooSlow(limit))
		}
	}
	cancel()
	<-f.done
	return f.verdict
}

// run sends the request. Whoever decided that the flight is overdue has entered
// it with the client, which waits for it.
func (f *flight) run(caller, attempt context.Context) {
	defer close(f.done)
	defer f.cancel()
	t := f.target
	resp, err := t.client.send(t.request(attempt, f.parcel))
	inTime := f.decide(answered)
	if !inTime {
		defer t.client.late.leave(f)
	}
	if err != nil {
		if inTime {
			f.verdict = t.failed(classify(err, caller, attempt, t.client.opts.Timeout))
		}
		return
	}
	defer resp.Body.Close()
	if inTime {
		f.verdict = t.verdict(resp, f.parcel)
		return
	}
	switch o, _ := destination.FromStatus(resp.StatusCode); o {
	case destination.Delivered:
		f.late()
	case destination.Unauthorized:
		forget(t.token, f.parcel.token)
	}
}
