package deliver

import (
	"time"

	"github.com/intertie/intertie/resource"
)

// Status is how a subscription is doing at this moment.
type Status struct {
	Circuit CircuitState
	// Until is the end of probation; zero while the circuit is closed.
	Until time.Time
	// Failures in a row.
	Failures int
	// Queued items wait in memory, Attempts are under way, Concurrency is how
	// many may be.
	Queued, Attempts, Concurrency int
	// Backlogged means that events wait on disk for this subscription.
	Backlogged bool
}

// Status returns how a subscription is doing, false if it is not known.
func (d *Dispatcher) Status(sub resource.UID) (Status, bool) {
	l := d.lane(sub)
	if l == nil {
		return Status{}, false
	}
	now := d.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{
		Circuit: l.circuit.state(now), Until: l.circuit.until, Failures: l.circuit.failures,
		Queued: l.queue.len, Concurrency: l.limit.limit, Backlogged: l.backlog.exists,
	}
	switch s.Circuit {
	case Open:
		s.Concurrency = 0
	case HalfOpen:
		s.Concurrency = 1
	case Closed:
	}
	for _, w := range l.flights {
		if !w.idle {
			s.Attempts++
		}
	}
	return s, true
}
