package deliver

import (
	"bytes"
	"maps"
	"sync"
	"unsafe"
	"weak"

	"github.com/intertie/intertie/eventlog"
)

const (
	// worthSharing is from how many bytes on an event is looked for.
	worthSharing = 4 << 10
	// fewestBodies is how many may be known before those that are gone are looked for.
	fewestBodies = 1024
)

// bodies lets deliveries of one event share its bytes. Events come from the log
// once for all their subscriptions, but retries and backlogs are read for each of
// them. What it knows it does not keep in memory. It is safe for concurrent use.
type bodies struct {
	// mu protects the fields below.
	mu    sync.Mutex
	known map[[16]byte]body
	purge int // when so many are known
}

// body is where the bytes of an event are, as long as somebody needs them.
type body struct {
	first  weak.Pointer[byte]
	length int
}

// bytes returns nil when nobody needed them.
func (b body) bytes() []byte {
	first := b.first.Value()
	if first == nil {
		return nil
	}
	return unsafe.Slice(first, b.length) //nolint:gosec // as they were when they were made known
}

// share replaces the bytes of the events in ds by those of the same events that
// are in memory already.
func (b *bodies) share(ds []eventlog.Delivery) {
	for i := range ds {
		if e := &ds[i].Entry; len(e.Event.JSON) >= worthSharing {
			e.Event.JSON = b.of(e.ID, e.Event.JSON)
		}
	}
}

// of returns the bytes to use for an event whose own are mine.
func (b *bodies) of(id [16]byte, mine []byte) []byte {
	b.mu.Lock()
	known := b.known[id].bytes()
	if known == nil {
		b.add(id, mine)
	}
	b.mu.Unlock()
	if bytes.Equal(known, mine) {
		return known
	}
	return mine
}

// add remembers where an event is. mu is held.
func (b *bodies) add(id [16]byte, mine []byte) {
	if len(b.known) >= b.purge {
		maps.DeleteFunc(b.known, func(_ [16]byte, known body) bool { return known.first.Value() == nil })
		b.purge = max(fewestBodies, 2*len(b.known))
	}
	if b.known == nil {
		b.known = make(map[[16]byte]body)
	}
	b.known[id] = body{weak.Make(unsafe.SliceData(mine)), len(mine)} //nolint:gosec // its address is all that is kept
}
