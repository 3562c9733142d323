package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/filter"
)

func compileFields(t testing.TB, keys ...string) *filter.Fields {
	t.Helper()
	f, err := filter.CompileFields(keys)
	if err != nil {
		t.Fatalf("CompileFields(%q): %v", keys, err)
	}
	return f
}

func TestFields(t *testing.T) {
	const ce = `{"specversion":"1.0","id":"i-1","source":"/src","type":"T.One","subject":null,"count":42,"flag":true,
		"data_base64":"QUJD","data":{"Key":"Exact","key":"lower","esc\u0061ped":"V\u00e9\ud83d\ude00 \"x\"","empty":"","null":null,
		"int":123456789012345678901234567890,"ratio":2.50,"exp":1e3,"zero":-0.0,"no":false,"list":[1],"object":{"a":{"b":"deep"}},"dup":1,"dup":"two"}}`
	const eg = `{"id":"i-2","topic":"/t","subject":"S/1","eventType":"T.Two","eventTime":"2026","dataVersion":"","metadataVersion":"1","data":"text"}`
	text := func(s string) filter.Value { return filter.Value{Text: s, OK: true} }
	none := filter.Value{}
	for _, c := range []struct {
		event, key string
		want       filter.Value
	}{
		{ce, "id", text("i-1")},
		{ce, "ID", text("i-1")},
		{ce, "eventid", text("i-1")},
		{ce, "topic", text("/src")},
		{ce, "eventType", text("T.One")},
		{ce, "subject", none},
		{ce, "missing", none},
		{ce, "count", text("42")},
		{ce, "flag", text("true")},
		{ce, "data", none},
		{ce, "data_base64", none},
		{ce, "data.key", text("lower")},
		{ce, "data.Key", text("Exact")},
		{ce, "Data.escaped", text(`Vé😀 "x"`)},
		{ce, "data.empty", text("")},
		{ce, "data.null", none},
		{ce, "data.int", text("123456789012345678901234567890")},
		{ce, "data.ratio", text("2.5")},
		{ce, "data.exp", text("1000")},
		{ce, "data.zero", text("0")},
		{ce, "data.no", text("false")},
		{ce, "data.list", none},
		{ce, "data.object", none},
		{ce, "data.object.a.b", text("deep")},
		{ce, "data.dup", text("two")},
		{eg, "source", text("/t")},
		{eg, "type", text("T.Two")},
		{eg, "time", text("2026")},
		{eg, "dataVersion", text("")},
		{eg, "metadataVersion", text("1")},
		{eg, "data", text("text")},
		{eg, "data.x", none},
		{``, "id", none},
		{`{"id`, "id", none},
	} {
		if diff := cmp.Diff([]filter.Value{c.want}, compileFields(t, c.key).Values([]byte(c.event), nil)); diff != "" {
			t.Errorf("%s of %.20s (-want +got):\n%s", c.key, c.event, diff)
		}
	}

	f := compileFields(t, "subject", "id", "data.key", "id", "data")
	values := f.Values([]byte(eg), f.Values([]byte(ce), nil))
	want := []filter.Value{none, text("i-1"), text("lower"), text("i-1"), none, text("S/1"), text("i-2"), none, text("i-2"), text("text")}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("many keys, two events (-want +got):\n%s", diff)
	}
	if got := compileFields(t).Values([]byte(ce), nil); len(got) != 0 {
		t.Errorf("no keys: %v", got)
	}
}

func TestFieldsRefuse(t *testing.T) {
	for key, says := range map[string]string{
		"":                               "no key",
		"data..x":                        "'data..x'",
		"data.1.2.3.4.5.6.7.8.9.10.11":   "11",
		"." + strings.Repeat("long", 99): "…",
	} {
		_, err := filter.CompileFields([]string{"id", key})
		var e *filter.Error
		if !errors.As(err, &e) || e.Target != "keys[1]" || !strings.Contains(e.Message, says) {
			t.Errorf("%q: %v, want an *Error at keys[1] that says %q", key, err, says)
		}
	}
}

func TestFieldsConcurrently(t *testing.T) {
	f := compileFields(t, "id", "data.n")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 200 {
				id := fmt.Sprint(i, "-", k)
				got := f.Values(fmt.Appendf(nil, `{"id":"%s","data":{"n":%d}}`, id, k), nil)
				if got[0].Text != id || got[1].Text != fmt.Sprint(k) {
					t.Errorf("got %v, want %s and %d", got, id, k)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestFieldsAgainstOracle compares what Fields reads with the naive look-up of
// the oracle, several keys and events per Fields so that a scratch is used
// again.
func TestFieldsAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.SampledFrom(someKeys), 1, 5).Draw(t, "keys")
		f, err := filter.CompileFields(keys)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "events") {
			in := drawEvent(t)
			event := decodeOrdered(t, in.JSON)
			for i, got := range f.Values(in.JSON, nil) {
				found, _ := lookup(event, keys[i])
				if want, ok := plainText(got.Text, found); got.OK != ok || got.Text != want {
					t.Fatalf("%s is %+v, want %q, %v\nevent %s", keys[i], got, want, ok, in.JSON)
				}
			}
		}
	})
}

// plainText returns how a value reads. A double may be written in several ways,
// of which got is right if it is the same number.
func plainText(got string, v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		if n, ok := exactInteger(v); ok {
			return n.String(), true
		}
		want, _ := v.Float64()
		if have, err := strconv.ParseFloat(got, 64); err == nil && have == want && len(got) <= len(strconv.FormatFloat(want, 'f', -1, 64)) {
			return got, true
		}
		return string(v), true
	}
	return "", false
}

func BenchmarkFields(b *testing.B) {
	in := benchEvent("Acme.Order.Type00042", "/tenants/00042/orders", "Key-00042")
	f := compileFields(b, "data.customer.country", "data.total")
	var values []filter.Value
	b.ReportAllocs()
	for b.Loop() {
		values = f.Values(in.JSON, values[:0])
	}
	if diff := cmp.Diff([]filter.Value{{Text: "SE", OK: true}, {Text: "129.95", OK: true}}, values); diff != "" {
		b.Error(diff)
	}
}
