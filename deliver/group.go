package deliver

import (
	"cmp"
	"slices"

	"github.com/intertie/intertie/destination"
)

// group is a target's answer to what an event has in common with those it may
// travel with. It holds for the subscription's present settings.
type group struct {
	of   *Subscription
	name string
}

// apartFrom reports whether it is known that the item must not share an attempt
// with first.
func (it *item) apartFrom(first *item, sub *Subscription) bool {
	a, b := it.group, first.group
	return a != b && a != nil && b != nil && a.of == sub && b.of == sub && a.name != b.name
}

// sortOut leaves the worker with items of one group, that of the first, and
// returns the others to the queue. They are sorted by group there, so that each
// item is asked about once and the next attempt finds its company side by side.
//
// The target is asked with no lock held. The items are in no queue and not in
// flight meanwhile, which lasts as long as the asking.
func (l *lane) sortOut(w *worker, g destination.Grouper) {
	var known map[string]*group
	mixed := false
	for i := range w.items {
		it := &w.items[i]
		if it.group == nil || it.group.of != w.sub {
			name := g.Group(&it.entry.Event)
			if known == nil {
				known = make(map[string]*group)
			}
			if known[name] == nil {
				known[name] = &group{of: w.sub, name: name}
			}
			it.group = known[name]
		}
		mixed = mixed || it.group.name != w.items[0].group.name
	}
	if !mixed {
		return
	}
	first := w.items[0].group.name
	slices.SortStableFunc(w.items, func(a, b item) int {
		if mine, other := a.group.name == first, b.group.name == first; mine || other {
			return cmp.Compare(rank(mine), rank(other))
		}
		return cmp.Compare(a.group.name, b.group.name)
	})
	n := slices.IndexFunc(w.items, func(it item) bool { return it.group.name != first })
	l.putBack(w.items[n:], w.now)
	clear(w.items[n:])
	w.items = w.items[:n]
}

// rank sorts the first group before the others.
func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}
