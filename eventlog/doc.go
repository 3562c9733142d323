// Package eventlog gives every accepted event a durable owner from the answer
// to its publisher until its last delivery is settled.
//
// There are four kinds of owner, each a JetStream stream (or several):
//
//	Append ─▶ EVENTS ─▶ ConsumeEvents            every accepted event, once
//	Retry ──▶ RETRY_* ─▶ ConsumeRetries          one (event, subscription) that waits
//	Overflow ▶ BACKLOG ─▶ ConsumeBacklog         what found no room in memory
//	DeadLetter ▶ DEADLETTER ─▶ ConsumeDeadLetters  what must be written away
//
// Ownership moves by writing to the next and only then calling Done on the
// previous. A crash in between hands the same thing out twice, never not at
// all: delivery is at least once, under the same ids.
//
// All four are built of the same part, the queue: a stream that many callers
// append to in shared records (group commit: what waits while a record is
// being synced becomes the next record), that a durable consumer hands out in
// order, and whose head is cut off as records are done.
//
// Waiting is free. What must wait lies in one stream per delay (a tier), where
// the first record is the next to come due, so each tier has one reader that
// sleeps until then. Only what is due within seconds is held in memory, in one
// bounded heap.
//
// What is appended is first admitted by [Space]: events as what comes from
// outside, the other three as what moves and frees room in the end. [ErrNoSpace]
// is then the answer at once, and nothing was written; the caller repeats it. When
// the disk fails while records are under way their callers get the same error and
// [ErrUnconfirmed], since some of them may be durable. Readers go on with what is
// there, and by themselves when the storage was replaced under the connection;
// what is done meanwhile may be handed out once more. Nothing is cut off without
// room: a purge writes before it frees, and nats-server can hang on a full disk.
//
// The package must not know why an event is delivered, retried or dropped, and
// knows neither HTTP nor Azure.
package eventlog
