package deliver

import (
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/resource"
)

// Status is how a subscription is doing at this moment, as far as this process
// knows. It is comparable.
type Status struct {
	Circuit CircuitState
	// Until is the end of probation; zero while the circuit is closed.
	Until time.Time
	// Failures in a row.
	Failures int

	// Outcome and Status are those of the last attempt, Error what went wrong
	// with it: a text without secrets, empty after a success. Outcome is empty
	// before the first attempt.
	Outcome destination.Outcome
	Status  int
	Error   string
	// Succeeded and Failed are when an attempt last did so; zero means never.
	Succeeded, Failed time.Time
	// Again is when an attempt is made at the earliest: at the end of probation,
	// or when what failed last falls due. New events are attempted at once unless
	// the circuit is open. Zero means that nothing is known to wait.
	Again time.Time

	// Queued items wait in memory, Attempts are under way with UnderWay events,
	// Concurrency is how many attempts may be.
	Queued, Attempts, UnderWay, Concurrency int
	// Backlogged means that events wait on disk for this subscription, Backlog is
	// how many. What a former process left there is not in the number.
	Backlogged bool
	Backlog    int
	// DeadLetters were given up by this process and wait to be written away.
	DeadLetters int
	// BatchLimit is how many bytes a batch carries at most since the endpoint
	// found a larger one too large; 0 means as many as the subscription wants.
	BatchLimit int
}

// health is what is known of the last attempts. The lane's mu protects it.
type health struct {
	last             destination.Verdict
	success, failure time.Time
	// again is when the first event of the last failure is tried again.
	again time.Time
}

func (h *health) delivered(v destination.Verdict, now time.Time) {
	h.success = now
	if h.last.Status != v.Status || h.last.Outcome != v.Outcome { // seldom
		h.last = v
	}
}

func (h *health) failed(v destination.Verdict, now time.Time) { h.last, h.failure = v, now }

// answers reports whether the endpoint took what it was sent last, as far as that
// is known. mu is held.
func (l *lane) answers() bool {
	return l.adrift == 0 && !l.health.success.IsZero() && !l.health.success.Before(l.health.failure)
}

// Status returns how a subscription is doing, false if it is not known.
func (d *Dispatcher) Status(sub resource.UID) (Status, bool) {
	l := d.lane(sub)
	if l == nil {
		return Status{}, false
	}
	return l.status(d.now()), true
}

func (l *lane) status(now time.Time) Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, b := &l.health, &l.backlog
	s := Status{
		Circuit: l.circuit.state(now), Until: l.circuit.until, Failures: l.circuit.failures,
		Outcome: h.last.Outcome, Status: h.last.Status, Succeeded: h.success, Failed: h.failure,
		Queued: l.queue.len, Concurrency: l.limit.limit,
		Backlogged: b.exists, Backlog: b.onDisk + len(b.unwritten),
		DeadLetters: int(max(0, l.dead.Load())), BatchLimit: l.batches.ceiling,
	}
	if h.last.Err != nil {
		s.Error = h.last.Err.Error()
	}
	if h.again.After(now) {
		s.Again = h.again
	}
	switch s.Circuit {
	case Open:
		s.Concurrency = 0
		s.Again = s.Until
	case HalfOpen:
		s.Concurrency = 1
	case Closed:
	}
	if l.parked() {
		s.Concurrency, s.Error = 0, parkedMessage
	}
	for _, w := range l.flights {
		if !w.idle {
			s.Attempts++
			s.UnderWay += len(w.items)
		}
	}
	return s
}
