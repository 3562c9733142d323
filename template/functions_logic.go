package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var logicFunctions = map[string]function{
	"equals": {2, 2, func(b *budget, args []any) (any, error) { return b.equal(args[0], args[1]) }},
	"not": {1, 1, func(_ *budget, args []any) (any, error) {
		b, err := wantBool(args[0])
		return !b, err
	}},
	"bool":            {1, 1, boolOf},
	"true":            constantly(true),
	"false":           constantly(false),
	"null":            constantly(nil),
	"less":            compare(func(c int) bool { return c < 0 }),
	"lessorequals":    compare(func(c int) bool { return c <= 0 }),
	"greater":         compare(func(c int) bool { return c > 0 }),
	"greaterorequals": compare(func(c int) bool { return c >= 0 }),
}

func boolOf(_ *budget, args []any) (any, error) {
	switch v := args[0].(type) {
	case bool:
		return v, nil
	case int64:
		return v != 0, nil
	case string:
		switch {
		case strings.EqualFold(v, "true") || v == "1":
			return true, nil
		case strings.EqualFold(v, "false") || v == "0":
			return false, nil
		}
	}
	return nil, fmt.Errorf("%s is neither true nor false", quoted(args[0]))
}

// compare orders two numbers or two texts.
func compare(holds func(int) bool) function {
	return function{2, 2, func(_ *budget, args []any) (any, error) {
		if a, ok := args[0].(string); ok {
			b, err := wantText(args[1])
			if err != nil {
				return nil, err
			}
			return holds(strings.Compare(a, b)), nil
		}
		c, ok := compareNumbers(args[0], args[1])
		if !ok {
			return nil, fmt.Errorf("two numbers or two strings are expected, not %s and %s", typeName(args[0]), typeName(args[1]))
		}
		return holds(c), nil
	}}
}

var numberFunctions = map[string]function{
	"add":   ofInts(add),
	"sub":   ofInts(sub),
	"mul":   ofInts(mul),
	"div":   ofInts(div),
	"mod":   ofInts(mod),
	"int":   {1, 1, intOf},
	"float": {1, 1, floatOf},
	"min":   {1, -1, extreme(func(a, b int64) bool { return a < b })},
	"max":   {1, -1, extreme(func(a, b int64) bool { return a > b })},
}

func intOf(_ *budget, args []any) (any, error) {
	switch v := args[0].(type) {
	case int64:
		return v, nil
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%s is not a whole number", quoted(args[0]))
}

func floatOf(_ *budget, args []any) (any, error) {
	if _, ok := decimalOf(args[0]); ok {
		return args[0], nil
	}
	if s, ok := args[0].(string); ok {
		if _, ok := parseDecimal(s); ok {
			return json.Number(s), nil
		}
	}
	return nil, fmt.Errorf("%s is not a number", quoted(args[0]))
}

func extreme(better func(a, b int64) bool) func(*budget, []any) (any, error) {
	return func(b *budget, args []any) (any, error) {
		if a, ok := args[0].([]any); ok {
			args = a
			if err := b.spend(len(a)); err != nil {
				return nil, err
			}
		}
		if len(args) == 0 {
			return nil, errors.New("there are no numbers")
		}
		best, err := wantInt(args[0])
		if err != nil {
			return nil, err
		}
		for _, arg := range args[1:] {
			n, err := wantInt(arg)
			if err != nil {
				return nil, err
			}
			if better(n, best) {
				best = n
			}
		}
		return best, nil
	}
}
