// Package deliver decides what happens to an accepted event: which
// subscriptions want it, when each attempt is made, and what becomes of it when
// nobody takes it.
//
// The way of an event, file by file:
//
//	eventlog ─ event batch ─→ intake.go   the memory budget
//	           topic.go       the filter indexes of the topic and of the domain
//	                          around it name the subscriptions
//	           lane.go        one item per subscription, into its own queue
//	           worker.go      takes one item, or several (batch.go, group.go)
//	           attempt.go     Target.Deliver, the verdict, the policy
//	             delivered    → released
//	             to be tried again (schedule.go, circuit.go)  → handover.go → eventlog.Retry
//	             given up     (deadletter.go, graves.go)      → handover.go → eventlog.DeadLetter → blob
//	             no room, or waited too long (backlog.go, sweep.go) → eventlog.Overflow → readback.go
//
// # One owner
//
// Every item carries a share of the claim on what it came with. It is released when
// the item is finished, or moves with it when the record that owns it next is
// durable, never before; the last share settles the claim. A crash at any moment
// therefore leaves at least one durable record of every unfinished (event,
// subscription). If the next record cannot be written, the write is repeated until it
// succeeds or the process ends, and the share stays.
//
// # Several events in an attempt
//
// A subscription with a [Batch] has its events taken from the head of its queue
// as many as fit; an attempt never waits for more. What was read from the log
// together is queued before the first attempt begins, so that it goes out
// together too. The attempt counts once for the limit of concurrency and for
// the circuit, and has one verdict; from there on each event goes its own way,
// with its own counter, due time, time to live and claim. A worker in flight
// holds many items, and the sweeper insures each of them.
//
// A target that is a [destination.Grouper] is asked about each event once, by
// the worker, with no lock held; events of other groups go back to the head of
// the queue, sorted.
//
// An endpoint that finds a batch too large (413) gets the same events again at
// once, half as many bytes at a time. That is no attempt of any event: only one
// that is refused alone is given up. The lane remembers the size and raises it
// again with every success.
//
// # Answers that come late
//
// A target may hear from its endpoint after it returned TimedOut. The event is
// then owed to nobody, but its retry is a record that waits in the log. late.go
// remembers it, in memory and within bounds, until the record falls due and is
// released as delivered; a dead letter of a last attempt likewise. What is
// forgotten (by a restart, or for newer ones) is delivered once more.
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
//     blocks on its own lane, in a window that shrinks when many lanes have one, and
//     what all of them have in memory is bounded by [Options.BacklogMemory]: one
//     half for lanes that answer, which so do not wait for those that hang.
//   - Attempts under way that are insured are bounded by Memory together: beyond it
//     a lane that hangs makes one attempt at a time. Deliveries of one event share
//     its bytes, wherever they were read from (share.go).
//   - Batches under way, insured or not, and the longer queues that they are
//     filled from, share [Options.BatchMemory]. A lane that finds its share used
//     up sends smaller batches, at worst single events; it does not wait.
//   - Writers of retries and dead letters are shared, and write what is waiting
//     together. A record that the log refuses again and again is moved to the
//     end and costs the others one failed write per round.
//   - A dead-letter store that hangs blocks its lane's writer only; what does
//     not fit, or is due while a store that refused is left alone, goes back to
//     the dead-letter queue with a later due time, but never later than a fresh
//     dead letter would be due.
//
// Waiting is free: an idle lane has no goroutine and no timer; an event that
// waits for its due time is a record in the log and nothing here.
//
// # A subscription that cannot be read
//
// After a rollback a subscription may be there that nobody can read. It is not a
// deleted one: its last version goes on, or it is parked (parked.go), and what comes
// waits in its backlog, past no filter, until a version can be read.
//
// # Queues and what happens when they are full
//
//	lane queue      QueueItems, QueueBytes   overflow to the lane's backlog
//	                (two batches, if larger)
//	batches         BatchMemory, shared      smaller batches
//	late answers    10,000 events a lane,    delivered once more
//	                65,536 together
//	lane overflow   bounded by Memory        readers wait for the disk
//	handovers       bounded by Memory and by the backlog windows; same
//	dead letters    two blobs per lane,      re-queued with a later due time
//	                64 MiB together
//
// # What can be seen
//
// [Dispatcher.Status] shows one subscription: circuit, last outcome, what waits
// where. Azure's delivery metrics count per event (metrics.go); what changes
// without an event is looked up when somebody scrapes (collector.go). Azure's
// AdvancedFilterEvaluationCount is missing: an index evaluates only the filters
// that an event leads to, so there is no such number.
//
// The package knows no HTTP and no NATS: it sees a [Log], targets and blob
// stores. It does not know how resources are managed either; whoever does
// calls SetTopic.
package deliver
