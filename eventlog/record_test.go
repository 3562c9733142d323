package eventlog

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

func drawTime(t *rapid.T, label string) time.Time {
	ns := rapid.Int64().Draw(t, label)
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func drawEntry(t *rapid.T) Entry {
	id := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "ids")
	s := rapid.StringN(0, 20, 60)
	var domain resource.UID
	if rapid.Bool().Draw(t, "in a domain") {
		domain = resource.UID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "domain"))
	}
	return Entry{
		ID: [16]byte(id[:16]), Topic: resource.UID(id[16:]),
		Domain:    domain,
		Published: drawTime(t, "published"),
		Event: event.Event{
			Schema: event.Schema(rapid.IntRange(int(event.CloudEvents), int(event.Custom)).Draw(t, "schema")),
			JSON:   rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "json"),
			ID:     s.Draw(t, "id"), Source: s.Draw(t, "source"), Type: s.Draw(t, "type"),
			Subject: s.Draw(t, "subject"), SpecVersion: s.Draw(t, "specversion"),
		},
	}
}

func drawDelivery(t *rapid.T) Delivery {
	return Delivery{
		Entry:        drawEntry(t),
		Subscription: resource.UID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "subscription")),
		Attempts:     rapid.IntRange(0, 1<<31-1).Draw(t, "attempts"),
		Due:          drawTime(t, "due"),
		LastAttempt:  drawTime(t, "last"),
		LastOutcome:  rapid.String().Draw(t, "outcome"),
		LastStatus:   int(rapid.Int32().Draw(t, "status")),
		Reason:       rapid.String().Draw(t, "reason"),
	}
}

func TestEventsSurviveARecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawEntry), 1, 5).Draw(t, "entries")
		rec := appendHeader(nil, eventRecord, time.Time{}, len(want))
		for i := range want {
			before := len(rec)
			rec = appendEntry(rec, &want[i])
			if len(rec)-before > entrySize(&want[i]) {
				t.Fatalf("%d bytes where entrySize says %d", len(rec)-before, entrySize(&want[i]))
			}
		}
		got, err := decodeEvents(rec)
		if err != nil {
			t.Fatal(err)
		}
		clear(rec) // nothing may alias it
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDeliveriesSurviveARecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawDelivery), 1, 5).Draw(t, "deliveries")
		wantReady := drawTime(t, "ready")
		rec := appendHeader(nil, deliveryRecord, wantReady, len(want))
		for i := range want {
			before := len(rec)
			rec = appendDelivery(rec, &want[i])
			if len(rec)-before > deliverySize(&want[i]) {
				t.Fatalf("%d bytes where deliverySize says %d", len(rec)-before, deliverySize(&want[i]))
			}
		}
		ready, got, err := decodeDeliveries(rec)
		if err != nil {
			t.Fatal(err)
		}
		clear(rec)
		if diff := cmp.Diff(want, got); diff != "" || !ready.Equal(wantReady) {
			t.Fatal(ready, diff)
		}
		if r := appendHeader(nil, deliveryRecord, wantReady, len(want)); len(r) > headerSize {
			t.Fatalf("header of %d bytes", len(r))
		}
	})
}

// Golden bytes of every version: what a data folder of an older program may
// hold, and a newer one must go on reading.
func TestGoldenRecords(t *testing.T) {
	const (
		ids    = "0123456789abcdef" + "ABCDEFGHIJKLMNOP"
		fields = "\x02" + "\x02{}" + "\x01i" + "\x01s" + "\x01t" + "\x00" + "\x031.0"
		owed   = "subscription-16b" + "\x03" + "\x0a" + "\x08" + "\xee\x07" + "\x04Busy" + "\x00"
	)
	plain := Entry{
		ID: [16]byte([]byte("0123456789abcdef")), Topic: resource.UID([]byte("ABCDEFGHIJKLMNOP")),
		Published: time.Unix(0, 1).UTC(),
		Event:     event.Event{JSON: []byte("{}"), ID: "i", Source: "s", Type: "t", SpecVersion: "1.0"},
	}
	grid, inDomain := plain, plain
	grid.Event.Schema = event.EventGrid
	inDomain.Event.Schema, inDomain.Domain = event.Custom, resource.UID([]byte("the-domain-16-by"))
	delivery := func(e Entry) []Delivery {
		return []Delivery{{
			Entry: e, Subscription: resource.UID([]byte("subscription-16b")), Attempts: 3,
			Due: time.Unix(0, 5).UTC(), LastAttempt: time.Unix(0, 4).UTC(), LastStatus: 503, LastOutcome: "Busy",
		}}
	}

	events := map[string][]Entry{
		"\x01E\x00\x01" + ids + fields:                                  {plain},
		"\x02E\x00\x01" + ids + "\x00" + fields:                         {plain},
		"\x02E\x00\x02" + ids + "\x01" + fields + ids + "\x00" + fields: {grid, plain},
		"\x02E\x00\x01" + ids + "\x82" + "the-domain-16-by" + fields:    {inDomain},
	}
	for rec, want := range events {
		got, err := decodeEvents([]byte(rec))
		if err != nil {
			t.Errorf("%q: %v", rec, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", rec, diff)
		}
		if rec[0] != recordVersion {
			continue
		}
		again := appendHeader(nil, eventRecord, time.Time{}, len(want))
		for i := range want {
			again = appendEntry(again, &want[i])
		}
		if string(again) != rec {
			t.Errorf("written as %q, want %q", again, rec)
		}
	}
	for rec, want := range map[string][]Delivery{
		"\x01D\x0c\x01" + ids + fields + owed:                               delivery(plain),
		"\x02D\x0c\x01" + ids + "\x81" + "the-domain-16-by" + fields + owed: delivery(func() Entry { e := inDomain; e.Event.Schema = event.EventGrid; return e }()),
	} {
		ready, got, err := decodeDeliveries([]byte(rec))
		if err != nil || !ready.Equal(time.Unix(0, 6)) {
			t.Errorf("%q: ready %v, %v", rec, ready, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", rec, diff)
		}
	}
}

func TestUnreadableRecords(t *testing.T) {
	e := Entry{Event: event.Event{JSON: []byte("{}")}}
	good := appendEntry(appendHeader(nil, eventRecord, time.Time{}, 1), &e)
	e.Domain = resource.UID{1}
	inDomain := appendEntry(appendHeader(nil, eventRecord, time.Time{}, 1), &e)
	for _, rec := range [][]byte{good, inDomain} {
		for n := range rec {
			if _, err := decodeEvents(rec[:n]); !errors.Is(err, errMalformed) {
				t.Errorf("cut after %d bytes: %v", n, err)
			}
		}
	}
	const schemaAt = 4 + 32 // behind the header and two ids
	unknownSchema := func(rec []byte, schema byte) []byte {
		rec = bytes.Clone(rec)
		rec[schemaAt] = schema
		return rec
	}
	for name, rec := range map[string][]byte{
		"more than it says":          append(append([]byte{}, good...), 0),
		"other kind":                 append([]byte{recordVersion, byte(deliveryRecord)}, good[2:]...),
		"version 0":                  append([]byte{0}, good[1:]...),
		"unknown schema":             unknownSchema(good, byte(event.Custom)+1),
		"unknown schema in a domain": unknownSchema(inDomain, domainFollows|0x7f),
		"huge count":                 appendHeader(nil, eventRecord, time.Time{}, 1<<40),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := decodeEvents(rec); !errors.Is(err, errMalformed) {
				t.Errorf("got %v", err)
			}
		})
	}
	newer := append([]byte{recordVersion + 1}, good[1:]...)
	_, err := decodeEvents(newer)
	if n, ok := errors.AsType[*NewerRecordError](err); !ok || n.Version != recordVersion+1 {
		t.Errorf("newer version: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	d := Delivery{Entry: Entry{Event: event.Event{JSON: []byte("{}"), ID: "1"}}, Attempts: 3, Reason: "r"}
	f.Add(appendEntry(appendHeader(nil, eventRecord, time.Time{}, 1), &d.Entry))
	f.Add(appendDelivery(appendHeader(nil, deliveryRecord, time.Unix(5, 0), 1), &d))
	d.Domain, d.Event.Schema = resource.UID{7}, event.Custom
	f.Add(appendDelivery(appendHeader(nil, deliveryRecord, time.Unix(5, 0), 1), &d))
	f.Add(append([]byte{1}, appendEntry(appendHeader(nil, eventRecord, time.Time{}, 1), &d.Entry)[1:]...))
	f.Add([]byte{recordVersion, 'E', 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, rec []byte) {
		if es, err := decodeEvents(rec); err == nil {
			again := appendHeader(nil, eventRecord, time.Time{}, len(es))
			for i := range es {
				again = appendEntry(again, &es[i])
			}
			back, err := decodeEvents(again)
			if diff := cmp.Diff(es, back); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		}
		if ready, ds, err := decodeDeliveries(rec); err == nil {
			again := appendHeader(nil, deliveryRecord, ready, len(ds))
			for i := range ds {
				again = appendDelivery(again, &ds[i])
			}
			_, back, err := decodeDeliveries(again)
			if diff := cmp.Diff(ds, back); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		}
	})
}
