package event

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// sample returns a structured event of about 1 KB, as a partner would send it.
func sample(n int) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"A234-1234-%04d","source":"/contoso/orders","type":"Contoso.Orders.OrderPlaced",`+
		`"subject":"orders/%d","time":"2024-05-01T12:00:00.1234567Z","datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",`+
		`"data":{"orderId":12345678901234567890,"customer":{"name":"Zoë \"Z\" Müller","vip":true},"note":null,"lines":[%s]}}`,
		n, n, strings.TrimSuffix(strings.Repeat(`{"sku":"AB-1234567","quantity":12,"price":19.95,"text":"a longer description of the line"},`, 7), ","))
}

// sampleGrid is the same event in the Event Grid schema, as the SDKs send it.
func sampleGrid(n int) []byte {
	_, data, _ := bytes.Cut(sample(n), []byte(`"data":`))
	return fmt.Appendf(nil, `{"id":"A234-1234-%04d","eventType":"Contoso.Orders.OrderPlaced","subject":"orders/%d",`+
		`"eventTime":"2024-05-01T12:00:00.1234567Z","dataVersion":"2.0","data":%s`, n, n, data)
}

// sampleCustom is the same event in a custom schema, for sampleMapping.
func sampleCustom(n int) []byte {
	_, data, _ := bytes.Cut(sample(n), []byte(`"data":{`))
	return fmt.Appendf(nil, `{"key":"A234-1234-%04d","kind":"Contoso.Orders.OrderPlaced","about":{"path":"orders/%d"},"at":"2024-05-01T12:00:00.1234567Z",%s`,
		n, n, bytes.TrimSuffix(data, []byte("}")))
}

var sampleMapping = &Mapping{
	ID: Field{Source: "key"}, Type: Field{Source: "kind"}, Subject: Field{Source: "about.path"}, Time: Field{Source: "at"}, DataVersion: Field{Default: "2.0"},
}

func sampleBatch(n int) []byte { return batchOf(n, sample) }

func batchOf(n int, sample func(int) []byte) []byte {
	events := make([][]byte, n)
	for i := range events {
		events[i] = sample(i)
	}
	return slicesJoin(events)
}

func slicesJoin(events [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(events, []byte{','})...), ']')
}

func BenchmarkParse(b *testing.B) {
	rc := bytes.ReplaceAll(sampleBatch(100), []byte(`"specversion":"1.0"`), []byte(`"specversion":"1.0-rc1"`))
	for _, bm := range []struct {
		name string
		r    Request
	}{
		{"structured/1", Request{ContentType: typeStructured, Body: sample(1)}},
		{"batch/1", Request{ContentType: typeBatch, Body: sampleBatch(1)}},
		{"batch/100", Request{ContentType: typeBatch, Body: sampleBatch(100)}},
		{"batch/100/rc1", Request{ContentType: typeBatch, Body: rc}},
		{"binary/1", Request{ContentType: typeJSON, Body: sample(1), Header: map[string][]string{
			"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/contoso"}, "Ce-Type": {"Contoso.Placed"}, "Ce-Subject": {"orders/1"},
		}}},
		{"grid/1", Request{Schema: EventGrid, Topic: topicID, Body: batchOf(1, sampleGrid)}},
		{"grid/100", Request{Schema: EventGrid, Topic: topicID, Body: batchOf(100, sampleGrid)}},
		{"custom/1", Request{Schema: Custom, Topic: topicID, Mapping: sampleMapping, Body: batchOf(1, sampleCustom)}},
		{"custom/100", Request{Schema: Custom, Topic: topicID, Mapping: sampleMapping, Body: batchOf(100, sampleCustom)}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.r.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(bm.r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	grid := parseOne(b, Request{Schema: EventGrid, Topic: topicID, Body: sampleGrid(1)})
	custom := parseOne(b, Request{Schema: Custom, Topic: topicID, Mapping: sampleMapping, Body: sampleCustom(1)})
	for _, bm := range []struct {
		name string
		ev   Event
		as   Schema
	}{
		{"copy", grid, EventGrid},
		{"grid to cloud", grid, CloudEvents},
		{"custom to custom", custom, Custom},
		{"custom to cloud", custom, CloudEvents},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.ev.JSON)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				var err error
				if dst, err = bm.ev.Append(dst[:0], bm.as); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("data version", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if grid.DataVersion() != "2.0" {
				b.Fatal(grid.DataVersion())
			}
		}
	})
}

// BenchmarkLibrary is what the hand-written scanner is measured against: the
// validation alone, by the library it must agree with.
func BenchmarkLibrary(b *testing.B) {
	body := sample(1)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true)) {
			b.Fatal("not valid")
		}
	}
}
