package blob

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

var full = Record{
	Reason: "MaxDeliveryAttemptsExceeded", Attempts: 3, Outcome: destination.Busy, Status: 503,
	Published:   time.Date(2026, 3, 1, 9, 0, 1, 123456789, time.FixedZone("", 3600)),
	LastAttempt: time.Date(2026, 3, 1, 8, 1, 43, 0, time.UTC),
}

const fullMembers = `"deadletterreason":"MaxDeliveryAttemptsExceeded","deliveryattempts":3,` +
	`"lastdeliveryoutcome":"Busy","lasthttpstatuscode":503,` +
	`"publishtime":"2026-03-01T08:00:01.1234567Z","lastdeliveryattempttime":"2026-03-01T08:01:43.0000000Z"}`

func TestAppendRecord(t *testing.T) {
	bare := full
	bare.Status, bare.LastAttempt, bare.Outcome, bare.Attempts = 0, time.Time{}, destination.Probation, 0
	const bareMembers = `"deadletterreason":"MaxDeliveryAttemptsExceeded","deliveryattempts":0,` +
		`"lastdeliveryoutcome":"Probation","publishtime":"2026-03-01T08:00:01.1234567Z"}`
	for _, tt := range []struct {
		name, event string
		record      Record
		want        string
	}{
		{"plain", `{"id":"1","data":{"n":1}}`, full, `{"id":"1","data":{"n":1},` + fullMembers},
		{"never tried", `{"id":"1"}`, bare, `{"id":"1",` + bareMembers},
		{"no members", `{ }`, full, `{` + fullMembers},
		{
			"data keeps its bytes", `{"data": { "a\u00e9\/" : 1.0e+3 , "publishtime":"x" } , "id" : "}" }`, full,
			`{"data": { "a\u00e9\/" : 1.0e+3 , "publishtime":"x" },"id" : "}",` + fullMembers,
		},
		{
			"names taken", `{"publishtime":"never","id":"1","deadletterreason":["x"],"data":1,"deliveryattempts":99}`, full,
			`{"id":"1","data":1,` + fullMembers,
		},
		{"name taken, escaped", `{"\u0070ublishtime":"never","id":"1"}`, full, `{"id":"1",` + fullMembers},
		{"all taken", `{"publishtime":"never"}`, full, `{` + fullMembers},
		{
			"taken without a value of ours", `{"lasthttpstatuscode":200,"lastdeliveryattempttime":"now","id":"1"}`, bare,
			`{"id":"1",` + bareMembers,
		},
		{"white space around", " \n{\"id\":\"1\"}\t", full, `{"id":"1",` + fullMembers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendRecord([]byte("before:"), &event.Event{JSON: []byte(tt.event)}, event.CloudEvents, tt.record)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before:"+tt.want, string(got)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

const gridMembers = `"deadLetterReason":"MaxDeliveryAttemptsExceeded","deliveryAttempts":3,` +
	`"lastDeliveryOutcome":"Busy","lastHttpStatusCode":503,` +
	`"publishTime":"2026-03-01T08:00:01.1234567Z","lastDeliveryAttemptTime":"2026-03-01T08:01:43.0000000Z"}`

func TestAppendRecordInEachSchema(t *testing.T) {
	const (
		cloud  = `{"id":"1","source":"/s","type":"T","specversion":"1.0","deadletterreason":"x","data":{"n": 1}`
		fields = `{"id":"1","topic":"/t","subject":"s","eventType":"T","eventTime":"2026-03-01T08:00:00Z","dataVersion":"2",` +
			`"metadataVersion":"1","data":{"n": 12345678901234567890}`
		converted = `{"id":"1","source":"/t","specversion":"1.0","type":"T","dataschema":"#2","subject":"s",` +
			`"time":"2026-03-01T08:00:00Z","data":{"n": 12345678901234567890}`
	)
	stored := map[event.Schema]string{event.CloudEvents: cloud + "}", event.EventGrid: fields + "}", event.Custom: fields + "}"}
	for _, tt := range []struct {
		in, as event.Schema
		want   string
	}{
		{event.CloudEvents, event.CloudEvents, `{"id":"1","source":"/s","type":"T","specversion":"1.0","data":{"n": 1},` + fullMembers},
		{event.EventGrid, event.EventGrid, fields + "," + gridMembers},
		{event.EventGrid, event.CloudEvents, converted + "," + fullMembers},
		{event.Custom, event.EventGrid, fields + "," + gridMembers},
		{event.Custom, event.CloudEvents, converted + "," + fullMembers},
		{event.Custom, event.Custom, fields + "," + gridMembers},
		// What cannot be converted is recorded as it is.
		{event.CloudEvents, event.EventGrid, `{"id":"1","source":"/s","type":"T","specversion":"1.0","data":{"n": 1},` + fullMembers},
		{event.EventGrid, event.Custom, fields + "," + gridMembers},
	} {
		t.Run(tt.in.String()+" as "+tt.as.String(), func(t *testing.T) {
			e := &event.Event{Schema: tt.in, JSON: []byte(stored[tt.in])}
			got, err := AppendRecord(nil, e, tt.as, full)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if string(e.JSON) != stored[tt.in] {
				t.Errorf("the event was changed: %s", e.JSON)
			}
		})
	}
}

func TestAppendRecordRefusesWhatIsNoObject(t *testing.T) {
	for _, s := range []string{"", "null", "[]", `"x"`, "{", `{"a":1}{"b":2}`, `{"a":}`, `{"a":1,}`, "{}x"} {
		got, err := AppendRecord([]byte("x"), &event.Event{JSON: []byte(s)}, event.CloudEvents, full)
		if err == nil || string(got) != "x" {
			t.Errorf("AppendRecord(%q) = %q, %v; want an error and no change", s, got, err)
		}
	}
}

// Whatever the event holds, the record is the event's foreign members followed
// by ours.
func TestAppendRecordKeepsTheRest(t *testing.T) {
	names := rapid.SampledFrom([]string{
		"id", "data", "publishtime", "deadletterreason", "lasthttpstatuscode", "x", "é", `q"`, "", "Publishtime",
	})
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.MapOf(names, rapid.String()).Draw(t, "members")
		object, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := AppendRecord(nil, &event.Event{JSON: object}, event.CloudEvents, full)
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(rec, &got); err != nil {
			t.Fatalf("%s: %v", rec, err)
		}
		if err := json.Unmarshal([]byte("{"+fullMembers), &want); err != nil {
			t.Fatal(err)
		}
		kept := map[string]any{}
		if err := json.Unmarshal(object, &kept); err != nil {
			t.Fatal(err)
		}
		for name, v := range kept {
			if _, ours := want[name]; !ours {
				want[name] = v
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", rec, diff)
		}
	})
}

func FuzzAppendRecord(f *testing.F) {
	f.Add([]byte(`{"id":"1","publishtime":1}`))
	f.Add([]byte(`{"a":{"b":[1,"}"]} , "c":null}`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		rec, err := AppendRecord(nil, &event.Event{JSON: in}, event.CloudEvents, full)
		var object map[string]json.RawMessage
		isObject := json.Unmarshal(in, &object) == nil && object != nil
		if (err == nil) != isObject {
			t.Fatalf("error %v, but the input is an object: %v", err, isObject)
		}
		if err != nil {
			return
		}
		members, err := split(rec)
		if err != nil {
			t.Fatalf("%s: %v", rec, err)
		}
		seen := 0
		for _, m := range members {
			if namesOf(event.CloudEvents).has(m.name) {
				seen++
			}
		}
		if seen != 6 {
			t.Errorf("%d members of ours in %s, want 6", seen, rec)
		}
	})
}

func TestArray(t *testing.T) {
	for want, in := range map[string][][]byte{
		"[]":            nil,
		`[{"a":1}]`:     {[]byte(`{"a":1}`)},
		`[{"a":1},{ }]`: {[]byte(`{"a":1}`), []byte("{ }")},
	} {
		if got := string(Array(in...)); got != want {
			t.Errorf("Array = %s, want %s", got, want)
		}
	}
}
