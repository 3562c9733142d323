// Package eventlog gives every accepted event a durable owner from the answer to
// its publisher until its last delivery is settled.
//
// It is what events and deliveries look like (record.go, decode.go), the group
// commit in front of the engine (appender.go), and who owns what (claim.go):
//
//	Append ──────▶ ConsumeEvents       every accepted event, once
//	Retry ───────▶ ConsumeRetries      one (event, subscription) that waits
//	Overflow ────▶ ConsumeBacklog      what found no room in memory
//	DeadLetter ──▶ ConsumeDeadLetters  what must be written away
//
// What is handed out comes with a [Claim]. It stays with its owner until all shares
// of the claim are released, or the last of them is moved: Retry, Overflow and
// DeadLetter write the next owner and settle the former one together. A crash in
// between hands the same thing out twice, never not at all: delivery is at least
// once, under the same ids.
//
// Waiting is free: it costs no goroutine, timer or memory of ours, whatever the
// number.
//
// What is durable, and against which faults, package engine says. When it has no
// room the answer is [ErrNoSpace], and the caller repeats.
//
// The package must not know why an event is delivered, retried or dropped, and
// knows neither HTTP nor Azure nor any storage.
package eventlog
