package filter_test

import (
	"encoding/json"
	"testing"

	"github.com/intertie/intertie/filter"
)

var allOperators = []filter.Operator{
	filter.NumberIn, filter.NumberNotIn, filter.NumberLessThan, filter.NumberLessThanOrEquals,
	filter.NumberGreaterThan, filter.NumberGreaterThanOrEquals, filter.NumberInRange, filter.NumberNotInRange,
	filter.BoolEquals, filter.StringIn, filter.StringNotIn, filter.StringBeginsWith, filter.StringNotBeginsWith,
	filter.StringEndsWith, filter.StringNotEndsWith, filter.StringContains, filter.StringNotContains,
	filter.IsNullOrUndefined, filter.IsNotNull,
}

// values are what data.v can be, in the order of the columns of truths.
var values = []struct{ name, data string }{
	{"absent", `{}`},
	{"null", `{"v":null}`},
	{"object", `{"v":{"v":5}}`},
	{"number 5", `{"v":5}`},
	{"number 6.5", `{"v":6.5}`},
	{"numeric text", `{"v":"5"}`},
	{"text match", `{"v":"Abcba"}`},
	{"text mismatch", `{"v":"xyz"}`},
	{"true", `{"v":true}`},
	{"false", `{"v":false}`},
	{"empty array", `{"v":[]}`},
	{"array with a match of every type", `{"v":["q",false,7,null,"aBcBa",5,true]}`},
	{"array without a match", `{"v":["q",false,7,null]}`},
	{"array of objects", `{"v":[{"v":5},{"v":"abcba"}]}`},
}

// truths has a row for every operator and two columns for every value: arrays
// off and on, which differ for arrays only.
var truths = []struct {
	operator filter.Operator
	operand  string
	off, on  string // y or n by column of values
}{
	//                                                        absent,null,obj,5,6.5,"5",text+,text-,true,false,[],[+],[-],[{}]
	{filter.NumberIn, `[3,5]`, "nnnynnnnnnnnnn", "nnnynnnnnnnynn"},
	{filter.NumberNotIn, `[3,5]`, "yyynyyyyyyyyyy", "yyynyyyyyyynyy"},
	{filter.NumberLessThan, `6`, "nnnynnnnnnnnnn", "nnnynnnnnnnynn"},
	{filter.NumberLessThanOrEquals, `5`, "nnnynnnnnnnnnn", "nnnynnnnnnnynn"},
	{filter.NumberGreaterThan, `5`, "nnnnynnnnnnnnn", "nnnnynnnnnnyyn"},
	{filter.NumberGreaterThanOrEquals, `5`, "nnnyynnnnnnnnn", "nnnyynnnnnnyyn"},
	{filter.NumberInRange, `[[5,5],[10,20]]`, "nnnynnnnnnnnnn", "nnnynnnnnnnynn"},
	{filter.NumberNotInRange, `[[5,5],[10,20]]`, "yyynyyyyyyyyyy", "yyynyyyyyyynyy"},
	{filter.BoolEquals, `true`, "nnnnnnnnynnnnn", "nnnnnnnnynnynn"},
	{filter.StringIn, `["ABCBA"]`, "nnnnnnynnnnnnn", "nnnnnnynnnnynn"},
	{filter.StringNotIn, `["ABCBA"]`, "yyyyyynyyyyyyy", "yyyyyynyyyynyy"},
	{filter.StringBeginsWith, `["aB"]`, "nnnnnnynnnnnnn", "nnnnnnynnnnynn"},
	{filter.StringNotBeginsWith, `["aB"]`, "nnyyyynyyynnnn", "nnyyyynyyyynyy"},
	{filter.StringEndsWith, `["BA"]`, "nnnnnnynnnnnnn", "nnnnnnynnnnynn"},
	{filter.StringNotEndsWith, `["BA"]`, "nnyyyynyyynnnn", "nnyyyynyyyynyy"},
	{filter.StringContains, `["C"]`, "nnnnnnynnnnnnn", "nnnnnnynnnnynn"},
	{filter.StringNotContains, `["C"]`, "nnyyyynyyynnnn", "nnyyyynyyyynyy"},
	{filter.IsNullOrUndefined, ``, "yynnnnnnnnyyyy", "yynnnnnnnnnnnn"},
	{filter.IsNotNull, ``, "nnyyyyyyyynnnn", "nnyyyyyyyyyyyy"},
}

// advanced makes an advanced filter out of its operand's JSON.
func advanced(op filter.Operator, key, operand string) filter.Advanced {
	a := filter.Advanced{Operator: op, Key: key}
	switch op {
	case filter.IsNullOrUndefined, filter.IsNotNull:
	case filter.NumberLessThan, filter.NumberLessThanOrEquals, filter.NumberGreaterThan, filter.NumberGreaterThanOrEquals, filter.BoolEquals:
		a.Value = json.RawMessage(operand)
	default:
		a.Values = json.RawMessage(operand)
	}
	return a
}

func compile(t testing.TB, s filter.Spec) *filter.Filter {
	t.Helper()
	f, err := filter.Compile(s)
	if err != nil {
		t.Fatalf("Compile(%s): %v", asJSON(s), err)
	}
	return f
}

// matchBoth asks the filter alone and in an index.
func matchBoth(t testing.TB, s filter.Spec, in *filter.Input) bool {
	t.Helper()
	f := compile(t, s)
	alone := f.Match(in)
	indexed := len(filter.NewIndex([]filter.Entry[int]{{Filter: f}}).Match(in, nil)) == 1
	if alone != indexed {
		t.Fatalf("Filter.Match = %v, Index.Match = %v for %s on %s", alone, indexed, asJSON(s), in.JSON)
	}
	return alone
}

func TestTruthTable(t *testing.T) {
	if len(truths) != len(allOperators) {
		t.Fatalf("%d rows for %d operators", len(truths), len(allOperators))
	}
	for _, row := range truths {
		for column, v := range values {
			for arrays, marks := range map[bool]string{false: row.off, true: row.on} {
				in := &filter.Input{JSON: []byte(`{"id":"1","data":` + v.data + `}`)}
				s := filter.Spec{
					AdvancedFilters:                 []filter.Advanced{advanced(row.operator, "data.v", row.operand)},
					EnableAdvancedFilteringOnArrays: arrays,
				}
				want := marks[column] == 'y'
				if got := matchBoth(t, s, in); got != want {
					t.Errorf("%s %s on %s, arrays %v: got %v, want %v", row.operator, row.operand, v.name, arrays, got, want)
				}
			}
		}
	}
}

func TestKeysAndValues(t *testing.T) {
	const ce = `{"specversion":"1.0","id":"i-1","source":"/src","type":"T.One","subject":"S/1","time":"2026-01-01T00:00:00Z",
		"count":42,"ratio":2.50,"whole":3.0,"exp":1e3,"tiny":1e-9,"big":123456789012345678901234567890,"flag":true,"nested":{"x":7},
		"data_base64":"QUJD","data":{"Key":"exact","key":"lower","KEY2":"upper","a":{"b":{"c":"deep"}},"n":9007199254740993,
		"text":"{\"x\":1}","t":"true","dup":1,"dup":2,"yes":true,"esc\u0061ped":"v\u00e9\ud83d\ude00","list":[{"x":1}],"straße":"STRASSE",
		"@odata.type":"dots","":"empty"}}`
	const eg = `{"id":"i-1","topic":"/t","subject":"S/1","eventType":"T.One","eventTime":"2026","dataVersion":"2","data":{"x":1}}`
	const both = `{"topic":"extension","source":"/src","eventtype":"other","type":"T.One"}`
	const twice = `{"data":{"v":1,"w":1},"DATA":{"v":3},"data":{"V":2}}`
	in := func(key string, op filter.Operator, operand string) filter.Advanced {
		return advanced(op, key, operand)
	}
	for _, c := range []struct {
		name  string
		event string
		a     filter.Advanced
		want  bool
	}{
		{"type by own name", ce, in("type", filter.StringIn, `["t.one"]`), true},
		{"type by EG name", ce, in("eventType", filter.StringIn, `["t.one"]`), true},
		{"type in any case", ce, in("EVENTTYPE", filter.StringIn, `["t.one"]`), true},
		{"source by EG name", ce, in("topic", filter.StringIn, `["/SRC"]`), true},
		{"source by CE name on EG", eg, in("source", filter.StringIn, `["/t"]`), true},
		{"type by CE name on EG", eg, in("type", filter.StringIn, `["t.one"]`), true},
		{"id by draft name", eg, in("eventid", filter.StringIn, `["i-1"]`), true},
		{"time by CE name on EG", eg, in("time", filter.StringBeginsWith, `["2026"]`), true},
		{"version by draft name", eg, in("eventTypeVersion", filter.StringIn, `["2"]`), true},
		{"own name outranks the other schema's", both, in("topic", filter.StringIn, `["extension"]`), true},
		{"so does an extension", both, in("eventtype", filter.StringIn, `["other"]`), true},
		{"and leaves the attribute alone", both, in("type", filter.StringIn, `["t.one"]`), true},

		{"exact name first", ce, in("data.key", filter.StringIn, `["lower"]`), true},
		{"exact name first, other", ce, in("data.Key", filter.StringIn, `["exact"]`), true},
		{"then the last one in any case", ce, in("data.kEY", filter.StringIn, `["lower"]`), true},
		{"any case", ce, in("Data.key2", filter.StringIn, `["upper"]`), true},
		{"deep", ce, in("data.a.b.c", filter.StringIn, `["deep"]`), true},
		{"below a scalar", ce, in("data.key.x", filter.IsNotNull, ``), false},
		{"below an array", ce, in("data.list.x", filter.IsNotNull, ``), false},
		{"last duplicate", ce, in("data.dup", filter.NumberIn, `[2]`), true},
		{"not the first duplicate", ce, in("data.dup", filter.NumberIn, `[1]`), false},
		{"duplicate objects are not merged", twice, in("data.w", filter.IsNotNull, ``), false},
		{"the last duplicate object counts", twice, in("data.v", filter.NumberIn, `[2]`), true},
		{"escaped name and value", ce, in("data.escaped", filter.StringIn, `["VÉ😀"]`), true},
		{"non-ASCII name", ce, in("data.STRAßE", filter.StringIn, `["strasse"]`), true},
		{"text holding JSON", ce, in("data.text.x", filter.IsNotNull, ``), false},
		{"data_base64", ce, in("data_base64", filter.IsNotNull, ``), false},
		{"data_base64 in any case", ce, in("Data_Base64", filter.IsNullOrUndefined, ``), true},
		{"data itself", ce, in("data", filter.IsNotNull, ``), true},

		{"integer extension as text", ce, in("count", filter.StringBeginsWith, `["4"]`), true},
		{"integer extension as number", ce, in("count", filter.NumberIn, `[42]`), true},
		{"decimal extension as canonical text", ce, in("ratio", filter.StringIn, `["2.5"]`), true},
		{"not as written", ce, in("ratio", filter.StringIn, `["2.50"]`), false},
		{"whole extension", ce, in("whole", filter.StringIn, `["3"]`), true},
		{"extension with exponent", ce, in("exp", filter.StringIn, `["1000"]`), true},
		{"tiny extension", ce, in("tiny", filter.StringIn, `["1e-09"]`), true},
		{"huge extension", ce, in("big", filter.StringIn, `["123456789012345678901234567890"]`), true},
		{"boolean extension as text", ce, in("flag", filter.StringIn, `["TRUE"]`), true},
		{"boolean extension as boolean", ce, in("flag", filter.BoolEquals, `true`), true},
		{"negative on attribute text", ce, in("flag", filter.StringNotContains, `["ru"]`), false},
		{"inside an extension only numbers", ce, in("nested.x", filter.StringIn, `["7"]`), false},
		{"inside an extension", ce, in("nested.x", filter.NumberIn, `[7]`), true},
		{"number in data is no text", ce, in("data.dup", filter.StringIn, `["2"]`), false},
		{"boolean in data is no text", ce, in("data.yes", filter.StringIn, `["true"]`), false},
		{"text is no boolean", ce, in("data.t", filter.BoolEquals, `true`), false},

		{"integers compare exactly", ce, in("data.n", filter.NumberIn, `[9007199254740992]`), false},
		{"also with zero fraction", ce, in("data.n", filter.NumberIn, `[9007199254740993.0]`), true},
		{"exactly greater", ce, in("data.n", filter.NumberGreaterThan, `9007199254740992`), true},
		{"as doubles with an exponent", ce, in("data.n", filter.NumberIn, `[9007199254740992e0]`), true},
		{"huge integers compare exactly", ce, in("big", filter.NumberIn, `[123456789012345678901234567891]`), false},
		{"huge integers are equal", ce, in("big", filter.NumberIn, `[123456789012345678901234567890]`), true},
		{"huge and small", ce, in("big", filter.NumberLessThan, `5`), false},
		{"huge and negative huge", ce, in("big", filter.NumberGreaterThan, `-123456789012345678901234567890`), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := matchBoth(t, filter.Spec{AdvancedFilters: []filter.Advanced{c.a}}, &filter.Input{JSON: []byte(c.event)}); got != c.want {
				t.Errorf("%s: got %v, want %v", asJSON(c.a), got, c.want)
			}
		})
	}
}

func TestBasicFilters(t *testing.T) {
	event := &filter.Input{Type: "Order.Placed", Subject: "/Orders/7/Lines", JSON: []byte(`{"id":"1"}`)}
	bare := &filter.Input{Type: "Order.Placed", JSON: []byte(`{"id":"1"}`)}
	for _, c := range []struct {
		name string
		spec filter.Spec
		in   *filter.Input
		want bool
	}{
		{"nothing", filter.Spec{}, event, true},
		{"empty type list", filter.Spec{IncludedEventTypes: []string{}}, event, true},
		{"All", filter.Spec{IncludedEventTypes: []string{"All"}}, event, true},
		{"type", filter.Spec{IncludedEventTypes: []string{"x", "order.PLACED"}}, event, true},
		{"type is no prefix", filter.Spec{IncludedEventTypes: []string{"Order"}}, event, false},
		{"prefix", filter.Spec{SubjectBeginsWith: "/orders/"}, event, true},
		{"prefix, case", filter.Spec{SubjectBeginsWith: "/orders/", IsSubjectCaseSensitive: true}, event, false},
		{"prefix, same case", filter.Spec{SubjectBeginsWith: "/Orders/", IsSubjectCaseSensitive: true}, event, true},
		{"suffix", filter.Spec{SubjectEndsWith: "LINES"}, event, true},
		{"suffix, case", filter.Spec{SubjectEndsWith: "LINES", IsSubjectCaseSensitive: true}, event, false},
		{"suffix, same case", filter.Spec{SubjectEndsWith: "Lines", IsSubjectCaseSensitive: true}, event, true},
		{"prefix and suffix overlap", filter.Spec{SubjectBeginsWith: "/orders/7/lines", SubjectEndsWith: "/orders/7/lines"}, event, true},
		{"no wildcards", filter.Spec{SubjectBeginsWith: "/orders/*"}, event, false},
		{"both must hold", filter.Spec{SubjectBeginsWith: "/orders", SubjectEndsWith: "x"}, event, false},
		{"no subject, prefix", filter.Spec{SubjectBeginsWith: "/"}, bare, false},
		{"no subject, suffix", filter.Spec{SubjectEndsWith: "/"}, bare, false},
		{"no subject, no condition", filter.Spec{}, bare, true},
		{"switch does not reach advanced filters", filter.Spec{IsSubjectCaseSensitive: true, AdvancedFilters: []filter.Advanced{
			advanced(filter.StringIn, "id", `["1"]`),
		}}, bare, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := matchBoth(t, c.spec, c.in); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if !(*filter.Filter)(nil).Match(event) {
		t.Error("a nil filter matches everything")
	}
}
