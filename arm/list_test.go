package arm

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func keys(v any) []string {
	m, _ := v.(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

func (f *fixture) registrations(n int) (names []string) {
	f.t.Helper()
	for i := range n {
		name := fmt.Sprintf("reg-%03d", i)
		f.put("owner", partnerRG+provider+"/partnerRegistrations/"+name, `{}`).want(200)
		names = append(names, name)
	}
	return names
}

// follow reads all pages, checking that each link leads on.
func (f *fixture) follow(path string) (names []string, pages int) {
	f.t.Helper()
	for path != "" {
		a := f.get("owner", path).want(200)
		names, pages = append(names, a.names()...), pages+1
		next, _ := a.at("nextLink").(string)
		if next == "" {
			break
		}
		u, err := url.Parse(next)
		if err != nil || !strings.HasPrefix(next, base+"/") || u.Query().Get("api-version") != version || pages > 100 {
			f.t.Fatalf("nextLink %q, %v", next, err)
		}
		path = strings.TrimPrefix(next, base)
	}
	return names, pages
}

func TestPagesLeadToTheEnd(t *testing.T) {
	f := newFixture(t)
	want := f.registrations(45)
	at := partnerRG + provider + "/partnerRegistrations"
	for _, c := range []struct {
		path  string
		pages int
		want  []string
	}{
		{at, 3, want},
		{at + "?$top=45", 1, want},
		{at + "?$top=44", 2, want},
		{at + "?$top=1", 45, want},
		{at + "?%24top=100", 1, want},
		{"/subscriptions/" + partnerSub + provider + "/partnerRegistrations?$top=20", 3, want},
		{at + "?$top=3&$filter=" + url.QueryEscape("contains(name, 'reg-00') and name ne 'REG-004'"), 3, slices.DeleteFunc(slices.Clone(want[:10]), func(s string) bool { return s == "reg-004" })},
		{at + "?$filter=" + url.QueryEscape("name eq 'REG-044'"), 1, want[44:]},
		{at + "?$filter=" + url.QueryEscape("name eq 'none'"), 1, nil},
		{"//subscriptions//" + partnerSub + "/resourcegroups/rg-p" + provider + "//partnerregistrations?$top=30", 2, want},
	} {
		names, pages := f.follow(c.path)
		if diff := cmp.Diff(c.want, names); diff != "" || pages != c.pages {
			t.Errorf("%s: %d pages, want %d (-want +got):\n%s", c.path, pages, c.pages, diff)
		}
	}
	for _, top := range []string{"0", "-1", "101", "x", "1.5"} {
		f.get("owner", at+"?$top="+top).wantError(400, "InvalidRequest", "$top", "100")
	}
	f.get("owner", at+"?$skiptoken=%25%25").wantError(400, "InvalidRequest", "$skiptoken")
}

// What comes or goes between two pages shifts nothing.
func TestPagesWhileThingsChange(t *testing.T) {
	f := newFixture(t)
	want := f.registrations(10)
	at := partnerRG + provider + "/partnerRegistrations"
	first := f.get("owner", at+"?$top=5").want(200)
	f.delete("owner", at+"/reg-000").want(200)
	f.delete("owner", at+"/reg-004").want(200) // the one the link speaks of
	f.put("owner", at+"/reg-000a", `{}`).want(200)
	next, _ := first.at("nextLink").(string)
	rest, _ := f.follow(strings.TrimPrefix(next, base))
	if diff := cmp.Diff(want[5:], rest); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCollections(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.put("owner", partnerRG+"2", `{"location":"westeurope"}`).want(201)
	for path, want := range map[string][]string{
		customerRG + provider + "/partnerTopics":                      {"pt1"},
		"/subscriptions/" + customerSub + provider + "/partnertopics": {"pt1"},
		"/subscriptions/" + partnerSub + provider + "/partnerTopics":  {},
		topic + "/eventSubscriptions":                                 {"es1"},
		namespace + "/channels":                                       {"ch1"},
		customerRG + provider + "/partnerConfigurations":              {"default"},
		partnerRG + "2" + provider + "/partnerNamespaces":             {},
		namespace + "/eventChannels?api-version=2021-10-15-preview":   {},
	} {
		a := f.get("owner", path).want(200)
		if diff := cmp.Diff(want, a.names()); diff != "" || a.at("nextLink") != nil {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if raw := f.get("owner", partnerRG+"2"+provider+"/partnerNamespaces").raw; raw != `{"value":[]}` {
		t.Errorf("an empty list is %s", raw)
	}
}

func TestFilterGrammar(t *testing.T) {
	for text, want := range map[string]string{ // of the names abc, abd, xyz, it's
		"":                                     "abc abd xyz it's",
		"  ":                                   "abc abd xyz it's",
		"name eq 'abc'":                        "abc",
		"NAME EQ 'ABC'":                        "abc",
		"name ne 'abc'":                        "abd xyz it's",
		"contains(name,'b')":                   "abc abd",
		"contains( name , 'B' )":               "abc abd",
		"not contains(name,'b')":               "xyz it's",
		"not (not name eq 'abc')":              "abc",
		"name eq 'abc' or name eq 'xyz'":       "abc xyz",
		"contains(name,'b') and name ne 'abc'": "abd",
		// and binds more than or, not more than both.
		"name eq 'xyz' or contains(name,'b') and name ne 'abc'":   "abd xyz",
		"(name eq 'xyz' or contains(name,'b')) and name ne 'abc'": "abd xyz",
		"(name eq 'abc' or name eq 'xyz') and name ne 'abc'":      "xyz",
		"not name eq 'abc' and not name eq 'xyz'":                 "abd it's",
		"not (name eq 'abc' or name eq 'xyz')":                    "abd it's",
		"name eq 'it''s'":                                         "it's",
		"name eq ''":                                              "",
		"name eq 'and'":                                           "",
		"contains(name,'')":                                       "abc abd xyz it's",
		"name\teq\t'abc'":                                         "abc",
	} {
		match, err := parseNameFilter(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var got []string
		for _, name := range []string{"abc", "abd", "xyz", "it's"} {
			if match(name) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q matches %q, want %q", text, strings.Join(got, " "), want)
		}
	}
	for _, text := range []string{
		"location eq 'x'", "name", "name eq", "name eq abc", "name eq 5", "name gt 'a'", "name eq 'a' and", "and name eq 'a'", "(name eq 'a'", "name eq 'a')",
		"not", "contains(name)", "contains('a',name)", "contains(name,'a'", "startswith(name,'a')", "name eq 'a' name eq 'b'", "name eq 'open", "'", "''", "()", ",",
		"name eq 'a' or", "substringof('a',name)", "name eq 'a' eq 'b'", strings.Repeat("(", 100) + "name eq 'a'" + strings.Repeat(")", 100), strings.Repeat("not ", 5000) + "name eq 'a'",
	} {
		match, err := parseNameFilter(text)
		if err == nil || match != nil || !strings.Contains(err.Error(), "$filter") {
			t.Errorf("%.40q: %v", text, err)
		}
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
		quoted, lower := strings.ReplaceAll(word, "'", "''"), strings.ToLower(word)
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			return expr{"name eq '" + quoted + "'", func(n string) bool { return strings.ToLower(n) == lower }}
		case 1:
			return expr{"name ne '" + quoted + "'", func(n string) bool { return strings.ToLower(n) != lower }}
		default:
			return expr{"contains(name,'" + quoted + "')", func(n string) bool { return strings.Contains(strings.ToLower(n), lower) }}
		}
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
		match, err := parseNameFilter(e.text)
		if err != nil || match(name) != e.eval(name) {
			t.Fatalf("%s on %q: %v, want %v", e.text, name, err, e.eval(name))
		}
	})
}

func FuzzParseNameFilter(f *testing.F) {
	for _, s := range []string{"", "name eq 'a'", "not (contains(name,'x') or name ne 'y') and name eq 'it''s'", "((((", "'", "name eq '", "contains(,"} {
		f.Add(s, "abc")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		match, err := parseNameFilter(text)
		if (match == nil) != (err != nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil {
			match(name)
		}
	})
}

// Lists come in the order in which things were made, whatever their names.
func TestListsAreInOrderOfCreation(t *testing.T) {
	f := newFixture(t)
	var want []string
	for i := range 45 {
		name := fmt.Sprintf("reg-%d", (i*7)%45)
		f.now = f.now.Add(time.Second)
		f.put("owner", partnerRG+provider+"/partnerRegistrations/"+name, `{}`).want(200)
		want = append(want, name)
	}
	f.now = f.now.Add(time.Second)
	f.put("owner", partnerRG+provider+"/partnerRegistrations/"+want[3], `{"tags":{"a":"b"}}`).want(200) // it stays where it was
	if got, pages := f.follow(partnerRG + provider + "/partnerRegistrations"); !slices.Equal(got, want) || pages != 3 {
		t.Errorf("in %d pages: %v, want %v", pages, got, want)
	}
}
