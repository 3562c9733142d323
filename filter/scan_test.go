package filter

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// FuzzScan compares the scan with encoding/json on valid JSON, and on anything
// else demands that it ends.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[1,2,{"c":"\"}"}],"c":{"d":null}}`, `"\\\\\""`, `[[[["]"]]]]`, ` { } `, `-1.5e+3`, `{"a":"\ud83d\ude00\ud83d"}`,
		"{\"\xff\":\"\xff\"}", `{"a`, `"\`, `{"a":`, `[1,`, `{"a":{"a":{"a":1}},"a":2}`, `{"A":1,"a":[],"\u0061":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	p := newPlan()
	a, ab, aa := p.add([]string{"a"}), p.add([]string{"b"}), p.add([]string{"a", "a"})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &scratch{values: make([]value, len(p.nodes)), in: &Input{}}
		p.read(b, s)
		if start := skipSpace(b, 0); start < len(b) {
			if end := skipValue(b, start); json.Valid(b) && skipSpace(b, end) != len(b) {
				t.Fatalf("%q: the value ends at %d", b, end)
			}
			for i, n := s.nextElement(b, start+1), 0; i >= 0; i, n = s.nextElement(b, i), n+1 {
				if n > len(b) {
					t.Fatalf("%q: too many elements", b)
				}
			}
		}
		var want map[string]json.RawMessage
		if !json.Valid(b) || json.Unmarshal(b, &want) != nil {
			return
		}
		check := func(n int32, want json.RawMessage, there bool) {
			v := &s.values[n]
			if v.seen != there || there && string(v.raw) != string(want) {
				t.Fatalf("%q: node %d is %q, want %q", b, n, v.raw, want)
			}
			var decoded string
			if there && v.kind == text {
				if err := json.Unmarshal(want, &decoded); err != nil {
					t.Fatal(err)
				}
				if got, _ := s.text(v); string(got) != fold(decoded) {
					t.Fatalf("%q: text is %q, want %q folded", b, got, decoded)
				}
			}
		}
		exact := func(m map[string]json.RawMessage, name string) (json.RawMessage, bool) {
			for other := range m {
				if other != name && strings.EqualFold(other, name) {
					return nil, false // Which spelling wins is the oracle's business.
				}
			}
			raw, ok := m[name]
			return raw, ok
		}
		if raw, ok := exact(want, "b"); ok {
			check(ab, raw, true)
		}
		if raw, ok := exact(want, "a"); ok {
			check(a, raw, true)
			var inner map[string]json.RawMessage
			if json.Unmarshal(raw, &inner) == nil {
				if raw, ok := exact(inner, "a"); ok {
					check(aa, raw, true)
				}
			}
		}
		s.in = &Input{}
		s.end()
		for i := range s.values {
			if s.values[i].seen {
				t.Fatalf("%q: node %d survives the event", b, i)
			}
		}
	})
}

func TestFoldAgreesWithEqualFold(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		folded := foldRune(r)
		if !strings.EqualFold(string(r), string(folded)) {
			t.Errorf("%U folds to %U, which is another letter", r, folded)
		}
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			if foldRune(o) != folded {
				t.Errorf("%U and %U are the same letter but fold to %U and %U", r, o, folded, foldRune(o))
			}
		}
	}
}

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		in   string
		kind numberKind
	}{
		{"0", integer},
		{"-0", integer},
		{"-0.0", integer},
		{"5.000", integer},
		{"-17", integer},
		{"9223372036854775807", integer},
		{"-9223372036854775808", integer},
		{"9223372036854775808", huge},
		{"-9223372036854775809", huge},
		{"18446744073709551616.0", huge},
		{"1.00000000000000000000000000", integer},
		{"1.5", double},
		{"1e3", double},
		{"1E+3", double},
		{"-0e0", double},
		{"0.1", double},
		{"123456789.123456789", double},
		{"5e-324", double},
		{"1e400", double},
		{"-1e400", double},
		{"1e99999999999999999999", double},
		{"1e-99999999999999999999", double},
		{"1e22", double},
		{"1e23", double},
		{"9007199254740993.5", double},
	} {
		n := parseNumber([]byte(c.in))
		want, _ := strconv.ParseFloat(c.in, 64)
		if n.kind != c.kind || n.float != want {
			t.Errorf("%s: kind %d, double %v; want %d, %v", c.in, n.kind, n.float, c.kind, want)
		}
		if n.kind == integer && strconv.FormatInt(n.int, 10) != strings.TrimPrefix(strings.TrimRight(strings.TrimRight(c.in, "0"), "."), "-0") && n.int != 0 && n.float != want {
			t.Errorf("%s: integer %d", c.in, n.int)
		}
	}
}

// TestNumberDoubles checks the fast path of parseNumber bit for bit, and that
// what is written reads back as the same number.
func TestNumberDoubles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		n := parseNumber([]byte(in))
		want, _ := strconv.ParseFloat(in, 64)
		if math.Float64bits(n.float+0) != math.Float64bits(want+0) {
			t.Fatalf("%s: double %v, want %v", in, n.float, want)
		}
		out := n.appendDouble(nil)
		if !json.Valid(out) || !bytes.ContainsAny(out, ".e") {
			t.Fatalf("%s is written as %s, which is no JSON double", in, out)
		}
		if again := parseNumber(out); n.compare(&again) != 0 || again.kind == double && n.kind != double {
			t.Fatalf("%s is written as %s, which is another number", in, out)
		}
	})
}

func TestAppendText(t *testing.T) {
	for _, c := range []string{
		`plain`, `\b\f\n\r\t\/\\\"`, `\u0041\u00e4\u20AC`, `\ud83d\ude00`, `\uD83D`, `\ud83dx`, `\ud83d\u0041`, `\ude00\ud83d`, "\xff\xc3", "漢字ÄÖ", `\u212a\u017F`,
	} {
		var want string
		if err := json.Unmarshal([]byte(`"`+c+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if got := string(appendText(nil, []byte(c), false)); got != want {
			t.Errorf("%s: %q, want %q", c, got, want)
		}
		if got := string(appendText(nil, []byte(c), true)); got != fold(want) {
			t.Errorf("%s folded: %q, want %q", c, got, fold(want))
		}
	}
}
