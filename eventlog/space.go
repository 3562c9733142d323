package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoSpace says that there is no room on disk, or that the disk does not take
// writes at present. Nothing was written, unless the error wraps
// [ErrUnconfirmed] as well.
var ErrNoSpace = errors.New("no space left for the event log")

// Space admits what is to be written to the log's disk. Its methods must not
// block, and are called from any goroutine.
type Space interface {
	// Take admits n bytes that come from outside or says why there is no room.
	Take(n int) error
	// TakeOwn is Take for what is moved from one queue to another: refused later,
	// since it frees space in the end.
	TakeOwn(n int) error
	// TakeToFree is Take for what frees much more than it writes: refused last.
	TakeToFree(n int) error
	// Put is called once for each n that was admitted, when it is written or
	// never will be.
	Put(n int)
	// Failed returns a channel that is closed once the disk has failed, so that
	// what is under way will not be answered. It is another one when the disk
	// works again.
	Failed() <-chan struct{}
}

// boundless is the Space of a log that was given none.
type boundless struct{}

func (boundless) Take(int) error          { return nil }
func (boundless) TakeOwn(int) error       { return nil }
func (boundless) TakeToFree(int) error    { return nil }
func (boundless) Put(int)                 {}
func (boundless) Failed() <-chan struct{} { return nil }

// noSpace are the codes with which JetStream refuses a message for want of room:
// resource limits of the account, insufficient resources, memory or storage
// resources exceeded, a stream that reached its bounds.
var noSpace = map[jetstream.ErrorCode]bool{10002: true, 10023: true, 10028: true, 10047: true, 10077: true}

// commitError tells a record that was refused from one that may be durable.
func commitError(err error) error {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok && noSpace[e.ErrorCode] {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	if errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return err
}

// purgeBytes is the most that nats-server writes before a purge frees anything:
// the rest of a block whose first half goes.
const purgeBytes = 4 << 20

// purge cuts something off stream. It needs a little room on disk itself.
func (l *Log) purge(ctx context.Context, stream jetstream.Stream, opts ...jetstream.StreamPurgeOpt) error {
	if err := l.opts.Space.TakeToFree(purgeBytes); err != nil {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	defer l.opts.Space.Put(purgeBytes)
	return stream.Purge(ctx, opts...)
}
