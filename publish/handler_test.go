package publish

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

const (
	key1        = "a2V5IG9uZSBvZiB0aGUgdGVzdCBuYW1lc3BhY2UuLi4="
	key2        = "a2V5IHR3byBvZiB0aGUgdGVzdCBuYW1lc3BhY2UrKys="
	provider    = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.EventGrid"
	namespaceID = provider + "/partnerNamespaces/Contoso"
	topicID     = provider + "/topics/Contoso"
	domainID    = provider + "/domains/Contoso"
	path        = "/contoso.westeurope-1/api/events"
	batchType   = "application/cloudevents-batch+json; charset=utf-8"
	one         = `[{"specversion":"1.0","type":"T","source":"/s","id":"1","data":{}}]`
)

// memoryLog keeps what is appended, as a copy: entries are only lent.
type memoryLog struct {
	mu      sync.Mutex
	entries []eventlog.Entry
	calls   int
	append  func(context.Context) error // if set, decides instead
}

func (l *memoryLog) Append(ctx context.Context, entries []eventlog.Entry) error {
	if l.append != nil {
		if err := l.append(ctx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	for _, e := range entries {
		e.Event.JSON = bytes.Clone(e.Event.JSON)
		l.entries = append(l.entries, e)
	}
	return nil
}

// fixture is a server with one resource: a namespace, unless a test says
// otherwise.
type fixture struct {
	*Handler
	server  *httptest.Server
	log     *memoryLog
	src     *Source
	logged  *bytes.Buffer
	metrics *prometheus.Registry
}

var now = time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)

func newFixture(t *testing.T, change func(*Handler, *Source)) *fixture {
	t.Helper()
	f := &fixture{log: &memoryLog{}, logged: &bytes.Buffer{}, metrics: prometheus.NewRegistry()}
	f.src = &Source{
		UID: resource.NewUID(), ID: namespaceID, Name: "Contoso", Region: "westeurope",
		Keys: []string{key1, key2}, PublicNetworkAccess: true,
		Channels: named(
			&Channel{Name: "Orders", Topic: resource.NewUID(), TopicID: "/topics/orders", State: Activated},
			&Channel{Name: "never", Topic: resource.NewUID(), TopicID: "/topics/never", State: NeverActivated},
			&Channel{Name: "off", Topic: resource.NewUID(), TopicID: "/topics/off", State: Deactivated},
			&Channel{Name: "dest", Topic: resource.NewUID(), TopicID: "/topics/dest", State: Activated, Destination: true},
			&Channel{Name: "gone", State: Activated},
			&Channel{Name: "declared", Topic: resource.NewUID(), TopicID: "/topics/declared", State: Activated, EventTypes: map[string]struct{}{"contoso.placed": {}}},
		),
	}
	f.Handler = &Handler{
		Table: &Table{}, Log: f.log, Now: func() time.Time { return now },
		Logger:  slog.New(slog.NewJSONHandler(f.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: NewMetrics(f.metrics),
	}
	if change != nil {
		change(f.Handler, f.src)
	}
	f.src.Counts = f.Metrics.Source(f.src.Kind, f.src.ID)
	f.src.Channels.each(func(c *Channel) {
		if !c.Topic.IsZero() {
			c.Counts = f.Metrics.PartnerTopic(c.TopicID)
		}
	})
	f.Table.Set(f.src)
	f.server = httptest.NewServer(f.Handler)
	t.Cleanup(f.server.Close)
	return f
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// send posts to the fixture unless change says otherwise. The request carries a
// key, a channel and the batch type.
func (f *fixture) send(t *testing.T, body string, change func(*http.Request)) answer {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, f.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", batchType)
	r.Header.Set("aeg-sas-key", key1)
	r.Header.Set("aeg-channel-name", "orders")
	if change != nil {
		change(r)
	}
	res, err := f.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// problemOf checks the form of an error body and returns its message.
func (a answer) problemOf(t *testing.T, code, detail string) string {
	t.Helper()
	type inner struct{ Code, Message string }
	var got struct {
		Error struct {
			inner
			Details []inner
		}
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("error body %q: %v", a.body, err)
	}
	message := got.Error.Message
	want := got
	want.Error.inner = inner{code, message}
	want.Error.Details = []inner{{detail, message}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(got.Error)); diff != "" {
		t.Errorf("error body (-want +got):\n%s", diff)
	}
	id := a.header.Get("x-ms-request-id")
	if message == "" || !strings.HasSuffix(message, "Reference: "+id+".") {
		t.Errorf("message %q does not end with the request id %q", message, id)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", ct)
	}
	return message
}

func TestAccepted(t *testing.T) {
	f := newFixture(t, nil)
	a := f.send(t, one, func(r *http.Request) {
		r.URL.RawQuery = "api-version=2018-01-01"
		r.Header.Set("x-ms-client-request-id", "mine")
		r.Header.Set("aeg-channel-name", " ORDERS ")
	})
	if a.status != 200 || a.body != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	id := a.header.Get("x-ms-request-id")
	if _, err := uuid.Parse(id); err != nil {
		t.Errorf("x-ms-request-id %q: %v", id, err)
	}
	a.header.Del("Date")
	a.header.Del("X-Ms-Request-Id")
	want := http.Header{"Content-Length": {"0"}, "Api-Supported-Versions": {"2018-01-01"}, "X-Ms-Client-Request-Id": {"mine"}}
	if diff := cmp.Diff(want, a.header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if len(f.log.entries) != 1 {
		t.Fatalf("%d entries", len(f.log.entries))
	}
	e := f.log.entries[0]
	if e.Topic != f.src.Channels.named("orders").Topic || !e.Published.Equal(now) || string(e.Event.JSON) != one[1:len(one)-1] {
		t.Errorf("entry %+v", e)
	}
	eventID := uuid.UUID(e.ID)
	if sec, nsec := eventID.Time().UnixTime(); eventID.Version() != 7 || !time.Unix(sec, nsec).Truncate(time.Millisecond).Equal(now) {
		t.Errorf("system event id %s: version %d, time %v", eventID, eventID.Version(), time.Unix(sec, nsec))
	}
}

func TestTLSHeader(t *testing.T) {
	f := newFixture(t, nil)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://x"+path, strings.NewReader(one))
	r.TLS = &tls.ConnectionState{}
	f.ServeHTTP(w, r)
	if got := w.Header().Get("Strict-Transport-Security"); got != "max-age=31536000; includeSubDomains" {
		t.Errorf("Strict-Transport-Security %q", got)
	}
}

// The request of the product's first promise: unknown charset, an old
// specversion, a blank before the source and one id twice.
func TestUnusualButValid(t *testing.T) {
	f := newFixture(t, nil)
	ev := `{"specversion":"1.0-rc1","type":"com.acme.order","source":" com.acme.account1","id":"A-1","time":"2024-05-01T12:00:00Z","data":{"n":1}}`
	a := f.send(t, "["+ev+","+ev+"]", func(r *http.Request) {
		r.Header.Set("Content-Type", "application/cloudevents-batch+json; charset=UTF-8a")
	})
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if len(f.log.entries) != 2 || f.log.calls != 1 {
		t.Fatalf("%d entries in %d calls", len(f.log.entries), f.log.calls)
	}
	for _, e := range f.log.entries {
		if want := strings.Replace(ev, "1.0-rc1", "1.0", 1); string(e.Event.JSON) != want {
			t.Errorf("stored %s, want %s", e.Event.JSON, want)
		}
	}
	if f.log.entries[0].ID == f.log.entries[1].ID {
		t.Error("two entries have one system event id")
	}
}

type fakeTokens map[string]string

func (f fakeTokens) Verify(token string, audiences []string) (access.Claims, error) {
	oid, ok := f[token]
	if !ok || len(audiences) != 1 || audiences[0] != access.AudienceEventGrid {
		return access.Claims{}, access.ErrTokenExpired
	}
	return access.Claims{Subject: access.Subject{ObjectID: oid}}, nil
}

type fakeAuthorizer string

func (f fakeAuthorizer) AllowedData(principal, action, scope string, _ ...string) bool {
	return principal == string(f) && action == "Microsoft.EventGrid/events/send/action" &&
		(scope == namespaceID || scope == topicID || scope == domainID)
}

// TestRefused walks through the documented errors. Each request differs in one
// thing from one that is accepted.
func TestRefused(t *testing.T) {
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	noKey := func(more func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("aeg-sas-key")
			if more != nil {
				more(r)
			}
		}
	}
	bearer := func(token string) func(*http.Request) { return header("Authorization", "Bearer "+token) }
	withTokens := func(h *Handler, _ *Source) {
		h.Tokens, h.Authorizer = fakeTokens{"good": "sender", "other": "stranger"}, fakeAuthorizer("sender")
	}
	const notAuthorized = "The request authorization key is not authorized for 127.0.0.1:"
	event := func(s string) string { return "[" + s + "]" }
	for _, tt := range []struct {
		name         string
		setup        func(*Handler, *Source)
		body         string // "" is one good event
		change       func(*http.Request)
		status       int
		code, detail string
		mentions     []string
		class        string
	}{
		{
			name: "api-version", change: func(r *http.Request) { r.URL.RawQuery = "api-version=2020-01-01" },
			status: 400, code: "BadRequest", detail: "UnsupportedApiVersion", mentions: []string{"2020-01-01", "2018-01-01"}, class: "BadRequest",
		},
		{
			name: "bad JSON", body: "[{]", status: 400, code: "BadRequest", detail: "InputJsonInvalid", mentions: []string{"CloudEventV10", "events[0]"}, class: "BadRequest",
		},
		{
			name: "event grid schema", body: `[{"id":"1","subject":"s","eventType":"t","eventTime":"2024-01-01T00:00:00Z","dataVersion":"1"}]`,
			change: header("Content-Type", "application/json; charset=utf-8"),
			status: 400, code: "BadRequest", detail: "InputJsonInvalid", mentions: []string{"CloudEventV10"}, class: "BadRequest",
		},
		{
			name: "missing type", body: event(`{"specversion":"1.0","source":"s","id":"1"}`),
			status: 400, code: "BadRequest", detail: "InputJsonInvalid", mentions: []string{"'eventType'"}, class: "BadRequest",
		},
		{
			name: "second event bad", body: strings.TrimSuffix(one, "]") + `,{"specversion":"1.0","type":"T","source":"s"}]`,
			status: 400, code: "BadRequest", detail: "InputJsonInvalid", mentions: []string{"events[1]", "'id'"}, class: "BadRequest",
		},
		{
			name: "binary header", body: "{}", change: func(r *http.Request) {
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("ce-id", "1")
			},
			status: 400, code: "BadRequest", detail: "InvalidCloudEventHeader", mentions: []string{"ce-specversion"}, class: "BadRequest",
		},
		{name: "empty key", change: header("aeg-sas-key", ""), status: 400, code: "BadRequest", detail: "InvalidSas", mentions: []string{"aeg-sas-key"}, class: "BadRequest"},
		{
			name: "no credential", change: noKey(nil), status: 401, code: "Unauthorized", detail: "Unauthorized",
			mentions: []string{notAuthorized, "one of aeg-sas-token, aeg-sas-key"}, class: "Unauthorized",
		},
		{name: "wrong key", change: header("aeg-sas-key", key1+"x"), status: 401, code: "Unauthorized", detail: "Unauthorized", mentions: []string{notAuthorized}, class: "Unauthorized"},
		{
			name: "wrong query key", change: noKey(func(r *http.Request) { r.URL.RawQuery = "aeg-sas-key=nope" }),
			status: 401, code: "Unauthorized", detail: "Unauthorized", mentions: []string{notAuthorized}, class: "Unauthorized",
		},
		{
			name: "bad SAS", change: noKey(header("aeg-sas-token", "r=x&e=y&s=z")), status: 401, code: "Unauthorized", detail: "Unauthorized",
			mentions: []string{notAuthorized}, class: "Unauthorized",
		},
		{
			name: "unsupported scheme", change: noKey(header("Authorization", "Basic abc")), status: 401, code: "Unauthorized", detail: "Unauthorized",
			mentions: []string{notAuthorized, "scheme"}, class: "Unauthorized",
		},
		{
			name: "bearer without a verifier", change: noKey(bearer("good")), status: 401, code: "Unauthorized", detail: "Unauthorized", mentions: []string{notAuthorized}, class: "Unauthorized",
		},
		{
			name: "bad bearer beside a good key", setup: withTokens, change: bearer("expired"), status: 401, code: "Unauthorized", detail: "Unauthorized",
			mentions: []string{notAuthorized, "expired"}, class: "Unauthorized",
		},
		{
			name: "two bearers", setup: withTokens, change: header("Authorization", "Bearer good", "Bearer other"), status: 401, code: "Unauthorized", detail: "Unauthorized",
			mentions: []string{notAuthorized}, class: "Unauthorized",
		},
		{
			name: "bearer without permission", setup: withTokens, change: bearer("other"), status: 403, code: "Forbidden", detail: "Forbidden",
			mentions: []string{"stranger", "events/send/action", namespaceID}, class: "Forbidden",
		},
		{
			name: "local auth disabled", setup: func(_ *Handler, s *Source) { s.DisableLocalAuth = true }, status: 401, code: "Unauthorized", detail: "Unauthorized",
			mentions: []string{notAuthorized, "disableLocalAuth"}, class: "Unauthorized",
		},
		{
			name: "public access disabled", setup: func(_ *Handler, s *Source) { s.PublicNetworkAccess = false }, change: noKey(nil), status: 403, code: "Forbidden", detail: "Forbidden",
			mentions: []string{"Contoso", "127.0.0.1"}, class: "ClientIPRejected",
		},
		{
			name:  "IP rule before credential",
			setup: func(_ *Handler, s *Source) { s.IPRules = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, change: noKey(nil),
			status: 403, code: "Forbidden", detail: "Forbidden", mentions: []string{"Contoso", "127.0.0.1", "IP filtering"}, class: "ClientIPRejected",
		},
		{
			name: "declared length", body: strings.Repeat(" ", 1_536_001), status: 413, code: "RequestEntityTooLarge", detail: "PayloadTooLarge",
			mentions: []string{"The maximum size (1536000) has been exceeded."}, class: "PayloadTooLarge",
		},
		{
			name: "declared length before content type", body: strings.Repeat(" ", 1_536_001), change: header("Content-Type", "text/plain"), status: 413,
			code: "RequestEntityTooLarge", detail: "PayloadTooLarge", class: "PayloadTooLarge",
		},
		{
			name: "chunked", body: strings.Repeat(" ", 1_536_001), change: func(r *http.Request) { r.ContentLength = -1 }, status: 413,
			code: "RequestEntityTooLarge", detail: "PayloadTooLarge", mentions: []string{"The maximum size (1536000) has been exceeded."}, class: "PayloadTooLarge",
		},
		{
			name: "one event", body: event(`{"specversion":"1.0","type":"T","source":"s","id":"` + strings.Repeat("x", 1_049_601) + `"}`), status: 413,
			code: "RequestEntityTooLarge", detail: "PayloadTooLarge", mentions: []string{"1049600", "events[0]"}, class: "PayloadTooLarge",
		},
		{
			name: "5001 events", body: event(strings.TrimSuffix(strings.Repeat(one[1:len(one)-1]+",", 5001), ",")), status: 413,
			code: "RequestEntityTooLarge", detail: "PayloadTooLarge", mentions: []string{"5000"}, class: "PayloadTooLarge",
		},
		{
			name: "content type", change: header("Content-Type", "application/x-www-form-urlencoded"), status: 415, code: "UnsupportedMediaType",
			detail: "InvalidContentType", mentions: []string{"application/cloudevents-batch+json"}, class: "BadRequest",
		},
		{name: "no content type", change: header("Content-Type"), status: 415, code: "UnsupportedMediaType", detail: "InvalidContentType", class: "BadRequest"},
		{
			name: "content encoding", change: header("Content-Encoding", "br"), status: 415, code: "UnsupportedMediaType", detail: "InvalidContentType",
			mentions: []string{"'br'", "gzip"}, class: "BadRequest",
		},
		{
			name: "not gzip", change: header("Content-Encoding", "gzip"), status: 400, code: "BadRequest", detail: "InputJsonInvalid", mentions: []string{"gzip"}, class: "BadRequest",
		},
		{
			name: "log fails", setup: func(h *Handler, _ *Source) {
				h.Log = &memoryLog{append: func(context.Context) error { return errors.New("no quorum") }}
			},
			status: 503, code: "ServiceUnavailable", detail: "ServiceUnavailable", class: "Unexpected",
		},
		{
			name: "disk full", setup: func(h *Handler, _ *Source) {
				h.Log = &memoryLog{append: func(context.Context) error { return fmt.Errorf("append: %w", eventlog.ErrNoSpace) }}
			},
			status: 503, code: "ServiceUnavailable", detail: "ServiceUnavailable", mentions: []string{"The server's disk is full"}, class: "NoSpace",
		},
		{
			name: "log takes less", setup: func(h *Handler, _ *Source) {
				h.Log = &memoryLog{append: func(context.Context) error { return eventlog.ErrTooLarge }}
			},
			status: 413, code: "RequestEntityTooLarge", detail: "PayloadTooLarge", class: "PayloadTooLarge",
		},
		{
			name: "draining", setup: func(h *Handler, _ *Source) { h.Drain() }, status: 503, code: "ServiceUnavailable", detail: "ServiceUnavailable", class: "Unexpected",
		},
		{
			name: "throttled", setup: usedUp, status: 429, code: "TooManyRequests", detail: "TooManyRequests", class: "Busy",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.setup)
			body := tt.body
			if body == "" {
				body = one
			}
			a := f.send(t, body, tt.change)
			if a.status != tt.status {
				t.Fatalf("%d %s, want %d", a.status, a.body, tt.status)
			}
			message := a.problemOf(t, tt.code, tt.detail)
			for _, m := range tt.mentions {
				if !strings.Contains(message, m) {
					t.Errorf("message %q does not mention %q", message, m)
				}
			}
			if len(tt.mentions) > 0 && tt.mentions[0] == notAuthorized && !strings.HasPrefix(message, notAuthorized) {
				t.Errorf("message %q does not begin with %q", message, notAuthorized)
			}
			if tt.class == "NoSpace" && (a.header.Get("Retry-After") != "10" || strings.Contains(f.logged.String(), `"level":"ERROR"`)) {
				t.Errorf("Retry-After %q, log %s", a.header.Get("Retry-After"), f.logged)
			}
			if wait := a.header.Get("Retry-After"); (wait != "") != (tt.status == 503 || tt.status == 429) {
				t.Errorf("Retry-After %q", wait)
			}
			if len(f.log.entries) != 0 {
				t.Errorf("%d entries were stored", len(f.log.entries))
			}
			if got := testutil.ToFloat64(f.Metrics.failed.WithLabelValues(namespaceID, tt.class, strconv.Itoa(tt.status))); got < 1 {
				t.Errorf("failure metric of class %s is %v", tt.class, got)
			}
		})
	}
}
