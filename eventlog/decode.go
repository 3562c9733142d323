package eventlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/intertie/intertie/event"
)

// decodeEvents reads a record of events. Nothing returned aliases rec: an event
// that is kept for long must not keep its whole record alive.
func decodeEvents(rec []byte) ([]Entry, error) {
	r, _, n, err := openRecord(rec, eventRecord)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, n)
	for i := range entries {
		r.entry(&entries[i])
		r.finish(&entries[i], nil)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return entries, nil
}

// decodeDeliveries is decodeEvents for deliveries; it also returns when the
// first of them may be due.
func decodeDeliveries(rec []byte) (time.Time, []Delivery, error) {
	r, ready, n, err := openRecord(rec, deliveryRecord)
	if err != nil {
		return time.Time{}, nil, err
	}
	ds := make([]Delivery, n)
	for i := range ds {
		d := &ds[i]
		r.entry(&d.Entry)
		copy(d.Subscription[:], r.bytes(16))
		d.Attempts = int(min(r.uvarint(), math.MaxInt32))
		d.Due = r.time()
		d.LastAttempt = r.time()
		d.LastStatus = int(int32(r.varint())) //nolint:gosec // a status is far smaller; what damage left is cut to fit
		r.text()
		r.text()
		r.finish(&d.Entry, d)
	}
	if err := r.end(); err != nil {
		return time.Time{}, nil, err
	}
	return ready, ds, nil
}

func openRecord(rec []byte, want recordKind) (r reader, ready time.Time, n int, err error) {
	if len(rec) < 2 {
		return r, ready, 0, fmt.Errorf("%w: %d bytes", errMalformed, len(rec))
	}
	if rec[0] > recordVersion {
		return r, ready, 0, &NewerRecordError{Version: int(rec[0])}
	}
	if rec[0] == 0 || recordKind(rec[1]) != want {
		return r, ready, 0, fmt.Errorf("%w: version %d, kind %q where %q belongs", errMalformed, rec[0], rec[1], want)
	}
	r.version, r.rest = rec[0], rec[2:]
	ready = r.time()
	count := r.uvarint()
	// No entry is shorter than its two ids, so a count cannot make us allocate
	// more than a small multiple of what was read.
	if r.bad || count > uint64(len(r.rest)/32) {
		return r, ready, 0, fmt.Errorf("%w: impossible count", errMalformed)
	}
	return r, ready, int(count), nil //nolint:gosec // bounded above
}

// reader takes a record apart. After the first field that does not fit, bad is
// set and every further field is zero; end reports it.
type reader struct {
	version byte
	rest    []byte
	bad     bool
	texts
}

// texts gathers the strings of the entry being read, so that all of them share
// one allocation.
type texts struct {
	buf  []byte
	ends [7]int
	n    int
}

func (r *reader) entry(e *Entry) {
	r.buf, r.n = r.buf[:0], 0
	copy(e.ID[:], r.bytes(16))
	copy(e.Topic[:], r.bytes(16))
	if r.version >= 2 {
		r.origin(e)
	}
	e.Published = r.time()
	e.Event.JSON = append([]byte(nil), r.bytes(r.length())...)
	for range 5 { // id, source, type, subject, specversion
		r.text()
	}
}

// origin reads what version 2 added: of which schema the event is, and in which
// domain its topic.
func (r *reader) origin(e *Entry) {
	b := r.bytes(1)
	if r.bad {
		return
	}
	e.Event.Schema = event.Schema(b[0] &^ domainFollows)
	if e.Event.Schema > event.Custom {
		r.bad = true
		return
	}
	if b[0]&domainFollows != 0 {
		copy(e.Domain[:], r.bytes(16))
	}
}

func (r *reader) text() {
	r.buf = append(r.buf, r.bytes(r.length())...)
	r.ends[r.n] = len(r.buf)
	r.n++
}

// finish cuts the gathered strings out of one block.
func (r *reader) finish(e *Entry, d *Delivery) {
	block := string(r.buf)
	next, from := 0, 0
	cut := func() string {
		s := block[from:r.ends[next]]
		from = r.ends[next]
		next++
		return s
	}
	e.Event.ID, e.Event.Source, e.Event.Type, e.Event.Subject, e.Event.SpecVersion = cut(), cut(), cut(), cut(), cut()
	if d != nil {
		d.LastOutcome, d.Reason = cut(), cut()
	}
}

func (r *reader) end() error {
	if r.bad {
		return fmt.Errorf("%w: an entry is cut off or has an unknown schema", errMalformed)
	}
	if len(r.rest) > 0 {
		return fmt.Errorf("%w: %d bytes after its last entry", errMalformed, len(r.rest))
	}
	return nil
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return 0
	}
	return int(n) //nolint:gosec // bounded above
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) time() time.Time {
	ns := r.varint()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
