package publish

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// asTopic makes the fixture's resource a custom topic.
func asTopic(schema event.Schema) func(*Handler, *Source) {
	return func(_ *Handler, s *Source) {
		s.Kind, s.ID, s.Schema, s.Channels = Topic, topicID, schema, nil
		s.UID = resource.UID{'t'}
		if schema == event.Custom {
			s.Mapping = &event.Mapping{
				ID: event.Field{Source: "ref"}, Topic: event.Field{Source: "customer"}, Time: event.Field{Source: "at"},
				Subject: event.Field{Source: "item.path", Default: "none"}, Type: event.Field{Source: "kind"}, DataVersion: event.Field{Default: "3"},
			}
		}
	}
}

// asDomain makes the fixture's resource a domain.
func asDomain(schema event.Schema, topics *DomainTopics) func(*Handler, *Source) {
	return func(h *Handler, s *Source) {
		asTopic(schema)(h, s)
		s.Kind, s.ID, s.UID, s.DomainTopics = Domain, domainID, resource.UID{'d'}, topics
	}
}

// One event in each schema.
const (
	gridOne   = `{"id":"1","subject":"/orders/1","eventType":"Placed","eventTime":"2026-11-21T20:00:00Z","data":{"n":12345678901234567890},"dataVersion":"1"}`
	cloudOne  = `{"specversion":"1.0","type":"Placed","source":"/shop","id":"1","data":{"n":12345678901234567890}}`
	customOne = `{"ref":"1","kind":"Placed","at":"2026-11-21T20:00:00Z","item":{"path":"/orders/1"},"n":12345678901234567890}`
)

// bodies in the schemas of the table tests.
var oneOf = map[event.Schema]string{event.EventGrid: gridOne, event.CloudEvents: cloudOne, event.Custom: customOne}

// batchOf is the batch content type where a schema has one.
func batchOf(s event.Schema) string {
	if s == event.CloudEvents {
		return batchType
	}
	return "application/json"
}

func contentType(v string) func(*http.Request) {
	return func(r *http.Request) {
		if v == "" {
			r.Header["Content-Type"] = nil // absent; net/http adds none
			return
		}
		r.Header.Set("Content-Type", v)
	}
}

// What a custom topic keeps, byte for byte.
func TestTopicEntries(t *testing.T) {
	for _, tt := range []struct {
		schema event.Schema
		want   event.Event
	}{
		{event.EventGrid, event.Event{
			Schema: event.EventGrid, ID: "1", Source: topicID, Type: "Placed", Subject: "/orders/1",
			JSON: []byte(`{"id":"1","topic":"` + topicID + `","subject":"/orders/1","eventType":"Placed","eventTime":"2026-11-21T20:00:00Z",` +
				`"dataVersion":"1","metadataVersion":"1","data":{"n":12345678901234567890}}`),
		}},
		{event.CloudEvents, event.Event{ID: "1", Source: "/shop", Type: "Placed", SpecVersion: "1.0", JSON: []byte(cloudOne)}},
		{event.Custom, event.Event{
			Schema: event.Custom, ID: "1", Source: topicID, Type: "Placed", Subject: "/orders/1",
			JSON: []byte(`{"id":"1","topic":"` + topicID + `","subject":"/orders/1","eventType":"Placed","eventTime":"2026-11-21T20:00:00Z",` +
				`"dataVersion":"3","metadataVersion":"1","data":` + customOne + `}`),
		}},
	} {
		t.Run(tt.schema.String(), func(t *testing.T) {
			f := newFixture(t, asTopic(tt.schema))
			// The channel header of the fixture's requests says nothing here.
			if a := f.send(t, "["+oneOf[tt.schema]+"]", contentType(batchOf(tt.schema))); a.status != 200 || a.body != "" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if len(f.log.entries) != 1 {
				t.Fatalf("%d entries", len(f.log.entries))
			}
			got := f.log.entries[0]
			want := eventlog.Entry{ID: got.ID, Topic: f.src.UID, Published: now, Event: tt.want}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
			if n := testutil.ToFloat64(f.Metrics.succeeded.WithLabelValues(topicID)); n != 1 {
				t.Errorf("%v events are counted", n)
			}
		})
	}
}

// Fields that a custom schema does not map come from us: an id, the time of the
// request and the defaults.
func TestCustomEventWithoutFields(t *testing.T) {
	f := newFixture(t, asTopic(event.Custom))
	if a := f.send(t, `{"kind":"Placed"}`, nil); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	ev := f.log.entries[0].Event
	want := `{"id":"` + ev.ID + `","topic":"` + topicID + `","subject":"none","eventType":"Placed","eventTime":"2026-11-21T20:00:00.0000000Z",` +
		`"dataVersion":"3","metadataVersion":"1","data":{"kind":"Placed"}}`
	if len(ev.ID) != 36 || string(ev.JSON) != want {
		t.Errorf("got %s\nwant %s", ev.JSON, want)
	}
}

// Where the events of a domain go: to the domain topic that they name, letter
// case ignored, or to the domain.
func TestDomainRouting(t *testing.T) {
	orders, invoices := resource.UID{1}, resource.UID{2}
	topics := &DomainTopics{}
	topics.Set("Orders", orders)
	topics.Set("invoices", invoices)
	bodies := map[event.Schema]func(name string) string{
		event.EventGrid:   func(n string) string { return strings.Replace(gridOne, "{", `{"topic":"`+n+`",`, 1) },
		event.CloudEvents: func(n string) string { return strings.Replace(cloudOne, "/shop", n, 1) },
		event.Custom:      func(n string) string { return strings.Replace(customOne, "{", `{"customer":"`+n+`",`, 1) },
	}
	for _, tt := range []struct {
		name          string
		topic, domain resource.UID
		only          map[event.Schema]bool // nil: all
	}{
		{"Orders", orders, resource.UID{'d'}, nil},
		{"oRDERS", orders, resource.UID{'d'}, nil},
		{"invoices", invoices, resource.UID{'d'}, nil},
		{domainID + "/topics/orders", orders, resource.UID{'d'}, nil},
		{strings.ToUpper(domainID) + "/Topics/ORDERS", orders, resource.UID{'d'}, nil},
		{"unknown", resource.UID{'d'}, resource.UID{}, nil},
		{" orders ", orders, resource.UID{'d'}, map[event.Schema]bool{event.CloudEvents: true}},
	} {
		for schema, body := range bodies {
			if tt.only != nil && !tt.only[schema] {
				continue
			}
			t.Run(schema.String()+" "+tt.name, func(t *testing.T) {
				f := newFixture(t, asDomain(schema, topics))
				// Between two others: each event is routed on its own.
				a := f.send(t, "["+body("invoices")+","+body(tt.name)+","+body("invoices")+"]", contentType(batchOf(schema)))
				if a.status != 200 || len(f.log.entries) != 3 {
					t.Fatalf("%d %s, %d entries", a.status, a.body, len(f.log.entries))
				}
				for i, e := range f.log.entries {
					topic, domain := tt.topic, tt.domain
					if i != 1 {
						topic, domain = invoices, f.src.UID
					}
					if e.Topic != topic || e.Domain != domain {
						t.Errorf("events[%d]: topic %v, domain %v", i, e.Topic, e.Domain)
					}
				}
				ev := f.log.entries[1].Event
				if full := domainID + "/topics/" + tt.name[strings.LastIndexByte(tt.name, '/')+1:]; schema != event.CloudEvents && (ev.Source != full || !strings.Contains(string(ev.JSON), `"topic":"`+full+`"`)) {
					t.Errorf("source %s in %s", ev.Source, ev.JSON)
				}
				if schema == event.CloudEvents && ev.Source != tt.name {
					t.Errorf("the source became %q", ev.Source)
				}
				if n := testutil.ToFloat64(f.Metrics.succeeded.WithLabelValues(domainID)); n != 3 || seriesOf(t, f.metrics, domainID) != 2 {
					t.Errorf("%v events are counted on %d metrics", n, seriesOf(t, f.metrics, domainID))
				}
			})
		}
	}
}

// A change of the domain's topics holds for the next request, without a new
// Source.
func TestDomainTopicChangesTakeEffectAtOnce(t *testing.T) {
	topics := &DomainTopics{}
	f := newFixture(t, asDomain(event.CloudEvents, topics))
	first, second := resource.UID{1}, resource.UID{2}
	for i, step := range []struct {
		change func()
		topic  resource.UID
	}{
		{func() {}, resource.UID{'d'}},
		{func() { topics.Set("SHOP", first) }, first},
		{func() { topics.Set("shop", second) }, second},
		{func() { topics.Remove("shop", first) }, second},
		{func() { topics.Remove("Shop", second) }, resource.UID{'d'}},
	} {
		step.change()
		f.send(t, "["+strings.Replace(cloudOne, "/shop", "shop", 1)+"]", nil)
		if e := f.log.entries[i]; e.Topic != step.topic {
			t.Errorf("step %d: topic %v", i, e.Topic)
		}
	}
}

func TestOptions(t *testing.T) {
	for want, setup := range map[string]func(*Handler, *Source){
		"EventGridEvent":    asTopic(event.EventGrid),
		"CloudEventV10":     asTopic(event.CloudEvents),
		"CustomEventSchema": asDomain(event.Custom, nil),
	} {
		f := newFixture(t, setup)
		a := f.send(t, "", func(r *http.Request) {
			r.Method = http.MethodOptions
			r.Header.Del("aeg-sas-key")
		})
		if got := a.header.Get("aeg-input-event-schema"); a.status != 200 || got != want || a.header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("%s: %d, %v", want, a.status, a.header)
		}
	}
}

// What guards an endpoint does not depend on its kind.
func TestAllKindsAreGuardedAlike(t *testing.T) {
	sas := func(resource string) func(*testing.T, *http.Request) {
		return func(t *testing.T, r *http.Request) {
			t.Helper()
			token, err := access.SignSAS("http://"+r.URL.Host+resource, now.Add(time.Hour), key2)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Del("aeg-sas-key")
			r.Header.Set("aeg-sas-token", token)
		}
	}
	bearer := func(token string) func(*testing.T, *http.Request) {
		return func(_ *testing.T, r *http.Request) {
			r.Header.Del("aeg-sas-key")
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	key := func(*testing.T, *http.Request) {}
	tokens := func(h *Handler, _ *Source) {
		h.Tokens, h.Authorizer = fakeTokens{"good": "sender", "other": "stranger"}, fakeAuthorizer("sender")
	}
	for _, tt := range []struct {
		name     string
		setup    func(*Handler, *Source)
		set      func(*testing.T, *http.Request)
		status   int
		mentions string
	}{
		{"key", nil, key, 200, ""},
		{"wrong key", nil, func(_ *testing.T, r *http.Request) { r.Header.Set("aeg-sas-key", "x") }, 401, "The request authorization key is not authorized for 127.0.0.1:"},
		{"no credential", nil, func(_ *testing.T, r *http.Request) { r.Header.Del("aeg-sas-key") }, 401, "aeg-sas-token, aeg-sas-key"},
		{"sas", nil, sas(path), 200, ""},
		{"sas of the old path", nil, sas("/contoso.westeurope-1/eventGrid/api/events"), 200, ""},
		{"sas of another", nil, sas("/other.westeurope-1/api/events"), 401, ""},
		{"old path", nil, func(_ *testing.T, r *http.Request) { r.URL.Path = "/contoso.westeurope-1/eventGrid/api/events" }, 404, "No HTTP resource"},
		{"bearer", tokens, bearer("good"), 200, ""},
		{"bearer without the role", tokens, bearer("other"), 403, "/Contoso' or above"},
		{"key where local auth is off", func(_ *Handler, s *Source) { s.DisableLocalAuth = true }, key, 401, "disableLocalAuth"},
		{"sas where local auth is off", func(_ *Handler, s *Source) { s.DisableLocalAuth = true }, sas(path), 401, "disableLocalAuth"},
		{"bearer where local auth is off", func(h *Handler, s *Source) { tokens(h, s); s.DisableLocalAuth = true }, bearer("good"), 200, ""},
		{"public access off", func(_ *Handler, s *Source) { s.PublicNetworkAccess = false }, key, 403, "public network access"},
		{"address not listed", func(_ *Handler, s *Source) { s.IPRules = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, key, 403, "IP filtering"},
		{"address listed", func(_ *Handler, s *Source) { s.IPRules = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }, key, 200, ""},
		{"throttled", usedUp, key, 429, "takes no more events"},
		{"draining", func(h *Handler, _ *Source) { h.Drain() }, key, 503, "shutting down"},
	} {
		for kind, as := range map[Kind]func(*Handler, *Source){
			Namespace: func(*Handler, *Source) {},
			Topic:     asTopic(event.CloudEvents),
			Domain:    asDomain(event.CloudEvents, nil),
		} {
			t.Run(kind.String()+" "+tt.name, func(t *testing.T) {
				f := newFixture(t, func(h *Handler, s *Source) {
					if as(h, s); tt.setup != nil {
						tt.setup(h, s)
					}
				})
				a := f.send(t, strings.Replace(one, "/s", "shop", 1), func(r *http.Request) { tt.set(t, r) })
				if a.status != tt.status || !strings.Contains(a.body, tt.mentions) {
					t.Errorf("%d %s", a.status, a.body)
				}
				taker := map[Kind]string{Namespace: "The partner topic", Topic: "The topic", Domain: "The domain"}[kind]
				if a.status == 429 && !strings.Contains(a.body, taker+" takes no more events") {
					t.Errorf("%s does not say that it is %s", a.body, taker)
				}
				if stored := len(f.log.entries) > 0; stored != (tt.status == 200) {
					t.Errorf("%d entries are stored", len(f.log.entries))
				}
			})
		}
	}
}

// The header is for namespaces alone: elsewhere it is neither needed nor looked
// at.
func TestChannelNameIsForNamespaces(t *testing.T) {
	for _, values := range [][]string{nil, {""}, {"nope"}, {"a", "b"}} {
		for _, setup := range []func(*Handler, *Source){asTopic(event.CloudEvents), asDomain(event.CloudEvents, nil)} {
			f := newFixture(t, setup)
			if a := f.send(t, strings.Replace(one, "/s", "shop", 1), func(r *http.Request) { r.Header["Aeg-Channel-Name"] = values }); a.status != 200 || len(f.log.entries) != 1 {
				t.Errorf("%q: %d %s", values, a.status, a.body)
			}
		}
	}
}
