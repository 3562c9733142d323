package publish

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestContentTypes tries every content type on every schema.
func TestContentTypes(t *testing.T) {
	header := func(r *http.Request) {
		for name, v := range map[string]string{"ce-id": "1", "ce-source": "/s", "ce-type": "T", "ce-specversion": "1.0"} {
			r.Header.Set(name, v)
		}
	}
	type want struct {
		array, object int // a body of one event, as array and as object
		binary        int // an object beside ce-* headers
	}
	any200 := want{200, 200, 200}
	for _, tt := range []struct {
		contentType string
		cloud       want
	}{
		{"application/cloudevents-batch+json", want{200, 400, 400}},
		{"application/cloudevents-batch+json; charset=UTF-8a", want{200, 400, 400}},
		{"APPLICATION/CloudEvents-Batch+JSON;", want{200, 400, 400}},
		{"application/cloudevents+json", want{400, 200, 200}},
		{"application/cloudevents+json; charset=utf-8; =broken", want{400, 200, 200}},
		{"application/json", want{400, 200, 200}},
		{"application/json;charset=utf-8", want{400, 200, 200}},
		{"application/x-www-form-urlencoded", want{415, 415, 200}},
		{"application/octet-stream", want{415, 415, 200}},
		{"application/cloudevents+xml", want{415, 415, 415}},
		{"text/plain", want{415, 415, 200}},
		{"not a type at all", want{415, 415, 200}},
		{"", want{415, 415, 200}},
	} {
		for schema, one := range oneOf {
			expect := any200
			if schema == event.CloudEvents {
				expect = tt.cloud
			}
			t.Run(schema.String()+" "+tt.contentType, func(t *testing.T) {
				f := newFixture(t, asTopic(schema))
				set := contentType(tt.contentType)
				if a := f.send(t, "["+one+"]", set); a.status != expect.array {
					t.Errorf("array: %d %s, want %d", a.status, a.body, expect.array)
				}
				if a := f.send(t, one, set); a.status != expect.object {
					t.Errorf("object: %d %s, want %d", a.status, a.body, expect.object)
				}
				a := f.send(t, one, func(r *http.Request) { set(r); header(r) })
				if a.status != expect.binary {
					t.Errorf("with ce-* headers: %d %s, want %d", a.status, a.body, expect.binary)
				}
			})
		}
	}
}

var requestIDs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// TestRefusedBodies compares what publishers are told, schema by schema, with
// testdata/refused.golden byte for byte: status, codes and text.
func TestRefusedBodies(t *testing.T) {
	replaced := func(old, with string) map[event.Schema]string {
		return map[event.Schema]string{event.EventGrid: strings.Replace(gridOne, old, with, 1)}
	}
	all := func(body string) map[event.Schema]string {
		return map[event.Schema]string{event.EventGrid: body, event.CloudEvents: body, event.Custom: body}
	}
	cases := []struct {
		name   string
		bodies map[event.Schema]string
		// contentType is the schema's batch type if empty.
		contentType string
		domain      bool
		status      int
		detail      string
	}{
		{name: "empty body", bodies: all(""), status: 400, detail: "InputJsonInvalid"},
		{name: "empty array", bodies: all("[]"), status: 400, detail: "InputJsonInvalid"},
		{name: "no JSON", bodies: all("id=1&subject=2"), status: 400, detail: "InputJsonInvalid"},
		{name: "cut off", bodies: all(`[{"id":"1"`), status: 400, detail: "InputJsonInvalid"},
		{name: "array of numbers", bodies: all("[1]"), status: 400, detail: "InputJsonInvalid"},
		{name: "not UTF-8", bodies: all("[{\"id\":\"\xff\"}]"), status: 400, detail: "InputJsonInvalid"},
		{name: "empty event", bodies: all("[{}]"), status: 400, detail: "InputJsonInvalid"},
		{name: "second event bad", bodies: map[event.Schema]string{
			event.EventGrid:   "[" + gridOne + `,{"id":"2"}]`,
			event.CloudEvents: "[" + cloudOne + `,{"id":"2"}]`,
			event.Custom:      "[" + customOne + `,{"ref":"2"}]`,
		}, status: 400, detail: "InputJsonInvalid"},

		{name: "event of the other schema", bodies: map[event.Schema]string{
			event.EventGrid: "[" + cloudOne + "]", event.CloudEvents: "[" + gridOne + "]",
		}, status: 400, detail: "InputJsonInvalid"},
		{name: "no subject", bodies: replaced(`"subject":"/orders/1",`, ""), status: 400, detail: "InputJsonInvalid"},
		{name: "no id", bodies: replaced(`"id":"1",`, ""), status: 400, detail: "InputJsonInvalid"},
		{name: "no eventType", bodies: replaced(`"eventType":"Placed",`, ""), status: 400, detail: "InputJsonInvalid"},
		{name: "no eventTime", bodies: replaced(`"eventTime":"2026-11-21T20:00:00Z",`, ""), status: 400, detail: "InputJsonInvalid"},
		{name: "eventTime without a time of day", bodies: replaced(`T20:00:00Z`, ""), status: 400, detail: "InputJsonInvalid"},
		{name: "unknown property", bodies: replaced(`{`, `{"extra":1,`), status: 400, detail: "InputJsonInvalid"},
		{name: "metadataVersion 2", bodies: replaced(`{`, `{"metadataVersion":"2",`), status: 400, detail: "InputJsonInvalid"},
		{name: "another topic", bodies: replaced(`{`, `{"topic":"/subscriptions/s/other",`), status: 401, detail: "Unauthorized"},
		{name: "no domain topic", domain: true, bodies: map[event.Schema]string{
			event.EventGrid: gridOne, event.Custom: customOne,
		}, status: 400, detail: "InputJsonInvalid"},
		{name: "topic of another domain", domain: true, bodies: map[event.Schema]string{
			event.EventGrid:   strings.Replace(gridOne, "{", `{"topic":"`+domainID+`2/topics/orders",`, 1),
			event.CloudEvents: "[" + strings.Replace(cloudOne, "/shop", domainID+"2/topics/orders", 1) + "]",
			event.Custom:      strings.Replace(customOne, "{", `{"customer":"`+domainID+`2/topics/orders",`, 1),
		}, status: 400, detail: "InputJsonInvalid"},
		{name: "mapped object", bodies: map[event.Schema]string{
			event.Custom: strings.Replace(customOne, `"Placed"`, "{}", 1),
		}, status: 400, detail: "InputJsonInvalid"},
		{name: "content type", contentType: "application/x-www-form-urlencoded", bodies: map[event.Schema]string{
			event.CloudEvents: cloudOne,
		}, status: 415, detail: "InvalidContentType"},
		{name: "array as one event", contentType: "application/json", bodies: map[event.Schema]string{
			event.CloudEvents: "[" + cloudOne + "]",
		}, status: 400, detail: "InputJsonInvalid"},
		{name: "data twice", bodies: map[event.Schema]string{
			event.CloudEvents: "[" + strings.Replace(cloudOne, "{", `{"data_base64":"AA==",`, 1) + "]",
		}, status: 400, detail: "InputJsonInvalid"},
	}
	const file = "testdata/refused.golden"
	golden := readGolden(t, file)
	for _, c := range cases {
		for _, schema := range []event.Schema{event.EventGrid, event.CloudEvents, event.Custom} {
			body, ok := c.bodies[schema]
			if !ok {
				continue
			}
			name := schema.String() + ", " + c.name
			t.Run(name, func(t *testing.T) {
				setup := asTopic(schema)
				if c.domain {
					setup = asDomain(schema, nil)
				}
				if schema == event.Custom { // with nothing to fall back on
					with := setup
					setup = func(h *Handler, s *Source) { with(h, s); s.Mapping.Subject.Default = "" }
				}
				f := newFixture(t, setup)
				ct := c.contentType
				if ct == "" {
					ct = batchOf(schema)
				}
				a := f.send(t, body, func(r *http.Request) {
					contentType(ct)(r)
					r.Host = "contoso.example"
				})
				if a.status != c.status || len(f.log.entries) != 0 {
					t.Errorf("%d %s, %d entries; want %d", a.status, a.body, len(f.log.entries), c.status)
				}
				if message := a.problemOf(t, statusNames[c.status], c.detail); c.status == 400 && !strings.Contains(message, schema.String()) && !strings.Contains(message, "the mapping of this resource") {
					t.Errorf("%q names neither schema nor mapping", message)
				}
				got := fmt.Sprintf("%d %s", a.status, requestIDs.ReplaceAllString(a.body, "{id}"))
				if *update {
					golden[name] = got
				}
				if diff := cmp.Diff(golden[name], got); diff != "" {
					t.Errorf("%s, after a wanted change written anew with -update (-want +got):\n%s", file, diff)
				}
			})
		}
	}
	if *update {
		writeGolden(t, file, golden)
	}
}

// A golden file holds paragraphs of a name and a text, in the order of names.

func readGolden(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	all := map[string]string{}
	for p := range strings.SplitSeq(string(b), "\n\n") {
		if name, text, ok := strings.Cut(p, "\n"); ok {
			all[name] = strings.TrimSpace(text)
		}
	}
	return all
}

func writeGolden(t *testing.T, file string, all map[string]string) {
	t.Helper()
	var paragraphs []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		paragraphs = append(paragraphs, name+"\n"+all[name]+"\n")
	}
	if err := os.WriteFile(file, []byte(strings.Join(paragraphs, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What one may send as a curl call of Microsoft's documents does: the content
// type of curl -d, no api-version, a time from date +%Y-%m-%dT%H:%M:%S%z.
func TestDocumentedCurl(t *testing.T) {
	f := newFixture(t, asTopic(event.EventGrid))
	body := `[ {"id": "8041", "eventType": "recordInserted", "subject": "myapp/vehicles/motorcycles", ` +
		`"eventTime": "2026-11-21T20:00:00+0000", "data":{ "make": "Ducati", "model": "Monster"},"dataVersion": "1.0"} ]`
	a := f.send(t, body, func(r *http.Request) {
		r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Aeg-Sas-Key": {key1}, "User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}}
	})
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if ev := f.log.entries[0].Event; ev.Type != "recordInserted" || !strings.Contains(string(ev.JSON), `"data":{ "make": "Ducati", "model": "Monster"}`) {
		t.Errorf("stored %+v", ev)
	}
}

// The limits hold for each schema, with the texts that clients look for.
func TestLimitsPerSchema(t *testing.T) {
	pad := func(ev string, size int) string {
		return ev[:len(ev)-1] + strings.Repeat(" ", size-len(ev)) + "}"
	}
	for schema, one := range oneOf {
		many := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
		whole := "[" + one + "]"
		for _, tt := range []struct {
			name, body string
			status     int
			mentions   string
		}{
			{"largest body", whole + strings.Repeat(" ", DefaultMaxBody-len(whole)), 200, ""},
			{"larger body", whole + strings.Repeat(" ", DefaultMaxBody+1-len(whole)), 413, "The maximum size (1536000) has been exceeded."},
			{"largest event", "[" + pad(one, 1_049_600) + "]", 200, ""},
			{"larger event", "[" + pad(one, 1_049_601) + "]", 413, "1049600"},
			{"most events", many(5000), 200, ""},
			{"more events", many(5001), 413, "5000"},
		} {
			t.Run(schema.String()+" "+tt.name, func(t *testing.T) {
				f := newFixture(t, asTopic(schema))
				a := f.send(t, tt.body, contentType(batchOf(schema)))
				if a.status != tt.status || !strings.Contains(a.body, tt.mentions) {
					t.Fatalf("%d %s, want %d", a.status, a.body, tt.status)
				}
				if tt.status != 200 {
					a.problemOf(t, "RequestEntityTooLarge", "PayloadTooLarge")
				}
				if (len(f.log.entries) > 0) != (tt.status == 200) {
					t.Errorf("%d entries", len(f.log.entries))
				}
			})
		}
	}
}

// TestEveryPublisher sends what the publisher of each SDK puts on the wire, for
// each schema and in each way to authenticate.
func TestEveryPublisher(t *testing.T) {
	for schema, one := range oneOf {
		for _, g := range sasGenerators(now.Add(2*time.Hour + 3*time.Minute)) {
			for _, auth := range []struct {
				header string
				value  func(endpoint string) string
			}{
				{"aeg-sas-key", func(string) string { return key2 }},
				{"aeg-sas-token", func(endpoint string) string { return g.token(t, endpoint, key1) }},
				{"Authorization", func(endpoint string) string { return "SharedAccessSignature " + g.token(t, endpoint, key2) }},
				{"Authorization", func(string) string { return "Bearer good" }},
			} {
				t.Run(schema.String()+" "+g.name+" "+auth.header, func(t *testing.T) {
					f := newFixture(t, func(h *Handler, s *Source) {
						asTopic(schema)(h, s)
						h.Tokens, h.Authorizer = fakeTokens{"good": "sender"}, fakeAuthorizer("sender")
					})
					a := f.send(t, "["+one+","+one+"]", func(r *http.Request) {
						r.Header = http.Header{}
						r.Header.Set("Content-Type", "application/json; charset=utf-8")
						if schema == event.CloudEvents {
							r.Header.Set("Content-Type", batchType)
						}
						r.Header.Set(auth.header, auth.value(f.server.URL+path))
						r.URL.RawQuery = "api-version=2018-01-01"
					})
					if a.status != 200 || len(f.log.entries) != 2 {
						t.Errorf("%d %s, %d entries", a.status, a.body, len(f.log.entries))
					}
				})
			}
		}
	}
}

// The id of the topic in each of many small events may make them more than the
// log takes in one call. They are stored all the same.
func TestMostEventsOfALongTopic(t *testing.T) {
	e, err := local.Open(t.Context(), local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	log, err := eventlog.Open(e, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	topics := &DomainTopics{}
	name := strings.Repeat("n", 128)
	topics.Set(name, resource.UID{1})
	counted := &countedLog{Log: log}
	f := newFixture(t, func(h *Handler, s *Source) {
		asDomain(event.EventGrid, topics)(h, s)
		s.ID = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/" + strings.Repeat("g", 90) +
			"/providers/Microsoft.EventGrid/domains/" + strings.Repeat("d", 50)
		h.Log = counted
	})
	const most = 5000
	var all []string
	for i := range most {
		all = append(all, `{"topic":"`+name+`","id":"`+strconv.Itoa(i)+`","subject":"s","eventType":"t","eventTime":"2026-11-21T20:00:00Z"}`)
	}
	if a := f.send(t, "["+strings.Join(all, ",")+"]", nil); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if counted.calls < 2 {
		t.Fatal("one call was enough: the test does not test what it should")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	next := 0
	err = log.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
		for _, e := range b.Entries {
			if e.Event.ID != strconv.Itoa(next) || e.Topic != (resource.UID{1}) || e.Domain != f.src.UID || e.Event.Schema != event.EventGrid {
				t.Errorf("entry %d is %s of %v in %v, schema %v", next, e.Event.ID, e.Topic, e.Domain, e.Event.Schema)
			}
			next++
		}
		for i := range b.Claims {
			b.Claims[i].Release()
		}
		if next >= most {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || next != most {
		t.Errorf("%d events, %v", next, err)
	}
}

// countedLog counts calls.
type countedLog struct {
	Log
	calls int
}

func (l *countedLog) Append(ctx context.Context, entries []eventlog.Entry) error {
	l.calls++
	return l.Log.Append(ctx, entries)
}

// A failure half-way is a failure of the request.
func TestSecondHalfFails(t *testing.T) {
	calls := 0
	f := newFixture(t, func(h *Handler, _ *Source) {
		h.Log = &memoryLog{append: func(context.Context) error {
			calls++
			return map[int]error{1: eventlog.ErrTooLarge, 3: errors.New("no quorum")}[calls]
		}}
	})
	if a := f.send(t, events("/a", "/b"), nil); a.status != 503 || calls != 3 {
		t.Errorf("%d after %d calls", a.status, calls)
	}
}
