// Package webhook delivers events to HTTP endpoints, asks endpoints for their
// consent before anything is delivered, and tells them when it is over.
//
// A delivery is packed first: the form of the delivery schema makes the body
// out of the events' own bytes, and the header out of a part that all requests
// of a subscription share, what varies, and the subscriber's properties. Then
// every request, handshake, notice or delivery, goes one way:
//
//	Check(URL) → token, if any → shared transport → guarded dial → one exchange → Verdict or *Error
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
// A delivery whose caller would take a late answer is made by a goroutine of the
// client, since it may go on when its attempt has ended. How many do is bounded,
// and Close ends them.
//
// Secrets pass through here: queries of URLs, values of properties, tokens and
// what they are asked for with. None of them is in an error.
//
// The package makes single attempts. It does not know retries of deliveries,
// queues, subscriptions' lifetimes or where a validation link leads; a
// handshake that must wait for a person is reported as such and forgotten.
package webhook
