package template

import (
	"fmt"
	"maps"
)

// function is a template function that depends on its arguments alone. The texts
// among them are paid for before it is called; what else it reads and makes, it
// pays for itself.
type function struct {
	least, most int // number of arguments; most < 0: any
	do          func(b *budget, args []any) (any, error)
}

func (f function) arity() string {
	switch {
	case f.most < 0:
		return fmt.Sprintf("at least %d arguments", f.least)
	case f.least == f.most:
		return fmt.Sprintf("%d arguments", f.least)
	default:
		return fmt.Sprintf("%d to %d arguments", f.least, f.most)
	}
}

// functions are the functions of ARM that need nothing but their arguments, by
// lower-case name.
var functions = merged(textFunctions, collectionFunctions, logicFunctions, numberFunctions, dateFunctions, idFunctions)

func merged(groups ...map[string]function) map[string]function {
	all := make(map[string]function)
	for _, g := range groups {
		maps.Copy(all, g)
	}
	return all
}

// The helpers below take an argument as the type that a function needs.

func wantText(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return "", fmt.Errorf("a string is expected, not %s", typeName(v))
}

func wantTexts(args []any) ([]string, error) {
	out := make([]string, len(args))
	for i, arg := range args {
		var err error
		if out[i], err = wantText(arg); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func wantInt(v any) (int64, error) {
	if n, ok := v.(int64); ok {
		return n, nil
	}
	return 0, fmt.Errorf("a whole number is expected, not %s", typeName(v))
}

func wantArray(v any) ([]any, error) {
	if a, ok := v.([]any); ok {
		return a, nil
	}
	return nil, fmt.Errorf("an array is expected, not %s", typeName(v))
}

func wantObject(v any) (map[string]any, error) {
	if o, ok := v.(map[string]any); ok {
		return o, nil
	}
	return nil, fmt.Errorf("an object is expected, not %s", typeName(v))
}

func wantBool(v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	return false, fmt.Errorf("true or false is expected, not %s", typeName(v))
}

// constantly returns a function without arguments.
func constantly(v any) function {
	return function{0, 0, func(*budget, []any) (any, error) { return v, nil }}
}

// ofText returns a function of one text.
func ofText(f func(*budget, string) (any, error)) function {
	return function{1, 1, func(b *budget, args []any) (any, error) {
		s, err := wantText(args[0])
		if err != nil {
			return nil, err
		}
		return f(b, s)
	}}
}

// toText returns a function of one text that makes another one, of at most so many
// times its size.
func toText(times int, f func(string) (string, error)) function {
	return ofText(func(b *budget, s string) (any, error) {
		if err := b.allot(times * (len(s) + 8)); err != nil {
			return nil, err
		}
		return f(s)
	})
}

// ofTexts returns a function of two texts.
func ofTexts(f func(a, b string) any) function {
	return function{2, 2, func(b *budget, args []any) (any, error) {
		s, err := wantTexts(args)
		if err != nil {
			return nil, err
		}
		// Both in lower case, to be compared.
		if err := b.allot(len(s[0]) + len(s[1])); err != nil {
			return nil, err
		}
		return f(s[0], s[1]), nil
	}}
}

// ofInts returns a function of two whole numbers.
func ofInts(f func(a, b int64) (int64, error)) function {
	return function{2, 2, func(_ *budget, args []any) (any, error) {
		a, err := wantInt(args[0])
		if err != nil {
			return nil, err
		}
		b, err := wantInt(args[1])
		if err != nil {
			return nil, err
		}
		return f(a, b)
	}}
}
