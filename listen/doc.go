// Package listen is a webhook receiver for people: it consents to being sent
// events, prints each one so that it can be read, and can play a bad endpoint.
//
//	OPTIONS                → consent, CloudEvents style
//	POST validation event  → consent, Event Grid style
//	POST anything else     → decode, wait, print, answer
//
// It is lenient where a production receiver would not be: the shape of the
// body counts for more than its Content-Type. What it prints comes from
// strangers, so nothing reaches the terminal that could steer it.
//
// The package knows nothing of the rest of the server; tests and the demo use
// it as an [http.Handler] with a callback.
package listen
