// Package webhook delivers events to HTTP endpoints and asks endpoints for
// their consent before anything is delivered.
//
// Every request, handshake or delivery, goes one way:
//
//	Check(URL) → shared transport → guarded dial → one exchange → Verdict or *Error
//
// The guard looks at the address that DNS gave, at the moment of each dial.
// Whatever a host name resolves to, and however an address is spelled, nothing
// is sent to a network that is not permitted. For the same reason there are no
// redirects and no environment proxy: both would choose an address behind the
// guard's back.
//
// Endpoints belong to strangers. They may hang, trickle, reset, redirect or
// answer without end, and they may echo what was sent to them. So each exchange
// has one time limit that covers everything from the DNS question to the last
// byte of the answer, the answer is read up to a bound and then thrown away,
// and error texts are composed here instead of being passed on.
//
// The package makes single attempts. It does not know retries of deliveries,
// queues, subscriptions' lifetimes or where a validation link leads; a
// handshake that must wait for a person is reported as such and forgotten.
package webhook
