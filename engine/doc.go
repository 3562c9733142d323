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
// It must not know what is stored: no stream, bucket or subject is named here.
package engine
