package filter

// Entry pairs a filter with what it selects. A nil Filter matches every event.
type Entry[T any] struct {
	Filter *Filter
	Value  T
}

// Index matches an event against many filters at once. It is immutable and
// safe for concurrent use; a change of filters makes a new one.
type Index[T any] struct {
	index  *index
	values []T
}

// NewIndex builds an index, in time proportional to n log n.
func NewIndex[T any](entries []Entry[T]) *Index[T] {
	filters := make([]*Filter, len(entries))
	values := make([]T, len(entries))
	for i := range entries {
		filters[i], values[i] = entries[i].Filter, entries[i].Value
	}
	return &Index[T]{index: newIndex(filters), values: values}
}

// Match appends to dst the value of each entry whose filter wants the event,
// once per entry and in no particular order, and returns the extended slice.
// It allocates nothing but room in dst, except for unusual numbers.
func (ix *Index[T]) Match(in *Input, dst []T) []T {
	s := ix.index.get()
	defer ix.index.put(s)
	ix.index.match(in, s)
	for _, id := range s.hits {
		dst = append(dst, ix.values[id])
	}
	return dst
}

// index is an Index without the values. Each entry stands in exactly one
// place: always, scan, or one of the tables, there under each operand of one
// condition.
type index struct {
	*matcher

	always []int32 // match every event
	scan   []int32 // in no table: checked for every event

	buckets []bucket         // buckets[0] is empty and means: nothing found
	types   map[string]int32 // folded type to bucket
	// By start and end of the subject; nil where no filter needs it.
	starts, ends, exactStarts, exactEnds *affixes

	keys  []*keyTable // by node of the plan; nil: no entry is found there
	keyed bool        // some key has a table, so every event must be read
}

// bucket holds the entries under one operand, those whose filter looks into
// arrays first.
type bucket struct {
	entries []int32
	arrays  int
}

// keyTable finds entries by the value of one key.
type keyTable struct {
	present      int32 // bucket of those that only need the key to be there
	bools        [2]int32
	texts        map[string]int32
	numbers      map[float64]int32
	starts, ends *affixes
	intervals    *intervals
	arrays       bool // some entry here looks into arrays
}

// match collects in s.hits the entries that match.
func (x *index) match(in *Input, s *scratch) {
	s.begin(in)
	s.hits = append(s.hits, x.always...)
	x.check(x.scan, s)
	x.check(x.buckets[x.types[string(s.typ)]].entries, s)
	x.matchSubject(s)
	if !x.keyed {
		return
	}
	x.load(s)
	for _, n := range s.visited {
		if n >= 0 && x.keys[n] != nil {
			x.matchKey(x.keys[n], &s.values[n], s)
		}
	}
}

// check verifies candidates.
func (x *index) check(candidates []int32, s *scratch) {
	for _, id := range candidates {
		if x.verify(id, s) {
			s.hits = append(s.hits, id)
		}
	}
}

func (x *index) matchSubject(s *scratch) {
	s.foundBuckets = s.foundBuckets[:0]
	if x.starts != nil {
		s.findStarts(x.starts, s.foldedSubject())
	}
	if x.ends != nil {
		s.findEnds(x.ends, s.foldedSubject())
	}
	if x.exactStarts != nil || x.exactEnds != nil {
		from := len(s.arena)
		s.arena = append(s.arena, s.in.Subject...)
		subject := s.arena[from:len(s.arena):len(s.arena)]
		s.findStarts(x.exactStarts, subject)
		s.findEnds(x.exactEnds, subject)
	}
	for _, b := range s.foundBuckets {
		x.check(x.buckets[b].entries, s)
	}
}

func (s *scratch) findStarts(a *affixes, t []byte) {
	if a == nil {
		return
	}
	for i := a.find(t); i >= 0; i = a.parents[i] {
		s.foundBuckets = append(s.foundBuckets, a.buckets[i])
	}
}

func (s *scratch) findEnds(a *affixes, t []byte) {
	if a != nil {
		s.findStarts(a, s.reversed(t, a.longest))
	}
}

// matchKey checks the entries that the value of a key leads to.
func (x *index) matchKey(t *keyTable, v *value, s *scratch) {
	switch v.kind {
	case absent, null:
	case array:
		if t.arrays {
			x.matchElements(t, v, s)
		}
	default:
		s.foundBuckets, s.foundEntries = s.foundBuckets[:0], s.foundEntries[:0]
		t.find(v, s)
		x.check(x.buckets[t.present].entries, s)
		for _, b := range s.foundBuckets {
			x.check(x.buckets[b].entries, s)
		}
		x.check(s.foundEntries, s)
	}
}

// matchElements is matchKey for an array. Elements may repeat and may lead to
// the same entries: each bucket is opened once and each entry checked once.
func (x *index) matchElements(t *keyTable, v *value, s *scratch) {
	present := &x.buckets[t.present]
	x.check(present.entries[:present.arrays], s)

	opened, candidates := s.opened[:0], s.candidates[:0]
	for i := s.nextElement(v.raw, 1); i >= 0; i = s.nextElement(v.raw, i) {
		s.foundBuckets, s.foundEntries = s.foundBuckets[:0], s.foundEntries[:0]
		mark := len(s.arena)
		t.find(&s.element, s)
		s.arena = s.arena[:mark]
		for _, id := range s.foundEntries {
			if x.entries[id].filter.arrays && s.seenEntries.add(id) {
				candidates = append(candidates, id)
			}
		}
		for _, b := range s.foundBuckets {
			if !s.seenBuckets.add(b) {
				continue
			}
			opened = append(opened, b)
			for _, id := range x.buckets[b].entries[:x.buckets[b].arrays] {
				if s.seenEntries.add(id) {
					candidates = append(candidates, id)
				}
			}
		}
	}
	x.check(candidates, s)
	for _, b := range opened {
		s.seenBuckets.remove(b)
	}
	for _, id := range candidates {
		s.seenEntries.remove(id)
	}
	s.opened, s.candidates = opened, candidates
}

// find puts what a value that is not an array leads to into s.foundBuckets
// and, for intervals, s.foundEntries.
func (t *keyTable) find(v *value, s *scratch) {
	switch v.kind {
	case numeric:
		if t.numbers != nil {
			s.foundBuckets = append(s.foundBuckets, t.numbers[v.number().float])
		}
		if t.intervals != nil {
			s.foundEntries = t.intervals.find(v.number().float, s.foundEntries)
		}
	case boolean:
		s.foundBuckets = append(s.foundBuckets, t.bools[boolIndex(v.isTrue())])
	}
	if t.texts == nil && t.starts == nil && t.ends == nil {
		return
	}
	if folded, ok := s.text(v); ok {
		s.foundBuckets = append(s.foundBuckets, t.texts[string(folded)])
		s.findStarts(t.starts, folded)
		s.findEnds(t.ends, folded)
	}
}

func boolIndex(b bool) int {
	if b {
		return 1
	}
	return 0
}
