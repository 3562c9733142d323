// Package event reads and validates what publishers send, and builds events
// where Intertie has to write one itself.
//
// [Parse] takes the body and the headers of one publish request and answers
// with all its events or with one [*Error]; a request is never accepted in
// part. The way through the package:
//
//	Parse ─ content type and ce-* headers → mode          (mode.go)
//	      ─ batch, structured: one pass over the body      (parse.go, scan.go)
//	            envelope: attributes found, rules applied   (envelope.go, rules.go)
//	      ─ binary: the envelope is assembled from headers (binary.go, encode.go)
//
// An accepted event is forwarded, not re-encoded: [Event.JSON] is the slice of
// the request body that held it, so white space, escapes and large integers
// inside data survive. The one exception is specversion, whose value is
// normalised for consumers that refuse everything but "1.0".
//
// Names that occur twice: among the attributes of an event they are refused,
// because what Intertie filters and routes by must be what the receiver reads,
// and parsers disagree on which of two wins. Inside data they pass, since data
// belongs to the publisher and the receiver. For the same reason a lone
// surrogate escape is refused in an attribute and passes inside data.
//
// The package knows no HTTP beyond header names, no topics and no storage.
package event
