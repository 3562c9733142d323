package local

import (
	"encoding/binary"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// The first byte of each key. See doc.go.
const (
	eventPrefix    = 'e'
	progressPrefix = 'p'
	queuePrefix    = 'q'
	bodyPrefix     = 'v'
	resourcePrefix = 'r'
	positionPrefix = 'n'
	tallyPrefix    = 't'
)

var (
	positionKey = []byte{positionPrefix}
	tallyKey    = []byte{tallyPrefix}
)

func numberKey(prefix byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, n)
}

// numberKeySize is the length of a [numberKey].
const numberKeySize = 1 + 8

func resourceKey(key string) []byte { return append([]byte{resourcePrefix}, key...) }

// queueKey is where a delivery lies: by its due time, or by its subscription.
func queueKey(q engine.Queue, due int64, sub resource.UID, order uint64) []byte {
	if q == engine.Spilled {
		return binary.BigEndian.AppendUint64(spillPrefix(sub), order)
	}
	return binary.BigEndian.AppendUint64(duePrefix(q, due), order)
}

// duePrefix begins the keys of what is due at a time, in Unix nanoseconds, none
// of them before 1970.
func duePrefix(q engine.Queue, due int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{queuePrefix, byte(q)}, uint64(max(due, 0)))
}

func spillPrefix(sub resource.UID) []byte {
	return append([]byte{queuePrefix, byte(engine.Spilled)}, sub[:]...)
}

// dueKeySize and spillKeySize are the lengths of the two forms of [queueKey].
const (
	dueKeySize   = 2 + 8 + 8
	spillKeySize = 2 + 16 + 8
)

// after returns the smallest key that begins with no prefix of b's length up to
// b: the end of a range of keys that begin with b.
func after(b []byte) []byte {
	end := append([]byte(nil), b...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// A delivery's value is its body's number, its subscription, the length of its body
// and its head. The length is there with the bit sized of the number: it came later.
const (
	deliveryHeader = 8 + 16
	sizedHeader    = deliveryHeader + 4
	sized          = 1 << 63
)

func appendDelivery(b []byte, d *delivery, body int, head []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, d.body|sized)
	b = append(b, d.sub[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(body)) //nolint:gosec // at most MaxRecord
	return append(b, head...)
}

// unixNano is t in a key; the zero time is due at once.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
