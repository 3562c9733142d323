package filter

import (
	"slices"
	"sync"
)

// Input is one event as filters see it. Neither Match method changes it, and
// neither keeps a reference to it.
type Input struct {
	// Type and Subject are the decoded attributes. An event without subject
	// has the empty one, which only passes filters without subject condition.
	Type, Subject string
	// JSON is the whole event, a valid JSON object in the CloudEvents or the
	// Event Grid schema. It is read only when an advanced filter asks for it.
	JSON []byte
}

// Match reports whether the filter wants the event.
func (f *Filter) Match(in *Input) bool {
	if f == nil {
		return true
	}
	f.once.Do(func() { f.alone = newMatcher([]*Filter{f}) })
	s := f.alone.get()
	defer f.alone.put(s)
	s.begin(in)
	return f.alone.verify(0, s)
}

// matcher holds filters together with the plan that reads all their keys.
type matcher struct {
	plan    *plan
	entries []entry
	buckets int // bits that scratch.seenBuckets needs
	pool    sync.Pool
}

type entry struct {
	filter *Filter // nil: matches every event
	nodes  []int32 // of the plan, one for each condition of the filter
}

func newMatcher(filters []*Filter) *matcher {
	m := &matcher{plan: newPlan(), entries: make([]entry, len(filters))}
	for i, f := range filters {
		e := &m.entries[i]
		e.filter = f
		if f == nil || len(f.conditions) == 0 {
			continue
		}
		e.nodes = make([]int32, len(f.conditions))
		for k := range f.conditions {
			e.nodes[k] = m.plan.add(f.conditions[k].path)
		}
	}
	return m
}

func (m *matcher) get() *scratch {
	if s, ok := m.pool.Get().(*scratch); ok {
		return s
	}
	return &scratch{
		values:      make([]value, len(m.plan.nodes)),
		seenEntries: newBitset(len(m.entries)),
		seenBuckets: newBitset(m.buckets),
	}
}

func (m *matcher) put(s *scratch) {
	s.end()
	m.pool.Put(s)
}

// load reads the event's JSON unless that has been done.
func (m *matcher) load(s *scratch) {
	if !s.read {
		m.plan.read(s.in.JSON, s)
		s.read = true
	}
}

// verify checks an entry in full, the cheap conditions first.
func (m *matcher) verify(id int32, s *scratch) bool {
	e := &m.entries[id]
	f := e.filter
	if f == nil {
		return true
	}
	if !f.wantsType(s) || !f.wantsSubject(s) {
		return false
	}
	if len(f.conditions) == 0 {
		return true
	}
	m.load(s)
	for i := range f.conditions {
		if !f.conditions[i].holds(s, &s.values[e.nodes[i]], f.arrays) {
			return false
		}
	}
	return true
}

func (f *Filter) wantsType(s *scratch) bool {
	const few = 8
	if len(f.types) > few {
		_, ok := slices.BinarySearchFunc(f.types, s.typ, func(t string, b []byte) int {
			switch {
			case t < string(b):
				return -1
			case t == string(b):
				return 0
			}
			return 1
		})
		return ok
	}
	if slices.ContainsFunc(f.types, func(t string) bool { return t == string(s.typ) }) { // comparing does not copy
		return true
	}
	return len(f.types) == 0
}

func (f *Filter) wantsSubject(s *scratch) bool {
	if f.prefix == "" && f.suffix == "" {
		return true
	}
	if f.caseSensitive {
		subject := s.in.Subject
		return len(subject) >= len(f.prefix) && subject[:len(f.prefix)] == f.prefix &&
			len(subject) >= len(f.suffix) && subject[len(subject)-len(f.suffix):] == f.suffix
	}
	subject := s.foldedSubject()
	return hasPrefix(subject, f.prefix) && hasSuffix(subject, f.suffix)
}

// holds applies the truth table to what the event has at the condition's key.
func (c *condition) holds(s *scratch, v *value, arrays bool) bool {
	switch {
	case v.kind <= null, v.kind == array && !arrays:
		return c.op.absent
	case v.kind == array && !c.op.whole:
		return c.testElements(s, v.raw) != c.op.negative
	}
	return c.op.test(c, s, v) != c.op.negative
}

// testElements reports whether an element of the array passes the test.
// Elements of another type do not, nor does a null.
func (c *condition) testElements(s *scratch, b []byte) bool {
	mark := len(s.arena)
	for i := s.nextElement(b, 1); i >= 0; i = s.nextElement(b, i) {
		hit := c.op.test(c, s, &s.element)
		s.arena = s.arena[:mark]
		if hit {
			return true
		}
	}
	return false
}
