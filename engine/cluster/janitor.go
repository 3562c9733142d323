package cluster

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// truncateBytes is how much may be settled before it is cut off ahead of time:
	// nats-server keeps the blocks it wrote last in memory until they are cut off.
	truncateBytes = 16 << 20
	// quietRounds is how often a source at rest is looked at: other nodes may move it.
	quietRounds = 30
)

// heartbeat keeps what this process holds from being handed out again.
func (e *Engine) heartbeat(ctx context.Context) {
	for sleep(ctx, e.opts.AckWait/5) {
		before := time.Now().Add(-2 * e.opts.AckWait / 5)
		for _, s := range e.sources() {
			s.heartbeat(before)
		}
	}
}

// fill wakes the janitor early when much is settled.
func (e *Engine) fill(bytes int) {
	if e.settled.Add(int64(bytes)) < truncateBytes {
		return
	}
	e.settled.Store(0)
	select {
	case e.full <- struct{}{}:
	default:
	}
}

// tend is the janitor: it writes down what is settled in part, cuts off what is
// settled, and counts what is left.
func (e *Engine) tend(ctx context.Context) {
	tick := time.NewTicker(e.opts.TruncateEvery)
	defer tick.Stop()
	for failing := false; ; { // report a failure once, not every second
		select {
		case <-tick.C:
		case <-e.full:
		case <-ctx.Done():
			return
		}
		err := e.tendAll(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			e.opts.Logger.Error("what is settled is kept for now", "error", err)
		}
		failing = err != nil
	}
}

func (e *Engine) tendAll(ctx context.Context) error {
	if err := e.writeNotes(ctx); err != nil {
		return err
	}
	for _, s := range e.fixed() {
		if !s.isDue() {
			continue
		}
		if _, err := s.truncate(ctx); err != nil {
			s.touch() // try again, whatever moves
			return err
		}
	}
	moved := false
	for _, s := range e.spills.all() {
		if !s.isDue() {
			continue
		}
		moved = true
		if s.reader() == nil {
			continue
		}
		_, _, err := e.spills.tidy(ctx, s, 0, e.spills.writesOf(s))
		if isGone(err) {
			s.setReader(nil)
		} else if err != nil {
			s.touch()
			return err
		}
	}
	if !moved {
		return nil
	}
	return e.countSpilled(ctx)
}

// countSpilled counts what subscriptions have spilled: by their consumers where
// there are any, else by messages.
func (e *Engine) countSpilled(ctx context.Context) error {
	there, err := e.subjects(ctx, spillSubject+"*")
	if err != nil {
		return err
	}
	total := int64(0)
	for _, s := range e.spills.all() {
		if s.reader() == nil {
			s.countMessages(int64(there[s.subject])) //nolint:gosec // far below 2^63
		}
		total += s.partsLeft.Load()
		delete(there, s.subject)
	}
	for _, n := range there {
		total += int64(n) //nolint:gosec // far below 2^63
	}
	e.spilled.Store(total)
	return nil
}

// isDue reports whether the janitor should look at the source: something moved a
// moment ago, or it is a while since he looked.
func (s *source) isDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet++; s.moved {
		s.moved, s.quiet = false, 0
	}
	return s.quiet <= 2 || s.quiet%quietRounds == 0
}

// touch says that something moved.
func (s *source) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = true
}

// truncate cuts off what is settled, and counts what is left.
func (s *source) truncate(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	c := s.reader()
	if c == nil {
		return nil, jetstream.ErrConsumerNotFound // by who found nothing left
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", s.subject, err)
	}
	s.count(info)
	floor := info.AckFloor.Stream
	if floor <= s.truncated.Load() {
		return info, nil
	}
	cut := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSequence(floor + 1)}
	if s.shared { // else the stream is cut off as a whole, which is cheaper
		cut = append(cut, jetstream.WithPurgeSubject(s.subject))
	}
	if err := s.stream.Purge(ctx, cut...); err != nil {
		return nil, fmt.Errorf("truncate %s: %w", s.subject, err)
	}
	s.truncated.Store(floor)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.acked, func(seq uint64, _ int64) bool { return seq <= floor })
	return info, nil
}

// count takes note of how much is left.
func (s *source) count(info *jetstream.ConsumerInfo) {
	s.countMessages(int64(info.NumPending) + int64(info.NumAckPending)) //nolint:gosec // far below 2^63
}

// countMessages takes the usual number of parts of messages that others wrote and
// nobody here has read yet.
func (s *source) countMessages(all int64) {
	held, open, _ := s.out()
	s.mu.Lock()
	defer s.mu.Unlock()
	theirs := max(all-int64(held)-s.unread.messages, 0)
	if s.known.messages > 0 {
		theirs = theirs * s.known.parts / s.known.messages
	}
	s.messagesLeft.Store(all)
	s.partsLeft.Store(int64(open) + s.unread.parts + theirs)
}

// subjects returns how many messages of deliveries each subject has.
func (e *Engine) subjects(ctx context.Context, filter string) (map[string]uint64, error) {
	info, err := e.deliveries.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", filter, err)
	}
	return info.State.Subjects, nil
}
