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

func sampleBatch(n int) []byte {
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
		name, contentType string
		body              []byte
		header            map[string][]string
	}{
		{"structured/1", typeStructured, sample(1), nil},
		{"batch/1", typeBatch, sampleBatch(1), nil},
		{"batch/100", typeBatch, sampleBatch(100), nil},
		{"batch/100/rc1", typeBatch, rc, nil},
		{"binary/1", typeJSON, sample(1), map[string][]string{
			"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/contoso"}, "Ce-Type": {"Contoso.Placed"}, "Ce-Subject": {"orders/1"},
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(Request{ContentType: bm.contentType, Header: bm.header, Body: bm.body}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
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
