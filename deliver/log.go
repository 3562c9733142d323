package deliver

import (
	"context"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// Log is the durable side of delivery. What was handed out and whose claim never
// ends is handed out again after a restart; it stays readable when the claim ended.
//
// The Consume methods block until ctx ends and call their handler sequentially. A
// handler may return before the claims end, which may happen on any goroutine. The
// other methods return nil only when what they were given is durable, all of it, and
// with it release a share of each claim; an error leaves open whether some of it is,
// and the shares with the caller. They keep nothing of the slice.
type Log interface {
	Queues
	Retrier
	Backlogger
}

// Queues are what a dispatcher reads from start to stop.
type Queues interface {
	// ConsumeEvents hands out accepted events.
	ConsumeEvents(ctx context.Context, handle func(eventlog.EventBatch)) error
	// ConsumeRetries hands out deliveries whose Due has come, never earlier.
	ConsumeRetries(ctx context.Context, handle func(eventlog.DeliveryBatch)) error
	// ConsumeDeadLetters hands out dead letters whose Due has come.
	ConsumeDeadLetters(ctx context.Context, handle func(eventlog.DeliveryBatch)) error
}

// Retrier takes over what has to wait.
type Retrier interface {
	// Retry keeps deliveries until their Due.
	Retry(ctx context.Context, ts []eventlog.Transfer) error
	// DeadLetter keeps dead letters until their Due.
	DeadLetter(ctx context.Context, ts []eventlog.Transfer) error
}

// Backlogger keeps the overflow of single subscriptions, in order.
type Backlogger interface {
	// Overflow appends to the backlog of sub.
	Overflow(ctx context.Context, sub resource.UID, ts []eventlog.Transfer) error
	// Backlogs lists the subscriptions that have a backlog.
	Backlogs(ctx context.Context) ([]resource.UID, error)
	// ConsumeBacklog returns nil when the backlog is drained, every claim ended.
	// Unlike the other consumers its handler may block for as long as it likes.
	ConsumeBacklog(ctx context.Context, sub resource.UID, handle func(eventlog.DeliveryBatch)) error
	// DropBacklog deletes the backlog of sub, and calls each with every delivery that
	// goes: after an error for some, which are gone. No backlog is not an error.
	DropBacklog(ctx context.Context, sub resource.UID, each func(eventlog.Delivery)) error
}
