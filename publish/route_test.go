package publish

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

func entry(topic byte) eventlog.Entry {
	return eventlog.Entry{Topic: resource.UID{topic}, Event: event.Event{JSON: []byte("0123456789")}}
}

// events returns a batch with one event per source.
func events(sources ...string) string {
	var all []string
	for i, s := range sources {
		all = append(all, fmt.Sprintf(`{"specversion":"1.0","type":"Contoso.Placed","source":%q,"id":"%d"}`, s, i))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func TestRouteByHeader(t *testing.T) {
	reject := func(h *Handler, _ *Source) { h.RejectInactive = true }
	strictTypes := func(h *Handler, _ *Source) { h.StrictEventTypes = true }
	undeclared := strings.ReplaceAll(events("/a"), "Contoso.Placed", "Contoso.Other")
	for _, tt := range []struct {
		name      string
		setup     func(*Handler, *Source)
		channel   []string
		body      string
		status    int
		detail    string
		stored    int
		unmatched float64
		logged    string
	}{
		{"known", nil, []string{"Orders"}, events("/a", "/b"), 200, "", 2, 0, ""},
		{"absent", nil, nil, events("/a"), 400, "MissingChannelName", 0, 0, ""},
		{"empty", nil, []string{" "}, events("/a"), 400, "MissingChannelName", 0, 0, ""},
		{"unknown", nil, []string{"nope"}, events("/a"), 404, "ResourceNotFound", 0, 0, ""},
		{"twice", nil, []string{"orders", "orders"}, events("/a"), 400, "InvalidChannelName", 0, 0, ""},
		{"partner destination", nil, []string{"dest"}, events("/a"), 400, "InvalidChannelType", 0, 0, ""},
		{"partner topic deleted", nil, []string{"gone"}, events("/a"), 404, "ResourceNotFound", 0, 0, ""},
		{"never activated", nil, []string{"never"}, events("/a", "/b"), 200, "", 0, 2, neverActivated},
		{"deactivated", nil, []string{"off"}, events("/a"), 200, "", 0, 1, deactivated},
		{"never activated, strict", reject, []string{"never"}, events("/a"), 403, "Forbidden", 0, 0, ""},
		{"deactivated, strict", reject, []string{"off"}, events("/a"), 403, "Forbidden", 0, 0, ""},
		{"declared type", strictTypes, []string{"declared"}, events("/a"), 200, "", 1, 0, ""},
		{"undeclared type", nil, []string{"declared"}, undeclared, 200, "", 1, 0, ""},
		{"undeclared type, strict", strictTypes, []string{"declared"}, undeclared, 400, "InputJsonInvalid", 0, 0, ""},
		{"nothing declared, strict", strictTypes, []string{"orders"}, undeclared, 200, "", 1, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.setup)
			a := f.send(t, tt.body, func(r *http.Request) { r.Header["Aeg-Channel-Name"] = tt.channel })
			if a.status != tt.status {
				t.Fatalf("%d %s, want %d", a.status, a.body, tt.status)
			}
			if tt.status != 200 {
				a.problemOf(t, statusNames[tt.status], tt.detail)
			}
			if len(f.log.entries) != tt.stored {
				t.Errorf("%d entries, want %d", len(f.log.entries), tt.stored)
			}
			checkUnmatched(t, f, tt.unmatched, tt.logged)
		})
	}
}

func checkUnmatched(t *testing.T, f *fixture, want float64, reason string) {
	t.Helper()
	if got := testutil.ToFloat64(f.Metrics.unmatched.WithLabelValues(namespaceID)); got != want {
		t.Errorf("unmatched %v, want %v", got, want)
	}
	if reason != "" && !strings.Contains(f.logged.String(), reason) {
		t.Errorf("log does not say %q:\n%s", reason, f.logged)
	}
}

func TestRouteBySource(t *testing.T) {
	a, b := resource.NewUID(), resource.NewUID()
	onlySecond, err := filter.Compile(filter.Spec{AdvancedFilters: []filter.Advanced{
		{Operator: "StringIn", Key: "id", Values: []byte(`["1"]`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	setup := func(h *Handler, s *Source) {
		s.Routing = SourceEventAttribute
		s.Channels = bySource(map[string][]*Channel{
			"/a":    {{Name: "a", Topic: a, State: Activated}},
			"/both": {{Name: "a2", Topic: a, State: Activated}, {Name: "b", Topic: b, State: Activated}},
			"/part": {{Name: "a3", Topic: a, State: Activated}, {Name: "off", Topic: b, State: Deactivated}},
			"/off":  {{Name: "off2", Topic: b, State: NeverActivated}},
			"/gone": {{Name: "gone", State: Activated}},
			"/dest": {{Name: "dest", Topic: b, State: Activated, Destination: true}},
			"/some": {{Name: "some", Topic: a, State: Activated, Filter: onlySecond}, {Name: "whole", Topic: b, State: Activated}},
		})
	}
	for _, tt := range []struct {
		name      string
		sources   []string
		want      []string // topic and id of each entry
		unmatched float64
		logged    string
	}{
		{"one", []string{"/a"}, []string{"a 0"}, 0, ""},
		{"blanks around it", []string{" \t/a "}, []string{"a 0"}, 0, ""},
		{"case counts", []string{"/A"}, nil, 1, noChannel},
		{"fan-out", []string{"/both", "/a"}, []string{"a 0", "b 0", "a 1"}, 0, ""},
		{"some unmatched", []string{"/x", "/a", "/y"}, []string{"a 1"}, 2, `"event_ids":["0","2"]`},
		{"filtered by one of two", []string{"/some", "/some"}, []string{"b 0", "a 1", "b 1"}, 1, filteredOut},
		{"inactive", []string{"/off"}, nil, 1, neverActivated},
		{"one of two inactive", []string{"/part"}, []string{"a 0"}, 1, deactivated},
		{"topic deleted", []string{"/gone"}, nil, 1, noChannel},
		{"partner destination", []string{"/dest"}, nil, 1, noChannel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, setup)
			ans := f.send(t, events(tt.sources...), nil) // with a channel header, which is ignored
			if ans.status != 200 {
				t.Fatalf("%d %s", ans.status, ans.body)
			}
			var got []string
			ids := map[[16]byte]bool{}
			for _, e := range f.log.entries {
				got = append(got, map[resource.UID]string{a: "a", b: "b"}[e.Topic]+" "+e.Event.ID)
				ids[e.ID] = true
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if len(ids) != len(got) {
				t.Error("entries share a system event id")
			}
			checkUnmatched(t, f, tt.unmatched, tt.logged)
		})
	}
	t.Run("strict", func(t *testing.T) {
		f := newFixture(t, func(h *Handler, s *Source) { setup(h, s); h.RejectInactive = true })
		if ans := f.send(t, events("/a", "/off"), nil); ans.status != 403 || len(f.log.entries) != 0 {
			t.Errorf("%d, %d entries", ans.status, len(f.log.entries))
		}
	})
}

// Each unmatched event can be found in the log, one line per reason.
func TestUnmatchedLog(t *testing.T) {
	f := newFixture(t, nil)
	f.send(t, events("/a", "/b", "/c"), func(r *http.Request) { r.Header.Set("aeg-channel-name", "never") })
	var line struct {
		Level, Msg, Resource, Reason, Channel string
		Events                                int
		IDs                                   []string `json:"event_ids"`
	}
	if err := json.Unmarshal(f.logged.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, f.logged)
	}
	want := line
	want.Level, want.Msg, want.Resource, want.Reason, want.Channel = "INFO", "events unmatched", namespaceID, neverActivated, "never"
	want.Events, want.IDs = 3, []string{"0", "1", "2"}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
}

func TestEventIDsAreUnique(t *testing.T) {
	seen := map[[16]byte]bool{}
	for range 100_000 {
		seen[newEventID(now)] = true
	}
	if len(seen) != 100_000 {
		t.Errorf("%d distinct ids of 100000", len(seen))
	}
}
