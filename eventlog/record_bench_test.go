package eventlog

import (
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// kilobyte returns an event of 1 KB.
func kilobyte() Entry {
	return Entry{
		ID: [16]byte{1}, Topic: resource.UID{1}, Published: time.Unix(1_700_000_000, 1).UTC(),
		Event: event.Event{
			JSON: []byte(`{"specversion":"1.0","id":"0","source":"/s","type":"t","data":"` + strings.Repeat("x", 960) + `"}`),
			ID:   "0", Source: "/s", Type: "t", SpecVersion: "1.0",
		},
	}
}

// BenchmarkRecord measures writing and reading a record of 100 events of 1 KB.
func BenchmarkRecord(b *testing.B) {
	e := kilobyte()
	const n = 100
	var rec []byte
	write := func() {
		rec = append(rec[:0], recordVersion)
		for range n {
			rec = appendEntry(rec, &e)
		}
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			write()
		}
	})
	b.Run("decode", func(b *testing.B) {
		write()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeEvents(rec, n); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDelivery measures the same of one delivery.
func BenchmarkDelivery(b *testing.B) {
	d := Delivery{Entry: kilobyte(), Attempts: 3, LastOutcome: "Busy", LastStatus: 503, LastAttempt: time.Unix(1_700_000_001, 1).UTC()}
	var buf []byte
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _, _ = encodeDelivery(buf[:0], &d)
		}
	})
	_, head, body := encodeDelivery(nil, &d)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeDelivery(&engine.Delivery{Head: head, Body: body}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
