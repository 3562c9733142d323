package deliver

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/destination"
)

// Options are the dependencies and limits of a [Dispatcher]. Start from
// [DefaultOptions]; a zero limit is an error, not a default.
type Options struct {
	// Log owns everything that waits. Required.
	Log Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Doubted says that Now may be far ahead; nil means never. Meanwhile nothing ends
	// because of its age: not an event's time to live, nor an event subscription, nor
	// the patience with a store of dead letters.
	Doubted func() bool
	// Logger gets one line per dropped or dead-lettered event, naming its id and
	// the reason; nil discards them.
	Logger *slog.Logger
	// Registerer receives the metrics; nil keeps them private.
	Registerer prometheus.Registerer
	// Rules is the part of the retry table that an operator may choose.
	Rules destination.Rules

	// Schedule holds the delay after the first, second … failed attempt; the
	// last one repeats.
	Schedule []time.Duration
	// Scale multiplies the other waits that follow from a failure: the earliest
	// retry and the probation of each outcome, and the bound of a probation that
	// doubles. 1 is Azure's. With a schedule in seconds, for tests, the first
	// delay divided by Azure's 10 s keeps the proportions. A Retry-After of the
	// receiver is never scaled.
	Scale float64
	// DeadLetterDelay lies between the last attempt and the dead-letter blob.
	DeadLetterDelay time.Duration
	// DeadLetterPatience is how long a store that refuses a blob is tried again
	// before the events are dropped.
	DeadLetterPatience time.Duration
	// DeadLetterTimeout bounds the writing of one blob.
	DeadLetterTimeout time.Duration

	// Memory bounds the bytes of events that are read from the log and neither
	// finished nor written again. Readers wait when it is used up.
	Memory int64
	// BacklogMemory bounds the same for backlogs, whose readers share it evenly.
	BacklogMemory int64
	// BatchMemory bounds what subscriptions that batch may have under way beyond
	// one event per attempt, and in their queues beyond QueueItems and
	// QueueBytes. Those that have something in memory share it evenly, a quarter
	// of it at most and 64 KiB at least for each. Batches are smaller when it is
	// used up; nothing waits for it.
	BatchMemory int64
	// QueueItems and QueueBytes bound the queue of one subscription. A queue
	// takes at least one item of any size. That of a subscription that batches
	// takes two of its batches if that is more, as far as BatchMemory goes.
	QueueItems, QueueBytes int
	// Concurrency is how many attempts a subscription starts with at a time,
	// MaxConcurrency what it may grow to.
	Concurrency, MaxConcurrency int
	// HoldLimit is how long an item may keep its batch from being Done, by
	// waiting or by an attempt without an answer, before it moves to the backlog.
	HoldLimit time.Duration
	// PressedHoldLimit replaces HoldLimit while Memory is used up.
	PressedHoldLimit time.Duration
	// DrainTimeout bounds a graceful stop.
	DrainTimeout time.Duration
}

// DefaultOptions returns Azure's documented schedule and limits for a small
// machine. Log is left for the caller to set.
func DefaultOptions() Options {
	return Options{
		Schedule: []time.Duration{
			10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
			30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		},
		Scale:              1,
		DeadLetterDelay:    5 * time.Minute,
		DeadLetterPatience: 4 * time.Hour,
		DeadLetterTimeout:  30 * time.Second,
		Memory:             64 << 20,
		BacklogMemory:      64 << 20,
		BatchMemory:        64 << 20,
		QueueItems:         512,
		QueueBytes:         1 << 20,
		Concurrency:        8,
		MaxConcurrency:     64,
		HoldLimit:          time.Second,
		PressedHoldLimit:   50 * time.Millisecond,
		DrainTimeout:       30 * time.Second,
	}
}

// Validate names the first field that makes no sense.
func (o Options) Validate() error {
	if o.Log == nil {
		return errors.New("deliver: Options.Log is required")
	}
	if len(o.Schedule) == 0 {
		return errors.New("deliver: Options.Schedule is empty")
	}
	for _, delay := range o.Schedule {
		if delay <= 0 {
			return errors.New("deliver: Options.Schedule holds a delay that is not positive")
		}
	}
	if !(o.Scale > 0) || math.IsInf(o.Scale, 0) {
		return errors.New("deliver: Options.Scale is not a positive number")
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"DeadLetterDelay", int64(o.DeadLetterDelay)},
		{"DeadLetterPatience", int64(o.DeadLetterPatience)},
		{"DeadLetterTimeout", int64(o.DeadLetterTimeout)},
		{"Memory", o.Memory},
		{"BacklogMemory", o.BacklogMemory},
		{"BatchMemory", o.BatchMemory},
		{"QueueItems", int64(o.QueueItems)},
		{"QueueBytes", int64(o.QueueBytes)},
		{"Concurrency", int64(o.Concurrency)},
		{"MaxConcurrency", int64(o.MaxConcurrency - o.Concurrency + 1)},
		{"HoldLimit", int64(o.HoldLimit)},
		{"PressedHoldLimit", int64(o.PressedHoldLimit)},
		{"DrainTimeout", int64(o.DrainTimeout)},
	} {
		if f.value <= 0 {
			return fmt.Errorf("deliver: Options.%s is too small", f.name)
		}
	}
	return nil
}
