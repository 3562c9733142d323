package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// MinPayload is the largest message that may be sent, and so the least
// max_payload that a server must have.
const MinPayload = 4 << 20

// Options of an engine. Only URL is required.
type Options struct {
	// URL of a NATS server or cluster: a comma-separated list.
	URL string
	// Replicas of every stream, 1 to 5. 0 leaves streams as they are, and creates
	// those that do not exist with 3 where there are three servers, else with 1.
	Replicas int
	// Logger is told what an operator should know; nil discards it.
	Logger *slog.Logger
	// Now is the clock that due times are compared with; nil means time.Now.
	Now func() time.Time

	// Tiers are the delays by which waiting deliveries are sorted, ascending, in
	// whole milliseconds; nil means [DefaultTiers]. A tier that is no longer listed
	// is still emptied.
	Tiers []time.Duration
	// AckWait is how long after a crash what was handed out is handed out again; 0
	// means 5 s, at least 100 ms.
	AckWait time.Duration
	// TruncateEvery is the pause between two rounds that cut off what is settled,
	// and count what is left; 0 means 1 s.
	TruncateEvery time.Duration
	// CommitTimeout is how long a write may stay unanswered; 0 means 10 s, longer
	// than servers take to elect a leader.
	CommitTimeout time.Duration
	// KeepMarkers is for how long the stream of resources says of a key that it was
	// deleted; 0 means a day. A node that was cut off for longer reads everything
	// again.
	KeepMarkers time.Duration
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

// deadTiers are those of dead letters, which wait for some minutes at most.
func deadTiers() []time.Duration {
	return []time.Duration{3 * time.Second, 27 * time.Second, 270 * time.Second}
}

func (o Options) withDefaults() (Options, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tiers == nil {
		o.Tiers = DefaultTiers()
	}
	for of, fallback := range map[*time.Duration]time.Duration{
		&o.AckWait: 5 * time.Second, &o.TruncateEvery: time.Second,
		&o.CommitTimeout: 10 * time.Second, &o.KeepMarkers: 24 * time.Hour,
	} {
		if *of == 0 {
			*of = fallback
		}
	}
	switch {
	case o.URL == "":
		return o, errors.New("cluster: the URL of a NATS server is needed")
	case o.Replicas < 0 || o.Replicas > 5:
		return o, fmt.Errorf("cluster: %d replicas: JetStream allows 1 to 5", o.Replicas)
	case o.AckWait < 100*time.Millisecond:
		return o, fmt.Errorf("cluster: an AckWait of %v is below 100ms", o.AckWait)
	case o.KeepMarkers < time.Second:
		return o, fmt.Errorf("cluster: KeepMarkers of %v is below a second", o.KeepMarkers)
	}
	last := time.Duration(0)
	for _, d := range o.Tiers {
		if d <= last || d%time.Millisecond != 0 {
			return o, fmt.Errorf("cluster: tiers %v are not ascending in whole milliseconds", o.Tiers)
		}
		last = d
	}
	o.Tiers = slices.Clone(o.Tiers)
	return o, nil
}
