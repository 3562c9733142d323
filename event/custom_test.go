package event

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var fullMapping = &Mapping{
	ID:          Field{Source: "orderId"},
	Topic:       Field{Source: "shop"},
	Time:        Field{Source: "when"},
	Subject:     Field{Source: "customer.name", Default: "nobody"},
	Type:        Field{Source: "kind", Default: `Shop "Other"`},
	DataVersion: Field{Source: "v", Default: "1.0"},
}

func customRequest(m *Mapping, body string) Request {
	return Request{Schema: Custom, Topic: topicID, Mapping: m, Received: noon, Body: []byte(body)}
}

func TestCustomGolden(t *testing.T) {
	const full = `{"orderId":"o-1","when":"2024-04-30T08:00:00Z","customer":{"name":"Zo\u00eb"},"kind":"Placed","v":"3"}`
	tail := func(version, data string) string {
		return `","dataVersion":"` + version + `","metadataVersion":"1","data":` + data + `}`
	}
	head := func(id, subject, typ, when string) string {
		return `{"id":"` + id + `","topic":"` + topicID + `","subject":"` + subject + `","eventType":"` + typ + `","eventTime":"` + when
	}
	const received = "2024-05-01T12:00:00.0000000Z"
	for _, tt := range []struct {
		name    string
		mapping *Mapping
		body    string
		want    Event
	}{
		{
			"all fields", fullMapping, full,
			Event{ID: "o-1", Subject: "Zoë", Type: "Placed", JSON: []byte(head("o-1", `Zo\u00eb`, "Placed", "2024-04-30T08:00:00Z") + tail("3", full))},
		},
		{
			"defaults", fullMapping, `{"orderId":"o-1"}`,
			Event{ID: "o-1", Subject: "nobody", Type: `Shop "Other"`, JSON: []byte(head("o-1", "nobody", `Shop \"Other\"`, received) + tail("1.0", `{"orderId":"o-1"}`))},
		},
		{
			"null and empty are no values", fullMapping, `{"orderId":1,"when":null,"customer":{"name":""},"kind":null,"v":""}`,
			Event{
				ID: "1", Subject: "nobody", Type: `Shop "Other"`,
				JSON: []byte(head("1", "nobody", `Shop \"Other\"`, received) + tail("1.0", `{"orderId":1,"when":null,"customer":{"name":""},"kind":null,"v":""}`)),
			},
		},
		{
			"numbers and booleans become text", fullMapping, `{"orderId":123456789012345678901234567890,"customer":{"name":true},"kind":-1.50e3,"v":2.0}`,
			Event{
				ID: "123456789012345678901234567890", Subject: "true", Type: "-1.50e3",
				JSON: []byte(head("123456789012345678901234567890", "true", "-1.50e3", received) +
					tail("2.0", `{"orderId":123456789012345678901234567890,"customer":{"name":true},"kind":-1.50e3,"v":2.0}`)),
			},
		},
		{
			"data is the whole object, untouched", fullMapping, "{ \"orderId\" : \"o-1\",\n\"kind\":\"a\\/b\", \"n\": 9007199254740993.0 , \"s\":\"\\ud83d\", \"dup\":1,\"dup\":2 }",
			Event{
				ID: "o-1", Subject: "nobody", Type: "a/b",
				JSON: []byte(head("o-1", "nobody", `a\/b`, received) +
					tail("1.0", "{ \"orderId\" : \"o-1\",\n\"kind\":\"a\\/b\", \"n\": 9007199254740993.0 , \"s\":\"\\ud83d\", \"dup\":1,\"dup\":2 }")),
			},
		},
		{
			"a name with dots before a path", fullMapping, `{"customer":{"name":"path"},"customer.name":"literal","orderId":"1"}`,
			Event{
				ID: "1", Subject: "literal", Type: `Shop "Other"`,
				JSON: []byte(head("1", "literal", `Shop \"Other\"`, received) + tail("1.0", `{"customer":{"name":"path"},"customer.name":"literal","orderId":"1"}`)),
			},
		},
		{
			"a name without a value leaves it to the path", fullMapping, `{"customer.name":null,"customer":{"name":"path"},"orderId":"1"}`,
			Event{
				ID: "1", Subject: "path", Type: `Shop "Other"`,
				JSON: []byte(head("1", "path", `Shop \"Other\"`, received) + tail("1.0", `{"customer.name":null,"customer":{"name":"path"},"orderId":"1"}`)),
			},
		},
		{
			"the last of two counts", fullMapping, `{"orderId":"0","customer":{"name":"x"},"orderId":"1","customer":{"name":"y","name":"z"}}`,
			Event{
				ID: "1", Subject: "z", Type: `Shop "Other"`,
				JSON: []byte(head("1", "z", `Shop \"Other\"`, received) + tail("1.0", `{"orderId":"0","customer":{"name":"x"},"orderId":"1","customer":{"name":"y","name":"z"}}`)),
			},
		},
		{
			"a last one that is no object", fullMapping, `{"orderId":"1","customer":{"name":"x"},"customer":[]}`,
			Event{
				ID: "1", Subject: "nobody", Type: `Shop "Other"`,
				JSON: []byte(head("1", "nobody", `Shop \"Other\"`, received) + tail("1.0", `{"orderId":"1","customer":{"name":"x"},"customer":[]}`)),
			},
		},
		{
			"escaped names", fullMapping, `{"order\u0049d":"1","customer":{"n\u0061me":"x"},"\ud83d":1}`,
			Event{
				ID: "1", Subject: "x", Type: `Shop "Other"`,
				JSON: []byte(head("1", "x", `Shop \"Other\"`, received) + tail("1.0", `{"order\u0049d":"1","customer":{"n\u0061me":"x"},"\ud83d":1}`)),
			},
		},
		{
			"names are exact", fullMapping, `{"orderId":"1","Kind":"x"}`,
			Event{
				ID: "1", Subject: "nobody", Type: `Shop "Other"`,
				JSON: []byte(head("1", "nobody", `Shop \"Other\"`, received) + tail("1.0", `{"orderId":"1","Kind":"x"}`)),
			},
		},
		{
			"a loose time", fullMapping, `{"orderId":"1","when":"2024-04-30 08:00:00+0000"}`,
			Event{
				ID: "1", Subject: "nobody", Type: `Shop "Other"`,
				JSON: []byte(head("1", "nobody", `Shop \"Other\"`, "2024-04-30T08:00:00+00:00") + tail("1.0", `{"orderId":"1","when":"2024-04-30 08:00:00+0000"}`)),
			},
		},
		{
			"a topic is looked at on domains only", fullMapping, `{"orderId":"1","shop":{"a":1}}`,
			Event{
				ID: "1", Subject: "nobody", Type: `Shop "Other"`,
				JSON: []byte(head("1", "nobody", `Shop \"Other\"`, received) + tail("1.0", `{"orderId":"1","shop":{"a":1}}`)),
			},
		},
		{
			"deep path, one source twice, no version", &Mapping{
				ID: Field{Source: "a.b.c"}, Subject: Field{Source: "a.b.c"}, Type: Field{Source: "a.t"},
			}, `{"a":{"t":"T","b":{"x":{},"c":"deep"}}}`,
			Event{ID: "deep", Subject: "deep", Type: "T", JSON: []byte(head("deep", "deep", "T", received) + tail("", `{"a":{"t":"T","b":{"x":{},"c":"deep"}}}`))},
		},
		{
			"an event of the Event Grid schema", &Mapping{ID: Field{Source: "id"}, Subject: Field{Source: "subject"}, Type: Field{Source: "eventType"}}, minimalGrid,
			Event{ID: "1", Subject: "s", Type: "T", JSON: []byte(head("1", "s", "T", received) + tail("", minimalGrid))},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Schema, tt.want.Source = Custom, topicID
			for _, body := range []string{tt.body, " [ " + tt.body + "]", "\xef\xbb\xbf" + tt.body + "\n"} {
				events, err := Parse(customRequest(tt.mapping, body))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]Event{tt.want}, events); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestCustomMakesIDAndTime(t *testing.T) {
	r := customRequest(&Mapping{Subject: Field{Default: "s"}, Type: Field{Default: "T"}}, `[{},{}]`)
	r.Received = time.Time{}
	before := time.Now()
	events, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	if events[0].ID == events[1].ID {
		t.Errorf("both events have the id %s", events[0].ID)
	}
	for _, ev := range events {
		if _, err := uuid.Parse(ev.ID); err != nil {
			t.Errorf("id %q: %v", ev.ID, err)
		}
		read, err := Parse(gridRequest(strings.Replace(string(ev.JSON), `"data":{}`, `"data":null`, 1)))
		if err != nil {
			t.Fatalf("%s: %v", ev.JSON, err)
		}
		if read[0].ID != ev.ID {
			t.Errorf("id %s, stored %s", ev.ID, read[0].ID)
		}
		_, rest, _ := strings.Cut(string(ev.JSON), `"eventTime":"`)
		stamp, _, _ := strings.Cut(rest, `"`)
		at, err := time.Parse(timeLayout, stamp)
		if err != nil || at.Before(before.Truncate(100*time.Nanosecond)) || at.After(after) {
			t.Errorf("eventTime %s, want one between %v and %v (%v)", stamp, before, after, err)
		}
	}
}

func TestCustomRefuses(t *testing.T) {
	bare := &Mapping{Subject: Field{Source: "s"}, Type: Field{Source: "t.u"}}
	for _, tt := range []struct {
		name     string
		r        Request
		mentions []string
	}{
		{"empty body", customRequest(fullMapping, ""), []string{"nexpected end", "CustomEventSchema"}},
		{"empty array", customRequest(fullMapping, "[]"), []string{"empty", "CustomEventSchema"}},
		{"no object", customRequest(fullMapping, "[{},5]"), []string{"events[1]", "a number"}},
		{"not JSON", customRequest(fullMapping, "[{},{a}]"), []string{"events[1]", "'a'", "CustomEventSchema"}},
		{"no subject", customRequest(bare, `[{"s":"x","t":{"u":"T"}},{"t":{"u":"T"}}]`), []string{"events[1]", "'s'", "subject", "missing"}},
		{"no type", customRequest(bare, `{"s":"x","t":"T"}`), []string{"'t.u'", "eventType", "missing"}},
		{"type null", customRequest(bare, `{"s":"x","t":{"u":null}}`), []string{"'t.u'"}},
		{"no mapping", customRequest(nil, `{"subject":"x"}`), []string{"no subject", "inputSchemaMapping"}},
		{"no mapping of type", customRequest(&Mapping{Subject: Field{Default: "s"}}, `{}`), []string{"no eventType"}},
		{"object", customRequest(fullMapping, `{"orderId":{"a":1}}`), []string{"'orderId'", "an object", " id"}},
		{"array beside a default", customRequest(fullMapping, `{"kind":[]}`), []string{"'kind'", "an array", "eventType"}},
		{"time", customRequest(fullMapping, `[{"when":"noon"}]`), []string{"events[0]", "'when'", "eventTime", "RFC 3339"}},
		{"time a number", customRequest(fullMapping, `{"when":1714564800}`), []string{"'when'"}},
		{"half a surrogate", customRequest(fullMapping, `{"kind":"\ud83d"}`), []string{"'kind'", "surrogate"}},
		{"domain without topic", onDomain(customRequest(fullMapping, `{}`)), []string{"'shop'", "topic"}},
		{"domain, topic an object", onDomain(customRequest(fullMapping, `{"shop":{}}`)), []string{"'shop'", "an object"}},
		{"domain without mapping of topic", onDomain(customRequest(&Mapping{Subject: Field{Default: "s"}, Type: Field{Default: "T"}}, `{}`)), []string{"no topic", "domain"}},
		{"too deep", customRequest(fullMapping, `{"a":`+strings.Repeat("[", maxDepth-1)+strings.Repeat("]", maxDepth-1)+`}`), []string{"nested too deeply"}},
	} {
		t.Run(tt.name, func(t *testing.T) { refuses(t, tt.r, InputJSONInvalid, tt.mentions) })
	}
}

// As data the object is one level deeper than it was sent, and must be readable
// there too.
func TestCustomDepth(t *testing.T) {
	body := `{"a":` + strings.Repeat("[", maxDepth-2) + strings.Repeat("]", maxDepth-2) + `}`
	for _, b := range []string{body, "[" + body + "]"} {
		events, err := Parse(customRequest(fullMapping, b))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := events[0].Append(nil, Custom); err != nil || string(got) != body {
			t.Errorf("it does not come back: %v", err)
		}
	}
}
