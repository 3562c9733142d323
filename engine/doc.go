// Package engine is the contract of the place where everything durable lives.
//
// Two implementations keep it: engine/local on one machine, with one copy of the
// data, and engine/cluster on several, over a NATS JetStream cluster. Package
// enginetest holds the suite that both must pass.
//
// # Who owns an event when
//
// An accepted event always has an owner: its record, or the deliveries made of
// it. What is handed out comes with a [Ref], and stays where it was until that is
// settled: by [Engine.Done] when nothing is owed any more, or by [Engine.Move],
// which writes the next owner first. So a crash at any moment hands a thing out
// again and never loses it.
//
//	Append ─▶ Events ──┬─▶ Done
//	                   └─▶ Move ─▶ Waiting, DeadLetters ─▶ Due ─────┬─▶ Done
//	                            ─▶ Spilled ─▶ ReadSpilled ──────────┴─▶ Move
//
// What may repeat: what was handed out and not settled, after a crash; and what
// was settled in the last moments before it. Nothing else does.
//
// # Bytes
//
// An engine does not know what it keeps: records, heads and bodies are bytes,
// written and read by packages eventlog and store.
package engine
