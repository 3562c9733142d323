package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// frameVersion opens each message of ours; a greater one was written by a newer
// program and is kept rather than misread.
const frameVersion = 1

var errMalformed = errors.New("malformed message")

// A message of deliveries is a version byte, when it is ready, their number, and
// of each the subscription, when it is due, head and body. Numbers are varints,
// times in nanoseconds since 1970 (0 for none), texts are preceded by their length.
func appendFrame(b []byte, ready time.Time, ds []*engine.Delivery) []byte {
	b = append(b, frameVersion)
	b = appendTime(b, ready)
	b = binary.AppendUvarint(b, uint64(len(ds)))
	for _, d := range ds {
		b = append(b, d.Subscription[:]...)
		b = appendTime(b, d.Due)
		b = appendText(b, d.Head)
		b = appendText(b, d.Body)
	}
	return b
}

// frameHead is at least what appendFrame adds before the first delivery.
const frameHead = 1 + 2*binary.MaxVarintLen64

// frameSize is at least what appendFrame adds for d.
func frameSize(d *engine.Delivery) int {
	return len(d.Subscription) + 3*binary.MaxVarintLen64 + len(d.Head) + len(d.Body)
}

// decodeFrame reads what appendFrame wrote. Heads and bodies lie in data.
func decodeFrame(data []byte, q engine.Queue) (ready time.Time, ds []engine.Delivery, err error) {
	c := cursor{data: data}
	if err := c.version(); err != nil {
		return ready, nil, err
	}
	ready = c.time()
	n := c.number()
	if n > uint64(len(data)) {
		return ready, nil, errMalformed
	}
	ds = make([]engine.Delivery, 0, n)
	for range n {
		d := engine.Delivery{Queue: q}
		copy(d.Subscription[:], c.bytes(uint64(len(resource.UID{}))))
		d.Due, d.Head, d.Body = c.time(), c.text(), c.text()
		ds = append(ds, d)
	}
	return ready, ds, c.end()
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// cursor reads a message; after a fault it returns nothing any more.
type cursor struct {
	data []byte
	bad  bool
}

func (c *cursor) version() error {
	v := c.bytes(1)
	switch {
	case c.bad:
		return errMalformed
	case v[0] > frameVersion:
		return fmt.Errorf("%w: version %d, this one reads up to %d", errNewer, v[0], frameVersion)
	}
	return nil
}

func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.data)) {
		c.data, c.bad = nil, true
		return nil
	}
	b := c.data[:n:n]
	c.data = c.data[n:]
	return b
}

func (c *cursor) number() uint64 {
	v, n := binary.Uvarint(c.data)
	c.bytes(uint64(max(n, 0)))
	c.bad = c.bad || n <= 0
	return v
}

func (c *cursor) signed() int64 {
	v, n := binary.Varint(c.data)
	c.bytes(uint64(max(n, 0)))
	c.bad = c.bad || n <= 0
	return v
}

func (c *cursor) time() time.Time {
	if v := c.signed(); v != 0 {
		return time.Unix(0, v)
	}
	return time.Time{}
}

func (c *cursor) text() []byte { return c.bytes(c.number()) }

// end reports a fault, or what is left over.
func (c *cursor) end() error {
	if c.bad || len(c.data) > 0 {
		return errMalformed
	}
	return nil
}
