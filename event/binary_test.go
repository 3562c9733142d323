package event

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// binaryRequest returns a binary-mode request; more names and values follow
// the required ones, and an empty value removes a header.
func binaryRequest(contentType, body string, more ...string) Request {
	h := map[string][]string{
		"Ce-Specversion": {"1.0"}, "Ce-Type": {"T"}, "Ce-Source": {"/s"}, "Ce-Id": {"1"},
		"Host": {"x"}, "Cellar": {"not an attribute"},
	}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
		if more[i+1] == "" {
			delete(h, more[i])
		}
	}
	return Request{ContentType: contentType, Header: h, Body: []byte(body)}
}

func TestBinaryGolden(t *testing.T) {
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"T",`
	for _, tt := range []struct {
		name string
		r    Request
		want string
	}{
		{
			"json", binaryRequest("application/json; charset=utf-8", " {\"n\": 12345678901234567890, \"s\":\"\\u00e9\"}\n"),
			head + `"datacontenttype":"application/json; charset=utf-8","data":{"n": 12345678901234567890, "s":"\u00e9"}}`,
		},
		{"json suffix", binaryRequest("Application/VND.acme+JSON", `"x"`), head + `"datacontenttype":"Application/VND.acme+JSON","data":"x"}`},
		{"text/json with BOM", binaryRequest("text/json", "\xef\xbb\xbfnull"), head + `"datacontenttype":"text/json","data":null}`},
		{"bytes", binaryRequest("image/png", "\x89PNG\xff"), head + `"datacontenttype":"image/png","data_base64":"iVBOR/8="}`},
		{"BOM of bytes stays", binaryRequest("text/plain", "\xef\xbb\xbfa"), head + `"datacontenttype":"text/plain","data_base64":"77u/YQ=="}`},
		{"no content type", binaryRequest("", "a"), head + `"data_base64":"YQ=="}`},
		{
			"all attributes",
			binaryRequest("text/plain", "a", "Ce-Subject", "Euro%20%E2%82%AC%20100%", "Ce-Time", "2024-05-01T12:00:00Z", "Ce-Dataschema", "urn:x",
				"Ce-Traceparent", "00-1", "Ce-Comexample", `"quoted \"x\""`, "Ce-Datacontenttype", "ignored/here"),
			`{"specversion":"1.0","id":"1","source":"/s","type":"T","subject":"Euro € 100%","time":"2024-05-01T12:00:00Z",` +
				`"datacontenttype":"text/plain","dataschema":"urn:x","comexample":"quoted \"x\"","traceparent":"00-1","data_base64":"YQ=="}`,
		},
		{"decoded once", binaryRequest("text/plain", "a", "Ce-Subject", "%2541"), head + `"subject":"%41","datacontenttype":"text/plain","data_base64":"YQ=="}`},
		{"version normalised", binaryRequest("text/json", "1", "Ce-Specversion", "1.0-rc1"), head + `"datacontenttype":"text/json","data":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(events[0].JSON)); diff != "" {
				t.Errorf("delivered JSON (-want +got):\n%s", diff)
			}
			again, err := Parse(structuredRequest(string(events[0].JSON)))
			if err != nil {
				t.Fatalf("what was assembled does not parse: %v", err)
			}
			if diff := cmp.Diff(events, again); diff != "" {
				t.Errorf("attributes (-binary +structured):\n%s", diff)
			}
		})
	}
}

func TestContentTypeWinsOverHeaders(t *testing.T) {
	r := binaryRequest(typeBatch, "["+minimal+"]", "Ce-Id", "from-header")
	events, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if events[0].ID != "1" {
		t.Errorf("id %q, want the body's", events[0].ID)
	}
}

func TestBinaryRefuses(t *testing.T) {
	twice := binaryRequest("text/json", "1")
	twice.Header["Ce-Ext"] = []string{"a", "b"}
	small := binaryRequest("text/json", `"xxxxx"`)
	small.Limits = Limits{Events: 1, EventBytes: 20}
	for _, tt := range []struct {
		name     string
		r        Request
		code     Code
		mentions string
	}{
		{"no specversion", binaryRequest("text/json", "1", "Ce-Specversion", "", "Ce-Type", ""), InvalidCloudEventHeader, "'ce-specversion'"},
		{"no type", binaryRequest("text/json", "1", "Ce-Type", "", "Ce-Source", ""), InvalidCloudEventHeader, "'ce-type'"},
		{"no source", binaryRequest("text/json", "1", "Ce-Source", "", "Ce-Id", ""), InvalidCloudEventHeader, "'ce-source'"},
		{"empty id", binaryRequest("text/json", "1", "Ce-Id", `""`), InvalidCloudEventHeader, "'ce-id'"},
		{"not UTF-8", binaryRequest("text/json", "1", "Ce-Subject", "%ff"), InvalidCloudEventHeader, "'ce-subject'"},
		{"time", binaryRequest("text/json", "1", "Ce-Time", "noon"), InvalidCloudEventHeader, "'ce-time'"},
		{"dataschema", binaryRequest("text/json", "1", "Ce-Dataschema", "a b"), InvalidCloudEventHeader, "'ce-dataschema'"},
		{"data in a header", binaryRequest("text/json", "1", "Ce-Data", "1"), InvalidCloudEventHeader, "'ce-data'"},
		{"twice", twice, InvalidCloudEventHeader, "'ce-ext'"},
		{"empty body", binaryRequest("text/json", ""), InputJSONInvalid, "nexpected end"},
		{"empty bytes", binaryRequest("text/plain", ""), InputJSONInvalid, "nexpected end"},
		{"body not JSON", binaryRequest("application/json", "{"), InputJSONInvalid, "CloudEventV10"},
		{"two values", binaryRequest("application/json", "1 2"), InputJSONInvalid, "end of the body"},
		{"body not UTF-8", binaryRequest("application/json", "\"\xff\""), InputJSONInvalid, "UTF-8"},
		{"too large", small, PayloadTooLarge, "20"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.r)
			var e *Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Fatalf("error %v, want code %s", err, tt.code)
			}
			if !strings.Contains(e.Message, tt.mentions) {
				t.Errorf("message %q does not mention %q", e.Message, tt.mentions)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	if err := Check(structuredRequest("")); err != nil {
		t.Errorf("structured: %v", err)
	}
	if err := Check(Request{ContentType: "text/plain"}); err == nil {
		t.Error("text/plain without ce-* headers passed")
	}
}

func TestNewRefusesBadUTF8(t *testing.T) {
	for _, e := range []Envelope{
		{ID: "\xff", Source: "s", Type: "T"},
		{ID: "1", Source: "s", Type: "T", Extensions: []Extension{{Name: "\xff", Value: "x"}}},
	} {
		if ev, err := New(e); err == nil {
			t.Errorf("New(%q) = %s, want an error", e, ev.JSON)
		}
	}
}

func TestAppendNeedsNoVersion(t *testing.T) {
	got, err := (&Envelope{ID: "1", Source: "/s", Type: "T"}).Append([]byte("prefix"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `prefix{"specversion":"1.0","id":"1","source":"/s","type":"T"}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
