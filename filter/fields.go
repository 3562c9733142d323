package filter

import "fmt"

// Fields reads values out of events by the keys that filters use. It is
// immutable and safe for concurrent use.
type Fields struct {
	matcher *matcher
	nodes   []int32 // of the plan, one for each key
}

// Value is what an event has at a key. OK is false when that is nothing, null,
// an object or an array; then Text is empty.
type Value struct {
	Text string
	OK   bool
}

// CompileFields prepares to read the values at keys, which follow the rules of
// the keys of advanced filters: the spellings of both schemas, any case, paths
// joined by dots. The error is an *Error whose Target is keys[i].
func CompileFields(keys []string) (*Fields, error) {
	f := &Fields{matcher: newMatcher(nil), nodes: make([]int32, len(keys))}
	for i, key := range keys {
		path, err := splitKey(key)
		if err != nil {
			target := fmt.Sprintf("keys[%d]", i)
			return nil, refuse(target, "%s: %s.", target, err)
		}
		f.nodes[i] = f.matcher.plan.add(path)
	}
	return f, nil
}

// Values appends to dst what an event has at each of the keys, in their order.
// json is the whole event, a valid JSON object in the CloudEvents or the Event
// Grid schema; no value refers to it. A string gives its text, a boolean true
// or false, and a number its digits if it is an integer, of any size, else the
// shortest decimal of the double.
func (f *Fields) Values(json []byte, dst []Value) []Value {
	s := f.matcher.get()
	defer f.matcher.put(s)
	s.arena = s.arena[:0]
	f.matcher.plan.read(json, s)
	for _, n := range f.nodes {
		dst = append(dst, s.plain(&s.values[n]))
	}
	return dst
}

// plain returns a value as it reads to people: unfolded, and without regard to
// where numbers and booleans count as text for filters.
func (s *scratch) plain(v *value) Value {
	start := len(s.arena)
	switch v.kind {
	case text:
		s.arena = appendText(s.arena, trimQuotes(v.raw), false)
	case numeric:
		s.arena = v.number().appendCanonical(s.arena)
	case boolean:
		s.arena = append(s.arena, v.raw...)
	default:
		return Value{}
	}
	return Value{Text: string(s.arena[start:]), OK: true}
}
