package template

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The bounds of one deployment, with those nested in it. Loops within loops, and
// functions of large texts, could otherwise keep a small template busy for years.
const (
	mostSteps = 4_000_000
	mostBytes = 64 << 20
)

// What things cost.
const (
	bytesPerStep  = 16  // of text that is looked at
	filledPerStep = 128 // of memory
	hostSteps     = 250 // a question to the host
	scopeSteps    = 4   // a scope of its own
	slotBytes     = 16  // an element of an array
	memberBytes   = 64  // a member of an object
	objectBytes   = 320 // an object, whatever is in it
	valueBytes    = 48  // a value in a text that is read as JSON
	setBytes      = 256 // a value in a set
)

// budget is what a deployment may still cost. Whatever works in proportion to
// what it is given pays first: in steps for its time, in bytes for its memory.
// So a function that cannot be paid for has done nothing. Once something could
// not be paid, nothing can.
//
// It belongs to one goroutine.
type budget struct {
	ctx   context.Context //nolint:containedctx // every step looks whether anybody still waits for the result
	steps int             // left
	bytes int             // left
	depth int             // of the calls under way
}

func newBudget(ctx context.Context) *budget {
	return &budget{ctx: ctx, steps: mostSteps, bytes: mostBytes}
}

// spend pays for time.
func (b *budget) spend(steps int) error {
	if steps > b.steps {
		b.steps = -1
	} else if b.steps >= 0 {
		b.steps -= steps
	}
	return b.over()
}

// allot pays for memory, and for the time to fill it, which is less than it takes to
// look at each byte.
func (b *budget) allot(bytes int) error {
	if bytes > b.bytes {
		b.bytes = -1
	} else if b.bytes >= 0 {
		b.bytes -= bytes
	}
	return b.spend(bytes / filledPerStep)
}

// over says why nothing may be done any more, if so.
func (b *budget) over() error {
	switch err := b.ctx.Err(); {
	case err != nil:
		return &Error{Message: "The template was not evaluated to its end, since nobody waits for it any more.", Cause: err}
	case b.bytes < 0:
		return errorf("The template makes values of more than %d bytes while it is evaluated.", mostBytes)
	case b.steps < 0:
		return errorf("The template takes more than %d steps to evaluate.", mostSteps)
	}
	return nil
}

// array pays for an array of n elements.
func (b *budget) array(n int) error {
	if err := b.spend(n); err != nil {
		return err
	}
	return b.allot(n * slotBytes)
}

// object pays for an object of n members.
func (b *budget) object(n int) error {
	if err := b.spend(n); err != nil {
		return err
	}
	return b.allot(objectBytes + n*memberBytes)
}

// values pays for reading the texts among some values.
func (b *budget) values(all []any) error {
	steps := len(all)
	for _, v := range all {
		steps += written(v) / bytesPerStep
	}
	return b.spend(steps)
}

// written is how many bytes a text or a number has that is kept as it was written.
func written(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case json.Number:
		return len(v)
	}
	return 0
}

// measure pays for a look at all of a value, and returns about how many bytes it
// has as JSON. Values share their parts, so a short expression can make one that
// is too large to look at.
func (b *budget) measure(v any) (int, error) { return b.walk(v, 0) }

func (b *budget) walk(v any, depth int) (size int, err error) {
	if err := b.spend(1); err != nil {
		return 0, err
	}
	if depth > maxDepth {
		return 0, errTooDeep()
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n, err := b.walk(item, depth+1)
			if err != nil {
				return 0, err
			}
			size += n + 1
		}
		return size + 2, nil
	case map[string]any:
		for name, m := range v {
			n, err := b.walk(m, depth+1)
			if err != nil {
				return 0, err
			}
			size += len(name) + n + 4
		}
		return size + 2, b.spend(size / bytesPerStep)
	}
	return written(v) + 8, b.spend(written(v) / bytesPerStep)
}

func errTooDeep() error {
	return errorf("A value is nested deeper than %d levels.", maxDepth)
}

// text renders a value where a text is wanted.
func (b *budget) text(v any) (string, error) {
	switch v.(type) {
	case []any, map[string]any:
		size, err := b.measure(v)
		if err != nil {
			return "", err
		}
		if err := b.allot(size); err != nil {
			return "", err
		}
	}
	return textOf(v), nil
}

// decode reads JSON. Each comma and colon may stand for a value, of which the
// text says only a byte.
func (b *budget) decode(s string) (any, error) {
	n := 1
	for _, mark := range []string{",", ":", "[", "{"} {
		n += strings.Count(s, mark)
	}
	if err := b.spend(n); err != nil {
		return nil, err
	}
	if err := b.allot(n*valueBytes + len(s)); err != nil {
		return nil, err
	}
	return Decode([]byte(s))
}

// member finds a member by its name in any case, the exact one first.
func (b *budget) member(m map[string]any, name string) (v any, found bool, err error) {
	if v, ok := m[name]; ok {
		return v, true, b.spend(1)
	}
	if err := b.spend(len(m)); err != nil {
		return nil, false, err
	}
	v, found = member(m, name)
	return v, found, nil
}

// equal compares as the function equals does: texts with regard to case, numbers
// by their value, objects without regard to the case of their names.
func (b *budget) equal(x, y any) (bool, error) { return b.same(x, y, 0) }

func (b *budget) same(x, y any, depth int) (bool, error) {
	if err := b.spend(1); err != nil {
		return false, err
	}
	if depth > maxDepth {
		return false, errTooDeep()
	}
	switch x := x.(type) {
	case string:
		y, ok := y.(string)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		return x == y, b.spend(len(x) / bytesPerStep)
	case []any:
		y, ok := y.([]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		for i := range x {
			if eq, err := b.same(x[i], y[i], depth+1); !eq || err != nil {
				return false, err
			}
		}
		return true, nil
	case map[string]any:
		y, ok := y.(map[string]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		for name := range x {
			v, ok, err := b.member(y, name)
			if !ok || err != nil {
				return false, err
			}
			if eq, err := b.same(x[name], v, depth+1); !eq || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	if err := b.spend((written(x) + written(y)) / bytesPerStep); err != nil {
		return false, err
	}
	if c, ok := compareNumbers(x, y); ok {
		return c == 0, nil
	}
	return x == y, nil
}

// set holds values and finds equal ones. What is neither an array nor an object is
// found at once, so that a set of n of them costs n and not its square.
type set struct {
	b      *budget
	shapes map[shape][]any
}

// shape is the same for equal values. Only arrays and objects may have the same
// one without being equal.
type shape struct {
	kind byte
	text string
	size int
}

func newSet(b *budget) *set { return &set{b, map[shape][]any{}} }

func shapeOf(v any) shape {
	switch v := v.(type) {
	case string:
		return shape{kind: 's', text: v}
	case bool:
		return shape{kind: 'b', text: fmt.Sprint(v)}
	case nil:
		return shape{kind: 'n'}
	case []any:
		return shape{kind: 'a', size: len(v)}
	case map[string]any:
		return shape{kind: 'o', size: len(v)}
	}
	if d, ok := decimalOf(v); ok {
		return shape{kind: 'd', text: d.String()}
	}
	return shape{kind: 'x'}
}

func (s *set) has(v any) (bool, error) {
	if err := s.b.values([]any{v}); err != nil {
		return false, err
	}
	for _, other := range s.shapes[shapeOf(v)] {
		if eq, err := s.b.equal(other, v); eq || err != nil {
			return eq, err
		}
	}
	return false, nil
}

// add puts a value in and reports whether it was not there.
func (s *set) add(v any) (bool, error) {
	if has, err := s.has(v); has || err != nil {
		return false, err
	}
	if err := s.b.allot(setBytes); err != nil {
		return false, err
	}
	key := shapeOf(v)
	s.shapes[key] = append(s.shapes[key], v)
	return true, nil
}

// setOf returns the set of the elements of an array.
func (b *budget) setOf(a []any) (*set, error) {
	s := newSet(b)
	for _, v := range a {
		if _, err := s.add(v); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// longestQuote bounds what a message repeats of a text.
const longestQuote = 100

// cut shortens a text for a message or a path.
func cut(s string) string {
	if len(s) <= longestQuote {
		return s
	}
	end := longestQuote
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// quoted is how a message repeats a value.
func quoted(v any) string {
	switch v.(type) {
	case nil, []any, map[string]any, *lambda, unknown:
		return typeName(v)
	}
	return "'" + cut(textOf(v)) + "'"
}
