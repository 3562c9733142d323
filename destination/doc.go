// Package destination holds what every kind of destination has in common: the
// notification that is handed to it, the verdict it gives back, and the table
// that says what a failure means for the event and for the endpoint.
//
// One attempt is one call:
//
//	Notification → Target.Deliver → Verdict → Kind.Policy(Outcome) → retry, dead-letter or done
//
// The package decides nothing about time: when a retry falls due, how long an
// event may live and what becomes of an exhausted one belong to the caller. It
// knows no transport; each kind of destination lives in a package of its own
// below this one and imports these types.
package destination
