// Package publish is the publish API: it takes events from partners over HTTP
// and answers 200 once they are durable.
//
// A request's way:
//
//	path, method ─ api-version ─ draining?      (endpoint.go, handler.go)
//	network rules                               (network.go)
//	credential: bearer, key or SAS              (credential.go)
//	content type, size, body                    (body.go)
//	events                                      (package event)
//	routing: channel header or event source     (route.go)
//	rate                                        (throttle.go)
//	Log.Append                                  durable, then 200
//
// The order is fixed. What is cheap and says least about the resource comes
// first, and no byte of a body is parsed for somebody without a credential.
// Every refusal is a [*problem] and is written in one place (problem.go).
//
// What a namespace looks like is read from a [Table], an immutable snapshot
// that whoever owns the resources swaps; a request sees one state of it from
// beginning to end and waits for nobody.
//
// The package must not know how events are stored, matched or delivered, nor
// how resources are managed.
package publish
