package eventlog

import (
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// BenchmarkRecord measures writing and reading a record of 100 events of 1 KB.
func BenchmarkRecord(b *testing.B) {
	e := Entry{
		ID: [16]byte{1}, Topic: resource.UID{1}, Published: time.Unix(1_700_000_000, 1).UTC(),
		Event: event.Event{
			JSON: []byte(`{"specversion":"1.0","id":"0","source":"/s","type":"t","data":"` + strings.Repeat("x", 960) + `"}`),
			ID:   "0", Source: "/s", Type: "t", SpecVersion: "1.0",
		},
	}
	const n = 100
	var rec []byte
	write := func() {
		rec = appendHeader(rec[:0], eventRecord, time.Time{}, n)
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
			if _, err := decodeEvents(rec); err != nil {
				b.Fatal(err)
			}
		}
	})
}
