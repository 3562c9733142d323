package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var logicFunctions = map[string]function{
	"equals": {2, 2, func(args []any) (any, error) { return equal(args[0], args[1]), nil }},
	"not": {1, 1, func(args []any) (any, error) {
		b, err := wantBool(args[0])
		return !b, err
	}},
	"bool": {1, 1, func(args []any) (any, error) {
		switch v := args[0].(type) {
		case bool:
			return v, nil
		case int64:
			return v != 0, nil
		case string:
			switch strings.ToLower(v) {
			case "true", "1":
				return true, nil
			case "false", "0":
				return false, nil
			}
		}
		return nil, fmt.Errorf("'%s' is neither true nor false", textOf(args[0]))
	}},
	"true":            {0, 0, func([]any) (any, error) { return true, nil }},
	"false":           {0, 0, func([]any) (any, error) { return false, nil }},
	"null":            {0, 0, func([]any) (any, error) { return nil, nil }},
	"less":            compare(func(c int) bool { return c < 0 }),
	"lessorequals":    compare(func(c int) bool { return c <= 0 }),
	"greater":         compare(func(c int) bool { return c > 0 }),
	"greaterorequals": compare(func(c int) bool { return c >= 0 }),
}

// compare orders two numbers or two texts.
func compare(holds func(int) bool) function {
	return function{2, 2, func(args []any) (any, error) {
		if a, ok := args[0].(string); ok {
			b, err := wantText(args[1])
			if err != nil {
				return nil, err
			}
			return holds(strings.Compare(a, b)), nil
		}
		a, aok := floatOf(args[0])
		b, bok := floatOf(args[1])
		if !aok || !bok {
			return nil, fmt.Errorf("two numbers or two strings are expected, not %s and %s", typeName(args[0]), typeName(args[1]))
		}
		switch {
		case a < b:
			return holds(-1), nil
		case a > b:
			return holds(1), nil
		}
		return holds(0), nil
	}}
}

var errDivision = errors.New("division by zero")

var numberFunctions = map[string]function{
	"add": ofInts(func(a, b int64) (any, error) { return a + b, nil }),
	"sub": ofInts(func(a, b int64) (any, error) { return a - b, nil }),
	"mul": ofInts(func(a, b int64) (any, error) { return a * b, nil }),
	"div": ofInts(func(a, b int64) (any, error) {
		if b == 0 {
			return nil, errDivision
		}
		return a / b, nil
	}),
	"mod": ofInts(func(a, b int64) (any, error) {
		if b == 0 {
			return nil, errDivision
		}
		return a % b, nil
	}),
	"int": {1, 1, func(args []any) (any, error) {
		switch v := args[0].(type) {
		case int64:
			return v, nil
		case string:
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				return n, nil
			}
		}
		return nil, fmt.Errorf("'%s' is not a whole number", textOf(args[0]))
	}},
	"float": {1, 1, func(args []any) (any, error) {
		if _, ok := floatOf(args[0]); ok {
			return args[0], nil
		}
		if s, ok := args[0].(string); ok && validJSON(s) {
			if _, err := strconv.ParseFloat(s, 64); err == nil {
				return json.Number(s), nil
			}
		}
		return nil, fmt.Errorf("'%s' is not a number", textOf(args[0]))
	}},
	"min": {1, -1, extreme(func(a, b int64) bool { return a < b })},
	"max": {1, -1, extreme(func(a, b int64) bool { return a > b })},
}

func extreme(better func(a, b int64) bool) func([]any) (any, error) {
	return func(args []any) (any, error) {
		if a, ok := args[0].([]any); ok {
			args = a
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
