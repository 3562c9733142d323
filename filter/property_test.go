package filter_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/filter"
)

// The generators draw from few values, so that filters and events meet often.
var (
	someTexts   = []string{"a", "A", "ab", "abc", "Abcd", "b", "/x", "/X/y", "7", "1.5", "true", "K", "\u212a", "s", "\u017f", "ä", "Ä", "Ω", "λ\"\\\n", "漢字"}
	someNumbers = []string{"0", "-0", "1", "1.0", "1.5", "-2", "7", "1e1", "10", "100", "9007199254740992", "9007199254740993", "9007199254740993.0", "18446744073709551615", "18446744073709551616", "-18446744073709551616", "0.1", "1E-7", "123456789012345678901234567890"}
	plainNumber = []string{"0", "1", "1.0", "1.5", "-2", "7", "10", "9007199254740993", "18446744073709551616"}
	someKeys    = []string{"subject", "Type", "eventType", "source", "topic", "id", "EventId", "ext", "EXT", "count", "data", "data.a", "data.A", "data.b", "DATA.b", "data.n.a", "data.N.a", "data.n", "data.n.a.c", "data.list", "data.ä", "data_base64"}
	someNames   = []string{"a", "A", "b", "B", "n", "N", "c", "list", "ä", "Ä", "other", "\u212a"}
	someTypes   = []string{"Order.Placed", "order.placed", "Order.Paid", "x"}
)

func drawTexts(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(someTexts), 1, 3).Draw(t, label)
}

func drawAdvanced(t *rapid.T) filter.Advanced {
	a := filter.Advanced{
		Operator: rapid.SampledFrom(allOperators).Draw(t, "operator"),
		Key:      rapid.SampledFrom(someKeys).Draw(t, "key"),
	}
	number := func() string { return rapid.SampledFrom(someNumbers).Draw(t, "number") }
	switch name := string(a.Operator); {
	case strings.HasSuffix(name, "Range"):
		var ranges []string
		for range rapid.IntRange(1, 3).Draw(t, "ranges") {
			low, high := number(), number()
			if compareNumbers(json.Number(low), json.Number(high)) > 0 {
				low, high = high, low
			}
			ranges = append(ranges, fmt.Sprintf("[%s,%s]", low, high))
		}
		a.Values = json.RawMessage("[" + strings.Join(ranges, ",") + "]")
	case strings.HasSuffix(name, "In") && strings.HasPrefix(name, "Number"):
		a.Values = json.RawMessage("[" + number() + "," + number() + "]")
	case strings.HasPrefix(name, "Number"):
		a.Value = json.RawMessage(number())
	case strings.HasPrefix(name, "String"):
		a.Values, _ = json.Marshal(drawTexts(t, "texts"))
	case name == "BoolEquals":
		a.Value = json.RawMessage(rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool"))
	}
	return a
}

func drawSpec(t *rapid.T) filter.Spec {
	s := filter.Spec{
		IsSubjectCaseSensitive:          rapid.Bool().Draw(t, "caseSensitive"),
		EnableAdvancedFilteringOnArrays: rapid.Bool().Draw(t, "arrays"),
	}
	if rapid.IntRange(0, 2).Draw(t, "typed") == 0 {
		s.IncludedEventTypes = rapid.SliceOfN(rapid.SampledFrom(someTypes), 0, 2).Draw(t, "types")
	}
	if rapid.IntRange(0, 2).Draw(t, "prefixed") == 0 {
		s.SubjectBeginsWith = rapid.SampledFrom(someTexts).Draw(t, "prefix")
	}
	if rapid.IntRange(0, 2).Draw(t, "suffixed") == 0 {
		s.SubjectEndsWith = rapid.SampledFrom(someTexts).Draw(t, "suffix")
	}
	for range rapid.IntRange(0, 3).Draw(t, "advanced") {
		s.AdvancedFilters = append(s.AdvancedFilters, drawAdvanced(t))
	}
	return s
}

// drawString writes a JSON string, some runes escaped.
func drawString(t *rapid.T, s string) string {
	if !rapid.Bool().Draw(t, "escape") {
		b, _ := json.Marshal(s)
		return string(b)
	}
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		fmt.Fprintf(&out, `\u%04X`, r)
	}
	out.WriteByte('"')
	return out.String()
}

func drawValue(t *rapid.T, depth int, numbers []string) string {
	switch rapid.IntRange(0, 6+depth).Draw(t, "kind") {
	case 0:
		return "null"
	case 1:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "bool")
	case 2, 3:
		return rapid.SampledFrom(numbers).Draw(t, "number")
	case 4, 5, 6:
		return drawString(t, rapid.SampledFrom(someTexts).Draw(t, "text"))
	case 7:
		var items []string
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			items = append(items, drawValue(t, depth-1, numbers))
		}
		return "[ " + strings.Join(items, " , ") + "]"
	default:
		return drawObject(t, depth-1)
	}
}

func drawObject(t *rapid.T, depth int) string {
	var members []string
	for range rapid.IntRange(0, 5).Draw(t, "members") {
		name := rapid.SampledFrom(someNames).Draw(t, "name")
		members = append(members, drawString(t, name)+" : "+drawValue(t, depth, someNumbers))
	}
	return "{" + strings.Join(members, ",\n\t") + "}"
}

func drawEvent(t *rapid.T) *filter.Input {
	in := &filter.Input{
		Type:    rapid.SampledFrom(someTypes).Draw(t, "type"),
		Subject: rapid.SampledFrom(append([]string{"", "/x/y", "abcK"}, someTexts...)).Draw(t, "subject"),
	}
	members := []string{`"type":` + drawString(t, in.Type), `"subject":` + drawString(t, in.Subject)}
	for range rapid.IntRange(0, 6).Draw(t, "attributes") {
		name := rapid.SampledFrom([]string{"id", "source", "topic", "eventtype", "Ext", "ext", "count", "data_base64"}).Draw(t, "attribute")
		members = append(members, drawString(t, name)+":"+drawValue(t, 1, plainNumber))
	}
	for range rapid.IntRange(0, 2).Draw(t, "datas") {
		name := rapid.SampledFrom([]string{"data", "data", "Data"}).Draw(t, "data name")
		value := drawObject(t, 3)
		if rapid.IntRange(0, 5).Draw(t, "odd data") == 0 {
			value = drawValue(t, 2, someNumbers)
		}
		members = append(members, drawString(t, name)+":"+value)
	}
	in.JSON = []byte("{" + strings.Join(members, " , ") + "}")
	return in
}

// TestIndexAgainstOracle compares Index, Filter and a naive matcher over
// random filters and events, several events per index so that a scratch is
// used again.
func TestIndexAgainstOracle(t *testing.T) {
	rapid.Check(t, checkAgainstOracle)
}

func FuzzIndexAgainstOracle(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(checkAgainstOracle))
}

func checkAgainstOracle(t *rapid.T) {
	specs := rapid.SliceOfN(rapid.Custom(drawSpec), 0, 12).Draw(t, "specs")
	var entries []filter.Entry[int]
	for i, s := range specs {
		f, err := filter.Compile(s)
		if err != nil {
			t.Fatalf("Compile(%+v): %v", s, err)
		}
		entries = append(entries, filter.Entry[int]{Filter: f, Value: i})
	}
	ix := filter.NewIndex(entries)
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		in := drawEvent(t)
		if !json.Valid(in.JSON) {
			t.Fatalf("generator made no JSON: %s", in.JSON)
		}
		want := []int{-1}
		for i, s := range specs {
			verdict := oracleMatch(t, s, in)
			if got := entries[i].Filter.Match(in); got != verdict {
				t.Fatalf("Filter.Match = %v, want %v\nspec %s\nevent %s", got, verdict, asJSON(s), in.JSON)
			}
			if verdict {
				want = append(want, i)
			}
		}
		got := ix.Match(in, []int{-1})
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("Index.Match (-want +got):\n%s\nspecs %s\nevent %s", diff, asJSON(specs), in.JSON)
		}
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
