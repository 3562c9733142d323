// Package store keeps resources: durable in one JetStream stream, and complete
// in memory for reading.
//
// The stream holds one message per resource id (its latest version or a
// deletion marker). Every process reads it into a snapshot and follows it, so
// reads never leave the process and another node's writes appear by themselves.
//
// [Store.Commit] changes several resources as one unit, also across a crash.
// JetStream writes the messages of an atomic batch one after the other, so a
// process killed in between could leave half of it on disk. Therefore the first
// message of each batch carries the whole transaction; [Open] looks at the last
// one and completes it when a part is missing (see recover.go).
//
// The same can happen without a crash, on a full disk, so a commit that was not
// answered is settled before the next one: completed when it has begun, and what
// the snapshot shows is compared with the stream. [ErrNoSpace] says so to the
// caller; the transaction is there as a whole or not at all.
//
// Deletion markers are purged after a day, except those of the newest
// transaction: recovery would take a resource without a message for one that is
// still to be written.
//
// A transaction takes effect only if nobody else has written since it began
// (Nats-Expected-Last-Sequence); otherwise its function decides again. So rules
// may rely on whatever they read, with any number of nodes.
//
// What must not be readable in a copied data folder (keys, endpoint URLs,
// secret headers) is sealed with a master key before it is written.
//
// The package knows nothing of HTTP and of what the resources mean.
package store
