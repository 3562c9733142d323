// Package deliver decides what happens to an accepted event: which
// subscriptions want it, when each attempt is made, and what becomes of it when
// nobody takes it.
//
// The way of an event, file by file:
//
//	eventlog ─ event batch ─→ intake.go   one hold per batch, memory budget
//	           topic.go       the topic's filter index names the subscriptions
//	           lane.go        one item per subscription, into its own queue
//	           attempt.go     Target.Deliver, the verdict, the policy
//	             delivered    → released
//	             to be tried again (schedule.go, circuit.go)  → handover.go → eventlog.Retry
//	             given up     (deadletter.go)                 → handover.go → eventlog.DeadLetter → blob
//	             no room, or waited too long (backlog.go, sweep.go) → eventlog.Overflow → readback.go
//
// # One owner
//
// Every item carries the hold of the batch it came with. An item lets go of its
// hold when it is finished or when the record that owns it next is durable,
// never before; the last one to let go calls the batch's Done. A crash at any
// moment therefore leaves at least one durable record of every unfinished
// (event, subscription). If the next record cannot be written, the write is
// repeated until it succeeds or the process ends, and the hold stays.
//
// # Why no endpoint can stall another one
//
// Everything that can wait for an endpoint is private to its lane: the queue
// (bounded by count and bytes), the workers (bounded by an adaptive limit), the
// circuit, the backlog and its reader, the dead letters and their writer. What
// lanes share never waits for an endpoint:
//
//   - The readers of the log (events, due retries, due dead letters) hand over
//     to lanes and never block on one: [lane.offer] queues, or appends to the
//     lane's overflow, or postpones, and returns.
//   - Shared memory is what read batches hold. Two things could keep a batch
//     held for as long as an endpoint hangs: an item waiting in the queue, and
//     an item in an attempt. The sweeper moves the former to the lane's backlog
//     after [Options.HoldLimit], and writes the latter there too as an insurance
//     (the attempt goes on; whichever ends it settles the copy when that is read
//     back). So an endpoint holds a batch for about HoldLimit, however long it
//     hangs. When the budget runs out all the same, the limit shrinks
//     to [Options.PressedHoldLimit] until there is room: a reader then waits for
//     the disk, as everybody does, but not for an endpoint.
//   - Items read back from a backlog hold nothing but that backlog. Its reader
//     blocks on its own lane, in a window that shrinks when many lanes have one.
//   - Writers of retries and dead letters are shared, and write what is waiting
//     together. A record that the log refuses again and again is moved to the
//     end and costs the others one failed write per round.
//   - A dead-letter store that hangs blocks its lane's writer only; what does
//     not fit goes back to the dead-letter queue with a later due time.
//
// Waiting is free: an idle lane has no goroutine and no timer; an event that
// waits for its due time is a record in the log and nothing here.
//
// # Queues and what happens when they are full
//
//	lane queue      QueueItems, QueueBytes   overflow to the lane's backlog
//	lane overflow   bounded by Memory        readers wait for the disk
//	handovers       bounded by Memory and by the backlog windows; same
//	dead letters    two blobs per lane       re-queued with a later due time
//
// The package knows no HTTP and no NATS: it sees a [Log], targets and blob
// stores. It does not know how resources are managed either; whoever does
// calls SetTopic.
package deliver
