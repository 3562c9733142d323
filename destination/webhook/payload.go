package webhook

import (
	"bytes"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

// joinedUpTo is the size up to which the events of an array are copied into one
// piece. net/http sends a body that it knows to be in memory together with the
// header, and any other one after it, by itself; above this size the second
// system call costs less than the copy.
const joinedUpTo = 8 << 10

// payload is the body of a request: whole, or an array of pieces.
type payload struct {
	whole  []byte
	pieces [][]byte
	size   int64
}

// pack makes a body of events. What is in the right schema already is not
// copied where that is cheaper.
func (f form) pack(items []destination.Item) (payload, error) {
	size := len(items) + 1 // brackets and commas
	same := true
	for i := range items {
		size += len(items[i].Event.JSON)
		same = same && f.holds(items[i].Event)
	}
	switch {
	case same && !f.array:
		b := items[0].Event.JSON
		return payload{whole: b, size: int64(len(b))}, nil
	case same && size > joinedUpTo:
		return inPieces(items), nil
	case same:
		return joined(items), nil
	default:
		return f.convert(items, size)
	}
}

// holds reports whether e stands in the form as it is stored. What arrived in a
// custom schema is stored as the Event Grid event that it was mapped to.
func (f form) holds(e *event.Event) bool {
	return f.schema != event.Custom && e.Schema == f.schema || f.schema == event.EventGrid && e.Schema == event.Custom
}

// inPieces makes an array that shares the bytes of the events.
func inPieces(items []destination.Item) payload {
	p := payload{pieces: make([][]byte, len(items)), size: int64(len(items)) + 1}
	for i := range items {
		p.pieces[i] = items[i].Event.JSON
		p.size += int64(len(p.pieces[i]))
	}
	return p
}

// joined makes an array that is in one piece.
func joined(items []destination.Item) payload {
	size := len(items) + 1
	for i := range items {
		size += len(items[i].Event.JSON)
	}
	b := make([]byte, 0, size)
	for i := range items {
		b = append(append(b, separator(i)), items[i].Event.JSON...)
	}
	return payload{whole: append(b, ']'), size: int64(size)}
}

// convert makes a body of events, some of which have another schema.
func (f form) convert(items []destination.Item, size int) (payload, error) {
	b := make([]byte, 0, size+64*len(items))
	for i := range items {
		if f.array {
			b = append(b, separator(i))
		}
		var err error
		if b, err = items[i].Event.Append(b, f.schema); err != nil {
			return payload{}, fmt.Errorf("convert event %s: %w", uuid.UUID(items[i].ID), err)
		}
	}
	if f.array {
		b = append(b, ']')
	}
	return payload{whole: b, size: int64(len(b))}, nil
}

// separator is what stands before the i-th event of an array.
func separator(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

// open returns a reader of the body, as often as it is asked.
func (p payload) open() io.ReadCloser {
	if p.pieces == nil {
		// The form that net/http knows to be in memory.
		return io.NopCloser(bytes.NewReader(p.whole))
	}
	return io.NopCloser(&array{pieces: p.pieces})
}

// array reads a JSON array of pieces without putting it together.
type array struct {
	pieces [][]byte
	// step counts the texts that were begun: a bracket or comma, a piece, the
	// next comma … and the closing bracket.
	step int
	rest []byte // of the text that was begun last
}

// Read implements [io.Reader].
func (a *array) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		if len(a.rest) == 0 && !a.advance() {
			break
		}
		c := copy(b[n:], a.rest)
		n, a.rest = n+c, a.rest[c:]
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

var opening, comma, closing = []byte{'['}, []byte{','}, []byte{']'}

// advance begins the next text, if there is one.
func (a *array) advance() bool {
	last := 2 * len(a.pieces)
	switch {
	case a.step > last:
		return false
	case a.step == last:
		a.rest = closing
	case a.step%2 == 1:
		a.rest = a.pieces[a.step/2]
	case a.step == 0:
		a.rest = opening
	default:
		a.rest = comma
	}
	a.step++
	return true
}
