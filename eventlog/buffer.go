package eventlog

import (
	"math/bits"
	"sync"
)

// keptClass is the largest class of buffers worth keeping, 2 MiB: rare giants
// would otherwise stay in the pool for good.
const keptClass = 21

// bufferPool keeps buffers by the power of two that they hold, since a call of
// one event and a record of hundreds must not be handed each other's.
type bufferPool struct {
	classes [keptClass + 1]sync.Pool // of *[]byte with a capacity of 1<<class
}

// get returns an empty buffer with room for n bytes.
func (p *bufferPool) get(n int) []byte {
	class := bits.Len(uint(max(n, 1) - 1))
	if class > keptClass {
		return make([]byte, 0, n)
	}
	if b, ok := p.classes[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

// put gives b back; the caller must not touch it again.
func (p *bufferPool) put(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if class >= 0 && class <= keptClass && cap(b) == 1<<class {
		p.classes[class].Put(&b)
	}
}
