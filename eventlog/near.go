package eventlog

import (
	"container/heap"
	"time"
)

// nearBounds bound what waits in memory. Beyond half of them only what no tier
// can take is added; beyond all of them nothing more is read.
type nearBounds struct{ items, bytes int }

// nearHeap holds the deliveries that are due soon, the earliest first. It is
// the dispatcher's alone.
type nearHeap struct {
	bounds nearBounds
	items  nearItems
	bytes  int
}

type nearItem struct {
	delivery Delivery
	held     *held // one part of it is this item's
}

func (h *nearHeap) push(d Delivery, of *held) {
	heap.Push(&h.items, &nearItem{d, of})
	h.bytes += deliverySize(&d)
}

// due takes what is due at now, at most n, as one batch.
func (h *nearHeap) due(now time.Time, n int) (DeliveryBatch, bool) {
	var ds []Delivery
	var done []func()
	for len(h.items) > 0 && len(ds) < n && !h.items[0].delivery.Due.After(now) {
		it := heap.Pop(&h.items).(*nearItem)
		h.bytes -= deliverySize(&it.delivery)
		ds = append(ds, it.delivery)
		done = append(done, it.held.done())
	}
	return DeliveryBatch{Deliveries: ds, Done: func() {
		for _, f := range done {
			f()
		}
	}}, len(ds) > 0
}

func (h *nearHeap) next() (time.Time, bool) {
	if len(h.items) == 0 {
		return time.Time{}, false
	}
	return h.items[0].delivery.Due, true
}

func (h *nearHeap) roomy() bool {
	return len(h.items) < h.bounds.items/2 && h.bytes < h.bounds.bytes/2
}

func (h *nearHeap) full() bool {
	return len(h.items) >= h.bounds.items || h.bytes >= h.bounds.bytes
}

// giveBack returns the records of everything that still waits.
func (h *nearHeap) giveBack() {
	for _, it := range h.items {
		it.held.putBack(0)
	}
	h.items, h.bytes = nil, 0
}

// nearItems implements [heap.Interface].
type nearItems []*nearItem

func (s nearItems) Len() int           { return len(s) }
func (s nearItems) Less(i, j int) bool { return s[i].delivery.Due.Before(s[j].delivery.Due) }
func (s nearItems) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *nearItems) Push(x any)        { *s = append(*s, x.(*nearItem)) }

func (s *nearItems) Pop() any {
	old := *s
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	return it
}
