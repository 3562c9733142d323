package arm

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	tenant      = "00000000-aaaa-4bbb-8ccc-00000000000f"
	partnerSub  = "11111111-aaaa-4bbb-8ccc-000000000001"
	customerSub = "22222222-aaaa-4bbb-8ccc-000000000002"
	noSub       = "33333333-aaaa-4bbb-8ccc-000000000003"

	partnerRG  = "/subscriptions/" + partnerSub + "/resourceGroups/rg-p"
	customerRG = "/subscriptions/" + customerSub + "/resourceGroups/rg-c"
	provider   = "/providers/Microsoft.EventGrid"

	registration = partnerRG + provider + "/partnerRegistrations/reg"
	namespace    = partnerRG + provider + "/partnerNamespaces/ns1"
	channel      = namespace + "/channels/ch1"
	config       = customerRG + provider + "/partnerConfigurations/default"
	topic        = customerRG + provider + "/partnerTopics/pt1"
	eventSub     = topic + "/eventSubscriptions/es1"

	version = "2022-06-15"
	base    = "https://arm.example:8443"
)

// signingKey is made once: it is the slowest thing here.
var signingKey = sync.OnceValues(access.NewSigningKey)

// fixture is a management API over a store in memory.
type fixture struct {
	*Handler
	t       testing.TB
	store   *memoryStore
	hooks   *fakeHooks
	told    *eventLog
	now     time.Time
	objects map[string]string // object ids by name
}

// newFixture has two subscriptions with one group each, and "owner", who owns
// everything.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	key, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), hooks: &fakeHooks{granted: true}, objects: map[string]string{}}
	tokens, err := access.NewTokens([][]byte{key}, access.TokenOptions{Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	f.store = &memoryStore{all: memory{}, authorizer: &access.Authorizer{}, sources: &activity.Sources{}}
	f.told = &eventLog{}
	f.Handler = &Handler{
		Store: f.store, Tokens: tokens, Authorizer: f.store.authorizer, Tenant: tenant,
		Rules: &eventgrid.Rules{Webhooks: f.hooks, Validations: eventgrid.NewValidations(), Deliveries: f.hooks, Audiences: &eventgrid.Audiences{FirstCome: true}},
		Principal: func(id string) (access.ServicePrincipal, bool) {
			for _, known := range f.objects {
				if strings.EqualFold(known, id) {
					return access.ServicePrincipal{ObjectID: known}, true
				}
			}
			return access.ServicePrincipal{}, false
		},
		Base: func(r *http.Request) (string, bool) {
			return base, r.Host == "arm.example:8443"
		},
		Activity: &activity.Emitter{
			Sources: f.store.sources, Log: f.told, Tenant: tenant, Logger: slog.New(slog.DiscardHandler), Lost: f.told,
		},
		DefaultBase: "https://fallback.example", Now: func() time.Time { return f.now }, Logger: slog.New(slog.DiscardHandler),
	}
	f.Init()
	f.role("owner", access.RoleOwner, "/")
	for s, g := range map[string]string{partnerSub: partnerRG, customerSub: customerRG} {
		r, err := NewSubscription(resource.Time(f.now), s, "Subscription of "+g[len(g)-1:], "setup")
		if err != nil {
			t.Fatal(err)
		}
		f.store.set(r)
		f.post("owner", "/subscriptions/"+s+provider+"/register", "").want(200)
		f.put("owner", g, `{"location":"West Europe"}`).want(201)
	}
	return f
}

// principal makes one without any role.
func (f *fixture) principal(name string) string {
	if f.objects[name] == "" {
		f.objects[name] = resource.NewUID().String()
	}
	return f.objects[name]
}

// role gives a principal a role at a scope, past the API.
func (f *fixture) role(name, role, scope string) {
	f.t.Helper()
	id, err := resource.ParseID(scope)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := NewRoleAssignment(id, resource.NewUID().String(), role, f.principal(name), resource.Time(f.now), "setup")
	if err != nil {
		f.t.Fatal(err)
	}
	f.store.set(r)
}

func (f *fixture) token(name, audience string) string {
	f.t.Helper()
	text, _, err := f.Tokens.Issue(access.Subject{ObjectID: f.principal(name), AppID: "app-of-" + name, Tenant: tenant}, audience, base, f.now)
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// partnerFlow makes one of every kind but the event channel.
func (f *fixture) partnerFlow() *fixture {
	f.t.Helper()
	f.put("owner", registration, `{"properties":{"partnerName":"Northwave"}}`).want(200)
	f.put("owner", namespace, `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"`+registration+`","partnerTopicRoutingMode":"ChannelNameHeader"}}`).want(201)
	f.put("owner", config, `{"properties":{"partnerAuthorization":{"authorizedPartnersList":[{"partnerName":"northwave"}]}}}`).want(200)
	f.put("owner", channel, channelBody("pt1")).want(200)
	f.post("owner", topic+"/activate", "").want(200)
	f.put("owner", eventSub, hookBody).want(201)
	return f
}

func channelBody(topicName string) string {
	return `{"properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":"` + customerSub +
		`","resourceGroupName":"rg-c","name":"` + topicName + `","source":"/northwave"}}}`
}

const hookBody = `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://erp.example/hook?code=secret"}}}}`

// answer is what came back.
type answer struct {
	f      *fixture
	what   string
	status int
	header http.Header
	raw    string
	body   map[string]any // nil when the body is no JSON object
}

func (f *fixture) get(who, path string) *answer { f.t.Helper(); return f.do(who, "GET", path, "") }
func (f *fixture) delete(who, path string) *answer {
	f.t.Helper()
	return f.do(who, "DELETE", path, "")
}

func (f *fixture) put(who, path, b string) *answer { f.t.Helper(); return f.do(who, "PUT", path, b) }

func (f *fixture) patch(who, path, b string) *answer {
	f.t.Helper()
	return f.do(who, "PATCH", path, b)
}

func (f *fixture) post(who, path, b string) *answer { f.t.Helper(); return f.do(who, "POST", path, b) }

// do sends a request by a named principal; nobody is "".
func (f *fixture) do(who, method, path, body string) *answer {
	f.t.Helper()
	if !strings.Contains(path, "api-version") {
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "api-version=" + version
	}
	r := httptest.NewRequestWithContext(f.t.Context(), method, base+path, strings.NewReader(body))
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+f.token(who, "https://management.azure.com/"))
	}
	return f.send(r)
}

func (f *fixture) send(r *http.Request) *answer {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Result().Body)
	if err != nil {
		f.t.Fatal(err)
	}
	a := &answer{f: f, what: r.Method + " " + r.URL.RequestURI(), status: w.Code, header: w.Result().Header, raw: string(raw)}
	if json.Unmarshal(raw, &a.body) != nil {
		a.body = nil
	}
	return a
}

// want demands a status.
func (a *answer) want(status int) *answer {
	a.f.t.Helper()
	if a.status != status {
		a.f.t.Errorf("%s: status %d, want %d: %.300s", a.what, a.status, status, a.raw)
	}
	return a
}

// wantError demands status and code, and texts in the message.
func (a *answer) wantError(status int, code resource.Code, texts ...string) *answer {
	a.f.t.Helper()
	a.want(status)
	e, _ := a.body["error"].(map[string]any)
	if e["code"] != string(code) {
		a.f.t.Errorf("%s: code %v, want %s: %.300s", a.what, e["code"], code, a.raw)
	}
	for _, text := range texts {
		if m, _ := e["message"].(string); !strings.Contains(m, text) {
			a.f.t.Errorf("%s: the message does not say %q: %s", a.what, text, m)
		}
	}
	return a
}

// at returns a member by its path; nil when there is none.
func (a *answer) at(path ...string) any {
	var v any = a.body
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// names lists the names in a collection.
func (a *answer) names() []string {
	out := []string{}
	values, _ := a.body["value"].([]any)
	for _, v := range values {
		m, _ := v.(map[string]any)
		name, _ := m["name"].(string)
		out = append(out, name)
	}
	return out
}

// memoryStore keeps its promises and no more: fn runs more than once, nothing
// of a failed transaction is seen, roles are current when Commit returns.
type memoryStore struct {
	authorizer *access.Authorizer
	sources    *activity.Sources
	mu         sync.RWMutex // protects all, which is replaced and never changed
	all        memory
	fail       error // of the next commits
	// before may refuse what would be there after a commit; after says what its
	// caller is told although it is there. Both are optional.
	before func(next memory) error
	after  func() error
}

func (s *memoryStore) view() memory {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.all
}

func (s *memoryStore) Get(id resource.ID) (*resource.Resource, bool) { return s.view().Get(id) }
func (s *memoryStore) List(typ string, scope resource.ID) []*resource.Resource {
	return s.view().List(typ, scope)
}

func (s *memoryStore) Types() (all []string) {
	for _, r := range s.view() {
		all = append(all, strings.ToLower(r.Type))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *memoryStore) Commit(_ context.Context, fn func(resource.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	var next memory
	for range 2 {
		next = maps.Clone(s.all)
		if err := fn(next); err != nil {
			return err
		}
	}
	if s.before != nil {
		if err := s.before(next); err != nil {
			return err
		}
	}
	s.replace(next)
	if s.after != nil {
		return s.after()
	}
	return nil
}

func (s *memoryStore) set(r *resource.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(s.all)
	next.Put(r)
	s.replace(next)
}

func (s *memoryStore) replace(next memory) {
	before := s.all
	s.all = next
	var roles []access.Assignment
	for _, r := range next.List(resource.TypeRoleAssignment, resource.ID{}) {
		if a, err := AssignmentOf(r); err == nil {
			roles = append(roles, a)
		}
	}
	var custom []access.Role
	for _, r := range next.List(TypeRoleDefinition, resource.ID{}) {
		if role, err := RoleOf(r); err == nil {
			custom = append(custom, role)
		}
	}
	s.authorizer.Set(roles, custom)
	for _, r := range before.List(eventgrid.TypeSystemTopic, resource.ID{}) {
		if _, ok := next.Get(r.ID); !ok {
			s.sources.Remove(r.UID)
		}
	}
	for _, r := range next.List(eventgrid.TypeSystemTopic, resource.ID{}) {
		if strings.HasPrefix(eventgrid.TopicTypeName(next, r), "Microsoft.Resources.") {
			s.sources.Set(eventgrid.SourceOf(next, r), r.UID, r.ID.String())
		}
	}
}

type memory map[string]*resource.Resource

func (m memory) Get(id resource.ID) (*resource.Resource, bool) { r, ok := m[id.Key()]; return r, ok }
func (m memory) Put(r *resource.Resource)                      { m[r.ID.Key()] = r }
func (m memory) Delete(id resource.ID)                         { delete(m, id.Key()) }
func (m memory) List(typ string, scope resource.ID) []*resource.Resource {
	var out []*resource.Resource
	for key, r := range m {
		if (typ == "" || strings.EqualFold(r.Type, typ)) && (scope.IsRoot() || key == scope.Key() || strings.HasPrefix(key, scope.Key()+"/")) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *resource.Resource) int { return cmp.Compare(a.ID.Key(), b.ID.Key()) })
	return out
}

type fakeHooks struct {
	granted bool
	fail    error
	mu      sync.Mutex // protects asked
	asked   []eventgrid.Handshake
	during  func() // the handshake
}

func (*fakeHooks) Check(string) error { return nil }

func (*fakeHooks) Status(resource.UID) (any, bool) { return map[string]string{"state": "fine"}, true }

func (h *fakeHooks) Handshake(_ context.Context, hs eventgrid.Handshake) (bool, error) {
	h.mu.Lock()
	h.asked = append(h.asked, hs)
	h.mu.Unlock()
	if h.during != nil {
		h.during()
	}
	return h.granted, h.fail
}
