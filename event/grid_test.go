package event

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	topicID  = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shop-rg/providers/Microsoft.EventGrid/topics/orders"
	domainID = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shop-rg/providers/Microsoft.EventGrid/domains/shops"
	// minimalGrid lacks everything that may be left out.
	minimalGrid = `{"id":"1","subject":"s","eventType":"T","eventTime":"2024-05-01T12:00:00Z"}`
)

// gridWith returns a minimal event of the Event Grid schema that ends with more
// members; of members that occur twice the last one counts.
func gridWith(members string) string {
	return strings.TrimSuffix(minimalGrid, "}") + "," + members + "}"
}

func gridRequest(body string) Request {
	return Request{Schema: EventGrid, Topic: topicID, Body: []byte(body)}
}

func onDomain(r Request) Request {
	r.Topic, r.Domain = domainID, true
	return r
}

// stored returns what becomes of a minimal event.
func stored(topic, dataVersion, data string) string {
	return `{"id":"1","topic":"` + topic + `","subject":"s","eventType":"T","eventTime":"2024-05-01T12:00:00Z","dataVersion":"` +
		dataVersion + `","metadataVersion":"1","data":` + data + `}`
}

func TestGridGolden(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
	}{
		{"stamped", minimalGrid, stored(topicID, "", "null")},
		{"nothing missing", gridWith(`"topic":"` + topicID + `","dataVersion":"2.0","metadataVersion":"1","data":{"a":1}`), stored(topicID, "2.0", `{"a":1}`)},
		{"null is absent", gridWith(`"topic":null,"dataVersion":null,"metadataVersion":null,"data":null`), stored(topicID, "", "null")},
		{"empty topic is absent", gridWith(`"topic":""`), stored(topicID, "", "null")},
		{
			"data keeps its bytes", gridWith(`"data": { "n" : 123456789012345678901234567890, "f":1.50e+03, "a":1,"a":2, "s":"caf\u00e9\ud83d \/" } `),
			stored(topicID, "", `{ "n" : 123456789012345678901234567890, "f":1.50e+03, "a":1,"a":2, "s":"caf\u00e9\ud83d \/" }`),
		},
		{"data a string", gridWith(`"data":"text"`), stored(topicID, "", `"text"`)},
		{"data a number", gridWith(`"data":-0`), stored(topicID, "", `-0`)},
		{"data an array", gridWith(`"data":[1, 2]`), stored(topicID, "", `[1, 2]`)},
		{"the last of two counts", gridWith(`"id":"0","data":1,"id":"1","data":2`), stored(topicID, "", "2")},
		{"null last", gridWith(`"data":1,"dataVersion":"3","data":null,"dataVersion":null`), stored(topicID, "", "null")},
		{"escapes stay", strings.Replace(minimalGrid, `"s"`, `"caf\u00e9 \" é"`, 1), strings.Replace(stored(topicID, "", "null"), `"s"`, `"caf\u00e9 \" é"`, 1)},
		{"escaped name", strings.Replace(minimalGrid, `"id"`, `"\u0069d"`, 1), stored(topicID, "", "null")},
		{"offset without colon", strings.Replace(minimalGrid, "00Z", "00+0530", 1), strings.Replace(stored(topicID, "", "null"), "00Z", "00+05:30", 1)},
		{"a blank for the T", strings.Replace(minimalGrid, "T12", " 12", 1), stored(topicID, "", "null")},
		{"escaped time", strings.Replace(minimalGrid, "2024", `\u0032024`, 1), strings.Replace(stored(topicID, "", "null"), "2024", `\u0032024`, 1)},
		{"nanoseconds stay", strings.Replace(minimalGrid, "00Z", "00.123456780-08:00", 1), strings.Replace(stored(topicID, "", "null"), "00Z", "00.123456780-08:00", 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []Request{
				gridRequest(tt.body),
				gridRequest(" \n" + tt.body + "\t"),
				gridRequest("[" + tt.body + "]"),
				gridRequest("\xef\xbb\xbf[ " + tt.body + " ]"),
			} {
				sent := bytes.Clone(r.Body)
				events, err := Parse(r)
				if err != nil {
					t.Fatalf("%s: %v", r.Body, err)
				}
				if len(events) != 1 {
					t.Fatalf("got %d events", len(events))
				}
				if diff := cmp.Diff(tt.want, string(events[0].JSON)); diff != "" {
					t.Errorf("stored JSON (-want +got):\n%s", diff)
				}
				if !bytes.Equal(sent, r.Body) {
					t.Error("Parse changed the body")
				}
			}
		})
	}
}

// In these schemas no content type is wrong, and none is needed; not even
// CloudEvents' own, since the body says what it is.
func TestAnyContentType(t *testing.T) {
	for _, schema := range []Schema{EventGrid, Custom} {
		for _, contentType := range []string{
			"", "application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain", ";;;",
			typeStructured, typeBatch,
		} {
			r := gridRequest("[" + minimalGrid + "]")
			r.Schema, r.ContentType = schema, contentType
			r.Mapping = &Mapping{Subject: Field{Source: "subject"}, Type: Field{Source: "eventType"}}
			if err := Check(r); err != nil {
				t.Errorf("Check of %q in schema %s: %v", contentType, schema, err)
			}
			if _, err := Parse(r); err != nil {
				t.Errorf("Parse of %q in schema %s: %v", contentType, schema, err)
			}
		}
	}
}

func TestGridStrings(t *testing.T) {
	body := []byte("[" + minimalGrid + "," + strings.Replace(minimalGrid, `"s"`, `"\u00e9\ud83d\ude00"`, 1) + "]")
	r := gridRequest("")
	r.Body = body
	events, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		events[i].JSON = nil
	}
	clear(body) // the strings must survive it
	want := []Event{
		{Schema: EventGrid, ID: "1", Source: topicID, Type: "T", Subject: "s"},
		{Schema: EventGrid, ID: "1", Source: topicID, Type: "T", Subject: "é😀"},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestDomain(t *testing.T) {
	const shop = domainID + "/topics/"
	grid := func(name string) string { return gridWith(`"topic":` + name) }
	for _, tt := range []struct {
		name string
		r    Request
		want []Event
	}{
		{
			"event grid", onDomain(gridRequest("[" + grid(`"north"`) + "," + grid(`"north"`) + "," + grid(`12`) + "," + grid(`"north"`) + "]")),
			[]Event{
				{Schema: EventGrid, JSON: []byte(stored(shop+"north", "", "null")), ID: "1", Source: shop + "north", Type: "T", Subject: "s", DomainTopic: "north"},
				{Schema: EventGrid, JSON: []byte(stored(shop+"north", "", "null")), ID: "1", Source: shop + "north", Type: "T", Subject: "s", DomainTopic: "north"},
				{Schema: EventGrid, JSON: []byte(stored(shop+"12", "", "null")), ID: "1", Source: shop + "12", Type: "T", Subject: "s", DomainTopic: "12"},
				{Schema: EventGrid, JSON: []byte(stored(shop+"north", "", "null")), ID: "1", Source: shop + "north", Type: "T", Subject: "s", DomainTopic: "north"},
			},
		},
		{
			"CloudEvents", onDomain(structuredRequest(fromSource("north"))),
			[]Event{{JSON: []byte(fromSource("north")), ID: "1", Source: "north", Type: "T", SpecVersion: "1.0", DomainTopic: "north"}},
		},
		{
			"CloudEvents, binary", onDomain(binaryRequest("text/json", "1", "Ce-Source", "north")),
			[]Event{{
				JSON: []byte(`{"specversion":"1.0","id":"1","source":"north","type":"T","datacontenttype":"text/json","data":1}`),
				ID:   "1", Source: "north", Type: "T", SpecVersion: "1.0", DomainTopic: "north",
			}},
		},
		{
			"custom", onDomain(Request{
				Schema: Custom, Body: []byte(`{"shop":7,"k":"1"}`),
				Mapping: &Mapping{
					ID: Field{Source: "k"}, Topic: Field{Source: "shop"}, Subject: Field{Default: "s"}, Type: Field{Default: "T"},
				},
				Received: noon,
			}),
			[]Event{{
				Schema: Custom,
				JSON: []byte(`{"id":"1","topic":"` + shop + `7","subject":"s","eventType":"T","eventTime":"2024-05-01T12:00:00.0000000Z",` +
					`"dataVersion":"","metadataVersion":"1","data":{"shop":7,"k":"1"}}`),
				ID: "1", Source: shop + "7", Type: "T", Subject: "s", DomainTopic: "7",
			}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// A number where the schema has a text is that text, digit by digit.
func TestGridNumbersAreText(t *testing.T) {
	for _, number := range []string{"7", "-0", "1.50", "1e3", "123456789012345678901234567890"} {
		body := gridWith(`"id":` + number + `,"subject":` + number + `,"eventType":` + number + `,"dataVersion":` + number + `,"metadataVersion":1`)
		for _, b := range []string{body, "[" + body + "," + minimalGrid + "]"} {
			events, err := Parse(gridRequest(b))
			if err != nil {
				t.Fatal(err)
			}
			want := Event{
				Schema: EventGrid, Source: topicID, ID: number, Subject: number, Type: number,
				JSON: []byte(`{"id":"` + number + `","topic":"` + topicID + `","subject":"` + number + `","eventType":"` + number +
					`","eventTime":"2024-05-01T12:00:00Z","dataVersion":"` + number + `","metadataVersion":"1","data":null}`),
			}
			if diff := cmp.Diff(want, events[0]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", b, diff)
			}
		}
	}
}

// A time without a zone is delivered as it was sent, also out of a custom
// schema. A CloudEvent must have one.
func TestTimesWithoutZone(t *testing.T) {
	mapped := &Mapping{Time: Field{Source: "at"}, Subject: Field{Default: "s"}, Type: Field{Default: "T"}}
	for _, at := range []string{"2024-05-01T12:00:00", "2024-05-01T12:00:00.1234567", `2024\u002d05-01T12:00:00`, "2024-05-01T12:00:00+02:00"} {
		inCloud := at
		if !strings.Contains(at, "+") {
			inCloud += "Z"
		}
		for name, r := range map[string]Request{
			"EventGrid": gridRequest(gridWith(`"eventTime":"` + at + `"`)),
			"Custom":    customRequest(mapped, `{"at":"`+at+`"}`),
		} {
			events, err := Parse(r)
			if err != nil {
				t.Fatalf("%s %s: %v", name, at, err)
			}
			for as, part := range map[Schema]string{EventGrid: `"eventTime":"` + at + `"`, CloudEvents: `"time":"` + inCloud + `"`} {
				if b, err := events[0].Append(nil, as); err != nil || !strings.Contains(string(b), part) {
					t.Errorf("%s %s as %s: %v, %s", name, at, as, err, b)
				}
			}
		}
	}
}

// An ARM id that needs escapes is written as JSON and compared as text.
func TestGridQuotesTopic(t *testing.T) {
	const id = "/subscriptions/1/resourceGroups/Größe \"x\"\\/topics/t"
	r := gridRequest(gridWith(`"topic":"/subscriptions/1/resourceGroups/Gr\u00f6\u00dfe \"x\"\\\/topics/t"`))
	r.Topic = id
	events, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := stored(`/subscriptions/1/resourceGroups/Größe \"x\"\\/topics/t`, "", "null"); string(events[0].JSON) != want || events[0].Source != id {
		t.Errorf("got %s from %s, want %s", events[0].JSON, events[0].Source, want)
	}
}

func TestGridRefuses(t *testing.T) {
	without := func(names ...string) string {
		body := minimalGrid
		for _, n := range names {
			body = strings.Replace(body, `"`+n+`":"`, `"data":"`, 1)
		}
		return body
	}
	second := func(ev string) string { return "[" + minimalGrid + "," + ev + "]" }
	for _, tt := range []struct {
		name     string
		r        Request
		code     Code
		mentions []string
	}{
		{"empty body", gridRequest(""), InputJSONInvalid, []string{"nexpected end", "EventGridEvent", "an array of events, or one event"}},
		{"empty array", gridRequest("[]"), InputJSONInvalid, []string{"empty", "EventGridEvent"}},
		{"a string", gridRequest(`"x"`), InputJSONInvalid, []string{"got a string", "EventGridEvent"}},
		{"element not an object", gridRequest(second("null")), InputJSONInvalid, []string{"events[1]", "null"}},
		{"not JSON", gridRequest(second(gridWith(`"data":word`))), InputJSONInvalid, []string{"events[1]", "'w'", "EventGridEvent"}},
		{"not UTF-8", gridRequest(gridWith("\"data\":\"\xff\"")), InputJSONInvalid, []string{"UTF-8", "EventGridEvent"}},
		{"trailing text", gridRequest(minimalGrid + minimalGrid), InputJSONInvalid, []string{"end of the body"}},

		{"nothing there", gridRequest("{}"), InputJSONInvalid, []string{"'subject' is missing", "EventGridEvent"}},
		{"subject first", gridRequest(without("subject", "id", "eventType", "eventTime")), InputJSONInvalid, []string{"'subject' is missing"}},
		{"then id", gridRequest(without("id", "eventType", "eventTime")), InputJSONInvalid, []string{"'id' is missing"}},
		{"then eventType", gridRequest(without("eventType", "eventTime")), InputJSONInvalid, []string{"'eventType' is missing"}},
		{"then eventTime", gridRequest("[" + without("eventTime") + "]"), InputJSONInvalid, []string{"events[0]", "'eventTime' is missing"}},
		{"empty id", gridRequest(second(gridWith(`"id":""`))), InputJSONInvalid, []string{"events[1]", "'id'", "non-empty"}},
		{"null subject", gridRequest(gridWith(`"subject":null`)), InputJSONInvalid, []string{"'subject'"}},
		{"metadataVersion 2", gridRequest(gridWith(`"metadataVersion":"2"`)), InputJSONInvalid, []string{"'metadataVersion'", "'2'", "'1'"}},
		{"metadataVersion empty", gridRequest(gridWith(`"metadataVersion":""`)), InputJSONInvalid, []string{"'metadataVersion'"}},
		{"half a surrogate", gridRequest(gridWith(`"subject":"\ud83d"`)), InputJSONInvalid, []string{"'subject'", "surrogate"}},
		{"half a surrogate in a name", gridRequest(gridWith(`"\ud83d":1`)), InputJSONInvalid, []string{"Unicode"}},
		{"unknown property", gridRequest(second(gridWith(`"colour":"red"`))), InputJSONInvalid, []string{"events[1]", "'colour'", "EventGridEvent", "data"}},
		{"unknown before missing", gridRequest(`{"colour":"red"}`), InputJSONInvalid, []string{"'colour'"}},
		{"names are exact", gridRequest(gridWith(`"Subject":"x"`)), InputJSONInvalid, []string{"'Subject'"}},

		{"other topic", gridRequest(second(gridWith(`"topic":"` + topicID + `2"`))), TopicMismatch, []string{"events[1]", "'" + topicID + "'"}},
		{"topic in other case", gridRequest(gridWith(`"topic":"` + strings.ToUpper(topicID) + `"`)), TopicMismatch, nil},
		{"id a boolean", gridRequest(gridWith(`"id":true`)), InputJSONInvalid, []string{"'id'", "a boolean", "EventGridEvent"}},
		{"time a number", gridRequest(gridWith(`"eventTime":1714564800`)), InputJSONInvalid, []string{"'eventTime'", "RFC 3339"}},
		{"no time of day", gridRequest(gridWith(`"eventTime":"2024-05-01"`)), InputJSONInvalid, []string{"'eventTime'", "RFC 3339"}},
		{"metadataVersion, the number 2", gridRequest(gridWith(`"metadataVersion":2`)), InputJSONInvalid, []string{"'metadataVersion'", "'2'", "'1'"}},
		{"topic a number", gridRequest(gridWith(`"topic":1`)), TopicMismatch, []string{"'topic'", "'1'"}},
		{"domain without topic", onDomain(gridRequest(minimalGrid)), InputJSONInvalid, []string{"'topic'", "domain", "EventGridEvent"}},
		{"domain, topic null", onDomain(gridRequest(gridWith(`"topic":null`))), InputJSONInvalid, []string{"'topic'"}},
		{"domain, topic empty", onDomain(gridRequest(gridWith(`"topic":""`))), InputJSONInvalid, []string{"'topic'"}},
	} {
		t.Run(tt.name, func(t *testing.T) { refuses(t, tt.r, tt.code, tt.mentions) })
	}
}

func refuses(t *testing.T, r Request, code Code, mentions []string) {
	t.Helper()
	events, err := Parse(r)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %d events and error %v, want an *Error", len(events), err)
	}
	if len(events) != 0 {
		t.Errorf("got events beside the error")
	}
	if e.Code != code {
		t.Errorf("code %s, want %s: %s", e.Code, code, e.Message)
	}
	for _, m := range mentions {
		if !strings.Contains(e.Message, m) {
			t.Errorf("message %q does not mention %q", e.Message, m)
		}
	}
}

// What was written for a resource of another schema is refused with the names
// of both, so that nobody has to guess.
func TestWrongSchema(t *testing.T) {
	hint := []string{"look like schema CloudEventV10", "takes EventGridEvent", "CloudEventSchemaV1_0"}
	back := []string{"look like schema EventGridEvent", "takes CloudEventV10", "EventGridSchema"}
	headers := binaryRequest("text/json", `{"a":1}`)
	headers.Schema, headers.Topic = EventGrid, topicID
	for _, tt := range []struct {
		name     string
		r        Request
		mentions []string
	}{
		{"CloudEvent on an Event Grid topic", gridRequest(minimal), append(hint, "'specversion'", "schema EventGridEvent")},
		{"batch on an Event Grid topic", gridRequest("[" + minimal + "]"), append(hint, "events[0]")},
		{"specversion last", gridRequest(`{"type":"T","source":"s","id":"1","specversion":"1.0"}`), append(hint, "'type'")},
		{"binary mode on an Event Grid topic", headers, []string{"ce-*", "CloudEventV10", "takes EventGridEvent"}},
		{"Event Grid event as CloudEvent", structuredRequest(minimalGrid), append(back, "'specversion'")},
		{"Event Grid batch", Request{ContentType: typeBatch, Body: []byte("[" + minimalGrid + "]")}, back},
		{"as the SDKs send it", Request{ContentType: typeJSON, Body: []byte("\xef\xbb\xbf [" + minimalGrid + "]")}, back},
	} {
		t.Run(tt.name, func(t *testing.T) { refuses(t, tt.r, InputJSONInvalid, tt.mentions) })
	}
	for _, r := range []Request{ // mistakes of the right schema get no such hint
		gridRequest(gridWith(`"x":1`)),
		gridRequest("[5]"),
		structuredRequest(`{"specversion":"1.0","eventType":"T"}`),
		structuredRequest(`{"a":1}`),
	} {
		if _, err := Parse(r); err == nil || strings.Contains(err.Error(), "look like") {
			t.Errorf("%s: %v", r.Body, err)
		}
	}
}

func TestGridLimits(t *testing.T) {
	sized := func(n int) string {
		frame := gridWith(`"data":""`)
		return strings.Replace(frame, `"data":""`, `"data":"`+strings.Repeat("x", n-len(frame))+`"`, 1)
	}
	repeat := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(minimalGrid+",", n), ",") + "]"
	}
	custom := func(body string) Request {
		return Request{Schema: Custom, Topic: topicID, Body: []byte(body), Mapping: &Mapping{Subject: Field{Default: "s"}, Type: Field{Default: "T"}}}
	}
	for _, tt := range []struct {
		name   string
		body   string
		events int
		code   Code
	}{
		{"events at the limit", repeat(5000), 5000, ""},
		{"one event more", repeat(5001), 0, PayloadTooLarge},
		{"size at the limit", sized(1_049_600), 1, ""},
		{"one byte more", sized(1_049_601), 0, PayloadTooLarge},
		{"one byte more in a batch", "[" + minimalGrid + "," + sized(1_049_601) + "]", 0, PayloadTooLarge},
		{"too large and broken", "[" + sized(1_049_601) + ",{]", 0, InputJSONInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []Request{gridRequest(tt.body), custom(tt.body)} {
				events, err := Parse(r)
				var e *Error
				if errors.As(err, &e) != (tt.code != "") || e != nil && e.Code != tt.code {
					t.Fatalf("%s: error %v, want code %q", r.Schema, err, tt.code)
				}
				if len(events) != tt.events {
					t.Errorf("%s: %d events, want %d", r.Schema, len(events), tt.events)
				}
			}
		})
	}
}

// More events than one chunk of memory holds, of very different sizes.
func TestGridBatch(t *testing.T) {
	var parts, want []string
	for i := range 4000 {
		data := fmt.Sprintf(`"%d%s"`, i, strings.Repeat("x", i*37%900))
		parts = append(parts, gridWith(`"data":`+data+fmt.Sprintf(`,"dataVersion":"%d"`, i)))
		want = append(want, stored(topicID, fmt.Sprint(i), data))
	}
	events, err := Parse(gridRequest("[" + strings.Join(parts, ",") + "]"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ev := range events {
		got = append(got, string(ev.JSON))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored JSON (-want +got):\n%s", diff)
	}
}

func TestNewGrid(t *testing.T) {
	ev, err := NewGrid(Grid{ID: "1", Topic: topicID, Subject: `"s"`, Type: "T", Time: "2024-05-01T12:00:00Z", Data: []byte(`{"a":1}`), DataVersion: "2"})
	if err != nil {
		t.Fatal(err)
	}
	want := Event{
		Schema: EventGrid, JSON: []byte(strings.Replace(stored(topicID, "2", `{"a":1}`), `"s"`, `"\"s\""`, 1)),
		ID: "1", Source: topicID, Type: "T", Subject: `"s"`,
	}
	if diff := cmp.Diff(want, ev); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	events, err := Parse(gridRequest(string(ev.JSON)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Event{want}, events); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	ev, err = NewGrid(Grid{ID: "1", Topic: topicID, Subject: "s", Type: "T", Time: "2024-05-01T12:00:00Z"})
	if want := stored(topicID, "", "null"); err != nil || string(ev.JSON) != want {
		t.Errorf("got %s and %v, want %s", ev.JSON, err, want)
	}
	if ev, err := NewGrid(Grid{ID: "\xff"}); err == nil {
		t.Errorf("an id that is not UTF-8 became %s", ev.JSON)
	}
}
