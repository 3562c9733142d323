// Package cluster implements package engine over an external NATS JetStream: a
// cluster of servers, reached over the network, that answers a write when a
// quorum has it.
//
// # Where things are
//
//	INTERTIE_EVENTS      a message for each record
//	INTERTIE_DELIVERIES  messages of up to 512 deliveries, by subject:
//	                     a delay ("tier") of Waiting or DeadLetters, or a
//	                     subscription of Spilled
//	INTERTIE_NOTES       what is settled of messages that are not as a whole
//	INTERTIE_STATE       the newest value of each key, and the newest transaction
//
// # Who has a message
//
// A durable consumer for each subject hands messages out; this process then
// holds them (source.go). It says so to the server every second or so; after a
// crash nobody does, and the server hands the message out again after AckWait.
// A message is acknowledged when each of its parts, an event or a delivery, is
// settled. Acknowledging deletes nothing, so it costs no write to the stream: the
// janitor cuts off what is acknowledged, once a second.
//
// # Waiting
//
// A message in a tier is ready that long after it was written, so the first one
// is the next to be ready: one sleeping reader serves any number of them. What is
// due when its message is ready is handed out, what is due soon waits in memory,
// the rest is moved on to a shorter tier (due.go).
//
// # Transactions
//
// The whole of a transaction stands in its first message, which is taken only if
// the stream ends where it was decided on: with that message it is durable. The
// values follow one by one, each taken only right behind the one before. Whoever
// reads the first message acts on all of it, and nobody can commit anything before
// the last value is there: whoever tries completes them (redo.go).
//
// The package must not know what records, heads, bodies and values hold, and
// takes no lock on any folder.
package cluster
