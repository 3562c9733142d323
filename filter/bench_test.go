package filter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/intertie/intertie/filter"
)

// benchEvent is an event of 1 KB.
func benchEvent(eventType, subject, key string) *filter.Input {
	head := fmt.Sprintf(`{"specversion":"1.0","id":"0f8fad5b-d9cb-469f-a165-70867728950e","source":"/acme/erp","type":%q,"subject":%q,`+
		`"time":"2026-03-01T09:30:00Z","datacontenttype":"application/json","data":{"orderId":4711,"customer":{"name":"Contoso","country":"SE"},"lines":[`,
		eventType, subject)
	tail := fmt.Sprintf(`],"total":129.95,"paid":true,"key":%q}}`, key)
	var lines []string
	for i := 0; len(head)+len(tail)+len(strings.Join(lines, ",")) < 1024-60; i++ {
		lines = append(lines, fmt.Sprintf(`{"sku":"SKU-%05d","quantity":%d,"price":%d.95}`, i, i, i))
	}
	return &filter.Input{Type: eventType, Subject: subject, JSON: []byte(head + strings.Join(lines, ",") + tail)}
}

// shapes are ways in which n filters differ; the event matches one of them.
// All but the first share their event type.
var shapes = []struct {
	name string
	spec func(i int) filter.Spec
}{
	{"types", func(i int) filter.Spec {
		return filter.Spec{IncludedEventTypes: []string{fmt.Sprintf("Acme.Order.Type%05d", i)}}
	}},
	{"prefix", func(i int) filter.Spec {
		return filter.Spec{IncludedEventTypes: []string{"Acme.Order.Type00042"}, SubjectBeginsWith: fmt.Sprintf("/tenants/%05d/", i)}
	}},
	{"suffix", func(i int) filter.Spec {
		return filter.Spec{IncludedEventTypes: []string{"Acme.Order.Type00042"}, SubjectEndsWith: fmt.Sprintf(".%05d", i)}
	}},
	{"stringin", func(i int) filter.Spec {
		return filter.Spec{IncludedEventTypes: []string{"Acme.Order.Type00042"}, AdvancedFilters: []filter.Advanced{
			advancedOnly(filter.StringIn, "data.key", fmt.Sprintf(`["Key-%05d","other-%05d"]`, i, i)),
		}}
	}},
	{"range", func(i int) filter.Spec {
		return filter.Spec{IncludedEventTypes: []string{"Acme.Order.Type00042"}, AdvancedFilters: []filter.Advanced{
			advancedOnly(filter.NumberInRange, "data.total", fmt.Sprintf(`[[%d.9,%d.99]]`, i+87, i+87)),
		}}
	}},
}

func advancedOnly(op filter.Operator, key, values string) filter.Advanced {
	return filter.Advanced{Operator: op, Key: key, Values: []byte(values)}
}

func benchIndex(tb testing.TB, n int, spec func(i int) filter.Spec) *filter.Index[int] {
	tb.Helper()
	entries := make([]filter.Entry[int], n)
	for i := range entries {
		f, err := filter.Compile(spec(i))
		if err != nil {
			tb.Fatal(err)
		}
		entries[i] = filter.Entry[int]{Filter: f, Value: i}
	}
	return filter.NewIndex(entries)
}

// BenchmarkMatchOne matches one of n filters.
func BenchmarkMatchOne(b *testing.B) {
	in := benchEvent("Acme.Order.Type00042", "/tenants/00042/orders.00042", "kEY-00042")
	for _, shape := range shapes {
		for _, n := range []int{100, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				ix := benchIndex(b, n, shape.spec)
				dst := make([]int, 0, 8)
				b.ReportAllocs()
				for b.Loop() {
					if dst = ix.Match(in, dst[:0]); len(dst) != 1 || dst[0] != 42 {
						b.Fatalf("matched %v", dst)
					}
				}
			})
		}
	}
}

// BenchmarkMatchMany matches 1,000 filters of 10,000.
func BenchmarkMatchMany(b *testing.B) {
	in := benchEvent("Acme.Order.Type00042", "/tenants/00042", "kEY-00042")
	for name, spec := range map[string]func(i int) filter.Spec{
		"types": func(i int) filter.Spec {
			return filter.Spec{IncludedEventTypes: []string{fmt.Sprintf("Acme.Order.Type%05d", 40+i%10)}}
		},
		"stringin": func(i int) filter.Spec {
			return filter.Spec{AdvancedFilters: []filter.Advanced{
				advancedOnly(filter.StringIn, "data.key", fmt.Sprintf(`["Key-%05d"]`, 40+i%10)),
			}}
		},
	} {
		b.Run(name, func(b *testing.B) {
			ix := benchIndex(b, 10_000, spec)
			dst := make([]int, 0, 1000)
			b.ReportAllocs()
			for b.Loop() {
				if dst = ix.Match(in, dst[:0]); len(dst) != 1000 {
					b.Fatalf("matched %d", len(dst))
				}
			}
		})
	}
}

// BenchmarkFilterMatch matches one filter without an index.
func BenchmarkFilterMatch(b *testing.B) {
	in := benchEvent("Acme.Order.Type00042", "/tenants/00042", "kEY-00042")
	f, err := filter.Compile(shapes[3].spec(42))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !f.Match(in) {
			b.Fatal("no match")
		}
	}
}

// BenchmarkNewIndex builds an index of 10,000 filters.
func BenchmarkNewIndex(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			var entries []filter.Entry[int]
			for i := range 10_000 {
				f, err := filter.Compile(shape.spec(i))
				if err != nil {
					b.Fatal(err)
				}
				entries = append(entries, filter.Entry[int]{Filter: f, Value: i})
			}
			b.ReportAllocs()
			for b.Loop() {
				filter.NewIndex(entries)
			}
		})
	}
}
