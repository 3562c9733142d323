package eventlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/event"
)

// decodeEvents reads a record of n events. Nothing returned aliases rec: an event
// that is kept for long must not keep its whole record alive.
func decodeEvents(rec []byte, n int) ([]Entry, error) {
	r, err := openRecord(rec)
	if err != nil {
		return nil, err
	}
	// No entry is shorter than its two ids, so a count cannot make us allocate more
	// than a small multiple of what was read.
	if n < 0 || n > len(r.rest)/32 {
		return nil, fmt.Errorf("%w: %d bytes for %d events", errMalformed, len(rec), n)
	}
	entries := make([]Entry, n)
	for i := range entries {
		r.entry(&entries[i])
		r.finishEntry(&entries[i])
	}
	return entries, r.end()
}

// decodeDelivery reads a delivery. Its JSON aliases the body.
func decodeDelivery(p *engine.Delivery) (d Delivery, err error) {
	d.Subscription, d.Due = p.Subscription, p.Due
	r, err := openRecord(p.Body)
	if err != nil {
		return d, err
	}
	r.alias = true
	r.entry(&d.Entry)
	r.finishEntry(&d.Entry)
	if err := r.end(); err != nil {
		return d, err
	}
	if r, err = openRecord(p.Head); err != nil {
		return d, err
	}
	d.Attempts = int(min(r.uvarint(), math.MaxInt32))
	d.LastAttempt = r.time()
	d.LastStatus = int(int32(r.varint())) //nolint:gosec // a status is far smaller; what damage left is cut to fit
	d.LastOutcome = string(r.bytes(r.length()))
	d.Reason = string(r.bytes(r.length()))
	return d, r.end()
}

func openRecord(rec []byte) (r reader, err error) {
	if len(rec) == 0 {
		return r, fmt.Errorf("%w: it is empty", errMalformed)
	}
	switch v := rec[0]; {
	case v > recordVersion:
		return r, &NewerRecordError{Version: int(v)}
	case v < recordVersion:
		return r, fmt.Errorf("%w: version %d", errMalformed, v)
	}
	r.rest = rec[1:]
	return r, nil
}

// reader takes a record apart. After the first field that does not fit, bad is
// set and every further field is zero; end reports it.
type reader struct {
	rest  []byte
	alias bool // what is read may be a part of the record
	bad   bool
	texts
}

// texts gathers the strings of the entry being read, so that all of them share
// one allocation.
type texts struct {
	buf  []byte
	ends [5]int
	n    int
}

func (r *reader) entry(e *Entry) {
	r.buf, r.n = r.buf[:0], 0
	copy(e.ID[:], r.bytes(16))
	copy(e.Topic[:], r.bytes(16))
	r.origin(e)
	e.Published = r.time()
	json := r.bytes(r.length())
	if !r.alias {
		json = append([]byte(nil), json...)
	}
	e.Event.JSON = json
	for range 5 { // id, source, type, subject, specversion
		r.text()
	}
}

// origin reads of which schema the event is, and in which domain its topic.
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

// finishEntry cuts the gathered strings out of one block.
func (r *reader) finishEntry(e *Entry) {
	block, from := string(r.buf), 0
	for i, field := range []*string{&e.Event.ID, &e.Event.Source, &e.Event.Type, &e.Event.Subject, &e.Event.SpecVersion} {
		*field = block[from:r.ends[i]]
		from = r.ends[i]
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

// CheckRecord reports why a record of count events cannot be read.
func CheckRecord(rec []byte, count int) error {
	_, err := decodeEvents(rec, count)
	return err
}

// CheckDelivery reports why a delivery cannot be read.
func CheckDelivery(d *engine.Delivery) error {
	_, err := decodeDelivery(d)
	return err
}
