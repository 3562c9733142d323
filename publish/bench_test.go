package publish

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

type nullLog struct{}

func (nullLog) Append(context.Context, []eventlog.Entry) error { return nil }

// nullWriter is a response that goes nowhere.
type nullWriter struct {
	header http.Header
	status int
}

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(status int)      { w.status = status }

// BenchmarkPublish measures the handler alone, without net/http around it.
func BenchmarkPublish(b *testing.B) {
	ev := func(i int) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"A-%04d","source":"/contoso/orders","type":"Contoso.Orders.Placed","subject":"orders/%d",`+
			`"time":"2024-05-01T12:00:00.1234567Z","data":{"text":"%s"}}`, i, i, strings.Repeat("some text of an order ", 38))
	}
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch/%d", n), func(b *testing.B) {
			var all []string
			for i := range n {
				all = append(all, ev(i))
			}
			body := "[" + strings.Join(all, ",") + "]"
			h := &Handler{Table: &Table{}, Log: nullLog{}, Metrics: NewMetrics(prometheus.NewRegistry())}
			h.Table.Set(&Source{
				UID: resource.NewUID(), ID: namespaceID, Name: "contoso", Region: "westeurope", Keys: []string{key1, key2}, PublicNetworkAccess: true,
				Channels: map[string]*Channel{"orders": {Name: "orders", Topic: resource.NewUID(), State: Activated}},
			})
			r := httptest.NewRequest(http.MethodPost, path+"?api-version=2018-01-01", nil)
			r.ContentLength = int64(len(body))
			r.Header.Set("aeg-sas-key", key1)
			r.Header.Set("aeg-channel-name", "orders")
			r.Header.Set("Content-Type", batchType)
			reader := strings.NewReader(body)
			r.Body = io.NopCloser(reader)
			w := &nullWriter{header: http.Header{}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(body)
				if h.ServeHTTP(w, r); w.status != 200 {
					b.Fatal(w.status)
				}
			}
		})
	}
}
