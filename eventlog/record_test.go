package eventlog

import (
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
	return Entry{
		ID: [16]byte(id[:16]), Topic: resource.UID(id[16:]),
		Published: drawTime(t, "published"),
		Event: event.Event{
			JSON: rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "json"),
			ID:   s.Draw(t, "id"), Source: s.Draw(t, "source"), Type: s.Draw(t, "type"),
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

// Golden bytes: a newer program must go on reading this.
func TestRecordOfVersionOne(t *testing.T) {
	rec := []byte("\x01E\x00\x01" +
		"0123456789abcdef" + "ABCDEFGHIJKLMNOP" + "\x02" +
		"\x02{}" + "\x01i" + "\x01s" + "\x01t" + "\x00" + "\x031.0")
	got, err := decodeEvents(rec)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{
		ID: [16]byte([]byte("0123456789abcdef")), Topic: resource.UID([]byte("ABCDEFGHIJKLMNOP")),
		Published: time.Unix(0, 1).UTC(),
		Event:     event.Event{JSON: []byte("{}"), ID: "i", Source: "s", Type: "t", SpecVersion: "1.0"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnreadableRecords(t *testing.T) {
	e := Entry{Event: event.Event{JSON: []byte("{}")}}
	good := appendEntry(appendHeader(nil, eventRecord, time.Time{}, 1), &e)
	for n := range good {
		if _, err := decodeEvents(good[:n]); !errors.Is(err, errMalformed) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	for name, rec := range map[string][]byte{
		"more than it says": append(append([]byte{}, good...), 0),
		"other kind":        append([]byte{recordVersion, byte(deliveryRecord)}, good[2:]...),
		"version 0":         append([]byte{0}, good[1:]...),
		"huge count":        appendHeader(nil, eventRecord, time.Time{}, 1<<40),
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
