package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawText draws a string and one of the ways to write it in JSON.
func drawText(t *rapid.T, label string) (s, written string) {
	s = rapid.StringN(1, 12, -1).Draw(t, label)
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch escape := rapid.Bool().Draw(t, "escape"); {
		case escape && r < 0x10000 || r < ' ' || r == '"' || r == '\\':
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == '/' && escape:
			b.WriteString(`\/`)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return s, b.String()
}

// drawData draws a JSON value with what a reader by way of float64 or of Go
// values would change.
func drawData(t *rapid.T, depth int) string {
	kinds := 5
	if depth > 0 {
		kinds = 7
	}
	blank := rapid.SampledFrom([]string{"", " ", "\n\t"})
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.StringMatching(`-?[1-9][0-9]{29}`).Draw(t, "integer")
	case 1:
		return rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}([eE][+-]?[0-9]{1,3})?`).Draw(t, "decimal")
	case 2:
		_, written := drawText(t, "text")
		return written
	case 3:
		return rapid.SampledFrom([]string{"null", "true", "false", `"\ud83d"`, `""`, "{}", "[ ]", "-0"}).Draw(t, "fixed")
	case 4:
		return rapid.SampledFrom([]string{"0.1", "1e400", "9007199254740993", "1.0", "1.50"}).Draw(t, "number")
	case 5:
		var items []string
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			items = append(items, blank.Draw(t, "blank")+drawData(t, depth-1)+blank.Draw(t, "blank"))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	var members []string
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		_, name := drawText(t, "name")
		members = append(members, blank.Draw(t, "blank")+name+blank.Draw(t, "blank")+":"+drawData(t, depth-1))
	}
	return "{" + strings.Join(members, ",") + blank.Draw(t, "blank") + "}"
}

// An event of the Event Grid schema becomes a CloudEvent with the same fields,
// and its data is passed on digit by digit.
func TestGridToCloudEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, writtenID := drawText(t, "id")
		subject, writtenSubject := drawText(t, "subject")
		typ, writtenType := drawText(t, "type")
		version, writtenVersion := drawText(t, "version")
		data := drawData(t, 3)
		members := []string{
			`"id":` + writtenID, `"subject" :` + writtenSubject, `"eventType": ` + writtenType, `"eventTime":"2024-05-01T12:00:00Z"`,
			`"dataVersion":` + writtenVersion, `"metadataVersion":"1"`, `"data": ` + data,
		}
		members = rapid.Permutation(members).Draw(t, "order")
		events, err := Parse(gridRequest("[{" + strings.Join(members, ",") + "}]"))
		if err != nil {
			t.Fatal(err)
		}
		cloud, err := events[0].Append(nil, CloudEvents)
		if err != nil {
			t.Fatal(err)
		}
		type fields struct{ ID, Source, SpecVersion, Type, DataSchema, Subject, Time string }
		var got struct {
			fields
			Data json.RawMessage
		}
		dec := json.NewDecoder(bytes.NewReader(cloud))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil {
			t.Fatalf("%v: %s", err, cloud)
		}
		want := fields{id, topicID, "1.0", typ, "#" + version, subject, "2024-05-01T12:00:00Z"}
		if diff := cmp.Diff(want, got.fields); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
		if string(got.Data) != data {
			t.Errorf("data was %s, is %s", data, got.Data)
		}
		if v := events[0].DataVersion(); v != version {
			t.Errorf("data version %q, want %q", v, version)
		}
	})
}

// What goes in by a custom schema comes out of it byte for byte, and in every
// other schema as data.
func TestCustomKeepsTheObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subject, written := drawText(t, "subject")
		members := []string{`"n":` + drawData(t, 3), `"customer":{"other":` + drawData(t, 1) + `,"name": ` + written + ` }`, `"orderId" : ` + rapid.StringMatching(`[1-9][0-9]{29}`).Draw(t, "id")}
		object := "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), " ,") + "}"
		events, err := Parse(customRequest(fullMapping, "["+object+"]"))
		if err != nil {
			t.Fatal(err)
		}
		if events[0].Subject != subject || !strings.Contains(object, `"orderId" : `+events[0].ID) {
			t.Errorf("subject %q and id %s of %s", events[0].Subject, events[0].ID, object)
		}
		for _, as := range []Schema{Custom, EventGrid, CloudEvents} {
			got, err := events[0].Append(nil, as)
			if err != nil {
				t.Fatal(err)
			}
			if as != Custom {
				var whole struct{ Data json.RawMessage }
				if err := json.Unmarshal(got, &whole); err != nil {
					t.Fatal(err)
				}
				got = whole.Data
			}
			if string(got) != object {
				t.Errorf("as %s the object is %s, want %s", as, got, object)
			}
		}
	})
}
