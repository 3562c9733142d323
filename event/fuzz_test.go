package event

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// libraryAccepts is jsontext's verdict under the rules of this package: names
// may occur twice and escapes may name lone surrogates (both are for data; the
// envelope has its own checks), raw bytes must be UTF-8.
func libraryAccepts(b []byte) bool {
	return utf8.Valid(b) && jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `""`, `0`, `-0.1e+5`, `01`, `1.`, `1e`, `-`, `tru`, `true`, `null`, `false`, `nullx`,
		`{"a":[1,2,{"b":"c\u00e9\n"}]}`, `{"a":1,}`, `[1,]`, `{"a"}`, `{a:1}`, `"\ud83d"`, `"\u12g4"`, "\"\x00\"", "\"\x7f\"",
		`"eight chars and \" more"`, `"12345678`, `"1234567\`, `[[[[]]]]`, ` {"a" : "b" } `, "\"\xc3\xa9\"", "\"\xff\"", `{"a":1 "b":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ours := utf8.Valid(b)
		if ours {
			end, err := skipValue(b, skipSpace(b, 0), 0)
			ours = err == nil && skipSpace(b, end) == len(b)
		}
		if lib := libraryAccepts(b); ours != lib {
			t.Errorf("%q: accepted %v, the library says %v", b, ours, lib)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{
		minimal, "[" + minimal + "," + minimal + "]", "[]", "{}", "",
		with(`"data":{"a":[1,"\ud83d"]},"subject":null,"x":1,"\u0078y":"z"`),
		with(`"data_base64":"AA==","time":"2024-05-01T12:00:00Z","dataschema":"a:b"`),
		`{"specversion":"1.0-rc1","type":"\u0054","source":" s","id":"\ud83d\ude00"}`,
		"\xef\xbb\xbf" + minimal,
	} {
		for mode := range byte(4) {
			f.Add(mode, "T", "100%25", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, mode byte, typ, subject string, body []byte) {
		r := Request{ContentType: [...]string{typeStructured, typeBatch, typeJSON, "text/plain"}[mode%4], Body: body}
		if mode%4 >= 2 {
			r.Header = map[string][]string{"Ce-Specversion": {"1.0"}, "Ce-Type": {typ}, "Ce-Source": {"/s"}, "Ce-Id": {"1"}, "Ce-Subject": {subject}}
		}
		events, err := Parse(r)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code == "" || e.Message == "" || !utf8.ValidString(e.Message) {
				t.Errorf("error %#v", err)
			}
			return
		}
		if len(events) == 0 {
			t.Fatal("neither events nor an error")
		}
		for _, ev := range events {
			if !libraryAccepts(ev.JSON) {
				t.Fatalf("not JSON: %s", ev.JSON)
			}
			if ev.JSON[0] != '{' || ev.JSON[len(ev.JSON)-1] != '}' {
				t.Fatalf("not one object without blanks: %q", ev.JSON)
			}
			// A plain reading by the standard library finds the same attributes.
			var plain map[string]any
			if err := json.Unmarshal(ev.JSON, &plain); err == nil {
				for name, want := range map[string]string{"id": ev.ID, "source": ev.Source, "type": ev.Type, "specversion": ev.SpecVersion} {
					if plain[name] != want {
						t.Errorf("%s is %q, the library reads %q", name, want, plain[name])
					}
				}
				if s, _ := plain["subject"].(string); s != ev.Subject {
					t.Errorf("subject is %q, the library reads %q", ev.Subject, s)
				}
			}
			again, err := Parse(Request{ContentType: typeStructured, Body: ev.JSON})
			if err != nil {
				t.Fatalf("accepted event is refused when it comes back: %v\n%s", err, ev.JSON)
			}
			if diff := cmp.Diff([]Event{ev}, again); diff != "" {
				t.Errorf("second reading (-first +second):\n%s", diff)
			}
		}
	})
}
