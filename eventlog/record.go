package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A record is what one JetStream message holds:
//
//	version  1 byte   recordVersion
//	kind     1 byte   what the entries are
//	ready    varint   Unix nanoseconds before which nothing in it is due; 0: at once
//	count    uvarint  how many entries follow
//	entries
//
// An entry is
//
//	id [16]  topic [16]
//	schema 1 byte  its event.Schema, plus domainFollows
//	domain [16]    only with domainFollows
//	published varint
//	JSON, id, source, type, subject, specversion: each uvarint length and bytes
//
// and a delivery adds
//
//	subscription [16]  attempts uvarint  due varint  last attempt varint
//	last status varint  last outcome, reason: each uvarint length and bytes
//
// Times are Unix nanoseconds, 0 for the zero time. There is no checksum:
// JetStream has one per message. A change of layout takes the next version
// number, and the decoder goes on reading the older ones: in version 1 an entry
// had neither schema nor domain, for all events were CloudEvents of partner
// topics.
const recordVersion = 2

// domainFollows is the bit beside the schema that says that the topic is in a
// domain. Few are, so the others do not carry 16 zero bytes.
const domainFollows = 0x80

type recordKind byte

const (
	eventRecord    recordKind = 'E'
	deliveryRecord recordKind = 'D'
)

// entryOverhead bounds what an entry needs beside its variable parts, and
// headerSize what a record needs beside its entries.
const (
	entryOverhead = 160
	headerSize    = 2 + 2*binary.MaxVarintLen64
)

// errMalformed is wrapped when a record cannot be read: damage that got past
// JetStream's checksum, or something that this program never wrote.
var errMalformed = errors.New("malformed record")

// NewerRecordError says that a newer version of this program wrote a record.
// The record is kept for it.
type NewerRecordError struct{ Version int }

func (e *NewerRecordError) Error() string {
	return fmt.Sprintf("record of version %d: this program reads up to %d", e.Version, recordVersion)
}

func appendHeader(b []byte, kind recordKind, ready time.Time, count int) []byte {
	b = append(b, recordVersion, byte(kind))
	b = appendTime(b, ready)
	return binary.AppendUvarint(b, uint64(count)) //nolint:gosec // a length is not negative
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

func deliverySize(d *Delivery) int {
	return entrySize(&d.Entry) + len(d.LastOutcome) + len(d.Reason)
}

func appendDelivery(b []byte, d *Delivery) []byte {
	b = appendEntry(b, &d.Entry)
	b = append(b, d.Subscription[:]...)
	b = binary.AppendUvarint(b, uint64(max(d.Attempts, 0)))
	b = appendTime(b, d.Due)
	b = appendTime(b, d.LastAttempt)
	b = binary.AppendVarint(b, int64(d.LastStatus))
	b = appendString(b, d.LastOutcome)
	return appendString(b, d.Reason)
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
