package filter_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/intertie/intertie/filter"
)

// The oracle is a second, slow implementation of the rules. It shares no code
// with the package: it decodes the whole event and asks filter by filter.

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// member is a member of an object, in the order of the text.
type member struct {
	name  string
	value any // nil, bool, json.Number, string, []any, []member
}

func decodeOrdered(t failer, b []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var value func() any
	value = func() any {
		tok, err := dec.Token()
		if err != nil {
			t.Fatalf("decode %s: %v", b, err)
		}
		switch tok {
		case json.Delim('{'):
			members := []member{}
			for dec.More() {
				name, err := dec.Token()
				if err != nil {
					t.Fatalf("decode %s: %v", b, err)
				}
				members = append(members, member{name.(string), value()})
			}
			_, _ = dec.Token()
			return members
		case json.Delim('['):
			items := []any{}
			for dec.More() {
				items = append(items, value())
			}
			_, _ = dec.Token()
			return items
		}
		return tok
	}
	return value()
}

var oracleAliases = [][]string{
	{"id", "eventid"},
	{"type", "eventtype"},
	{"source", "topic"},
	{"time", "eventtime"},
	{"dataversion", "eventtypeversion"},
}

// lookup resolves a key; nil is absent or null.
func lookup(event any, key string) (found any, attribute bool) {
	path := strings.Split(key, ".")
	at := event
	for depth, name := range path {
		members, ok := at.([]member)
		if !ok {
			return nil, false
		}
		best, rank := any(nil), 0
		for _, m := range members {
			r := 0
			switch {
			case depth == 0 && strings.EqualFold(m.name, "data_base64"):
			case m.name == name:
				r = 3
			case strings.EqualFold(m.name, name):
				r = 2
			case depth == 0 && aliased(m.name, name):
				r = 1
			}
			if r > 0 && r >= rank {
				best, rank = m.value, r
			}
		}
		at = best
	}
	return at, len(path) == 1 && !strings.EqualFold(path[0], "data")
}

func aliased(a, b string) bool {
	for _, group := range oracleAliases {
		in := 0
		for _, name := range group {
			if strings.EqualFold(name, a) || strings.EqualFold(name, b) {
				in++
			}
		}
		if in == 2 {
			return true
		}
	}
	return false
}

func oracleMatch(t failer, s filter.Spec, in *filter.Input) bool {
	t.Helper()
	typeOK := len(s.IncludedEventTypes) == 0
	for _, want := range s.IncludedEventTypes {
		typeOK = typeOK || want == "All" || strings.EqualFold(want, in.Type)
	}
	begins, ends := strings.HasPrefix, strings.HasSuffix
	if !s.IsSubjectCaseSensitive {
		begins, ends = foldBegins, foldEnds
	}
	if !typeOK || !begins(in.Subject, s.SubjectBeginsWith) || !ends(in.Subject, s.SubjectEndsWith) {
		return false
	}
	event := decodeOrdered(t, in.JSON)
	for _, a := range s.AdvancedFilters {
		if !oracleHolds(t, a, event, s.EnableAdvancedFilteringOnArrays) {
			return false
		}
	}
	return true
}

func oracleHolds(t failer, a filter.Advanced, event any, arrays bool) bool {
	t.Helper()
	v, attribute := lookup(event, a.Key)
	items, isArray := v.([]any)
	if v == nil || isArray && !arrays {
		switch a.Operator {
		case filter.NumberNotIn, filter.NumberNotInRange, filter.StringNotIn, filter.IsNullOrUndefined:
			return true
		}
		return false
	}
	switch a.Operator {
	case filter.IsNullOrUndefined:
		return false
	case filter.IsNotNull:
		return true
	}
	if !isArray {
		if attribute && strings.HasPrefix(string(a.Operator), "String") {
			switch x := v.(type) {
			case bool:
				v = strconv.FormatBool(x)
			case json.Number:
				v = canonical(t, x)
			}
		}
		items = []any{v}
	}
	negative := strings.Contains(string(a.Operator), "Not")
	for _, item := range items {
		if oracleTest(t, a, item) {
			return !negative
		}
	}
	return negative
}

// canonical expects what the generators make: integers and short decimals.
func canonical(t failer, n json.Number) string {
	t.Helper()
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		t.Fatalf("not a number: %s", n)
	}
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := n.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func oracleTest(t failer, a filter.Advanced, item any) bool {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatalf("operand of %+v: %v", a, err)
		}
	}
	switch op := strings.Replace(string(a.Operator), "Not", "", 1); op {
	case "BoolEquals":
		var want bool
		must(json.Unmarshal(a.Value, &want))
		return item == want
	case "StringIn", "StringBeginsWith", "StringEndsWith", "StringContains":
		var wants []string
		must(json.Unmarshal(a.Values, &wants))
		text, ok := item.(string)
		if !ok {
			return false
		}
		test := map[string]func(s, p string) bool{
			"StringIn": strings.EqualFold, "StringBeginsWith": foldBegins,
			"StringEndsWith": foldEnds, "StringContains": foldContains,
		}[op]
		for _, want := range wants {
			if test(text, want) {
				return true
			}
		}
		return false
	case "NumberIn":
		var wants []json.Number
		must(json.Unmarshal(a.Values, &wants))
		n, ok := item.(json.Number)
		for _, want := range wants {
			if ok && compareNumbers(n, want) == 0 {
				return true
			}
		}
		return false
	case "NumberInRange":
		var ranges [][2]json.Number
		must(json.Unmarshal(a.Values, &ranges))
		n, ok := item.(json.Number)
		for _, r := range ranges {
			if ok && compareNumbers(n, r[0]) >= 0 && compareNumbers(n, r[1]) <= 0 {
				return true
			}
		}
		return false
	default:
		var want json.Number
		must(json.Unmarshal(a.Value, &want))
		n, ok := item.(json.Number)
		if !ok {
			return false
		}
		c := compareNumbers(n, want)
		return op == "NumberLessThan" && c < 0 || op == "NumberLessThanOrEquals" && c <= 0 ||
			op == "NumberGreaterThan" && c > 0 || op == "NumberGreaterThanOrEquals" && c >= 0
	}
}

func compareNumbers(a, b json.Number) int {
	x, okX := exactInteger(a)
	y, okY := exactInteger(b)
	if okX && okY {
		return x.Cmp(y)
	}
	f, _ := a.Float64()
	g, _ := b.Float64()
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

func exactInteger(n json.Number) (*big.Int, bool) {
	if strings.ContainsAny(string(n), "eE") {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || !r.IsInt() {
		return nil, false
	}
	return r.Num(), true
}

func foldBegins(s, p string) bool {
	a, b := []rune(s), []rune(p)
	return len(a) >= len(b) && strings.EqualFold(string(a[:len(b)]), p)
}

func foldEnds(s, p string) bool {
	a, b := []rune(s), []rune(p)
	return len(a) >= len(b) && strings.EqualFold(string(a[len(a)-len(b):]), p)
}

func foldContains(s, p string) bool {
	r := []rune(s)
	for i := range len(r) + 1 {
		if foldBegins(string(r[i:]), p) {
			return true
		}
	}
	return false
}
