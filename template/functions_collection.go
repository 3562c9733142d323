package template

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

var collectionFunctions = map[string]function{
	"array": {1, 1, func(_ *budget, args []any) (any, error) {
		if a, ok := args[0].([]any); ok {
			return a, nil
		}
		return []any{args[0]}, nil
	}},
	"createarray": {0, -1, func(b *budget, args []any) (any, error) {
		if err := b.array(len(args)); err != nil {
			return nil, err
		}
		return append([]any{}, args...), nil
	}},
	"createobject": {0, -1, createObject},
	"contains":     {2, 2, contains},
	"empty": {1, 1, func(_ *budget, args []any) (any, error) {
		n, err := length(args[0])
		return n == 0, err
	}},
	"length":       {1, 1, func(_ *budget, args []any) (any, error) { return length(args[0]) }},
	"first":        {1, 1, func(_ *budget, args []any) (any, error) { return edge(args[0], false) }},
	"last":         {1, 1, func(_ *budget, args []any) (any, error) { return edge(args[0], true) }},
	"skip":         {2, 2, func(_ *budget, args []any) (any, error) { return part(args, false) }},
	"take":         {2, 2, func(_ *budget, args []any) (any, error) { return part(args, true) }},
	"range":        {2, 2, numbers},
	"union":        {1, -1, union},
	"intersection": {1, -1, intersection},
	"flatten": {1, 1, func(b *budget, args []any) (any, error) {
		a, err := wantArray(args[0])
		if err != nil {
			return nil, err
		}
		return concatArrays(b, a)
	}},
	"items":        {1, 1, items},
	"objectkeys":   {1, 1, objectKeys},
	"tryget":       {2, -1, tryGet},
	"shallowmerge": {1, 1, shallowMerge},
}

func createObject(b *budget, args []any) (any, error) {
	if len(args)%2 != 0 {
		return nil, errors.New("names and values come in pairs")
	}
	if err := b.object(len(args) / 2); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		name, err := wantText(args[i])
		if err != nil {
			return nil, err
		}
		out[name] = args[i+1]
	}
	return out, nil
}

func contains(b *budget, args []any) (any, error) {
	switch c := args[0].(type) {
	case string:
		what, err := b.text(args[1])
		return strings.Contains(c, what), err
	case []any:
		at, err := b.position(c, args[1], false)
		return at >= 0, err
	case map[string]any:
		name, err := wantText(args[1])
		if err != nil {
			return nil, err
		}
		_, ok, err := b.member(c, name)
		return ok, err
	}
	return nil, fmt.Errorf("an array, an object or a string is expected, not %s", typeName(args[0]))
}

// position returns the index of a value in an array, -1 when it is not there.
func (b *budget) position(a []any, v any, last bool) (int64, error) {
	at := int64(-1)
	for i := range a {
		switch eq, err := b.equal(a[i], v); {
		case err != nil:
			return 0, err
		case eq && !last:
			return int64(i), nil
		case eq:
			at = int64(i)
		}
	}
	return at, nil
}

func length(v any) (int64, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case string:
		return int64(utf8.RuneCountInString(v)), nil
	case []any:
		return int64(len(v)), nil
	case map[string]any:
		return int64(len(v)), nil
	}
	return 0, fmt.Errorf("an array, an object or a string is expected, not %s", typeName(v))
}

// edge returns the first or last element or character.
func edge(v any, last bool) (any, error) {
	switch v := v.(type) {
	case string:
		_, size := utf8.DecodeRuneInString(v)
		if last {
			_, size = utf8.DecodeLastRuneInString(v)
			return v[len(v)-size:], nil
		}
		return v[:size], nil
	case []any:
		switch {
		case len(v) == 0:
			return nil, nil
		case last:
			return v[len(v)-1], nil
		}
		return v[0], nil
	}
	return nil, fmt.Errorf("an array or a string is expected, not %s", typeName(v))
}

// part returns the first elements or characters, or those behind them. It shares
// them with what they are of: values are never changed.
func part(args []any, head bool) (any, error) {
	n, err := wantInt(args[1])
	if err != nil {
		return nil, err
	}
	size, err := length(args[0])
	if err != nil {
		return nil, err
	}
	n = min(max(n, 0), size)
	switch v := args[0].(type) {
	case string:
		at := offset(v, n)
		if head {
			return v[:at], nil
		}
		return v[at:], nil
	case []any:
		if head {
			return v[:n:n], nil
		}
		return v[n:len(v):len(v)], nil
	}
	return nil, fmt.Errorf("an array or a string is expected, not %s", typeName(args[0]))
}

// offset returns where the character of an index begins.
func offset(s string, index int64) int {
	for at := range s {
		if index == 0 {
			return at
		}
		index--
	}
	return len(s)
}

// longestRange is ARM's bound of the function range.
const longestRange = 10000

func numbers(b *budget, args []any) (any, error) {
	start, err := wantInt(args[0])
	if err != nil {
		return nil, err
	}
	count, err := wantInt(args[1])
	if err != nil {
		return nil, err
	}
	if count < 0 || count > longestRange {
		return nil, fmt.Errorf("%d numbers are asked for; at most %d are made", count, longestRange)
	}
	if _, err := add(start, count); err != nil {
		return nil, err
	}
	if err := b.array(2 * int(count)); err != nil {
		return nil, err
	}
	out := make([]any, count)
	for i := range out {
		out[i] = start + int64(i)
	}
	return out, nil
}

// union of arrays has each value once; of objects, all members: those of later
// ones win, and objects in them are united in turn.
func union(b *budget, args []any) (any, error) {
	if _, ok := args[0].([]any); ok {
		out, all := []any{}, newSet(b)
		for _, arg := range args {
			a, err := wantArray(arg)
			if err != nil {
				return nil, err
			}
			if out, err = all.appendNew(out, a); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	out := map[string]any{}
	for _, arg := range args {
		o, err := wantObject(arg)
		if err != nil {
			return nil, err
		}
		if err := b.unite(out, o, 0); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendNew appends those values that the set did not have, and puts them in.
func (s *set) appendNew(dst, values []any) ([]any, error) {
	for _, v := range values {
		switch fresh, err := s.add(v); {
		case err != nil:
			return nil, err
		case fresh:
			dst = append(dst, v)
		}
	}
	return dst, nil
}

func (b *budget) unite(into, from map[string]any, depth int) error {
	if depth > maxDepth {
		return errTooDeep()
	}
	if err := b.object(len(into) + len(from)); err != nil {
		return err
	}
	spelled := make(map[string]string, len(into)) // by lower-case name
	for have := range into {
		spelled[strings.ToLower(have)] = have
	}
	for _, k := range sortedKeys(from) {
		name, there := spelled[strings.ToLower(k)]
		if !there {
			name = k
			spelled[strings.ToLower(k)] = k
		}
		have, both := into[name].(map[string]any)
		more, object := from[k].(map[string]any)
		if !both || !object {
			into[name] = from[k]
			continue
		}
		if err := b.object(len(have)); err != nil {
			return err
		}
		// What is inside is replaced and never changed, so this deep a copy will do.
		united := maps.Clone(have)
		if err := b.unite(united, more, depth+1); err != nil {
			return err
		}
		into[name] = united
	}
	return nil
}

func intersection(b *budget, args []any) (any, error) {
	if first, ok := args[0].([]any); ok {
		return intersectArrays(b, first, args[1:])
	}
	first, err := wantObject(args[0])
	if err != nil {
		return nil, err
	}
	if err := b.object(len(first)); err != nil {
		return nil, err
	}
	out := maps.Clone(first)
	for _, arg := range args[1:] {
		o, err := wantObject(arg)
		if err != nil {
			return nil, err
		}
		for k, v := range out {
			other, in, err := b.member(o, k)
			if err == nil && in {
				in, err = b.equal(v, other)
			}
			if err != nil {
				return nil, err
			}
			if !in {
				delete(out, k)
			}
		}
	}
	return out, nil
}

func intersectArrays(b *budget, out []any, others []any) (any, error) {
	out, err := newSet(b).appendNew([]any{}, out)
	if err != nil {
		return nil, err
	}
	for _, arg := range others {
		a, err := wantArray(arg)
		if err != nil {
			return nil, err
		}
		in, err := b.setOf(a)
		if err != nil {
			return nil, err
		}
		kept := out[:0]
		for _, v := range out {
			switch has, err := in.has(v); {
			case err != nil:
				return nil, err
			case has:
				kept = append(kept, v)
			}
		}
		out = kept
	}
	return out, nil
}

// keys returns the names of an object in order.
func (b *budget) keys(o map[string]any) ([]string, error) {
	if err := b.array(2 * len(o)); err != nil { // as sorting takes its time too
		return nil, err
	}
	return sortedKeys(o), nil
}

func items(b *budget, args []any) (any, error) {
	o, err := wantObject(args[0])
	if err != nil {
		return nil, err
	}
	if err := b.allot(len(o) * (objectBytes + slotBytes)); err != nil {
		return nil, err
	}
	keys, err := b.keys(o)
	out := make([]any, len(keys))
	for i, k := range keys {
		out[i] = map[string]any{"key": k, "value": o[k]}
	}
	return out, err
}

func objectKeys(b *budget, args []any) (any, error) {
	o, err := wantObject(args[0])
	if err != nil {
		return nil, err
	}
	if err := b.array(2 * len(o)); err != nil {
		return nil, err
	}
	keys, err := b.keys(o)
	out := make([]any, len(keys))
	for i, k := range keys {
		out[i] = k
	}
	return out, err
}

func tryGet(b *budget, args []any) (any, error) {
	v := args[0]
	for _, key := range args[1:] {
		var err error
		if v, err = b.part(v, key, true); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func shallowMerge(b *budget, args []any) (any, error) {
	a, err := wantArray(args[0])
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for _, v := range a {
		o, err := wantObject(v)
		if err != nil {
			return nil, err
		}
		if err := b.object(len(o)); err != nil {
			return nil, err
		}
		maps.Copy(out, o)
	}
	return out, nil
}
