package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/filter"
)

func TestDeliverWritesProperties(t *testing.T) {
	url, got := wire(t)
	d := newTestTarget(t, newTestClient(t, Options{}), TargetOptions{URL: url, Properties: []Property{
		{Name: "x-Static", Value: "one two"},
		{Name: "X-Secret", Value: "s3cret", Secret: true},
		{Name: "Authorization", Value: "Basic Og==", Secret: true},
		{Name: "User-Agent", Value: "mine"},
		{Name: "X-Empty", Value: ""},
		{Name: "X-Broken", Value: "a\r\nX-Injected: 1"},
		{Name: "X-Long", Value: strings.Repeat("x", maxValue+1)},
		{Name: "X-Type", Field: "type"},
		{Name: "X-Number", Field: "data.n"},
		{Name: "X-Big", Field: "data.big"},
		{Name: "X-Bool", Field: "Data.Yes"},
		{Name: "X-Text", Field: "data.text"},
		{Name: "X-None", Field: "data.none"},
		{Name: "X-Null", Field: "data.null"},
		{Name: "X-List", Field: "data.list"},
		{Name: "X-Object", Field: "data"},
		{Name: "X-Lines", Field: "data.lines"},
		{Name: "X-Much", Field: "data.much"},
	}})
	e := stored(event.CloudEvents)
	e.JSON = []byte(`{"specversion":"1.0","id":"7f0c","source":"/contoso","type":"Order.Placed","data":{"n": 1.50,` +
		`"big":12345678901234567890,"Yes":true,"text":"é","null":null,"list":[1],` +
		`"lines":"a\r\nX-Injected: 2","much":"` + strings.Repeat("x", maxValue+1) + `"}}`)
	if v := d.Deliver(t.Context(), notify(e)); v.Outcome != destination.Delivered {
		t.Fatalf("verdict = %+v, want delivered", v)
	}
	header, _, _ := strings.Cut(<-got, "\r\n\r\n")
	var extra []string
	for _, line := range strings.Split(header, "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "x-"), lower == "authorization", lower == "user-agent":
			extra = append(extra, line)
		}
	}
	want := []string{
		"User-Agent: mine",
		"Authorization: Basic Og==",
		"X-Big: 12345678901234567890",
		"X-Bool: true",
		"X-Empty: ",
		"X-Number: 1.5",
		"X-Secret: s3cret",
		"X-Text: é",
		"X-Type: Order.Placed",
		"x-Static: one two",
	}
	if diff := cmp.Diff(want, extra); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestNewTargetRefusesProperties(t *testing.T) {
	c := newTestClient(t, Options{})
	for _, tt := range []struct {
		list  []Property
		token bool
		want  error // nil: accepted
	}{
		{list: []Property{{Name: "X-A", Value: "s3cret"}, {Name: "X-B", Value: "s3cret"}}},
		{list: []Property{{Name: "Authorization", Value: "s3cret"}}},
		{list: []Property{{Name: "authorization", Value: "s3cret"}}, token: true, want: errReserved},
		{list: []Property{{Name: "X-A", Value: "s3cret"}, {Name: "x-a", Field: "id"}}, want: errTwice},
		{list: []Property{{Name: "", Value: "s3cret"}}, want: errName},
		{list: []Property{{Name: "X A", Value: "s3cret"}}, want: errName},
		{list: []Property{{Name: "X\r\nY", Value: "s3cret"}}, want: errName},
		{list: []Property{{Name: ":path", Value: "s3cret"}}, want: errName},
		{list: []Property{{Name: "aeg-anything", Value: "s3cret"}}, want: errReserved},
		{list: []Property{{Name: "AEG-Event-Type", Field: "id"}}, want: errReserved},
		{list: []Property{{Name: "Host", Value: "s3cret"}}, want: errReserved},
		{list: []Property{{Name: "content-length", Value: "1"}}, want: errReserved},
		{list: []Property{{Name: "Content-Type", Value: "s3cret"}}, want: errReserved},
		{list: []Property{{Name: "Transfer-Encoding", Value: "chunked"}}, want: errReserved},
		{list: []Property{{Name: "Connection", Value: "close"}}, want: errReserved},
		{list: []Property{{Name: "Proxy-Authorization", Value: "s3cret"}}, want: errReserved},
		{list: []Property{{Name: "Expect", Value: "100-continue"}}, want: errReserved},
		{list: []Property{{Name: "TE", Value: "trailers"}}, want: errReserved},
		{list: []Property{{Name: "Origin", Value: "s3cret"}}, want: errReserved},
		{list: []Property{{Name: "WebHook-Request-Origin", Value: "s3cret"}}, want: errReserved},
		{list: []Property{{Name: "Accept-Encoding", Value: "br"}}, want: errReserved},
	} {
		o := TargetOptions{URL: "http://127.0.0.1/", Properties: tt.list}
		if tt.token {
			o.Token = fakeToken("x")
		}
		_, err := c.NewTarget(o)
		if !errors.Is(err, tt.want) {
			t.Errorf("NewTarget(%+v) = %v, want %v", tt.list, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error gives the value away: %v", err)
		}
	}
	_, err := c.NewTarget(TargetOptions{URL: "http://127.0.0.1/", Properties: []Property{{Name: "X-A", Field: "a..b"}}})
	if _, ok := errors.AsType[*filter.Error](err); !ok {
		t.Errorf("NewTarget with an impossible field = %v, want a *filter.Error", err)
	}
}

func TestTargetsGroupByDynamicProperties(t *testing.T) {
	c := newTestClient(t, Options{})
	tenant := []Property{{Name: "X-Tenant", Field: "data.tenant"}, {Name: "X-Type", Field: "type"}}
	for name, o := range map[string]TargetOptions{
		"not batched":           {Properties: tenant},
		"no properties":         {Batch: true},
		"static properties":     {Batch: true, Properties: []Property{{Name: "X", Value: "1"}}},
		"static, not batched":   {Properties: []Property{{Name: "X", Value: "1"}}},
		"nothing of the things": {},
	} {
		o.URL = "http://127.0.0.1/"
		if _, ok := newTestTarget(t, c, o).(destination.Grouper); ok {
			t.Errorf("%s: the target groups", name)
		}
	}
	g, ok := newTestTarget(t, c, TargetOptions{URL: "http://127.0.0.1/", Batch: true, Properties: tenant}).(destination.Grouper)
	if !ok {
		t.Fatal("the target does not group")
	}
	of := func(data, eventType string) string {
		return g.Group(&event.Event{JSON: fmt.Appendf(nil, `{"id":"1","type":%q,"data":%s}`, eventType, data)})
	}
	groups := map[string]string{} // group to the first member
	for _, same := range [][][2]string{
		{{`{"tenant":"a"}`, "T"}, {`{"x":1,"tenant":"a"}`, "T"}},
		{{`{"tenant":"b"}`, "T"}},
		{{`{"tenant":1}`, "T"}, {`{"tenant":"1"}`, "T"}, {`{"tenant":1.0}`, "T"}},
		{{`{}`, "T"}, {`{"tenant":null}`, "T"}, {`{"tenant":[1]}`, "T"}, {`{"tenant":"a\nb"}`, "T"}},
		{{`{"tenant":""}`, "T"}},
		{{`{"tenant":"a"}`, "U"}},
		{{`{"tenant":"a1:T"}`, "T"}},
		{{`{"tenant":"-"}`, "T"}},
	} {
		first := of(same[0][0], same[0][1])
		for _, m := range same {
			if of(m[0], m[1]) != first {
				t.Errorf("%v and %v are kept apart", m, same[0])
			}
		}
		if other, taken := groups[first]; taken {
			t.Errorf("%v and %s share a group", same[0], other)
		}
		groups[first] = fmt.Sprint(same[0])
	}
}

// Whatever value a property has, it is the one header that it was meant to be,
// or none.
func FuzzPropertyValue(f *testing.F) {
	for _, s := range []string{"", " ", "a", "a\tb", "é", "\x00", "a\r\nX-Injected: 1", "\x7f", "\xff\xfe", strings.Repeat("x", maxValue)} {
		f.Add(s)
	}
	url, got := wire(f)
	c := newTestClient(f, Options{})
	f.Fuzz(func(t *testing.T, value string) {
		d := newTestTarget(t, c, TargetOptions{URL: url, Properties: []Property{{Name: "X-Fuzz", Value: value}}})
		if v := d.Deliver(t.Context(), notification()); v.Outcome != destination.Delivered {
			t.Fatalf("verdict = %+v, want delivered", v)
		}
		header, body, _ := strings.Cut(<-got, "\r\n\r\n")
		if body != string(notification().Items[0].Event.JSON) {
			t.Fatalf("body = %q", body)
		}
		lines := strings.Split(header, "\r\n")
		found := 0
		for _, line := range lines {
			if v, ok := strings.CutPrefix(line, "X-Fuzz: "); ok {
				found++
				if v != textproto.TrimString(value) {
					t.Errorf("value = %q, want %q", v, value)
				}
			}
		}
		wanted := 0
		if validValue(value) {
			wanted = 1
		}
		if found != wanted || len(lines) != 13+wanted {
			t.Errorf("%d headers of %d lines, want %d of %d: %.2000q", found, len(lines), wanted, 13+wanted, lines)
		}
	})
}

func BenchmarkProperties(b *testing.B) {
	t := newTestTarget(b, newTestClient(b, Options{}), TargetOptions{
		URL: "http://127.0.0.1/", Properties: []Property{{Name: "X-Static", Value: "1"}, {Name: "X-N", Field: "data.n"}},
	}).(*target)
	n := notification()
	b.ReportAllocs()
	var h http.Header
	for b.Loop() {
		h = t.header(n)
	}
	if got := h["X-N"]; len(got) != 1 || got[0] != "1" {
		b.Fatal(h)
	}
}
