package template

import (
	"errors"
	"fmt"
	"maps"
	"strings"
)

var collectionFunctions = map[string]function{
	"array": {1, 1, func(args []any) (any, error) {
		if a, ok := args[0].([]any); ok {
			return a, nil
		}
		return []any{args[0]}, nil
	}},
	"createarray":  {0, -1, func(args []any) (any, error) { return append([]any{}, args...), nil }},
	"createobject": {0, -1, createObject},
	"contains":     {2, 2, contains},
	"empty": {1, 1, func(args []any) (any, error) {
		n, err := length(args[0])
		return n == 0, err
	}},
	"length":       {1, 1, func(args []any) (any, error) { return length(args[0]) }},
	"first":        {1, 1, func(args []any) (any, error) { return edge(args[0], false) }},
	"last":         {1, 1, func(args []any) (any, error) { return edge(args[0], true) }},
	"skip":         {2, 2, func(args []any) (any, error) { return cut(args, false) }},
	"take":         {2, 2, func(args []any) (any, error) { return cut(args, true) }},
	"range":        ofInts(numbers),
	"union":        {1, -1, union},
	"intersection": {1, -1, intersection},
	"flatten": {1, 1, func(args []any) (any, error) {
		a, err := wantArray(args[0])
		if err != nil {
			return nil, err
		}
		return concat(append([]any{[]any{}}, a...))
	}},
	"items": {1, 1, func(args []any) (any, error) {
		o, err := wantObject(args[0])
		if err != nil {
			return nil, err
		}
		out := []any{}
		for _, k := range sortedKeys(o) {
			out = append(out, map[string]any{"key": k, "value": o[k]})
		}
		return out, nil
	}},
	"objectkeys": {1, 1, func(args []any) (any, error) {
		o, err := wantObject(args[0])
		if err != nil {
			return nil, err
		}
		out := []any{}
		for _, k := range sortedKeys(o) {
			out = append(out, k)
		}
		return out, nil
	}},
	"tryget": {2, -1, func(args []any) (any, error) {
		v := args[0]
		for _, key := range args[1:] {
			got, err := (&access{of: constant{v}, key: constant{key}, safe: true}).eval(nil)
			if err != nil {
				return nil, err
			}
			v = got
		}
		return v, nil
	}},
	"shallowmerge": {1, 1, func(args []any) (any, error) {
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
			maps.Copy(out, o)
		}
		return out, nil
	}},
}

func createObject(args []any) (any, error) {
	if len(args)%2 != 0 {
		return nil, errors.New("names and values come in pairs")
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

func contains(args []any) (any, error) {
	switch c := args[0].(type) {
	case string:
		return strings.Contains(c, textOf(args[1])), nil
	case []any:
		for _, v := range c {
			if equal(v, args[1]) {
				return true, nil
			}
		}
		return false, nil
	case map[string]any:
		name, err := wantText(args[1])
		if err != nil {
			return nil, err
		}
		_, ok := member(c, name)
		return ok, nil
	}
	return nil, fmt.Errorf("an array, an object or a string is expected, not %s", typeName(args[0]))
}

func length(v any) (int64, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case string:
		return int64(len([]rune(v))), nil
	case []any:
		return int64(len(v)), nil
	case map[string]any:
		return int64(len(v)), nil
	}
	return 0, fmt.Errorf("an array, an object or a string is expected, not %s", typeName(v))
}

// edge returns the first or last element or character.
func edge(v any, last bool) (any, error) {
	n, err := length(v)
	if err != nil {
		return nil, err
	}
	at := int64(0)
	if last {
		at = n - 1
	}
	switch v := v.(type) {
	case string:
		if n == 0 {
			return "", nil
		}
		return string([]rune(v)[at]), nil
	case []any:
		if n == 0 {
			return nil, nil
		}
		return v[at], nil
	}
	return nil, fmt.Errorf("an array or a string is expected, not %s", typeName(v))
}

// cut returns the first elements or characters, or those behind them.
func cut(args []any, head bool) (any, error) {
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
		r := []rune(v)
		if head {
			return string(r[:n]), nil
		}
		return string(r[n:]), nil
	case []any:
		if head {
			return append([]any{}, v[:n]...), nil
		}
		return append([]any{}, v[n:]...), nil
	}
	return nil, fmt.Errorf("an array or a string is expected, not %s", typeName(args[0]))
}

// longestRange is ARM's bound of the function range.
const longestRange = 10000

func numbers(start, count int64) (any, error) {
	if count < 0 || count > longestRange {
		return nil, fmt.Errorf("%d numbers are asked for; at most %d are made", count, longestRange)
	}
	out := make([]any, count)
	for i := range out {
		out[i] = start + int64(i)
	}
	return out, nil
}

// union of arrays has each value once; of objects, all members: those of later
// ones win, and objects in them are united in turn.
func union(args []any) (any, error) {
	if _, ok := args[0].([]any); ok {
		out := []any{}
		for _, arg := range args {
			a, err := wantArray(arg)
			if err != nil {
				return nil, err
			}
			for _, v := range a {
				if has, _ := contains([]any{out, v}); has != true {
					out = append(out, v)
				}
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
		unite(out, o)
	}
	return out, nil
}

func unite(into, from map[string]any) {
	for _, k := range sortedKeys(from) {
		name := k
		for have := range into {
			if strings.EqualFold(have, k) {
				name = have
			}
		}
		a, both := into[name].(map[string]any)
		b, object := from[k].(map[string]any)
		if both && object {
			merged := clone(a).(map[string]any)
			unite(merged, b)
			into[name] = merged
			continue
		}
		into[name] = from[k]
	}
}

func intersection(args []any) (any, error) {
	if first, ok := args[0].([]any); ok {
		out := []any{}
		for _, v := range first {
			in := true
			for _, arg := range args[1:] {
				a, err := wantArray(arg)
				if err != nil {
					return nil, err
				}
				if has, _ := contains([]any{a, v}); has != true {
					in = false
				}
			}
			if has, _ := contains([]any{out, v}); in && has != true {
				out = append(out, v)
			}
		}
		return out, nil
	}
	first, err := wantObject(args[0])
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for k, v := range first {
		in := true
		for _, arg := range args[1:] {
			o, err := wantObject(arg)
			if err != nil {
				return nil, err
			}
			other, ok := member(o, k)
			in = in && ok && equal(v, other)
		}
		if in {
			out[k] = v
		}
	}
	return out, nil
}
