// Package publish is the publish API: it takes events over HTTP, for custom
// topics, domains and partner namespaces, and answers 200 once they are
// durable.
//
// A request's way:
//
//	path, method ─ api-version ─ draining?      (endpoint.go, handler.go)
//	network rules                               (network.go)
//	credential: bearer, key or SAS              (credential.go)
//	content type, size, body                    (body.go)
//	events, in the resource's schema            (package event)
//	routing: the topic itself, domain topics,   (route.go, domaintopics.go)
//	         channel header or event source
//	rate                                        (throttle.go)
//	Log.Append                                  durable, then 200
//
// The order is fixed. What is cheap and says least about the resource comes
// first, and no byte of a body is parsed for somebody without a credential.
// Every refusal is a [*problem] and is written in one place (problem.go).
//
// What a resource looks like is read from a [Table], an immutable snapshot that
// whoever owns the resources swaps; a request sees one state of it from
// beginning to end and waits for nobody. Only the topics of a domain, which may
// be a hundred thousand, change under a request. Kinds of resources differ in
// routing and in nothing else: what guards an endpoint is one code for all.
//
// Metrics are kept per resource (metrics.go). Their series are looked up when a
// [Source] is built, never for a request, and end when [Metrics.Forget] says so.
//
// The package must not know how events are stored, matched or delivered, nor
// how resources are managed.
package publish
