package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// What the engine keeps begins with a version byte. A record of events is
//
//	version  1 byte   recordVersion
//	entries
//
// where an entry is
//
//	id [16]  topic [16]
//	schema 1 byte  its event.Schema, plus domainFollows
//	domain [16]    only with domainFollows
//	published varint
//	JSON, id, source, type, subject, specversion: each uvarint length and bytes
//
// The body of a delivery is a record of one entry; its head is
//
//	version  1 byte
//	attempts uvarint  last attempt varint  last status varint
//	last outcome, reason: each uvarint length and bytes
//
// Times are Unix nanoseconds, 0 for the zero time. There is no checksum: the
// engine has one. A change of layout takes the next version number, and the
// decoder goes on reading the older ones.
const recordVersion = 3

// domainFollows is the bit beside the schema that says that the topic is in a
// domain. Few are, so the others do not carry 16 zero bytes.
const domainFollows = 0x80

// entryOverhead bounds what an entry needs beside its variable parts, and
// headOverhead the same of a delivery's head.
const (
	entryOverhead = 128
	headOverhead  = 1 + 5*binary.MaxVarintLen64
)

// errMalformed is wrapped when a record cannot be read: damage that got past the
// engine's checksum, or something that this program never wrote.
var errMalformed = errors.New("malformed record")

// NewerRecordError says that a newer version of this program wrote a record.
// The record is kept for it.
type NewerRecordError struct{ Version int }

func (e *NewerRecordError) Error() string {
	return fmt.Sprintf("record of version %d: this program reads up to %d", e.Version, recordVersion)
}

func entrySize(e *Entry) int {
	v := &e.Event
	return entryOverhead + len(v.JSON) + len(v.ID) + len(v.Source) + len(v.Type) + len(v.Subject) + len(v.SpecVersion)
}

func appendEntry(b []byte, e *Entry) []byte {
	b = append(b, e.ID[:]...)
	b = append(b, e.Topic[:]...)
	if e.Domain.IsZero() {
		b = append(b, byte(e.Event.Schema))
	} else {
		b = append(b, byte(e.Event.Schema)|domainFollows)
		b = append(b, e.Domain[:]...)
	}
	b = appendTime(b, e.Published)
	b = binary.AppendUvarint(b, uint64(len(e.Event.JSON)))
	b = append(b, e.Event.JSON...)
	b = appendString(b, e.Event.ID)
	b = appendString(b, e.Event.Source)
	b = appendString(b, e.Event.Type)
	b = appendString(b, e.Event.Subject)
	return appendString(b, e.Event.SpecVersion)
}

// deliverySize bounds what [encodeDelivery] appends.
func deliverySize(d *Delivery) int {
	return 1 + entrySize(&d.Entry) + headOverhead + len(d.LastOutcome) + len(d.Reason)
}

// encodeDelivery appends the head and the body of d to b, and returns b and these
// parts of it.
func encodeDelivery(b []byte, d *Delivery) (rest, head, body []byte) {
	start := len(b)
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(max(d.Attempts, 0)))
	b = appendTime(b, d.LastAttempt)
	b = binary.AppendVarint(b, int64(d.LastStatus))
	b = appendString(b, d.LastOutcome)
	b = appendString(b, d.Reason)
	middle := len(b)
	b = append(b, recordVersion)
	b = appendEntry(b, &d.Entry)
	return b, b[start:middle:middle], b[middle:]
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
