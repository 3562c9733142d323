package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// elements reads a body as the standard library does.
func elements(t *testing.T, body []byte) []json.RawMessage {
	t.Helper()
	body = bytes.TrimSpace(trimBOM(body))
	if body[0] == '{' {
		return []json.RawMessage{body}
	}
	var all []json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		t.Skip("deeper than the library goes")
	}
	return all
}

// membersOf reads an object; of members that occur twice the last one counts.
func membersOf(t *testing.T, b []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Skip("deeper than the library goes")
	}
	return m
}

// checkError demands that an error is made for the publisher.
func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code == "" || e.Message == "" || !utf8.ValidString(e.Message) || len(e.Message) > 2000 {
		t.Errorf("error %#v", err)
	}
}

// checkStored demands of an event in the Event Grid or a custom schema what
// holds for all of them, whatever the publisher sent.
func checkStored(t *testing.T, ev Event) {
	t.Helper()
	if !libraryAccepts(ev.JSON) {
		t.Fatalf("not JSON: %s", ev.JSON)
	}
	// Stored as it is it comes back the same.
	grid, err := ev.Append(nil, EventGrid)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(Request{Schema: EventGrid, Topic: ev.Source, Body: grid, Limits: Limits{Events: 1, EventBytes: 1 << 30}})
	if err != nil {
		t.Fatalf("stored event is refused when it comes back: %v\n%s", err, grid)
	}
	if diff := cmp.Diff([]Event{ev}, again, cmpopts.IgnoreFields(Event{}, "Schema", "DomainTopic")); diff != "" {
		t.Errorf("second reading (-first +second):\n%s", diff)
	}
	// As a CloudEvent it has the same fields and the same data.
	cloud, err := ev.Append(nil, CloudEvents)
	if err != nil {
		t.Fatal(err)
	}
	version := ev.DataVersion()
	if checkURIReference([]byte("#"+version)) == nil {
		got, err := Parse(Request{ContentType: typeStructured, Body: cloud, Limits: Limits{Events: 1, EventBytes: 1 << 30}})
		if err != nil {
			t.Fatalf("the CloudEvent is refused: %v\n%s", err, cloud)
		}
		want := Event{ID: ev.ID, Source: ev.Source, Type: ev.Type, Subject: ev.Subject, SpecVersion: specVersion, JSON: cloud}
		if diff := cmp.Diff([]Event{want}, got); diff != "" {
			t.Errorf("CloudEvent (-want +got):\n%s", diff)
		}
	}
	in, out := membersOf(t, ev.JSON), membersOf(t, cloud)
	for from, to := range map[string]string{"id": "id", "topic": "source", "eventType": "type", "subject": "subject", "eventTime": "time", "data": "data"} {
		if !bytes.Equal(in[from], out[to]) {
			t.Errorf("%s is %s, as CloudEvent %s", from, in[from], out[to])
		}
	}
	var schema string
	if err := json.Unmarshal(out["dataschema"], &schema); err != nil || schema != "#"+version || len(out) != 8 {
		t.Errorf("version %q becomes %s (%v) in %s", version, out["dataschema"], err, cloud)
	}
}

func FuzzParseGrid(f *testing.F) {
	for _, body := range []string{
		minimalGrid, "[" + minimalGrid + "," + minimalGrid + "]", "[]", "{}", "", minimal,
		gridWith(`"topic":"north","dataVersion":"1.0 é\ud83d\ude00","metadataVersion":"1","data":{"n":123456789012345678901234567890}`),
		gridWith(`"topic":"` + topicID + `","data":"\ud83d","dat\u0061":[ 1 ]`),
		gridWith(`"eventTime":"2024-05-01 12:00:00.5+0530","subject":"\u0000\/"`),
		"\xef\xbb\xbf[" + minimalGrid + "]",
	} {
		f.Add(true, []byte(body))
		f.Add(false, []byte(body))
	}
	f.Fuzz(func(t *testing.T, domain bool, body []byte) {
		r := gridRequest("")
		r.Body = body
		if domain {
			r = onDomain(r)
		}
		events, err := Parse(r)
		if err != nil {
			checkError(t, err)
			return
		}
		sent := elements(t, body)
		if len(events) == 0 || len(events) != len(sent) {
			t.Fatalf("%d events of %d", len(events), len(sent))
		}
		for i, ev := range events {
			checkStored(t, ev)
			want, got := membersOf(t, sent[i]), membersOf(t, ev.JSON)
			if want["data"] == nil {
				want["data"] = json.RawMessage("null")
			}
			if !bytes.Equal(want["data"], got["data"]) {
				t.Errorf("data was %s, is %s", want["data"], got["data"])
			}
			if source := map[bool]string{false: topicID, true: domainID + domainTopics + ev.DomainTopic}[domain]; ev.Source != source || domain == (ev.DomainTopic == "") {
				t.Errorf("source %q, domain topic %q", ev.Source, ev.DomainTopic)
			}
		}
	})
}

func FuzzParseCustom(f *testing.F) {
	mappings := []*Mapping{
		nil, fullMapping,
		{Subject: Field{Source: "a.b"}, Type: Field{Source: "a.b.c", Default: "T"}, Topic: Field{Source: "a"}, Time: Field{Source: "."}, DataVersion: Field{Source: "a."}},
		{ID: Field{Source: "id"}, Subject: Field{Source: "id"}, Type: Field{Default: "\" é\n"}, Topic: Field{Source: "id"}},
	}
	for _, body := range []string{
		minimalGrid, "[" + minimal + "," + minimalGrid + "]", "[]", "{}", "",
		`{"orderId":123456789012345678901234567890,"shop":true,"when":"2024-05-01 12:00:00+00","customer":{"name":"\u00e9"},"kind":-1e5}`,
		`{"a":{"b":{"c":"x"}},"a.b":"y"}`, `{"a":{"b":"x","":{"":"2024-05-01T12:00:00Z"}}}`, ` [ {"id" : "x", "id":7 } ] `, `{"":{"":null}}`,
	} {
		for i := range mappings {
			f.Add(true, i, []byte(body))
			f.Add(false, i, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, domain bool, mapping int, body []byte) {
		r := customRequest(mappings[uint(mapping)%uint(len(mappings))], "")
		r.Body = body
		if domain {
			r = onDomain(r)
		}
		events, err := Parse(r)
		if err != nil {
			checkError(t, err)
			return
		}
		sent := elements(t, body)
		if len(events) == 0 || len(events) != len(sent) {
			t.Fatalf("%d events of %d", len(events), len(sent))
		}
		for i, ev := range events {
			checkStored(t, ev)
			got, err := ev.Append(nil, Custom)
			if err != nil || !bytes.Equal(got, sent[i]) {
				t.Errorf("sent %s, comes back as %s, %v", sent[i], got, err)
			}
			if ev.ID == "" || ev.Type == "" || ev.Subject == "" {
				t.Errorf("an empty field in %+v", ev)
			}
		}
	})
}

// FuzzAppend converts what the log may hold: it is ours, but a conversion that
// panics would stop every delivery behind it.
func FuzzAppend(f *testing.F) {
	good := stored(topicID, "2", `{"a":[1,"\""]}`)
	for _, s := range []string{good, "", "{", "{}", `{"data":1}`, good[:len(good)-1], good + "}", "null", good[:60]} {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"data":{}, "id":"1","topic":"t","subject":"s","eventType":"T","eventTime":"x","dataVersion":"\u0031"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, schema := range []Schema{EventGrid, Custom} {
			ev := Event{Schema: schema, JSON: b}
			ev.DataVersion()
			for _, as := range []Schema{EventGrid, CloudEvents, Custom} {
				got, err := ev.Append([]byte("x"), as)
				if err == nil && as == CloudEvents && libraryAccepts(b) && !libraryAccepts(got[1:]) {
					t.Errorf("%s becomes %s", b, got)
				}
			}
		}
	})
}
