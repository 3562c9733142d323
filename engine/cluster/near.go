package cluster

import (
	"time"

	"github.com/google/btree"

	"github.com/intertie/intertie/engine"
)

// What waits in memory: beyond half of these bounds only what no tier can take is
// added, beyond all of them nothing more is read.
const (
	nearItemsMost = 16384
	nearBytesMost = 32 << 20
)

// near holds the deliveries that are due soon, the earliest first; From is their own
// Ref. It is the dispatcher's alone.
type near struct {
	items  *btree.BTreeG[nearItem]
	bytes  int
	serial uint64
}

type nearItem struct {
	engine.Delivery
	serial uint64
}

func newNear() near {
	return near{items: btree.NewG(16, func(a, b nearItem) bool {
		if c := a.Due.Compare(b.Due); c != 0 {
			return c < 0
		}
		return a.serial < b.serial
	})}
}

func (h *near) push(d engine.Delivery) {
	h.serial++
	h.items.ReplaceOrInsert(nearItem{d, h.serial})
	h.bytes += frameSize(&d)
}

// due takes what is due at now, at most n. That the clock was set back by days
// shows in a due time that is too far ahead.
func (h *near) due(now time.Time, n int) []engine.Pending {
	var ps []engine.Pending
	for len(ps) < n {
		d, ok := h.items.Max()
		if ok && d.Due.Sub(now) > engine.MaxWait {
			h.items.DeleteMax()
		} else if d, ok = h.items.Min(); ok && !d.Due.After(now) {
			h.items.DeleteMin()
		} else {
			break
		}
		h.bytes -= frameSize(&d.Delivery)
		p := engine.Pending{Delivery: d.Delivery, Ref: d.From}
		p.From = engine.Ref{}
		ps = append(ps, p)
	}
	return ps
}

func (h *near) next() (time.Time, bool) {
	d, ok := h.items.Min()
	return d.Due, ok
}

func (h *near) roomy() bool {
	return h.items.Len() < nearItemsMost/2 && h.bytes < nearBytesMost/2
}

func (h *near) full() bool { return h.items.Len() >= nearItemsMost || h.bytes >= nearBytesMost }
