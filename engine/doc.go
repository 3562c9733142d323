// Package engine opens the one place where everything durable lives: NATS
// JetStream, either embedded in this process without a listening socket or
// reached at an external cluster. The rest of the program cannot tell which.
//
// An embedded engine syncs every write before it acknowledges it, so what
// JetStream acknowledges survives kill -9 and a power cut. An external
// cluster acknowledges what a quorum has stored.
//
// The engine also owns the data folder: one process at a time (an advisory
// lock that the kernel releases when the process dies, however it dies) and a
// format number, so that an older program never touches a newer folder.
//
// # A full disk
//
// [Space] admits what is to be written, and refuses it before the disk is full:
//
//	free bytes     what is taken
//	≥ reserve      everything
//	≥ reserve/2    what the program moves: retries, backlogs, dead letters
//	≥ reserve/4    cutting off what is done, which frees more than it writes
//	below          nothing
//
// Each mark is left behind when a quarter more than it is free. Whoever writes
// asks Space, says when it is written, and repeats what was refused, later.
//
// Another program can fill the disk all the same. A stream whose write fails is of
// no use to nats-server any more, even when there is space again; so a supervisor
// replaces the server when there is, under the same connection (supervisor.go).
// Consumers and acknowledgements that were under way go on by themselves; a write
// that was under way is not answered, which [Space.Failed] tells its caller.
//
// The storage of an external NATS is not watched: it answers when it has no room.
//
// The package must not know what is stored: no stream, bucket or subject is named
// here.
package engine
