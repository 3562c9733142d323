package template

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Values of expressions are never changed once they are made, so that they may share
// their parts. They are those of encoding/json, except that whole numbers
// are int64: nil, bool, int64, json.Number (any other number), string, []any,
// map[string]any. A lambda is a value only inside of an expression.

func unquoteJSON(escaped string) (s string, err error) {
	err = json.Unmarshal([]byte(`"`+escaped+`"`), &s)
	return s, err
}

func validJSON(s string) bool { return json.Valid([]byte(s)) }

// numberValue returns the value of a number as it is written.
func numberValue(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return json.Number(s)
}

// Decode reads JSON into the values of this package.
func Decode(data []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return normal(v), nil
}

func normal(v any) any {
	switch v := v.(type) {
	case json.Number:
		return numberValue(v.String())
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = normal(v[k])
		}
	}
	return v
}

// typeName is how messages call the type of a value.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case int64, json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	default:
		return "a lambda"
	}
}

// textOf renders a value where a text is wanted. What may be large is rendered by
// [budget.text].
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case json.Number:
		return v.String()
	case nil:
		return ""
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
}

// member finds a member by its name in any case, the exact one first, then the
// first in order.
func member(m map[string]any, name string) (v any, found bool) {
	if v, ok := m[name]; ok {
		return v, true
	}
	first := ""
	for k := range m {
		if strings.EqualFold(k, name) && (!found || k < first) {
			first, found = k, true
		}
	}
	return m[first], found
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
