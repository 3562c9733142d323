package eventlog

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options of a log. The zero value works.
type Options struct {
	// Replicas of every stream; 0 means 1.
	Replicas int
	// Now is the clock that due times are compared with; nil means time.Now.
	Now func() time.Time
	// Logger is told about records that cannot be read and truncations that
	// fail; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics; nil keeps them to ourselves.
	Registerer prometheus.Registerer

	// Space guards the disk; nil guards nothing.
	Space Space

	// Tiers are the delays of the retry streams, ascending, in whole
	// milliseconds; nil means [DefaultTiers]. A tier that is no longer listed
	// is still emptied.
	Tiers []time.Duration
	// AckWait is how long after a crash what was being worked on is handed out
	// again; 0 means 5 s, at least 100 ms.
	AckWait time.Duration
	// TruncateEvery is the pause between two truncations of what is done; 0
	// means 1 s.
	TruncateEvery time.Duration
	// CommitTimeout is how long JetStream may take to confirm one record; 0
	// means 10 s.
	CommitTimeout time.Duration
}

// DefaultTiers returns [TiersFor] Event Grid's own schedule.
func DefaultTiers() []time.Duration {
	return TiersFor([]time.Duration{
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
		30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	})
}

// TiersFor returns nine tenths of each delay in a schedule, since an actual delay
// is that delay times 1.0 to 1.1: a retry then lands in its own tier, and no more
// than a fifth of the delay is left when it comes out. Two short tiers take that
// rest when it does not fit in memory, and what the schedule has that is shorter.
func TiersFor(schedule []time.Duration) []time.Duration {
	tiers := []time.Duration{time.Second, 3 * time.Second}
	for _, d := range schedule {
		if d = (d / 10 * 9).Truncate(time.Millisecond); d > tiers[0] {
			tiers = append(tiers, d)
		}
	}
	slices.Sort(tiers)
	return slices.Compact(tiers)
}

func (o Options) withDefaults() (Options, error) {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Space == nil {
		o.Space = boundless{}
	}
	if o.Tiers == nil {
		o.Tiers = DefaultTiers()
	}
	if o.AckWait == 0 {
		o.AckWait = 5 * time.Second
	}
	if o.TruncateEvery == 0 {
		o.TruncateEvery = time.Second
	}
	if o.CommitTimeout == 0 {
		o.CommitTimeout = 10 * time.Second
	}
	if o.AckWait < 100*time.Millisecond {
		return o, fmt.Errorf("event log: AckWait of %v is below 100ms", o.AckWait)
	}
	last := time.Duration(0)
	for _, d := range o.Tiers {
		if d <= last || d%time.Millisecond != 0 {
			return o, fmt.Errorf("event log: retry tiers %v are not ascending in whole milliseconds", o.Tiers)
		}
		last = d
	}
	o.Tiers = slices.Clone(o.Tiers)
	return o, nil
}
