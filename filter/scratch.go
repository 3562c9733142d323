package filter

import "slices"

// value is what an event holds at one node of a plan.
type value struct {
	raw  []byte // the bytes of the value
	kind kind
	seen bool

	attribute        bool
	textOK, numberOK bool   // folded, num: worked out already
	folded           []byte // see scratch.text
	num              number

	rank     uint8
	from, to int32 // the part of scratch.visited that reading this value wrote
}

func (v *value) isTrue() bool { return len(v.raw) > 0 && v.raw[0] == 't' }

// number parses a numeric value, once.
func (v *value) number() *number {
	if !v.numberOK {
		v.num, v.numberOK = parseNumber(v.raw), true
	}
	return &v.num
}

// scratch is the memory of one match. It belongs to one goroutine at a time
// and refers to the event only between begin and end.
type scratch struct {
	in      *Input
	read    bool    // values are filled
	values  []value // by node of the plan
	visited []int32 // nodes that have a value, in the order read; -1: superseded
	element value   // the array element in hand

	// arena holds decoded and folded text. Slices of it stay valid when it
	// grows, since it is only appended to while they are in use.
	arena        []byte
	typ, subject []byte // folded
	subjectOK    bool

	// For an Index: what the value in hand leads to, and what matched so far.
	foundBuckets, foundEntries []int32
	opened, candidates         []int32 // of an array
	hits                       []int32
	seenBuckets, seenEntries   bitset
}

func (s *scratch) begin(in *Input) {
	s.in = in
	s.arena = appendFold(s.arena[:0], in.Type)
	s.typ = slices.Clip(s.arena)
}

// end forgets the event. Only what it touched is cleared.
func (s *scratch) end() {
	const keep = 64 << 10 // Bytes of arena worth keeping for the next event.
	for _, n := range s.visited {
		if n >= 0 {
			s.values[n] = value{}
		}
	}
	s.element = value{}
	s.in, s.typ, s.subject = nil, nil, nil
	s.read, s.subjectOK = false, false
	s.visited, s.hits = s.visited[:0], s.hits[:0]
	if cap(s.arena) > keep {
		s.arena = nil
	}
}

// forget removes a value and everything that was read inside it.
func (s *scratch) forget(v *value) {
	from, to := v.from, v.to
	for i, n := range s.visited[from:to] {
		if n >= 0 {
			s.values[n] = value{}
			s.visited[int(from)+i] = -1
		}
	}
}

// foldedSubject returns the event's subject in folded form.
func (s *scratch) foldedSubject() []byte {
	if !s.subjectOK {
		start := len(s.arena)
		s.arena = appendFold(s.arena, s.in.Subject)
		s.subject, s.subjectOK = s.arena[start:len(s.arena):len(s.arena)], true
	}
	return s.subject
}

// text returns the folded text of a string, or of an attribute that is a
// number or a boolean; ok is false for any other value.
func (s *scratch) text(v *value) (t []byte, ok bool) {
	if v.textOK {
		return v.folded, true
	}
	start := len(s.arena)
	switch {
	case v.kind == text:
		if t = trimQuotes(v.raw); !isSettled(t) {
			s.arena = appendText(s.arena, t, true)
			t = s.arena[start:len(s.arena):len(s.arena)]
		}
	case v.kind == boolean && v.attribute:
		t = v.raw
	case v.kind == numeric && v.attribute:
		s.arena = v.number().appendCanonical(s.arena)
		t = s.arena[start:len(s.arena):len(s.arena)]
	default:
		return nil, false
	}
	v.folded, v.textOK = t, true
	return t, true
}

// nextElement puts the array element at or after b[i] into s.element and
// returns the index behind it, or -1 at the end of the array. The caller
// starts behind the opening bracket.
func (s *scratch) nextElement(b []byte, i int) int {
	i = skipSpace(b, i)
	if i < len(b) && b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	if i >= len(b) || b[i] == ']' {
		return -1
	}
	end := skipValue(b, i)
	if end == i { // Not JSON.
		return -1
	}
	s.element = value{raw: b[i:end], kind: kindOf(b[i])}
	return end
}

// bitset marks small numbers.
type bitset []uint64

// add marks i and reports whether it was not marked yet.
func (b bitset) add(i int32) bool {
	w, m := &b[i>>6], uint64(1)<<(i&63)
	fresh := *w&m == 0
	*w |= m
	return fresh
}

func (b bitset) remove(i int32) { b[i>>6] &^= 1 << (i & 63) }

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }
