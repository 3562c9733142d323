package engine

import (
	"context"
	"time"

	"github.com/intertie/intertie/resource"
)

// Engine keeps events, deliveries and resources. Its methods are safe for
// concurrent use, but each reading method (Events, Due of one queue, ReadSpilled
// of one subscription) may run once at a time, and its handler is called from
// one goroutine at a time.
//
// Readers block until their context ends, whose error they return, or the engine
// is closed ([ErrClosed]) or has failed. What they hand out is valid until the
// handler returns, unless said otherwise.
type Engine interface {
	Log
	Deliveries
	Resources
	Storage

	// Counts returns how much is kept. It costs nothing.
	Counts() Counts
	// Failed is closed when the engine has found that it cannot keep its promises
	// any more: the process must end. Err then says why.
	Failed() <-chan struct{}
	Err() error
	// Close lets what is under way finish and closes the engine. What is handed
	// out and not settled is handed out again by the next one. End the readers
	// first. Further calls do nothing.
	Close() error
}

// Storage says how what is below the engine is doing. Asking costs nothing.
type Storage interface {
	// Room returns why nothing from outside is taken at present (it wraps
	// [ErrNoSpace]), or nil.
	Room() error
	// Reachable returns why the storage cannot be asked for anything at present, or
	// nil. It costs nothing, and what it says may pass by itself.
	Reachable() error
	// Free returns how many bytes of disk what comes from outside may still take;
	// less than 0 when nobody can tell.
	Free() int64
}

// Log holds accepted events, in records of many.
type Log interface {
	// Append makes a record of count events durable, all or nothing, and returns
	// when it is: nil means synced to disk, or stored by a quorum. It keeps nothing
	// of data.
	//
	// When ctx ends first its error is returned, and the record may or may not
	// become durable; the same holds for errors that wrap [ErrUnconfirmed]. After
	// any other error nothing was written: [ErrNoSpace], at once when the disk is
	// close to full; [ErrTooLarge] beyond [MaxRecord]; [ErrClosed].
	Append(ctx context.Context, data []byte, count int) error

	// Events hands out the records in the order they became durable: first those of
	// former processes that are not settled, whole or in part, then each new one,
	// once. With 8,192 records out it stands still until one is settled.
	Events(ctx context.Context, handle func(Record)) error
}

// MaxRecord is the most bytes of one record or of one delivery.
const MaxRecord = 4<<20 - 64<<10

// Record is what one Append wrote.
type Record struct {
	Data  []byte
	Count int
	// Settled says of each event whether it was settled by a former process; nil
	// means that none was. An engine may forget it after a crash.
	Settled []bool
	// Ours says that this engine has appended it since it was opened; an engine that
	// cannot tell leaves it out.
	Ours bool
	// Of makes a Ref of each event: Ref{Of, i}.
	Of Owner
}

// Ref names one thing that was handed out. The zero Ref names nothing.
type Ref struct {
	Of    Owner
	Index int
}

// Owner is known to the engine that made it.
type Owner any

// Queue is where a delivery is kept.
type Queue uint8

// The queues of deliveries.
const (
	// Waiting deliveries are handed out when they are due, the earliest first.
	Waiting Queue = iota
	// DeadLetters likewise; they are what was given up, until it is written away.
	DeadLetters
	// Spilled deliveries found no room in memory. Each subscription has its own,
	// handed out in order and as fast as they are settled.
	Spilled

	Queues = iota
)

// Delivery is one event that is owed to one subscription.
type Delivery struct {
	Queue        Queue
	Subscription resource.UID
	// Due is when to hand it out; unused in Spilled.
	Due time.Time
	// Head is small and changes from attempt to attempt, Body is the event and
	// stays the same: with From of a delivery it must be what that one had.
	Head, Body []byte
	// From is what owned it before, and is settled by the same write; zero if
	// that has other owners to wait for.
	From Ref
}

// Pending is a delivery that was handed out. Head and Body may be kept.
type Pending struct {
	Delivery
	Ref Ref
}

// Deliveries holds what is owed and cannot be delivered now.
type Deliveries interface {
	// Move makes deliveries durable, each in its queue, settles what they are From,
	// and returns when both are: where the engine can, as one write. It keeps
	// nothing of the slices.
	//
	// After an error what they are From is still owned, and some of them may be
	// kept as well, to be handed out beside it. [ErrNoSpace] comes when the disk
	// has no room even for what is moved: repeat it later.
	Move(ctx context.Context, ds []Delivery) error

	// Done settles what needs no other owner. It does not wait; a crash in the next
	// moments hands it out again. Refs of the same thing after the first are of no
	// effect, as are all after Close.
	Done(refs ...Ref)

	// Due hands out the deliveries of Waiting or DeadLetters whose time has come:
	// never before, and late by no more than the work in front of them takes. Those
	// that are due at the same time may come in one call. A clock that was set is
	// looked at within seconds; what is due further ahead than [MaxWait] was written
	// under another clock and is handed out.
	Due(ctx context.Context, q Queue, handle func([]Pending)) error

	// ReadSpilled hands out what a subscription has spilled, in order; about 8 MiB
	// of it may be out. It returns nil when nothing is left: all is settled, and no
	// Move to it is under way. What is moved there meanwhile it hands out too. Its
	// handler may block for as long as it likes.
	ReadSpilled(ctx context.Context, sub resource.UID, handle func([]Pending)) error

	// SpilledBy returns the subscriptions that have spilled something, in no order.
	SpilledBy(ctx context.Context) ([]resource.UID, error)

	// Held returns what each subscription had in all queues when the engine was
	// opened; nil from an engine that cannot tell. The map must not be changed.
	Held() map[resource.UID]Held

	// DropSpilled deletes what a subscription has spilled, and calls each once with
	// every delivery that it deletes. What is handed out already stays with whoever
	// has it, and is not deleted here. A Move that runs meanwhile may leave
	// something behind. After an error each may have been called for some, which
	// are gone.
	DropSpilled(ctx context.Context, sub resource.UID, each func(Pending)) error
}

// MaxWait is longer than anything waits: Event Grid keeps an event for a day, and a
// delay is spread by a tenth.
const MaxWait = 28 * time.Hour

// Resources holds values by key, changed in transactions.
type Resources interface {
	// Commit makes writes durable as one unit, all or nothing also across a crash,
	// if the newest transaction is the one at position: otherwise it returns
	// [ErrConflict] and writes nothing. It returns the new position, which every
	// Follow will reach.
	//
	// [ErrTooLarge], [ErrNoSpace] and ErrConflict mean that nothing was written. After
	// another error the transaction is there as a whole or not at all: which one,
	// Follow tells before the next Commit succeeds.
	Commit(ctx context.Context, position uint64, writes []Write) (uint64, error)

	// Follow calls apply with everything there is (Snapshot), and then with each
	// transaction, in order, as a whole, from one goroutine at a time. When it
	// loses its place it begins again with a Snapshot. It returns when ctx ends,
	// when apply returns an error, which is then its own, or when the engine fails.
	// A Commit of the same engine returns after apply has seen it, or soon before.
	Follow(ctx context.Context, apply func(Transaction) error) error

	// Fresh reports that nothing was ever committed: this is the first start.
	Fresh(ctx context.Context) (bool, error)
}

// Transaction is what one Commit wrote, or everything there is.
type Transaction struct {
	// Position is up to where a reader has now seen everything. The first is above 0.
	Position uint64
	Snapshot bool
	Writes   []Write
}

// Write is the new value of a key.
type Write struct {
	Key   string
	Value []byte // nil: deleted
	// Revision is set by the engine: it grows with each write of a key.
	Revision uint64
}

// Counts is how much an engine keeps: records of events that are not settled
// whole, and deliveries by queue.
type Counts struct {
	Records    int64
	Deliveries [Queues]int64
}

// Held is how much is kept for one subscription.
type Held struct {
	Deliveries int64
	Bytes      int64 // of their heads and bodies
}
