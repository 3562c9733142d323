// Package event reads and validates what publishers send, converts it to what
// subscribers want, and builds events where Intertie has to write one itself.
//
// [Parse] takes the body and the headers of one publish request and answers
// with all its events or with one [*Error]; a request is never accepted in
// part. The way through the package:
//
//	Parse ─ CloudEvents: content type and ce-* headers → mode      (mode.go)
//	      ─ one pass over the body, event by event                 (parse.go, scan.go)
//	          CloudEvents: attributes found, rules applied         (envelope.go, rules.go)
//	          Event Grid:  properties found, rules applied         (grid.go, time.go)
//	          Custom:      fields taken where the mapping says     (custom.go)
//	            the last two are written anew, with data copied    (stamp.go)
//	      ─ binary: the envelope is assembled from headers         (binary.go, encode.go)
//	      ─ refused: a hint when the schema is another one         (hint.go)
//	Event.Append ─ the event in the schema of its delivery         (convert.go)
//	New, NewGrid ─ an event of our own                             (encode.go, stamp.go)
//
// An accepted CloudEvent is forwarded, not re-encoded: [Event.JSON] is the slice
// of the request body that held it, so white space, escapes and large integers
// inside data survive. The one exception is specversion, whose value is
// normalised for consumers that refuse everything but "1.0". In the other
// schemas the service adds fields, so the event is written once, when it is
// accepted, in an order of ours; texts and data are copied as they were sent. A
// time is rewritten if only lenient parsers can read it. Conversion on delivery
// copies the same bytes into other places.
//
// Names that occur twice: among the attributes of a CloudEvent they are refused,
// because what Intertie filters and routes by must be what the receiver reads,
// and parsers disagree on which of two wins. In the Event Grid schema the last
// one wins, as in Azure, and only that one is written. Inside data they pass,
// since data belongs to the publisher and the receiver; a mapping reads the last
// one. For the same reason a lone surrogate escape is refused in an attribute
// and passes inside data.
//
// The package knows no HTTP beyond header names, no topics and no storage.
package event
