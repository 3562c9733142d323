package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	prefetchRecords = 128
	// prefetchBytes must exceed maxRecord with its subject, or the largest
	// record could never be fetched.
	prefetchBytes = 5 << 20
	// fetchWait is how long one empty pull stays open at the server.
	fetchWait = 30 * time.Second
	// recoverDelay is the pause after NATS refused something, before asking again.
	recoverDelay = 250 * time.Millisecond
	// unreadableDelay is when a record that cannot be read is looked at again.
	unreadableDelay = time.Minute
)

// unlimited is more messages than a subject ever has.
const unlimited = 1 << 50

// queue is a durable FIFO of records: a stream, the group commit that fills it,
// and a durable consumer that hands its records out in order. What is done
// leaves the stream when truncate cuts its head off: acknowledging alone
// deletes nothing, so that an acknowledgement costs no write to the stream.
type queue struct {
	name     string // metric label
	subject  string
	appender *appender
	stream   jetstream.Stream
	consumer jetstream.Consumer
	ledger   *ledger
	met      *queueMetrics

	truncated uint64 // the ack floor at the last truncation; the janitor's
	quiet     int    // rounds since something was done; the janitor's
}

// openQueue creates the stream, and the consumer unless maxAckPending is 0, or
// brings them up to date.
func (l *Log) openQueue(ctx context.Context, name, stream, subject string, o appenderOptions, maxAckPending int) (*queue, error) {
	q := &queue{name: name, subject: subject, met: l.met.queue(name)}
	var err error
	if q.stream, err = l.openStream(ctx, stream, subject); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", stream, err)
	}
	if maxAckPending > 0 {
		if q.consumer, err = l.openConsumer(ctx, q.stream, maxAckPending); err != nil {
			return nil, fmt.Errorf("open consumer of stream %s: %w", stream, err)
		}
	}
	q.ledger = newLedger(l.js.Conn(), l.fill)
	q.appender = newAppender(l.js, o, q.met)
	return q, nil
}

// openStream creates a stream or brings it up to date. It only asks when there
// is nothing to do: an update costs a sync even if it changes nothing.
func (l *Log) openStream(ctx context.Context, name, subject string) (jetstream.Stream, error) {
	s, err := l.js.Stream(ctx, name)
	if err == nil {
		c := s.CachedInfo().Config
		if c.Replicas == l.opts.Replicas && len(c.Subjects) == 1 && c.Subjects[0] == subject && c.MaxMsgsPerSubject == unlimited {
			return s, nil
		}
	} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, err
	}
	return l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:      name,
		Subjects:  []string{subject},
		Retention: jetstream.LimitsPolicy,
		Storage:   jetstream.FileStorage,
		Replicas:  l.opts.Replicas,
		// No limit, but one: it makes nats-server write blocks of 4 MB instead of
		// 8 MB. It keeps the blocks in use in memory, of each stream.
		MaxMsgsPerSubject: unlimited,
	})
}

// openConsumer is openStream for the durable consumer of s.
func (l *Log) openConsumer(ctx context.Context, s jetstream.Stream, maxAckPending int) (jetstream.Consumer, error) {
	const name = "owner"
	c, err := s.Consumer(ctx, name)
	if err == nil {
		have := c.CachedInfo().Config
		if have.AckWait == l.opts.AckWait && have.MaxAckPending == maxAckPending {
			return c, nil
		}
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	return s.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       name,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       l.opts.AckWait,
		MaxAckPending: maxAckPending,
	})
}

// consume hands out records in order until ctx ends, which it then returns, or
// the connection is closed. It prefetches; what was prefetched and not handed
// out is given back.
func (q *queue) consume(ctx context.Context, handle func(jetstream.Msg, *held)) error {
	for {
		err := q.iterate(ctx, handle)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isClosed(err):
			return fmt.Errorf("read %s: %w", q.name, err)
		}
		// A leader moved or a consumer was re-created: ask again.
		if !sleep(ctx, recoverDelay) {
			return ctx.Err()
		}
	}
}

func (q *queue) iterate(ctx context.Context, handle func(jetstream.Msg, *held)) error {
	it, err := q.consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(prefetchRecords, prefetchBytes),
		jetstream.PullExpiry(fetchWait), jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return err
	}
	defer giveBack(it)
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		if h := q.ledger.take(msg); h != nil {
			handle(msg, h)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// giveBack ends the iterator and returns what it had prefetched.
func giveBack(it jetstream.MessagesContext) {
	it.Drain()
	for {
		msg, err := it.Next()
		if err != nil {
			return
		}
		_ = msg.Nak() // lost: redelivered after AckWait instead
	}
}

// fetch waits for the next records, at least one and at most n. It returns none
// when ctx ended or there was nothing for fetchWait.
func fetch(ctx context.Context, c jetstream.Consumer, n int) ([]jetstream.Msg, error) {
	batch, err := c.Fetch(1, jetstream.FetchContext(ctx))
	if err != nil {
		return nil, err
	}
	var msgs []jetstream.Msg
	for m := range batch.Messages() {
		msgs = append(msgs, m)
	}
	if len(msgs) == 0 || n == 1 {
		return msgs, batch.Error()
	}
	more, err := fetchNoWait(c, n-1)
	return append(msgs, more...), err
}

// fetchNoWait returns the records that are there now, at most n.
func fetchNoWait(c jetstream.Consumer, n int) ([]jetstream.Msg, error) {
	batch, err := c.FetchNoWait(n)
	if err != nil {
		return nil, err
	}
	var msgs []jetstream.Msg
	for m := range batch.Messages() {
		msgs = append(msgs, m)
	}
	return msgs, batch.Error()
}

// truncateQueue cuts off what is done and takes note of how much is left. It
// returns early, with nothing read, when nothing was done for two rounds.
func (l *Log) truncateQueue(ctx context.Context, q *queue) error {
	if q.consumer == nil {
		return nil
	}
	if !q.ledger.moved() && !q.met.moved() {
		if q.quiet++; q.quiet > 2 {
			return nil
		}
	} else {
		q.quiet = 0
	}
	info, err := q.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("read the state of %s: %w", q.name, err)
	}
	q.met.records.Store(info.NumPending + uint64(info.NumAckPending)) //nolint:gosec // a count is not negative
	floor := info.AckFloor.Stream
	if floor <= q.truncated {
		return nil
	}
	if err := l.purge(ctx, q.stream, jetstream.WithPurgeSequence(floor+1)); err != nil {
		q.quiet = 0 // try again, whatever moves
		return fmt.Errorf("truncate %s: %w", q.name, err)
	}
	q.truncated = floor
	return nil
}

func (q *queue) close() {
	q.appender.close()
	q.ledger.giveBack()
}

// isClosed reports whether err says that the connection will not come back.
func isClosed(err error) bool {
	return errors.Is(err, jetstream.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionClosed)
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
