package filter_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/filter"
)

func TestSpecRoundTrip(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{
			"defaults", `{}`,
			`{"subjectBeginsWith":"","subjectEndsWith":""}`,
		},
		{
			"nulls and unknown members",
			`{"subjectBeginsWith":null,"includedEventTypes":null,"advancedFilters":null,"isSubjectCaseSensitive":null,"colour":1}`,
			`{"subjectBeginsWith":"","subjectEndsWith":""}`,
		},
		{
			"empty lists and false",
			`{"includedEventTypes":[],"advancedFilters":[],"isSubjectCaseSensitive":false,"enableAdvancedFilteringOnArrays":false}`,
			`{"subjectBeginsWith":"","subjectEndsWith":""}`,
		},
		{
			"everything",
			`{"advancedFilters":[{"key":"data.a","operatorType":"numberIN","values":[1]}],"includedEventTypes":["A","b"],"subjectBeginsWith":"/x","subjectEndsWith":".y","isSubjectCaseSensitive":true,"enableAdvancedFilteringOnArrays":true}`,
			`{"subjectBeginsWith":"/x","subjectEndsWith":".y","includedEventTypes":["A","b"],"isSubjectCaseSensitive":true,"enableAdvancedFilteringOnArrays":true,"advancedFilters":[{"values":[1.0],"operatorType":"NumberIn","key":"data.a"}]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s filter.Spec
			if err := json.Unmarshal([]byte(c.in), &s); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.out, asJSON(s)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAdvancedRoundTrip(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{
			"member order and canonical name",
			`{"operatorType":"stringbeginswith","key":"Data.Key1","values":["a","B & <c>"]}`,
			`{"values":["a","B & <c>"],"operatorType":"StringBeginsWith","key":"Data.Key1"}`,
		},
		{
			"numbers become doubles",
			`{"operatorType":"NumberIn","key":"data.n","values":[5, -0, 1.50, 1e3, 1e20, -2.5e-7, 0.1]}`,
			`{"values":[5.0,0.0,1.5,1000.0,1e+20,-2.5e-07,0.1],"operatorType":"NumberIn","key":"data.n"}`,
		},
		{
			"large integers keep their digits",
			`{"operatorType":"NumberNotIn","key":"data.n","values":[9007199254740993,-9223372036854775808,18446744073709551616.00]}`,
			`{"values":[9007199254740993.0,-9223372036854775808.0,18446744073709551616.0],"operatorType":"NumberNotIn","key":"data.n"}`,
		},
		{
			"one number",
			`{"operatorType":"NumberGreaterThan","key":"data.total","value":100,"values":null}`,
			`{"value":100.0,"operatorType":"NumberGreaterThan","key":"data.total"}`,
		},
		{
			"ranges",
			`{"operatorType":"NumberInRange","key":"data.n","values":[[1,2],[3.5,4]]}`,
			`{"values":[[1.0,2.0],[3.5,4.0]],"operatorType":"NumberInRange","key":"data.n"}`,
		},
		{
			"boolean",
			`{"operatorType":"BoolEquals","key":"data.b","value":false}`,
			`{"value":false,"operatorType":"BoolEquals","key":"data.b"}`,
		},
		{
			"no operand, superfluous one dropped",
			`{"operatorType":"IsNotNull","key":"data.b","values":["x"]}`,
			`{"operatorType":"IsNotNull","key":"data.b"}`,
		},
		{
			"unknown operator stays for the error",
			`{"operatorType":"StringLike","key":"k","values":["x", 1]}`,
			`{"values":["x",1],"operatorType":"StringLike","key":"k"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := decodeAdvanced(t, c.in)
			got := asJSON(filter.Spec{AdvancedFilters: []filter.Advanced{first}})
			escaped := asJSON(json.RawMessage(`{"subjectBeginsWith":"","subjectEndsWith":"","advancedFilters":[` + c.out + `]}`))
			if diff := cmp.Diff(escaped, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			direct, err := first.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			again, err := decodeAdvanced(t, string(direct)).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{c.out, c.out}, []string{string(direct), string(again)}); diff != "" {
				t.Errorf("written once and twice (-want +got):\n%s", diff)
			}
		})
	}
}

func decodeAdvanced(t testing.TB, s string) filter.Advanced {
	t.Helper()
	var a filter.Advanced
	if err := json.Unmarshal([]byte(s), &a); err != nil {
		t.Fatalf("decode %s: %v", s, err)
	}
	return a
}

func TestAdvancedRefusesOtherShapes(t *testing.T) {
	for _, in := range []string{`[]`, `"x"`, `5`, `{"operatorType":5}`, `{"key":{}}`} {
		var a filter.Advanced
		if err := json.Unmarshal([]byte(in), &a); err == nil {
			t.Errorf("%s: decoded as %+v", in, a)
		}
	}
}

// FuzzAdvanced checks that whatever compiles is written in a form that reads
// back as the same filter.
func FuzzAdvanced(f *testing.F) {
	for _, row := range truths {
		f.Add([]byte(asJSON(advanced(row.operator, "data.v", row.operand))))
	}
	f.Add([]byte(`{"operatorType":"NumberIn","key":"k","values":[1e400,-0.0,123456789012345678901234567890.000,1E-400]}`))
	f.Add([]byte("{\"OPERATORTYPE\":\"isnotnull\",\"key\":\"\xff.\\ud800\"}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a filter.Advanced
		if json.Unmarshal(b, &a) != nil {
			return
		}
		once, err := a.MarshalJSON()
		if err != nil {
			t.Fatalf("%s decoded but does not encode: %v", b, err)
		}
		again := decodeAdvanced(t, string(once))
		twice, err := again.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(once), string(twice)); diff != "" {
			t.Fatalf("written twice (-once +twice):\n%s", diff)
		}
		first, err := filter.Compile(filter.Spec{AdvancedFilters: []filter.Advanced{a}})
		if err != nil {
			return
		}
		second, err := filter.Compile(filter.Spec{AdvancedFilters: []filter.Advanced{again}})
		if err != nil {
			t.Fatalf("%s compiles, but not as it is written, %s: %v", b, once, err)
		}
		for _, v := range values {
			in := &filter.Input{JSON: []byte(`{"data":` + v.data + `,"k":5}`)}
			if first.Match(in) != second.Match(in) {
				t.Fatalf("%s and %s differ on %s", b, once, in.JSON)
			}
		}
	})
}
