package filter

import (
	"math"
	"slices"
	"sort"
)

// table is one of the ways to find an entry. Ways that need no look into the
// event's JSON come first, so that they win a tie.
type table uint8

const (
	typeTable table = iota
	startTable
	endTable
	exactStartTable
	exactEndTable
	keyTextTable
	keyNumberTable
	keyStartTable
	keyEndTable
	keyIntervalTable
	keyBoolTable
	keyPresenceTable
)

// place is where an entry is filed: a table and an operand in it.
type place struct {
	table     table
	node      int32   // of the plan, for key tables
	text      string  // folded unless exact; reversed for ends
	low, high float64 // low alone: a number, or 0 and 1 for false and true
}

// group is the place without its operand.
func (p place) group() place { return place{table: p.table, node: p.node} }

func (p place) isAffix() bool {
	switch p.table {
	case startTable, endTable, exactStartTable, exactEndTable, keyStartTable, keyEndTable:
		return true
	}
	return false
}

// options returns the ways in which an entry can be found, in order of
// preference. Filed in all places of any one of them, it is found by every
// event that it matches.
func (e *entry) options() [][]place {
	f := e.filter
	var all [][]place
	if len(f.types) > 0 {
		var places []place
		for _, t := range f.types {
			places = append(places, place{table: typeTable, text: t})
		}
		all = append(all, places)
	}
	start, end := startTable, endTable
	if f.caseSensitive {
		start, end = exactStartTable, exactEndTable
	}
	if f.prefix != "" {
		all = append(all, []place{{table: start, text: f.prefix}})
	}
	if f.suffix != "" {
		all = append(all, []place{{table: end, text: reverse(f.suffix)}})
	}
	for i := range f.conditions {
		c, node := &f.conditions[i], e.nodes[i]
		if c.op.reach == byNothing {
			continue
		}
		if places := c.places(node); len(places) > 0 {
			all = append(all, places)
		}
		all = append(all, []place{{table: keyPresenceTable, node: node}})
	}
	return all
}

// places returns where a condition can be filed by its operand. No value that
// is not an array leads to two of them.
func (c *condition) places(node int32) []place {
	var places []place
	texts := func(t table, as func(string) string) {
		for _, text := range c.texts {
			places = append(places, place{table: t, node: node, text: as(text)})
		}
	}
	same := func(t string) string { return t }
	switch c.op.reach {
	case byText:
		texts(keyTextTable, same)
	case byTextStart:
		texts(keyStartTable, same)
	case byTextEnd:
		texts(keyEndTable, reverse)
	case byNumber:
		for i := range c.numbers {
			p := place{table: keyNumberTable, node: node, low: c.numbers[i].float}
			if !slices.Contains(places, p) {
				places = append(places, p)
			}
		}
	case byInterval:
		for _, i := range c.spans() {
			places = append(places, place{table: keyIntervalTable, node: node, low: i.low, high: i.high})
		}
	case byBool:
		places = append(places, place{table: keyBoolTable, node: node, low: float64(boolIndex(c.flag))})
	}
	return places
}

// popularity estimates how many events reach a place by how many filters ask
// for it: what many filters look for is taken to occur often.
type popularity struct {
	count map[place]int
	spans map[int32]*bounds // by node of the plan
}

// bounds are the ends of all intervals on a key, sorted once counted.
type bounds struct{ lows, highs []float64 }

func countPlaces(options [][][]place) popularity {
	pop := popularity{count: map[place]int{}, spans: map[int32]*bounds{}}
	affixes := map[place][]string{}
	for _, ways := range options {
		for _, places := range ways {
			for _, p := range places {
				if p.table == keyIntervalTable {
					b := pop.spans[p.node]
					if b == nil {
						b = &bounds{}
						pop.spans[p.node] = b
					}
					b.lows, b.highs = append(b.lows, p.low), append(b.highs, p.high)
					continue
				}
				pop.count[p]++
				if p.isAffix() && pop.count[p] == 1 {
					affixes[p.group()] = append(affixes[p.group()], p.text)
				}
			}
		}
	}
	for _, b := range pop.spans {
		slices.Sort(b.lows)
		slices.Sort(b.highs)
	}
	// Text that starts with the longer affix starts with the shorter one too.
	for group, texts := range affixes {
		slices.Sort(texts)
		parents := parentsOf(texts)
		for i, text := range slices.Backward(texts) {
			if parents[i] >= 0 {
				own, parent := group, group
				own.text, parent.text = text, texts[parents[i]]
				pop.count[parent] += pop.count[own]
			}
		}
	}
	return pop
}

// cost estimates how often an entry filed in these places is a candidate.
func (pop popularity) cost(places []place) int {
	// A boolean or the mere presence of a key tells few events apart.
	const blunt = 2
	cost := 0
	for _, p := range places {
		switch p.table {
		case keyIntervalTable:
			cost += pop.spans[p.node].overlapping(p.low, p.high)
		case keyBoolTable, keyPresenceTable:
			cost += blunt * pop.count[p]
		default:
			cost += pop.count[p]
		}
	}
	return cost
}

// overlapping returns half the number of intervals that share a number with
// this one, itself included: a number in this one lies in some of the others.
func (b *bounds) overlapping(low, high float64) int {
	before, _ := slices.BinarySearch(b.highs, low)
	upTo := sort.Search(len(b.lows), func(i int) bool { return b.lows[i] > high })
	return (upTo - before + 1) / 2
}

func newIndex(filters []*Filter) *index {
	x := &index{matcher: newMatcher(filters), buckets: make([]bucket, 1)}
	options := make([][][]place, len(filters))
	for i, f := range filters {
		if f != nil {
			options[i] = x.entries[i].options()
		}
	}
	pop := countPlaces(options)
	filed := map[place][]int32{}
	for i, f := range filters {
		id := int32(i)
		best, least := []place(nil), math.MaxInt
		for _, places := range options[i] {
			if cost := pop.cost(places); cost < least {
				best, least = places, cost
			}
		}
		switch {
		case best != nil:
			for _, p := range best {
				filed[p] = append(filed[p], id)
			}
		case f == nil || len(f.conditions) == 0:
			x.always = append(x.always, id)
		default:
			x.scan = append(x.scan, id)
		}
	}
	x.fill(filed)
	x.matcher.buckets = len(x.buckets)
	return x
}

// fill makes the tables.
func (x *index) fill(filed map[place][]int32) {
	x.types = map[string]int32{}
	x.keys = make([]*keyTable, len(x.plan.nodes))
	affixes := map[place]map[string]int32{}
	spans := map[int32][]interval{}
	for p, entries := range filed {
		if p.table >= keyTextTable {
			x.keyed = true
			if x.keys[p.node] == nil {
				x.keys[p.node] = &keyTable{}
			}
			x.keys[p.node].arrays = x.keys[p.node].arrays || slices.ContainsFunc(entries, x.looksIntoArrays)
		}
		if p.table == keyIntervalTable {
			for _, id := range entries {
				spans[p.node] = append(spans[p.node], interval{low: p.low, high: p.high, entry: id})
			}
			continue
		}
		b := x.newBucket(entries)
		switch g := p.group(); {
		case p.table == typeTable:
			x.types[p.text] = b
		case p.isAffix():
			if affixes[g] == nil {
				affixes[g] = map[string]int32{}
			}
			affixes[g][p.text] = b
		default:
			x.keys[p.node].set(p, b)
		}
	}
	for g, texts := range affixes {
		x.setAffixes(g, newAffixes(texts))
	}
	for node, all := range spans {
		x.keys[node].intervals = newIntervals(all)
	}
}

func (x *index) looksIntoArrays(id int32) bool {
	f := x.entries[id].filter
	return f != nil && f.arrays
}

func (x *index) newBucket(entries []int32) int32 {
	slices.SortStableFunc(entries, func(a, b int32) int {
		return boolIndex(x.looksIntoArrays(b)) - boolIndex(x.looksIntoArrays(a))
	})
	arrays := slices.IndexFunc(entries, func(id int32) bool { return !x.looksIntoArrays(id) })
	if arrays < 0 {
		arrays = len(entries)
	}
	x.buckets = append(x.buckets, bucket{entries: entries, arrays: arrays})
	return int32(len(x.buckets) - 1) //nolint:gosec // at most one per operand
}

// set files a bucket under a single value.
func (t *keyTable) set(p place, b int32) {
	switch p.table {
	case keyTextTable:
		if t.texts == nil {
			t.texts = map[string]int32{}
		}
		t.texts[p.text] = b
	case keyNumberTable:
		if t.numbers == nil {
			t.numbers = map[float64]int32{}
		}
		t.numbers[p.low] = b
	case keyBoolTable:
		t.bools[int(p.low)] = b
	case keyPresenceTable:
		t.present = b
	}
}

func (x *index) setAffixes(g place, a *affixes) {
	switch g.table {
	case startTable:
		x.starts = a
	case endTable:
		x.ends = a
	case exactStartTable:
		x.exactStarts = a
	case exactEndTable:
		x.exactEnds = a
	case keyStartTable:
		x.keys[g.node].starts = a
	case keyEndTable:
		x.keys[g.node].ends = a
	}
}
