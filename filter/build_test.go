package filter

import (
	"encoding/json"
	"fmt"
	"testing"
)

// specOf compiles a filter that shares its event type with all others.
func specOf(t *testing.T, s Spec) *Filter {
	t.Helper()
	s.IncludedEventTypes = append(s.IncludedEventTypes, "Shared")
	f, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestMostSelectiveTable counts candidates: filters that all want the same
// event type but differ elsewhere must not be checked one by one.
func TestMostSelectiveTable(t *testing.T) {
	const n = 1000
	on := func(op Operator, key, value, values string) []Advanced {
		a := Advanced{Operator: op, Key: key}
		if value != "" {
			a.Value = json.RawMessage(value)
		}
		if values != "" {
			a.Values = json.RawMessage(values)
		}
		return []Advanced{a}
	}
	event := &Input{
		Type: "Shared", Subject: "/s/0042/end.0042",
		JSON: []byte(`{"id":"0042","ext":42,"data":{"k":"0042-text-0042","n":42,"on":true,"k0042":"x","list":["0042","0042",42]}}`),
	}
	for _, c := range []struct {
		name string
		spec func(i int) Spec
		most int // candidates
	}{
		{"prefix", func(i int) Spec { return Spec{SubjectBeginsWith: fmt.Sprintf("/S/%04d", i)} }, 1},
		{"exact prefix", func(i int) Spec {
			return Spec{SubjectBeginsWith: fmt.Sprintf("/s/%04d", i), IsSubjectCaseSensitive: true}
		}, 1},
		{"suffix", func(i int) Spec { return Spec{SubjectEndsWith: fmt.Sprintf("END.%04d", i)} }, 1},
		{"exact suffix", func(i int) Spec {
			return Spec{SubjectEndsWith: fmt.Sprintf("end.%04d", i), IsSubjectCaseSensitive: true}
		}, 1},
		{"StringIn", func(i int) Spec {
			return Spec{AdvancedFilters: on(StringIn, "data.k", "", fmt.Sprintf(`["%04d-text-%04d","x%d"]`, i, i, i))}
		}, 1},
		{"StringIn on an integer attribute", func(i int) Spec {
			return Spec{AdvancedFilters: on(StringIn, "ext", "", fmt.Sprintf(`["%d"]`, i))}
		}, 1},
		{"StringBeginsWith", func(i int) Spec {
			return Spec{AdvancedFilters: on(StringBeginsWith, "data.k", "", fmt.Sprintf(`["%04d-","%04d-t"]`, i, i))}
		}, 1},
		{"StringEndsWith", func(i int) Spec {
			return Spec{AdvancedFilters: on(StringEndsWith, "data.k", "", fmt.Sprintf(`["-%04d"]`, i))}
		}, 1},
		{"NumberIn", func(i int) Spec {
			return Spec{AdvancedFilters: on(NumberIn, "data.n", "", fmt.Sprintf(`[%d,%d.0,-%d.5]`, i, i, i))}
		}, 1},
		{"NumberInRange", func(i int) Spec {
			return Spec{AdvancedFilters: on(NumberInRange, "data.n", "", fmt.Sprintf(`[[%d,%d.5],[%d.2,%d.7]]`, i, i, i, i))}
		}, 1},
		{"NumberLessThan", func(i int) Spec {
			return Spec{AdvancedFilters: on(NumberLessThanOrEquals, "data.n", fmt.Sprint(i-n+43), "")}
		}, 1},
		{"presence of different keys", func(i int) Spec {
			return Spec{AdvancedFilters: on(StringContains, fmt.Sprintf("data.k%04d", i), "", `["x"]`)}
		}, 1},
		{"in an array", func(i int) Spec {
			return Spec{EnableAdvancedFilteringOnArrays: true, AdvancedFilters: on(StringIn, "data.list", "", fmt.Sprintf(`["%04d"]`, i))}
		}, 1},
		{"range in an array", func(i int) Spec {
			return Spec{EnableAdvancedFilteringOnArrays: true, AdvancedFilters: on(NumberInRange, "data.list", "", fmt.Sprintf(`[[%d,%d]]`, i, i))}
		}, 1},
		{"short prefix of all, own value", func(i int) Spec {
			return Spec{SubjectBeginsWith: "/", AdvancedFilters: on(StringIn, "id", "", fmt.Sprintf(`["%04d"]`, i))}
		}, 1},
		{"nested prefixes", func(i int) Spec { return Spec{SubjectBeginsWith: "/s/0042/end.0042"[:1+i%16]} }, n},
	} {
		t.Run(c.name, func(t *testing.T) {
			filters := make([]*Filter, n)
			matching := 0
			for i := range filters {
				filters[i] = specOf(t, c.spec(i))
				if filters[i].Match(event) {
					matching++
				}
			}
			x := newIndex(filters)
			s := x.get()
			x.match(event, s)
			if len(s.hits) != matching || matching == 0 {
				t.Errorf("%d filters match, the index finds %d", matching, len(s.hits))
			}
			if got := x.candidates(event); got > c.most {
				t.Errorf("%d candidates, want at most %d", got, c.most)
			}
			if len(x.scan) > 0 {
				t.Errorf("%d filters are checked for every event", len(x.scan))
			}
		})
	}
}

// candidates counts the entries that are checked for an event, by making every
// check succeed.
func (x *index) candidates(in *Input) int {
	for i := range x.entries {
		arrays := x.entries[i].filter != nil && x.entries[i].filter.arrays
		x.entries[i] = entry{filter: &Filter{arrays: arrays}}
	}
	s := x.get()
	x.match(in, s)
	return len(s.hits)
}

func TestWhereFiltersGo(t *testing.T) {
	negative := Spec{AdvancedFilters: []Advanced{{Operator: StringNotIn, Key: "data.k", Values: json.RawMessage(`["a"]`)}}}
	compile := func(s Spec) *Filter {
		f, err := Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	x := newIndex([]*Filter{nil, compile(Spec{}), compile(negative), specOf(t, negative), compile(Spec{IncludedEventTypes: []string{"All"}})})
	if len(x.always) != 3 || len(x.scan) != 1 || len(x.types) != 1 || x.keyed {
		t.Errorf("always %v, scan %v, types %v, keyed %v", x.always, x.scan, x.types, x.keyed)
	}
	// The event's JSON is not even looked at unless a candidate asks for a key.
	only := newIndex([]*Filter{specOf(t, negative)})
	s := only.get()
	only.match(&Input{Type: "Other", JSON: []byte(`{}`)}, s)
	if s.read {
		t.Error("read the event although no candidate asks for a key")
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	arrays := specOf(t, Spec{EnableAdvancedFilteringOnArrays: true, SubjectEndsWith: "X", AdvancedFilters: []Advanced{
		{Operator: StringIn, Key: "data.list", Values: json.RawMessage(`["Q"]`)},
		{Operator: NumberGreaterThan, Key: "data.n", Value: json.RawMessage(`1.5`)},
		{Operator: StringBeginsWith, Key: "count", Values: json.RawMessage(`["4"]`)},
	}})
	x := newIndex([]*Filter{arrays, nil})
	in := &Input{Type: "SHARED", Subject: "/S/x", JSON: []byte(`{"count":42,"data":{"N":17.25,"list":["A","q\n","\u0051"],"é":1}}`)}
	s := x.get()
	if got := testing.AllocsPerRun(100, func() {
		x.match(in, s)
		if len(s.hits) != 2 {
			t.Fatalf("hits %v", s.hits)
		}
		s.end()
	}); got != 0 {
		t.Errorf("%v allocations per event", got)
	}
}

// TestUnpopularTable: few filters ask for the prefix "/" itself, but every
// subject that the other filters ask for has it, so it tells nothing apart.
func TestUnpopularTable(t *testing.T) {
	broad := Spec{SubjectBeginsWith: "/", AdvancedFilters: []Advanced{{Operator: BoolEquals, Key: "data.rare", Value: json.RawMessage(`true`)}}}
	filters := []*Filter{specOf(t, broad)}
	for i := range 50 {
		filters = append(filters, specOf(t, Spec{SubjectBeginsWith: fmt.Sprintf("/s/%04d", i)}))
	}
	x := newIndex(filters)
	if got := x.candidates(&Input{Type: "Shared", Subject: "/s/0042", JSON: []byte(`{"data":{}}`)}); got != 1 {
		t.Errorf("%d candidates, want the one with the long prefix", got)
	}
}

// TestFoundOnce: several operands of one condition, or several elements of an
// array, lead to the same entry, and the marks do not outlive the event.
func TestFoundOnce(t *testing.T) {
	compile := func(op Operator, values string) *Filter {
		f, err := Compile(Spec{EnableAdvancedFilteringOnArrays: true, AdvancedFilters: []Advanced{{Operator: op, Key: "k", Values: json.RawMessage(values)}}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	x := newIndex([]*Filter{
		compile(StringIn, `["a","A","b"]`),
		compile(StringBeginsWith, `["a","ab"]`),
		compile(StringEndsWith, `["b","ab"]`),
		compile(NumberIn, `[2,2.0,123456789012345678901,123456789012345678902]`),
		compile(NumberInRange, `[[1,2],[2,3],[2,2]]`),
		compile(IsNotNull, ``),
	})
	s := x.get()
	for range 2 {
		for json, want := range map[string]int{
			`{"k":"ab"}`: 3, `{"k":"a"}`: 3, `{"k":2}`: 3, `{"k":123456789012345678902}`: 2,
			`{"k":["a","b","A","ab","ab"]}`: 4, `{"k":[2,2,1,3]}`: 3, `{"k":[]}`: 1, `{"k":[2,"ab","b"]}`: 6,
		} {
			x.match(&Input{JSON: []byte(json)}, s)
			if len(s.hits) != want {
				t.Errorf("%s: hits %v, want %d", json, s.hits, want)
			}
			s.end()
		}
	}
	// An array leads only to filters that look into arrays.
	off, err := Compile(Spec{AdvancedFilters: []Advanced{{Operator: NumberInRange, Key: "k", Values: json.RawMessage(`[[1,2]]`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := newIndex([]*Filter{off, compile(NumberInRange, `[[5,6]]`)}).candidates(&Input{JSON: []byte(`{"k":[1,2]}`)}); got != 0 {
		t.Errorf("%d candidates, want none", got)
	}
}
