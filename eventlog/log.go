package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Names of the streams and their subjects.
const (
	eventStream      = "INTERTIE_EVENTS"
	deadLetterStream = "INTERTIE_DEADLETTER"
	backlogStream    = "INTERTIE_BACKLOG"
	retryStream      = "INTERTIE_RETRY_" // and its delay in milliseconds

	eventSubject      = "intertie.events"
	deadLetterSubject = "intertie.deadletter"
	backlogSubject    = "intertie.backlog." // and the subscription
	retrySubject      = "intertie.retry."   // and its delay in milliseconds
)

// How many records of a queue may be handed out and not done. Beyond it the
// queue stands still until one is.
const (
	eventsInHand     = 8192
	deliveriesInHand = 1024
)

// The bounds of the group commits: see [appenderOptions].
const (
	eventRecordBytes    = 1 << 20
	eventRecordEntries  = 8192
	eventWaitingBytes   = 32 << 20
	recordBytes         = 256 << 10
	recordEntries       = 512
	waitingBytes        = 16 << 20
	recordsInFlight     = 2
	backlogsInFlight    = 4 // its records go to different subjects
	flushOnCloseTimeout = 5 * time.Second
)

// Log is the open event log. Its methods are safe for concurrent use, but each
// Consume method, and ConsumeBacklog of one subscription, may run once at a time.
type Log struct {
	js   jetstream.JetStream
	opts Options
	met  *metrics

	events      *queue
	tiers       []*tier // those of Options, ascending; the first has no delay
	retries     *line
	deadLetters *line
	backlogs    *backlogs
	queues      []*queue // all of them
	registered  bool     // met, with Options.Registerer

	full    chan struct{} // cap 1: much is done, truncate now
	stop    context.CancelFunc
	upkeep  sync.WaitGroup
	closing sync.Once
}

// Open creates what is missing of the log and opens it. js stays the caller's.
// Call [Log.Close] before closing the connection under js.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (_ *Log, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{js: js, opts: o, met: newMetrics(), full: make(chan struct{}, 1), stop: func() {}}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if err := l.openEvents(ctx); err != nil {
		return nil, err
	}
	if err := l.openRetries(ctx); err != nil {
		return nil, err
	}
	if err := l.openDeadLetters(ctx); err != nil {
		return nil, err
	}
	if err := l.openBacklogs(ctx); err != nil {
		return nil, err
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(l.met); err != nil {
			return nil, fmt.Errorf("register the event log's metrics: %w", err)
		}
		l.registered = true
	}
	upkeep, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.upkeep.Go(func() { l.heartbeat(upkeep) })
	l.upkeep.Go(func() { l.truncate(upkeep) })
	return l, nil
}

// Close commits what is being appended, refuses what comes later with
// [ErrClosed], and gives back what is handed out and not done, so that the next
// owner gets it at once. End the Consume methods first; a Done after Close has
// no effect. Further calls do nothing.
func (l *Log) Close() { l.closing.Do(l.close) }

func (l *Log) close() {
	l.stop()
	l.upkeep.Wait()
	for _, q := range l.queues {
		q.close()
	}
	if l.registered {
		l.opts.Registerer.Unregister(l.met)
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushOnCloseTimeout)
	defer cancel()
	var errs []error
	for _, q := range l.queues {
		errs = append(errs, q.ledger.confirm(ctx))
	}
	if l.backlogs != nil {
		errs = append(errs, l.closeBacklogs(ctx))
	}
	if err := errors.Join(append(errs, l.js.Conn().FlushWithContext(ctx))...); err != nil {
		l.opts.Logger.Warn("what was done last may be handed out again", "error", err)
	}
}

// add opens a queue that the log then owns.
func (l *Log) add(ctx context.Context, name, stream, subject string, o appenderOptions, inHand int) (*queue, error) {
	o.timeout, o.space = l.opts.CommitTimeout, l.opts.Space
	if o.admit == nil {
		o.admit = o.space.TakeOwn
	}
	q, err := l.openQueue(ctx, name, stream, subject, o, inHand)
	if err == nil {
		l.queues = append(l.queues, q)
	}
	return q, err
}

// heartbeat keeps what this process holds from being handed out again.
func (l *Log) heartbeat(ctx context.Context) {
	for sleep(ctx, l.opts.AckWait/5) {
		before := time.Now().Add(-2 * l.opts.AckWait / 5)
		for _, q := range l.queues {
			q.ledger.heartbeat(before)
		}
		l.backlogs.heartbeat(before)
	}
}

// truncate is the janitor: it cuts off what is done.
func (l *Log) truncate(ctx context.Context) {
	failing := make(map[string]bool) // report a failure once, not every second
	for l.untilTruncation(ctx) {
		for _, q := range l.queues {
			err := l.truncateQueue(ctx, q)
			if err != nil && !failing[q.name] && ctx.Err() == nil {
				l.opts.Logger.Error("the event log keeps what is done", "queue", q.name, "error", err)
			}
			failing[q.name] = err != nil
		}
	}
}

// truncateBytes is how much may be done before it is cut off ahead of time:
// nats-server keeps the blocks it wrote last in memory until they are cut off.
const truncateBytes = 16 << 20

// untilTruncation waits for the next round and reports whether ctx is alive.
func (l *Log) untilTruncation(ctx context.Context) bool {
	t := time.NewTimer(l.opts.TruncateEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.full:
		return true
	case <-ctx.Done():
		return false
	}
}

// fill wakes the janitor early.
func (l *Log) fill() {
	select {
	case l.full <- struct{}{}:
	default:
	}
}

// unreadable keeps a record that cannot be read, and looks at it again later.
func (l *Log) unreadable(q *queue, h *held, err error) {
	q.met.badC.Inc()
	l.opts.Logger.Error("a record cannot be read and is kept", "queue", q.name, "sequence", h.seq, "error", err)
	h.putBack(unreadableDelay)
}

// orphanTiers returns the delays of the retry streams that Options does not list.
func (l *Log) orphanTiers(ctx context.Context, known map[time.Duration]bool) ([]time.Duration, error) {
	var found []time.Duration
	names := l.js.StreamNames(ctx)
	for name := range names.Name() {
		digits, ok := strings.CutPrefix(name, retryStream)
		ms, err := strconv.ParseInt(digits, 10, 64)
		if d := time.Duration(ms) * time.Millisecond; ok && err == nil && !known[d] {
			found = append(found, d)
		}
	}
	if err := names.Err(); err != nil {
		return nil, fmt.Errorf("list the retry streams: %w", err)
	}
	return found, nil
}
