package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/intertie/intertie/filter"
)

// list writes n JSON strings of the given length.
func list(n, length int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = `"` + fmt.Sprintf("%02d", i) + strings.Repeat("ä", length-2) + `"`
	}
	return "[" + strings.Join(items, ",") + "]"
}

func repeat(n int, a filter.Advanced) []filter.Advanced {
	all := make([]filter.Advanced, n)
	for i := range all {
		all[i] = a
	}
	return all
}

func manyTypes(n int) []string {
	types := make([]string, n)
	for i := range types {
		types[i] = fmt.Sprintf("Acme.Type%d", i)
	}
	return types
}

func TestCompileAccepts(t *testing.T) {
	one := advanced(filter.StringIn, "data.k", `["a"]`)
	for name, s := range map[string]filter.Spec{
		"25 filters with 25 values":   {AdvancedFilters: repeat(25, one)},
		"25 filters without values":   {AdvancedFilters: repeat(25, advanced(filter.IsNotNull, "data.k", ""))},
		"25 values in one":            {AdvancedFilters: repeat(1, advanced(filter.StringIn, "data.k", list(25, 3)))},
		"25 ranges":                   {AdvancedFilters: repeat(1, advanced(filter.NumberInRange, "data.k", "["+strings.Repeat("[1,2],", 24)+"[1,2]]"))},
		"512 characters":              {AdvancedFilters: repeat(1, advanced(filter.StringIn, "data.k", list(1, 512)))},
		"26 event types":              {IncludedEventTypes: manyTypes(26)},
		"10 levels":                   {AdvancedFilters: repeat(1, advanced(filter.IsNotNull, "data.1.2.3.4.5.6.7.8.9.10", ""))},
		"any root":                    {AdvancedFilters: repeat(1, advanced(filter.IsNotNull, "@odata_Type é", ""))},
		"operator in any case":        {AdvancedFilters: repeat(1, filter.Advanced{Operator: "ISNOTNULL", Key: "k"})},
		"a range of one number":       {AdvancedFilters: repeat(1, advanced(filter.NumberInRange, "k", `[[5,5.0]]`))},
		"a superfluous other operand": {AdvancedFilters: repeat(1, filter.Advanced{Operator: filter.StringIn, Key: "k", Value: []byte(`{}`), Values: []byte(`["a"]`)})},
	} {
		t.Run(name, func(t *testing.T) { compile(t, s) })
	}
	s := filter.Spec{IncludedEventTypes: manyTypes(26)}
	if !matchBoth(t, s, &filter.Input{Type: "acme.type25", JSON: []byte(`{}`)}) || matchBoth(t, s, &filter.Input{Type: "acme.type26", JSON: []byte(`{}`)}) {
		t.Error("26 event types: the 26th must match, a 27th not")
	}
}

func TestCompileRefuses(t *testing.T) {
	one := advanced(filter.StringIn, "data.k", `["a"]`)
	withOne := func(a filter.Advanced) filter.Spec {
		return filter.Spec{AdvancedFilters: []filter.Advanced{one, a}}
	}
	for _, c := range []struct {
		name   string
		spec   filter.Spec
		target string
		says   []string // parts of the message
	}{
		{"26 filters", filter.Spec{AdvancedFilters: repeat(26, one)}, "advancedFilters", []string{"26", "25"}},
		{"26 values in one", withOne(advanced(filter.StringIn, "data.k", list(26, 3))), "advancedFilters[1].values", []string{"advancedFilters[1]", "StringIn", "'data.k'", "26", "25"}},
		{"26 values in two", withOne(advanced(filter.NumberIn, "data.n", "["+strings.Repeat("1,", 24)+"1]")), "advancedFilters[1]", []string{"NumberIn", "'data.n'", "26", "25"}},
		{"513 characters", withOne(advanced(filter.StringContains, "data.k", list(1, 513))), "advancedFilters[1].values[0]", []string{"StringContains", "513", "512"}},
		{"empty string", withOne(advanced(filter.StringEndsWith, "data.k", `["a",""]`)), "advancedFilters[1].values[1]", []string{"empty", "IsNotNull"}},
		{"null string", withOne(advanced(filter.StringIn, "data.k", `[null]`)), "advancedFilters[1].values[0]", []string{"null"}},
		{"number as string", withOne(advanced(filter.StringIn, "data.k", `[5]`)), "advancedFilters[1].values[0]", []string{"is 5", "string"}},
		{"string as number", withOne(advanced(filter.NumberIn, "data.k", `["5"]`)), "advancedFilters[1].values[0]", []string{"the string '5'", "number"}},
		{"beyond doubles", withOne(advanced(filter.NumberLessThan, "data.k", `1e400`)), "advancedFilters[1].value", []string{"double"}},
		{"boolean as string", withOne(advanced(filter.BoolEquals, "data.k", `"true"`)), "advancedFilters[1].value", []string{"true or false"}},
		{"null boolean", withOne(advanced(filter.BoolEquals, "data.k", `null`)), "advancedFilters[1].value", []string{"null"}},
		{"no boolean", withOne(filter.Advanced{Operator: filter.BoolEquals, Key: "k"}), "advancedFilters[1].value", []string{"missing"}},
		{"no value", withOne(filter.Advanced{Operator: filter.NumberLessThan, Key: "k", Values: json.RawMessage(`[5]`)}), "advancedFilters[1].value", []string{"missing"}},
		{"no values", withOne(filter.Advanced{Operator: filter.StringIn, Key: "k", Value: json.RawMessage(`"a"`)}), "advancedFilters[1].values", []string{"missing"}},
		{"empty values", withOne(advanced(filter.StringNotIn, "k", `[]`)), "advancedFilters[1].values", []string{"empty"}},
		{"values no list", withOne(advanced(filter.StringNotIn, "k", `"a"`)), "advancedFilters[1].values", []string{"'a'", "list"}},
		{"range no pair", withOne(advanced(filter.NumberInRange, "k", `[[1,2,3]]`)), "advancedFilters[1].values[0]", []string{"3 items", "[low, high]"}},
		{"range no list", withOne(advanced(filter.NumberInRange, "k", `[1,2]`)), "advancedFilters[1].values[0]", []string{"is 1"}},
		{"range backwards", withOne(advanced(filter.NumberNotInRange, "k", `[[1,2],[9007199254740993,9007199254740992]]`)), "advancedFilters[1].values[1]", []string{"9007199254740993", "lower end first"}},
		{"range of text", withOne(advanced(filter.NumberInRange, "k", `[[1,"2"]]`)), "advancedFilters[1].values[0][1]", []string{"'2'"}},
		{"no operator", withOne(filter.Advanced{Key: "k"}), "advancedFilters[1].operatorType", []string{"NumberInRange"}},
		{"unknown operator", withOne(filter.Advanced{Operator: "StringLike", Key: "k"}), "advancedFilters[1].operatorType", []string{"'StringLike'", "StringContains"}},
		{"no key", withOne(advanced(filter.IsNotNull, "", "")), "advancedFilters[1].key", []string{"no key"}},
		{"empty name in key", withOne(advanced(filter.IsNotNull, "data..x", "")), "advancedFilters[1].key", []string{"'data..x'", "dots"}},
		{"trailing dot", withOne(advanced(filter.IsNotNull, "data.", "")), "advancedFilters[1].key", []string{"dots"}},
		{"11 levels", withOne(advanced(filter.IsNotNull, "data.1.2.3.4.5.6.7.8.9.10.11", "")), "advancedFilters[1].key", []string{"11", "10"}},
		{"empty type", filter.Spec{IncludedEventTypes: []string{"a", ""}}, "includedEventTypes[1]", []string{"empty"}},
		{"All with others", filter.Spec{IncludedEventTypes: []string{"a", "all"}}, "includedEventTypes[1]", []string{"'All'", "Remove"}},
		{"All twice", filter.Spec{IncludedEventTypes: []string{"All", "All"}}, "includedEventTypes[0]", []string{"'All'"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := filter.Compile(c.spec)
			var e *filter.Error
			if f != nil || !errors.As(err, &e) {
				t.Fatalf("Compile = %v, %v; want an *Error", f, err)
			}
			if e.Target != c.target {
				t.Errorf("target %q, want %q", e.Target, c.target)
			}
			for _, part := range c.says {
				if !strings.Contains(e.Message, part) {
					t.Errorf("message %q does not say %q", e.Message, part)
				}
			}
		})
	}
}
