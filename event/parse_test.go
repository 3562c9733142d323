package event

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minimal = `{"specversion":"1.0","type":"T","source":"/s","id":"1"}`

// with returns a minimal event that ends with more members.
func with(members string) string { return strings.TrimSuffix(minimal, "}") + "," + members + "}" }

func structuredRequest(body string) Request {
	return Request{ContentType: typeStructured, Body: []byte(body)}
}

func TestParseKeepsBytes(t *testing.T) {
	// Each body is delivered exactly as it is written here.
	for name, body := range map[string]string{
		"minimal":             minimal,
		"large integer":       with(`"data":{"n":12345678901234567890123456789,"f":1.50e+03}`),
		"escapes":             with(`"data":"caf\u00e9 \/ \ud83d\ude00 ü"`),
		"lone surrogate":      with(`"data":"\ud83d cut"`),
		"white space":         "{ \"specversion\" : \"1.0\" ,\n\t\"type\":\"T\", \"source\":\"/s\",\r\n\"id\":\"1\", \"data\" : [ 1 , 2 ] }",
		"duplicate in data":   with(`"data":{"a":1,"a":2}`),
		"null attributes":     with(`"subject":null,"time":null,"data_base64":null,"dataschema":null,"data":null`),
		"null data beside":    with(`"data":null,"data_base64":"AA=="`),
		"extensions":          with(`"traceparent":"00-x","number":5,"flag":true,"object":{"a":[]},"Upper-Case":"kept"`),
		"data_base64":         with(`"data_base64":"/9j+"`),
		"slash in base64":     with(`"data_base64":"\/9j+"`),
		"scalar data":         with(`"data":"text"`),
		"relative dataschema": with(`"dataschema":"schemas/order.json#/v1"`),
		"datacontenttype":     with(`"datacontenttype":"application/xml","data":"<a/>"`),
		"other specversion":   strings.Replace(minimal, "1.0", "0.3", 1),
		"escaped specversion": strings.Replace(minimal, "1.0", `1\u002e0`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []Request{
				structuredRequest(" " + body + "\n"),
				structuredRequest("\xef\xbb\xbf" + body),
				{ContentType: typeJSON, Body: []byte(body)},
				{ContentType: typeBatch, Body: []byte("[ " + body + " ]")},
			} {
				sent := bytes.Clone(r.Body)
				events, err := Parse(r)
				if err != nil {
					t.Fatalf("%s: %v", r.ContentType, err)
				}
				if len(events) != 1 {
					t.Fatalf("got %d events", len(events))
				}
				if diff := cmp.Diff(body, string(events[0].JSON)); diff != "" {
					t.Errorf("%s: delivered JSON (-want +got):\n%s", r.ContentType, diff)
				}
				if !bytes.Equal(sent, r.Body) {
					t.Error("Parse changed the body")
				}
			}
		})
	}
}

func TestParseAttributes(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       Event
	}{
		{
			"blank before source", `{"specversion":"1.0","type":"T","source":" com.acme.account1","id":"1","subject":"a/b"}`,
			Event{ID: "1", Source: " com.acme.account1", Type: "T", Subject: "a/b", SpecVersion: "1.0"},
		},
		{
			"release candidate", `{"specversion":"1.0-rc1","type":"T","source":"/s","id":"1","data": {"specversion":"1.0-rc1"} }`,
			Event{
				JSON: []byte(`{"specversion":"1.0","type":"T","source":"/s","id":"1","data": {"specversion":"1.0-rc1"} }`),
				ID:   "1", Source: "/s", Type: "T", SpecVersion: "1.0",
			},
		},
		{
			"specversion last", `{"id":"1","type":"T","source":"/s","specversion" : "1.0.2" }`,
			Event{
				JSON: []byte(`{"id":"1","type":"T","source":"/s","specversion" : "1.0" }`),
				ID:   "1", Source: "/s", Type: "T", SpecVersion: "1.0",
			},
		},
		{
			"another version", `{"specversion":"0.3","type":"T","source":"/s","id":"1"}`,
			Event{ID: "1", Source: "/s", Type: "T", SpecVersion: "0.3"},
		},
		{
			"escapes", `{"specversion":"1.0","t\u0079pe":"a\"b\\c\/d\b\f\n\r\t","source":"\u00e9\ud83d\ude00","id":"é"}`,
			Event{ID: "é", Source: "é😀", Type: "a\"b\\c/d\b\f\n\r\t", SpecVersion: "1.0"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(structuredRequest(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.JSON == nil {
				tt.want.JSON = []byte(tt.body)
			}
			if diff := cmp.Diff([]Event{tt.want}, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseBatch(t *testing.T) {
	// More text than one chunk of names holds, versions mixed, one id twice.
	var parts, want []string
	var ids []string
	for i := range 3000 {
		id := fmt.Sprintf("id-%d-%s", i/2, strings.Repeat("x", i%97))
		version := [...]string{"1.0", "1.0-rc1", "0.3"}[i%3]
		form := `{"specversion":"%s","type":"T%d","source":"/s","id":"%s","data":%d}`
		parts = append(parts, fmt.Sprintf(form, version, i, id, i))
		want = append(want, fmt.Sprintf(form, strings.TrimSuffix(version, "-rc1"), i, id, i))
		ids = append(ids, id)
	}
	events, err := Parse(Request{
		ContentType: "Application/CloudEvents-Batch+JSON; charset=UTF-8a; =;",
		Body:        []byte("[" + strings.Join(parts, ", ") + "]"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got, gotIDs []string
	for i, ev := range events {
		got, gotIDs = append(got, string(ev.JSON)), append(gotIDs, ev.ID)
		if want := fmt.Sprintf("T%d", i); ev.Type != want {
			t.Fatalf("events[%d].Type = %q, want %q", i, ev.Type, want)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delivered JSON (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ids, gotIDs); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// The strings of an event must survive the body's buffer, which the server
// uses again.
func TestStringsDoNotAliasBody(t *testing.T) {
	body := []byte(`[{"specversion":"0.3","type":"T","source":"/s","id":"1","subject":"x"}]`)
	events, err := Parse(Request{ContentType: typeBatch, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	want := Event{ID: "1", Source: "/s", Type: "T", Subject: "x", SpecVersion: "0.3"}
	events[0].JSON = nil
	if diff := cmp.Diff(want, events[0]); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	second := func(ev string) string { return "[" + minimal + "," + ev + "]" }
	manyExtensions := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"x%d":0,`, i)
		}
		return b.String()
	}
	for _, tt := range []struct {
		name, contentType, body string
		code                    Code
		mentions                []string
	}{
		{"empty body", typeStructured, "", InputJSONInvalid, []string{"nexpected end", "CloudEventV10"}},
		{"empty batch body", typeBatch, " \n", InputJSONInvalid, []string{"nexpected end"}},
		{"empty array", typeBatch, "[ ]", InputJSONInvalid, []string{"empty", "CloudEventV10"}},
		{"array as structured", typeStructured, "[" + minimal + "]", InputJSONInvalid, []string{"expected the start of an object", "got the start of an array"}},
		{"array as json", typeJSON, "[" + minimal + "]", InputJSONInvalid, []string{"got the start of an array", typeBatch}},
		{"object as batch", typeBatch, minimal, InputJSONInvalid, []string{"expected the start of an array", "got the start of an object"}},
		{"scalar", typeStructured, "5", InputJSONInvalid, []string{"a number"}},
		{"element not an object", typeBatch, second("5"), InputJSONInvalid, []string{"events[1]", "a number"}},
		{"element array", typeBatch, second("[]"), InputJSONInvalid, []string{"events[1]", "start of an array"}},
		{"trailing comma in batch", typeBatch, "[" + minimal + ",]", InputJSONInvalid, []string{"events[1]"}},
		{"batch not closed", typeBatch, "[" + minimal, InputJSONInvalid, []string{"unexpected end"}},
		{"trailing text", typeStructured, minimal + " x", InputJSONInvalid, []string{"'x'", "end of the body"}},
		{"two documents", typeBatch, "[" + minimal + "][]", InputJSONInvalid, []string{"end of the body"}},
		{"bare word in data", typeStructured, with(`"data":{"a":word}`), InputJSONInvalid, []string{"'w'", "CloudEventV10"}},
		{"second event broken", typeBatch, second(`{"specversion" "1.0"}`), InputJSONInvalid, []string{"events[1]", "':'"}},
		{"not UTF-8", typeStructured, with("\"data\":\"\xff\""), InputJSONInvalid, []string{"UTF-8", fmt.Sprint(len(minimal) + 8)}},
		{"control character", typeStructured, with("\"data\":\"a\nb\""), InputJSONInvalid, []string{"control character"}},
		{"bad escape", typeStructured, with(`"data":"\x41"`), InputJSONInvalid, []string{`\x`}},
		{"too deep", typeStructured, with(`"data":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)), InputJSONInvalid, []string{"nested too deeply"}},

		{"no attributes", typeStructured, "{}", InputJSONInvalid, []string{"'specversion'", "missing", "CloudEventV10"}},
		{"specversion null", typeStructured, `{"specversion":null,"id":"1"}`, InputJSONInvalid, []string{"'specversion'"}},
		{"type before source and id", typeStructured, `{"specversion":"1.0"}`, InputJSONInvalid, []string{"'eventType'", "CloudEventV10"}},
		{"source before id", typeStructured, `{"specversion":"1.0","type":"T"}`, InputJSONInvalid, []string{"'source'"}},
		{"id", typeStructured, `{"specversion":"1.0","type":"T","source":"s"}`, InputJSONInvalid, []string{"'id'"}},
		{"empty id", typeBatch, second(strings.Replace(minimal, `"id":"1"`, `"id":""`, 1)), InputJSONInvalid, []string{"events[1]", "'id'"}},
		{"id not a string", typeStructured, strings.Replace(minimal, `"id":"1"`, `"id":1`, 1), InputJSONInvalid, []string{"'id'", "a number"}},
		{"specversion a number", typeStructured, strings.Replace(minimal, `"1.0"`, `1.0`, 1), InputJSONInvalid, []string{"'specversion'", "must be a string"}},
		{"names are exact", typeStructured, strings.Replace(minimal, `"id"`, `"Id"`, 1), InputJSONInvalid, []string{"'id'"}},
		{"event grid schema", typeJSON, `{"id":"1","subject":"s","eventType":"T","eventTime":"2024-01-01T00:00:00Z","data":{},"dataVersion":"1"}`, InputJSONInvalid, []string{"CloudEventV10", "'specversion'"}},
		{"subject not a string", typeStructured, with(`"subject":{}`), InputJSONInvalid, []string{"'subject'", "an object"}},
		{"time", typeBatch, second(with(`"time":"2024-05-01T12:00:00"`)), InputJSONInvalid, []string{"events[1]", "'time'", "zone"}},
		{"dataschema", typeStructured, with(`"dataschema":"http://[::1"`), InputJSONInvalid, []string{"'dataschema'", "URI"}},
		{"dataschema with a blank", typeStructured, with(`"dataschema":"a b"`), InputJSONInvalid, []string{"'dataschema'"}},
		{"base64", typeStructured, with(`"data_base64":"a-b_"`), InputJSONInvalid, []string{"'data_base64'"}},
		{"base64 length", typeStructured, with(`"data_base64":"abc"`), InputJSONInvalid, []string{"'data_base64'"}},
		{"base64 not a string", typeStructured, with(`"data_base64":[]`), InputJSONInvalid, []string{"'data_base64'"}},
		{"data twice", typeStructured, with(`"data":1,"data_base64":"AA=="`), InputJSONInvalid, []string{"'data'", "'data_base64'"}},
		{"attribute twice", typeStructured, with(`"id":"2"`), InputJSONInvalid, []string{"'id'", "twice"}},
		{"attribute twice, escaped", typeStructured, with(`"\u0069d":"2"`), InputJSONInvalid, []string{"'id'", "twice"}},
		{"null and value", typeStructured, with(`"subject":null,"subject":"x"`), InputJSONInvalid, []string{"'subject'", "twice"}},
		{"extension twice", typeStructured, with(`"ext":1,"ext":1`), InputJSONInvalid, []string{"'ext'", "twice"}},
		{"early extension twice", typeStructured, with(manyExtensions(40) + `"x3":1`), InputJSONInvalid, []string{"'x3'", "twice"}},
		{"late extension twice", typeStructured, with(manyExtensions(40) + `"x30":1`), InputJSONInvalid, []string{"'x30'", "twice"}},
		{"surrogate in id", typeStructured, strings.Replace(minimal, `"id":"1"`, `"id":"\ud800"`, 1), InputJSONInvalid, []string{"'id'", "surrogate"}},
		{"surrogate in name", typeStructured, with(`"\udc00":1`), InputJSONInvalid, []string{"Unicode"}},

		{"form", "application/x-www-form-urlencoded", minimal, InvalidContentType, []string{"application/x-www-form-urlencoded", typeBatch}},
		{"no type", "", minimal, InvalidContentType, nil},
		{"only parameters", "; charset=utf-8", minimal, InvalidContentType, nil},
		{"xml format", "application/cloudevents+xml", minimal, InvalidContentType, []string{"+xml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(Request{ContentType: tt.contentType, Body: []byte(tt.body)})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %d events and error %v, want an *Error", len(events), err)
			}
			if len(events) != 0 {
				t.Errorf("got events beside the error")
			}
			if e.Code != tt.code {
				t.Errorf("code %s, want %s", e.Code, tt.code)
			}
			for _, m := range tt.mentions {
				if !strings.Contains(e.Message, m) {
					t.Errorf("message %q does not mention %q", e.Message, m)
				}
			}
		})
	}
}

func TestParseAcceptsManyExtensions(t *testing.T) {
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, `"x%d":0,`, i)
	}
	if _, err := Parse(structuredRequest(with(b.String() + `"y":0`))); err != nil {
		t.Fatal(err)
	}
}

// A message must not send a megabyte back.
func TestMessagesAreShort(t *testing.T) {
	long := strings.Repeat("é", 1<<19)
	for _, body := range []string{
		with(`"` + long + `":1,"` + long + `":1`),
		with(`"` + long + `\ud800":1`),
		with(`"dataschema":"http://[` + long + `"`),
		strings.Replace(minimal, "1.0", long, 1),
	} {
		_, err := Parse(Request{ContentType: typeStructured, Body: []byte(body), Strict: true, Limits: Limits{Events: 1, EventBytes: 4 << 20}})
		if err == nil || len(err.Error()) > 500 {
			t.Errorf("error of %d bytes", len(fmt.Sprint(err)))
		}
	}
}

func TestParseDepth(t *testing.T) {
	// The event's own object is one level, so this is the deepest there may be.
	body := with(`"data":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1))
	if _, err := Parse(structuredRequest(body)); err != nil {
		t.Fatal(err)
	}
}

func TestParseLimits(t *testing.T) {
	sized := func(n int) string {
		frame := with(`"data":""`)
		return strings.Replace(frame, `"data":""`, `"data":"`+strings.Repeat("x", n-len(frame))+`"`, 1)
	}
	repeat := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(minimal+",", n), ",") + "]" }
	for _, tt := range []struct {
		name   string
		r      Request
		events int
		code   Code
	}{
		{"events at the limit", Request{ContentType: typeBatch, Body: []byte(repeat(5000))}, 5000, ""},
		{"one event more", Request{ContentType: typeBatch, Body: []byte(repeat(5001))}, 0, PayloadTooLarge},
		{"size at the limit", structuredRequest(sized(1_049_600)), 1, ""},
		{"one byte more", structuredRequest(sized(1_049_601)), 0, PayloadTooLarge},
		{"too large and broken", Request{ContentType: typeBatch, Body: []byte("[" + sized(1_049_601) + ",{}]")}, 0, InputJSONInvalid},
		{"own limits", Request{ContentType: typeBatch, Body: []byte(repeat(2)), Limits: Limits{Events: 1, EventBytes: 100}}, 0, PayloadTooLarge},
		{"own size", Request{ContentType: typeBatch, Body: []byte(repeat(1)), Limits: Limits{Events: 1, EventBytes: len(minimal) - 1}}, 0, PayloadTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(tt.r)
			var e *Error
			if errors.As(err, &e) != (tt.code != "") || e != nil && e.Code != tt.code {
				t.Fatalf("error %v, want code %q", err, tt.code)
			}
			if len(events) != tt.events {
				t.Errorf("%d events, want %d", len(events), tt.events)
			}
		})
	}
}

func TestStrict(t *testing.T) {
	ce := map[string][]string{"Ce-Specversion": {"1.0"}, "Ce-Type": {"T"}, "Ce-Source": {"/s"}, "Ce-Id": {"1"}}
	for _, tt := range []struct {
		name string
		r    Request
		code Code
	}{
		{"specversion", structuredRequest(strings.Replace(minimal, "1.0", "0.3", 1)), InputJSONInvalid},
		{"attribute name", structuredRequest(with(`"Upper":1`)), InputJSONInvalid},
		{"empty attribute name", structuredRequest(with(`"":1`)), InputJSONInvalid},
		{"binary xml", Request{ContentType: "text/xml", Header: ce, Body: []byte("<a/>")}, InvalidContentType},
		{"headers beside structured", Request{ContentType: typeStructured, Header: ce, Body: []byte(minimal)}, InputJSONInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(tt.r); err != nil {
				t.Errorf("default: %v", err)
			}
			tt.r.Strict = true
			_, err := Parse(tt.r)
			var e *Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Errorf("strict: %v, want code %s", err, tt.code)
			}
		})
	}
}
