// Package local keeps everything durable on one machine, in one Pebble database:
// the contract is that of package engine.
//
// # What is in the folder
//
//	pebble/       the database: its write-ahead log is synced before anything is
//	              acknowledged, its tables have a checksum for each block
//	acknowledged  up to which write callers were told that it is durable (acked.go)
//	ballast       space to give up when the disk is full (space.go)
//
// # What is in the database
//
//	e SEQ                    a record of events
//	p SEQ                    which events of it are settled
//	q QUEUE DUE|SUB ORDER    a delivery: its body's number, subscription, head
//	v NUMBER                 a body, which stays when its delivery moves
//	r KEY                    a resource
//	n                        the position of the newest transaction
//	t                        the tally: how many there are of each, and a hash
//
// What changes together is one batch, so a delivery that fails leaves one queue
// and enters another in one write. Numbers are big endian: keys sort by them.
//
// # Order
//
// Everything that is synced is applied under one lock (commit.go), so the order of
// the write-ahead log is that of our numbers: whoever waited for his own sync knows
// that all before it is durable too. Waiting for the disk happens outside.
//
// What is settled is written without a sync, a few milliseconds' worth at a time:
// the operating system has it when the process is killed, and a power cut repeats
// it.
//
// # What it must hold
//
// Pebble cannot tell two things from the innocent: that the newest part of the
// write-ahead log was damaged from that it was never written, and that the newest
// part of its manifest was. So the tally is compared with what is there, and its
// number of writes with the acknowledged ones, before anything else happens. Less
// is a [engine.LossError].
//
// # Faults
//
// A write that fails for want of space gets the ballast. Anything else in the
// background, and a disk that hangs, fails the engine: the process has to end,
// and nothing is worked around.
package local
