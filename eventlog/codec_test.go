package eventlog

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// record encodes entries as the appender does.
func record(es ...Entry) []byte {
	rec := []byte{recordVersion}
	for i := range es {
		rec = appendEntry(rec, &es[i])
	}
	return rec
}

// parts encodes a delivery as an engine keeps it.
func parts(d *Delivery) *engine.Delivery {
	_, head, body := encodeDelivery(nil, d)
	return &engine.Delivery{Subscription: d.Subscription, Due: d.Due, Head: head, Body: body}
}

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
		Attempts:     rapid.IntRange(0, math.MaxInt32).Draw(t, "attempts"),
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
		for i := range want {
			if n := len(appendEntry(nil, &want[i])); n > entrySize(&want[i]) {
				t.Fatalf("%d bytes where entrySize says %d", n, entrySize(&want[i]))
			}
		}
		rec := record(want...)
		got, err := decodeEvents(rec, len(want))
		if err != nil {
			t.Fatal(err)
		}
		clear(rec) // nothing may alias it
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDeliveriesSurviveAnEngine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawDelivery(t)
		before := []byte("what is there already")
		b, head, body := encodeDelivery(bytes.Clone(before), &want)
		if n := len(b) - len(before); n > deliverySize(&want) {
			t.Fatalf("%d bytes where deliverySize says %d", n, deliverySize(&want))
		}
		if string(b) != string(before)+string(head)+string(body) {
			t.Fatal("head and body are not what was appended")
		}
		_ = append(head, "of another"...) // must not get into the body
		got, err := decodeDelivery(&engine.Delivery{Subscription: want.Subscription, Due: want.Due, Head: head, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		// An engine moves a body that it knows already, and takes it for the same.
		want.Attempts, want.LastOutcome, want.Due, want.Subscription = want.Attempts/2, "Busy", time.Time{}, resource.UID{}
		if _, _, again := encodeDelivery(nil, &want); !bytes.Equal(again, body) {
			t.Fatal("the body depends on more than the event")
		}
	})
}

const (
	goldenIDs    = "0123456789abcdef" + "ABCDEFGHIJKLMNOP"
	goldenFields = "\x02" + "\x02{}" + "\x01i" + "\x01s" + "\x01t" + "\x00" + "\x031.0"
)

func goldenEntry() Entry {
	return Entry{
		ID: [16]byte([]byte("0123456789abcdef")), Topic: resource.UID([]byte("ABCDEFGHIJKLMNOP")),
		Published: time.Unix(0, 1).UTC(),
		Event:     event.Event{JSON: []byte("{}"), ID: "i", Source: "s", Type: "t", SpecVersion: "1.0"},
	}
}

// Golden bytes of every version: what a data folder of an older program may
// hold, and a newer one must go on reading.
func TestGoldenRecords(t *testing.T) {
	plain := goldenEntry()
	grid, inDomain := plain, plain
	grid.Event.Schema = event.EventGrid
	inDomain.Event.Schema, inDomain.Domain = event.Custom, resource.UID([]byte("the-domain-16-by"))
	const ids, fields = goldenIDs, goldenFields
	for rec, want := range map[string][]Entry{
		"\x03" + ids + "\x00" + fields:                         {plain},
		"\x03" + ids + "\x01" + fields + ids + "\x00" + fields: {grid, plain},
		"\x03" + ids + "\x82" + "the-domain-16-by" + fields:    {inDomain},
		"\x03" + ids + "\x00" + "\x00\x00\x00\x00\x00\x00\x00": {{ID: plain.ID, Topic: plain.Topic}},
	} {
		got, err := decodeEvents([]byte(rec), len(want))
		if err != nil {
			t.Errorf("%q: %v", rec, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", rec, diff)
		}
		if again := record(want...); string(again) != rec {
			t.Errorf("written as %q, want %q", again, rec)
		}
	}
}

func TestGoldenDeliveries(t *testing.T) {
	const body = "\x03" + goldenIDs + "\x00" + goldenFields
	for head, want := range map[string]Delivery{
		"\x03" + "\x00" + "\x00" + "\x00" + "\x00" + "\x00": {},
		"\x03" + "\x03" + "\x08" + "\xee\x07" + "\x04Busy" + "\x05Given": {
			Attempts: 3, LastAttempt: time.Unix(0, 4).UTC(), LastStatus: 503, LastOutcome: "Busy", Reason: "Given",
		},
	} {
		want.Entry, want.Subscription, want.Due = goldenEntry(), resource.UID{7}, time.Unix(0, 5).UTC()
		p := &engine.Delivery{Subscription: want.Subscription, Due: want.Due, Head: []byte(head), Body: []byte(body)}
		got, err := decodeDelivery(p)
		if err != nil {
			t.Errorf("%q: %v", head, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", head, diff)
		}
		if again := parts(&want); string(again.Head) != head || string(again.Body) != body {
			t.Errorf("written as %q and %q, want %q and %q", again.Head, again.Body, head, body)
		}
	}
}

func TestUnreadableRecords(t *testing.T) {
	e := Entry{Event: event.Event{JSON: []byte("{}")}}
	good := record(e)
	e.Domain = resource.UID{1}
	inDomain := record(e)
	for _, rec := range [][]byte{good, inDomain} {
		for n := range rec {
			if _, err := decodeEvents(rec[:n], 1); !errors.Is(err, errMalformed) {
				t.Errorf("cut after %d bytes: %v", n, err)
			}
		}
	}
	with := func(rec []byte, at int, b byte) []byte {
		rec = bytes.Clone(rec)
		rec[at] = b
		return rec
	}
	const schemaAt, jsonAt = 1 + 32, 1 + 32 + 1 + 1
	for name, row := range map[string]struct {
		rec   []byte
		count int
	}{
		"more than it says":          {append(bytes.Clone(good), 0), 1},
		"fewer events":               {record(e, e), 1},
		"more events":                {good, 2},
		"none":                       {good, 0},
		"fewer than none":            {good, -1},
		"a huge number":              {good, math.MaxInt},
		"nothing":                    {nil, 0},
		"version 0":                  {with(good, 0, 0), 1},
		"an older version":           {with(good, 0, recordVersion-1), 1}, // of no release
		"unknown schema":             {with(good, schemaAt, byte(event.Custom)+1), 1},
		"unknown schema in a domain": {with(inDomain, schemaAt, domainFollows|0x7f), 1},
		"JSON beyond the end":        {with(good, jsonAt, 0x7f), 1},
		"an endless length":          {append(bytes.Clone(good[:jsonAt]), bytes.Repeat([]byte{0xff}, 40)...), 1},
	} {
		if _, err := decodeEvents(row.rec, row.count); !errors.Is(err, errMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	d := Delivery{Entry: e, LastOutcome: "Busy", Reason: "r"}
	for name, spoil := range map[string]func(*engine.Delivery){
		"no head":         func(p *engine.Delivery) { p.Head = nil },
		"no body":         func(p *engine.Delivery) { p.Body = nil },
		"a cut head":      func(p *engine.Delivery) { p.Head = p.Head[:len(p.Head)-1] },
		"a longer head":   func(p *engine.Delivery) { p.Head = append(bytes.Clone(p.Head), 0) },
		"a cut body":      func(p *engine.Delivery) { p.Body = p.Body[:len(p.Body)-1] },
		"two events":      func(p *engine.Delivery) { p.Body = record(e, e) },
		"head and body":   func(p *engine.Delivery) { p.Head, p.Body = p.Body, p.Head },
		"an older body":   func(p *engine.Delivery) { p.Body = with(p.Body, 0, 1) },
		"head, version 0": func(p *engine.Delivery) { p.Head = with(p.Head, 0, 0) },
	} {
		p := parts(&d)
		spoil(p)
		if _, err := decodeDelivery(p); !errors.Is(err, errMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNewerRecords(t *testing.T) {
	e := Entry{Event: event.Event{JSON: []byte("{}")}}
	newer := record(e)
	newer[0]++
	d := Delivery{Entry: e}
	head, body := parts(&d), parts(&d)
	head.Head = append([]byte{recordVersion + 1}, head.Head[1:]...)
	body.Body = newer
	_, events := decodeEvents(newer, 1)
	for what, err := range map[string]error{
		"events": events, "head": CheckDelivery(head), "body": CheckDelivery(body), "to check": CheckRecord(newer, 1),
	} {
		if n, ok := errors.AsType[*NewerRecordError](err); !ok || n.Version != recordVersion+1 || errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := errors.Join(CheckRecord(record(e, e), 2), CheckDelivery(parts(&d))); err != nil {
		t.Errorf("what can be read: %v", err)
	}
}

// What a record claims must not make the reader allocate more than a small multiple
// of what it has.
func TestDecodingAllocatesWithinBounds(t *testing.T) {
	large := Entry{Event: event.Event{JSON: bytes.Repeat([]byte("x"), 1<<20)}}
	for name, row := range map[string]struct {
		rec   []byte
		count int
	}{
		"a huge number":      {append([]byte{recordVersion}, make([]byte, 1<<20)...), math.MaxInt},
		"as many as may be":  {append([]byte{recordVersion}, make([]byte, 1<<20)...), 1 << 15},
		"nothing but length": {append([]byte{recordVersion}, bytes.Repeat([]byte{0xff}, 1<<20)...), 1 << 15},
		"JSON":               {record(large), 1},
		"texts": {record(Entry{Event: event.Event{
			ID: string(large.Event.JSON), Source: string(large.Event.JSON), Subject: string(large.Event.JSON),
		}}), 1},
	} {
		allocated := allocatedBy(func() { _, _ = decodeEvents(row.rec, row.count) })
		if most := uint64(8*len(row.rec) + 64<<10); allocated > most {
			t.Errorf("%s: %d bytes of memory for %d of a record", name, allocated, len(row.rec))
		}
		p := &engine.Delivery{Head: row.rec, Body: row.rec}
		if allocated := allocatedBy(func() { _, _ = decodeDelivery(p) }); allocated > uint64(8*len(row.rec)+64<<10) {
			t.Errorf("%s: %d bytes of memory for %d of a delivery", name, allocated, len(row.rec))
		}
	}
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// size is what decoded entries hold.
func size(es []Entry) (n int) {
	for i := range es {
		v := &es[i].Event
		n += 32 + len(v.JSON) + len(v.ID) + len(v.Source) + len(v.Type) + len(v.Subject) + len(v.SpecVersion)
	}
	return n
}

func FuzzDecodeEvents(f *testing.F) {
	e := goldenEntry()
	f.Add(record(e), 1)
	f.Add(record(e, e, e), 3)
	f.Add(record(e, e), 1)
	e.Domain, e.Event.Schema = resource.UID{7}, event.Custom
	f.Add(record(e), 1)
	f.Add(append([]byte{recordVersion + 1}, record(e)[1:]...), 1)
	f.Add(append([]byte{recordVersion}, bytes.Repeat([]byte{0xff}, 100)...), 2)
	f.Add([]byte{recordVersion}, 0)
	f.Fuzz(func(t *testing.T, rec []byte, n int) {
		es, err := decodeEvents(rec, n)
		if err != nil {
			return
		}
		if len(es) != n || size(es) > len(rec) {
			t.Fatalf("%d bytes made %d events of %d bytes, want %d", len(rec), len(es), size(es), n)
		}
		back, err := decodeEvents(record(es...), n)
		if diff := cmp.Diff(es, back); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}

func FuzzDecodeDelivery(f *testing.F) {
	d := Delivery{Entry: goldenEntry(), Attempts: 3, LastStatus: -1, LastOutcome: "Busy", LastAttempt: time.Unix(5, 0), Reason: "r"}
	seed := func(p *engine.Delivery) { f.Add(p.Head, p.Body) }
	seed(parts(&d))
	d.Domain, d.Event.Schema = resource.UID{7}, event.Custom
	seed(parts(&d))
	seed(&engine.Delivery{Head: append([]byte{recordVersion}, bytes.Repeat([]byte{0xff}, 30)...), Body: record(d.Entry)})
	seed(&engine.Delivery{Head: parts(&d).Head, Body: record(d.Entry, d.Entry)})
	f.Fuzz(func(t *testing.T, head, body []byte) {
		d, err := decodeDelivery(&engine.Delivery{Head: head, Body: body})
		if err != nil {
			return
		}
		if n := size([]Entry{d.Entry}) + len(d.LastOutcome) + len(d.Reason); n > len(head)+len(body) || d.Attempts < 0 {
			t.Fatalf("%d bytes made a delivery of %d, after %d attempts", len(head)+len(body), n, d.Attempts)
		}
		back, err := decodeDelivery(parts(&d))
		if diff := cmp.Diff(d, back); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}
