package filter

import (
	"cmp"
	"math"
	"slices"
)

// interval is a range of doubles, both ends included, that leads to an entry.
type interval struct {
	low, high float64
	entry     int32
}

// intervals finds all intervals that hold a number, in time proportional to
// how many there are. It is a balanced tree laid out in a slice: the root of
// any part is its middle, the lower bounds are sorted.
type intervals struct {
	all  []interval
	high []float64 // by root: the highest upper bound in its part
}

func newIntervals(all []interval) *intervals {
	slices.SortFunc(all, func(a, b interval) int {
		return cmp.Or(cmp.Compare(a.low, b.low), cmp.Compare(a.entry, b.entry))
	})
	t := &intervals{all: all, high: make([]float64, len(all))}
	t.raise(0, len(all))
	return t
}

func (t *intervals) raise(from, to int) float64 {
	if from >= to {
		return math.Inf(-1)
	}
	mid := (from + to) / 2
	t.high[mid] = max(t.all[mid].high, t.raise(from, mid), t.raise(mid+1, to))
	return t.high[mid]
}

// find appends the entries of the intervals that hold x.
func (t *intervals) find(x float64, dst []int32) []int32 {
	return t.descend(0, len(t.all), x, dst)
}

func (t *intervals) descend(from, to int, x float64, dst []int32) []int32 {
	for from < to {
		mid := (from + to) / 2
		if t.high[mid] < x {
			return dst
		}
		dst = t.descend(from, mid, x, dst)
		if t.all[mid].low > x {
			return dst
		}
		if t.all[mid].high >= x {
			dst = append(dst, t.all[mid].entry)
		}
		from = mid + 1
	}
	return dst
}

// spans returns the intervals that a condition's numbers lie in, disjoint, so
// that a number finds the condition at most once. Rounding to doubles can only
// widen them: candidates are checked in full.
func (c *condition) spans() []interval {
	low, high := math.Inf(-1), math.Inf(1)
	switch c.op.name {
	case NumberLessThan, NumberLessThanOrEquals:
		return []interval{{low: low, high: c.numbers[0].float}}
	case NumberGreaterThan, NumberGreaterThanOrEquals:
		return []interval{{low: c.numbers[0].float, high: high}}
	}
	var all []interval
	for i := range c.ranges {
		all = append(all, interval{low: c.ranges[i].low.float, high: c.ranges[i].high.float})
	}
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.low, b.low) })
	merged := all[:0]
	for _, next := range all {
		if n := len(merged); n > 0 && next.low <= merged[n-1].high {
			merged[n-1].high = max(merged[n-1].high, next.high)
			continue
		}
		merged = append(merged, next)
	}
	return merged
}
