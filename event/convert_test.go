package event

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parseOne(t testing.TB, r Request) Event {
	t.Helper()
	events, err := Parse(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
	if len(events) != 1 {
		t.Fatalf("got %d events", len(events))
	}
	return events[0]
}

func TestAppendGolden(t *testing.T) {
	const order = `{ "orderId":"o-1", "n":123456789012345678901234567890,"s":"\ud83d \/" }`
	cloud := func(subject, version, when, data string) string {
		return `{"id":"1","source":"` + topicID + `","specversion":"1.0","type":"T","dataschema":"#` + version +
			`","subject":"` + subject + `","time":"` + when + `","data":` + data + `}`
	}
	custom := &Mapping{ID: Field{Default: "not used"}, Subject: Field{Source: "orderId"}, Type: Field{Default: "T"}, DataVersion: Field{Default: `"2"`}}
	for _, tt := range []struct {
		name    string
		r       Request
		as      Schema
		want    string
		version string
	}{
		{"CloudEvents", structuredRequest(with(`"data":{"n":1.50},"ext":"x"`)), CloudEvents, with(`"data":{"n":1.50},"ext":"x"`), ""},
		{"Event Grid", gridRequest(gridWith(`"dataVersion":"2","data":[1]`)), EventGrid, stored(topicID, "2", "[1]"), "2"},
		{"minimal to CloudEvents", gridRequest(minimalGrid), CloudEvents, cloud("s", "", "2024-05-01T12:00:00Z", "null"), ""},
		{
			"escapes and large numbers to CloudEvents", gridRequest(gridWith(`"subject":"caf\u00e9 \"é\"","dataVersion":"1\u002e\"0\"","data":` + order)),
			CloudEvents, cloud(`caf\u00e9 \"é\"`, `1\u002e\"0\"`, "2024-05-01T12:00:00Z", order), `1."0"`,
		},
		{
			"loose time to CloudEvents", gridRequest(gridWith(`"eventTime":"2024-05-01 12:00:00-0800"`)),
			CloudEvents, cloud("s", "", "2024-05-01T12:00:00-08:00", "null"), "",
		},
		{"custom to custom", customRequest(custom, order), Custom, order, `"2"`},
		{"custom to custom in a batch", customRequest(custom, "[\n"+order+" ]"), Custom, order, `"2"`},
		{
			"custom to Event Grid", customRequest(&Mapping{ID: Field{Source: "orderId"}, Subject: Field{Default: "s"}, Type: Field{Default: "T"}}, order), EventGrid,
			`{"id":"o-1","topic":"` + topicID + `","subject":"s","eventType":"T","eventTime":"2024-05-01T12:00:00.0000000Z","dataVersion":"","metadataVersion":"1","data":` + order + `}`, "",
		},
		{
			"custom to CloudEvents", customRequest(&Mapping{ID: Field{Source: "orderId"}, Subject: Field{Default: "s"}, Type: Field{Default: "T"}, DataVersion: Field{Source: "n"}}, order), CloudEvents,
			strings.Replace(cloud("s", "123456789012345678901234567890", "2024-05-01T12:00:00.0000000Z", order), `"id":"1"`, `"id":"o-1"`, 1), "123456789012345678901234567890",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := parseOne(t, tt.r)
			got, err := ev.Append([]byte("before"), tt.as)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before"+tt.want, string(got)); diff != "" {
				t.Errorf("delivered JSON (-want +got):\n%s", diff)
			}
			if got := ev.DataVersion(); got != tt.version {
				t.Errorf("data version %q, want %q", got, tt.version)
			}
		})
	}
}

func TestConversions(t *testing.T) {
	events := map[Schema]Event{
		CloudEvents: parseOne(t, structuredRequest(minimal)),
		EventGrid:   parseOne(t, gridRequest(minimalGrid)),
		Custom:      parseOne(t, customRequest(fullMapping, "{}")),
	}
	for _, tt := range []struct {
		from, to Schema
		want     bool
	}{
		{CloudEvents, CloudEvents, true},
		{CloudEvents, EventGrid, false},
		{CloudEvents, Custom, false},
		{EventGrid, CloudEvents, true},
		{EventGrid, EventGrid, true},
		{EventGrid, Custom, false},
		{Custom, CloudEvents, true},
		{Custom, EventGrid, true},
		{Custom, Custom, true},
		{CloudEvents, 3, false},
		{EventGrid, 3, false},
		{Custom, 3, false},
		{3, 3, false},
	} {
		if got := tt.from.ConvertsTo(tt.to); got != tt.want {
			t.Errorf("%d to %d: ConvertsTo says %v", tt.from, tt.to, got)
		}
		ev := events[tt.from]
		ev.Schema = tt.from
		b, err := ev.Append(nil, tt.to)
		if (err == nil) != tt.want {
			t.Errorf("%s to %s: %s, %v", tt.from, tt.to, b, err)
		}
		if err != nil && len(b) > 0 {
			t.Errorf("%s to %s: got %s beside the error", tt.from, tt.to, b)
		}
	}
}

// What no parser of this package stored is refused as far as it is read: all of
// it, where data does not come last.
func TestAppendRefusesForeignJSON(t *testing.T) {
	good := strings.Replace(strings.Replace(stored(topicID, "2", "{}"), `,"data":{}`, "", 1), `{"id"`, `{"data":{},"id"`, 1)
	if _, err := (&Event{Schema: EventGrid, JSON: []byte(good)}).Append(nil, CloudEvents); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, json, mentions string }{
		{"empty", "", "unexpected end"},
		{"no object", "[]", "'['"},
		{"cut", good[:len(good)-1], "unexpected end"},
		{"cut in a name", good[:30], "unexpected end"},
		{"cut behind data", stored(topicID, "2", "{}")[:len(stored(topicID, "2", ""))-1], "unexpected end"},
		{"more behind", good + "{}", "end of the event"},
		{"no id", strings.Replace(good, `"id"`, `"Id"`, 1), "'id'"},
		{"no topic", strings.Replace(good, `"topic"`, `"x"`, 1), "'topic'"},
		{"no version", strings.Replace(good, `"dataVersion":"2"`, `"dataVersion":2`, 1), "'dataVersion'"},
		{"no data", strings.Replace(good, `"data"`, `"dat"`, 1), "'data'"},
		{"bad data", strings.Replace(good, `{}`, `{5}`, 1), "'5'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for schema, as := range map[Schema]Schema{EventGrid: CloudEvents, Custom: Custom} {
				ev := Event{Schema: schema, ID: "the-id", JSON: []byte(tt.json)}
				b, err := ev.Append([]byte("x"), as)
				if err == nil {
					t.Fatalf("got %s", b)
				}
				for _, m := range []string{tt.mentions, "the-id", as.String()} {
					if !strings.Contains(err.Error(), m) {
						t.Errorf("error %q does not mention %q", err, m)
					}
				}
			}
		})
	}
	if v := (&Event{Schema: EventGrid, JSON: []byte("{")}).DataVersion(); v != "" {
		t.Errorf("data version %q of no event", v)
	}
}
