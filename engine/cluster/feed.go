package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// readAhead is how many messages are taken at once when many are there.
	readAhead = 16
	// A pull waits pullExpiry at the server. One that lay at a leader that is gone
	// is missed after two heartbeats, and a pull that the server forgot for another
	// reason is replaced when it expires: nothing is waited for longer than that.
	pullExpiry    = 5 * time.Second
	pullHeartbeat = time.Second
	// recoverDelay is the pause after NATS refused something, before asking again.
	recoverDelay = 250 * time.Millisecond
	// formerBytes bounds what is put in order after a crash.
	formerBytes = 64 << 20
)

// arrival is a message that was taken.
type arrival struct {
	jetstream.Msg
	held *held
}

// next waits for messages, and returns at most n. It returns none when ctx ended or
// nothing came for a while.
func (s *source) next(ctx context.Context, n int) ([]arrival, error) {
	pull, cancel := context.WithTimeout(ctx, pullExpiry)
	defer cancel()
	batch, err := s.reader().Fetch(1, jetstream.FetchContext(pull), jetstream.FetchHeartbeat(pullHeartbeat))
	got, err := s.takeAll(batch, err)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		return got, nil
	case err != nil || len(got) == 0 || n == 1:
		return got, err
	}
	more, err := s.now(n - 1)
	return append(got, more...), err
}

// now returns the messages that are there, at most n.
func (s *source) now(n int) ([]arrival, error) {
	c := s.reader()
	if c == nil {
		return nil, jetstream.ErrConsumerNotFound
	}
	batch, err := c.FetchNoWait(n)
	return s.takeAll(batch, err)
}

// takeAll takes what a pull brings, at once: the last of it may have to wait for
// all the others to be handled, and must not be handed out again meanwhile.
func (s *source) takeAll(batch jetstream.MessageBatch, err error) ([]arrival, error) {
	if err != nil {
		return nil, err
	}
	var got []arrival
	for m := range batch.Messages() {
		if h := s.take(m); h != nil {
			got = append(got, arrival{m, h})
		}
	}
	return got, batch.Error()
}

// former returns first what former processes had in hand, in order. After a crash
// the server hands that out when AckWait is over, beside what is new; so it waits for
// it, and twice as long at most: another node that is alive keeps what it has. More
// than formerBytes is left to come in the server's order.
func (s *source) former(ctx context.Context, ackWait time.Duration) ([]arrival, error) {
	until := time.Now().Add(2 * ackWait)
	c := s.reader()
	if c == nil {
		return nil, jetstream.ErrConsumerNotFound
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	out, _, _ := s.out()
	missing := info.NumAckPending - out
	var got []arrival
	for size := 0; missing > 0 && size < formerBytes && err == nil && ctx.Err() == nil; {
		var some []arrival
		some, err = s.now(min(missing, readAhead))
		got = append(got, some...)
		again := 0
		for _, a := range some {
			size += len(a.Data())
			if meta, _ := a.Metadata(); meta != nil && meta.NumDelivered > 1 {
				again++
			}
		}
		missing -= again
		if again == 0 && (time.Now().After(until) || !sleep(ctx, ackWait/10)) {
			break
		}
	}
	slices.SortFunc(got, func(a, b arrival) int { return cmp.Compare(a.held.seq, b.held.seq) })
	return got, err
}

func putBack(as []arrival) {
	for _, a := range as {
		a.held.putBack(0)
	}
}
