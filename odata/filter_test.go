package odata

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var grammar = Grammar{Properties: []string{"name", "tagName"}, Functions: []Function{Contains, StartsWith, SubstringOf}}

// named is an item that has a name and nothing else.
func named(name string) Values {
	return func(property string) (string, bool) { return name, property == "name" }
}

func TestGrammar(t *testing.T) {
	items := []string{"abc", "abd", "xyz", "it's"}
	for text, want := range map[string]string{
		"":                                     "abc abd xyz it's",
		" \t ":                                 "abc abd xyz it's",
		"name eq 'ABC'":                        "abc",
		"NAME NE 'abc'":                        "abd xyz it's",
		"contains( name , 'B' )":               "abc abd",
		"startswith(name,'AB')":                "abc abd",
		"startswith(name,'b')":                 "",
		"substringof('Y', name)":               "xyz",
		"not contains(name,'b')":               "xyz it's",
		"not (not name eq 'abc')":              "abc",
		"name eq 'it''s'":                      "it's",
		"contains(name,'b') and name ne 'abc'": "abd",
		// and binds more than or, not more than both.
		"name eq 'xyz' or contains(name,'b') and name ne 'abc'":   "abd xyz",
		"(name eq 'xyz' or contains(name,'b')) and name ne 'abc'": "abd xyz",
		"not name eq 'abc' and not name eq 'xyz'":                 "abd it's",
		// What an item does not have equals nothing, differs from everything.
		"tagName eq ''":           "",
		"tagName ne 'x'":          "abc abd xyz it's",
		"contains(tagname,'')":    "",
		"substringof('',TAGNAME)": "",
	} {
		f, err := grammar.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var got []string
		for _, name := range items {
			if f.Match(named(name)) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q matches %q, want %q", text, strings.Join(got, " "), want)
		}
		if uses := strings.Contains(strings.ToLower(text), "tagname"); f.Uses("tagName", "other") != uses {
			t.Errorf("%q: uses tagName %v", text, !uses)
		}
	}
	for text, why := range map[string]string{
		"location eq 'x'":            "'location' is not a condition",
		"name":                       "a quoted text is expected",
		"name eq 5":                  "instead of '5'",
		"name gt 'a'":                "'gt' is not an operator on name",
		"name eq 'a' and":            "'' is not a condition",
		"(name eq 'a'":               "a ')' is missing",
		"name eq 'a')":               "unexpected ')'",
		"contains(name)":             "contains is written contains(property, 'text')",
		"contains('a',name)":         "contains is written",
		"contains(name,a)":           "contains is written",
		"contains(name,'a'":          "contains is written",
		"contains name":              "contains is written",
		"startswith(other,'a')":      "startswith is written",
		"substringof(name,'a')":      "substringof is written substringof('text', property)",
		"endswith(name,'a')":         "'endswith' is not a condition",
		"name eq 'a' name eq 'b'":    "unexpected 'name'",
		"name eq 'open":              "a quote is not closed",
		"name eq 'a' or":             "not a condition",
		"()":                         "not a condition",
		strings.Repeat("not ", 5000): "nested too deeply",
		strings.Repeat("(", 100) + "name eq 'a'" + strings.Repeat(")", 100): "nested too deeply",
	} {
		f, err := grammar.Parse(text)
		if err == nil || f != nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.40q: %v, want %q", text, err, why)
		}
	}
	if _, err := (Grammar{Properties: []string{"name"}}).Parse("contains(name,'a')"); err == nil {
		t.Error("a function that the grammar lacks was taken")
	}
}

// Whatever a filter says, and whichever way it is nested, it means what a plain
// evaluation of it means.
func TestFiltersMeanWhatTheySay(t *testing.T) {
	type expr struct {
		text string
		eval func(string) bool
	}
	leaf := rapid.Custom(func(t *rapid.T) expr {
		word := rapid.StringMatching(`[abAB']{0,3}`).Draw(t, "word")
		quoted, lower := "'"+strings.ReplaceAll(word, "'", "''")+"'", strings.ToLower(word)
		return rapid.SampledFrom([]expr{
			{"name eq " + quoted, func(n string) bool { return n == lower }},
			{"name ne " + quoted, func(n string) bool { return n != lower }},
			{"contains(name," + quoted + ")", func(n string) bool { return strings.Contains(n, lower) }},
			{"startswith(name, " + quoted + ")", func(n string) bool { return strings.HasPrefix(n, lower) }},
			{"substringof(" + quoted + " ,name)", func(n string) bool { return strings.Contains(n, lower) }},
		}).Draw(t, "form")
	})
	var tree func(*rapid.T, int) expr
	tree = func(t *rapid.T, depth int) expr {
		if depth == 0 || rapid.Bool().Draw(t, "leaf") {
			return leaf.Draw(t, "leaf")
		}
		a := tree(t, depth-1)
		switch rapid.IntRange(0, 2).Draw(t, "op") {
		case 0:
			return expr{"not (" + a.text + ")", func(n string) bool { return !a.eval(n) }}
		case 1:
			b := tree(t, depth-1)
			return expr{"(" + a.text + ") and (" + b.text + ")", func(n string) bool { return a.eval(n) && b.eval(n) }}
		default:
			b := tree(t, depth-1)
			return expr{"(" + a.text + ") or (" + b.text + ")", func(n string) bool { return a.eval(n) || b.eval(n) }}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		e := tree(t, 4)
		name := rapid.StringMatching(`[abAB']{0,4}`).Draw(t, "name")
		f, err := grammar.Parse(e.text)
		if err != nil || f.Match(named(name)) != e.eval(strings.ToLower(name)) {
			t.Fatalf("%s on %q: %v, want %v", e.text, name, err, e.eval(strings.ToLower(name)))
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "name eq 'a'", "not (contains(name,'x') or name ne 'y') and name eq 'it''s'", "((((", "'", "name eq '", "contains(,",
		"resourceGroup eq 'rg1' and resourceType eq 'x'", "tagname eq 'a' and tagvalue eq 'b'", "startswith(tagname,'x')", "substringof('x',name)",
	} {
		f.Add(s, "abc")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		filter, err := grammar.Parse(text)
		if (filter == nil) != (err != nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil {
			filter.Match(named(name))
		}
	})
}
