package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/resource"
)

// eventLog keeps the management events.
type eventLog struct {
	mu      sync.Mutex // protects the fields below
	entries []activity.Entry
	fail    error
	lost    float64
}

func (l *eventLog) Append(_ context.Context, entries []activity.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.entries = append(l.entries, entries...)
	return nil
}

func (l *eventLog) Add(n float64) { l.lost += n }

// take returns what was told since the last call: who hears of it, what, of whom.
func (l *eventLog) take() []string {
	out := []string{}
	for _, e := range l.entries {
		side := strings.NewReplacer("/subscriptions/"+partnerSub, "P", customerID, "C", "/resourceGroups/", "/").Replace
		subject := strings.NewReplacer(provider+"/", "/EG/", "/providers/Microsoft.Authorization/roleAssignments/", "/role/").Replace(side(e.Event.Subject))
		out = append(out, side(e.Event.Source)+" "+strings.TrimPrefix(e.Event.Type, "Microsoft.Resources.Resource")+" "+subject+" "+dataOf(e).OperationName)
	}
	l.entries = nil
	return out
}

type eventData struct {
	Authorization struct {
		Scope, Action string
		Evidence      map[string]string
	}
	Claims        map[string]string
	CorrelationID string `json:"correlationId"`
	HTTPRequest   *struct{ ClientRequestID, ClientIPAddress, Method, URL string }
	OperationName string `json:"operationName"`
	Status        string
}

func dataOf(e activity.Entry) eventData {
	var v struct{ Data eventData }
	if err := json.Unmarshal(e.Event.JSON, &v); err != nil {
		panic(err)
	}
	return v.Data
}

// listen makes the system topics of both subscriptions, so that both sides hear.
func (f *fixture) listen() *fixture {
	f.t.Helper()
	for _, side := range []string{partnerRG, customerRG} {
		sub, _, _ := strings.Cut(side, "/resourceGroups")
		f.put("owner", side+provider+"/systemTopics/changes", `{"location":"global","properties":{"source":"`+sub+`","topicType":"Microsoft.Resources.Subscriptions"}}`).want(200)
	}
	f.told.take()
	return f
}

// Who hears of what, act by act, along the partner flow.
func TestBothSidesHearOfTheirs(t *testing.T) {
	f := newFixture(t).listen()
	const (
		eg = "Microsoft.EventGrid/"
		ch = "P/rg-p/EG/partnerNamespaces/ns1/channels/ch1"
		pt = "C/rg-c/EG/partnerTopics/pt1"
	)
	created := []string{"P WriteSuccess " + ch + " " + eg + "partnerNamespaces/channels/write", "C WriteSuccess " + pt + " " + eg + "partnerTopics/write"}
	gone := []string{"P DeleteSuccess " + ch + " " + eg + "partnerNamespaces/channels/delete", "C DeleteSuccess " + pt + " " + eg + "partnerTopics/delete"}
	changed := "P WriteSuccess " + ch + " " + eg + "partnerNamespaces/channels/write"
	step := func(a *answer, want ...string) {
		t.Helper()
		if a.status >= 300 {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
		got := f.told.take()
		want = append([]string{}, want...)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", a.what, diff)
		}
	}
	step(f.put("owner", registration, `{"properties":{"partnerName":"Northwave"}}`), "P WriteSuccess P/rg-p/EG/partnerRegistrations/reg "+eg+"partnerRegistrations/write")
	step(f.put("owner", namespace, `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"`+registration+`","partnerTopicRoutingMode":"ChannelNameHeader"}}`),
		"P WriteSuccess P/rg-p/EG/partnerNamespaces/ns1 "+eg+"partnerNamespaces/write")
	step(f.put("owner", config, `{}`), "C WriteSuccess C/rg-c/EG/partnerConfigurations/default "+eg+"partnerConfigurations/write")
	step(f.post("owner", config+"/authorizePartner", `{"partnerName":"northwave"}`), "C ActionSuccess C/rg-c/EG/partnerConfigurations/default "+eg+"partnerConfigurations/authorizePartner/action")
	step(f.put("owner", channel, channelBody("pt1")), created...)
	step(f.patch("owner", channel, `{"properties":{}}`), created...)
	step(f.post("owner", topic+"/activate", ""), "C ActionSuccess "+pt+" "+eg+"partnerTopics/activate/action", changed)
	step(f.put("owner", eventSub, hookBody), "C WriteSuccess "+pt+"/eventSubscriptions/es1 "+eg+"partnerTopics/eventSubscriptions/write")
	step(f.put("owner", topic+provider+"/eventSubscriptions/es1", hookBody), "C WriteSuccess "+pt+"/EG/eventSubscriptions/es1 "+eg+"eventSubscriptions/write")
	step(f.post("owner", eventSub+"/getFullUrl", ""), "C ActionSuccess "+pt+"/eventSubscriptions/es1 "+eg+"partnerTopics/eventSubscriptions/getFullUrl/action")
	step(f.post("owner", topic+"/deactivate", ""), "C ActionSuccess "+pt+" "+eg+"partnerTopics/deactivate/action", changed)
	step(f.post("owner", namespace+"/listKeys", ""), "P ActionSuccess P/rg-p/EG/partnerNamespaces/ns1 "+eg+"partnerNamespaces/listKeys/action")
	step(f.post("owner", namespace+"/regenerateKey", `{"keyName":"key1"}`), "P ActionSuccess P/rg-p/EG/partnerNamespaces/ns1 "+eg+"partnerNamespaces/regenerateKey/action")
	step(f.delete("owner", topic), append([]string{"C DeleteSuccess " + pt + "/eventSubscriptions/es1 " + eg + "partnerTopics/eventSubscriptions/delete"}, gone...)...)
	step(f.put("owner", channel, channelBody("pt1")), created...)
	step(f.delete("owner", channel), gone...)
	step(f.delete("owner", channel), gone[0])
	step(f.get("owner", namespace))
	step(f.do("owner", "HEAD", namespace, ""))
	step(f.get("owner", namespace+"/channels"))

	step(f.put("owner", partnerRG+"2", `{"location":"westeurope"}`), "P WriteSuccess P/rg-p2 Microsoft.Resources/subscriptions/resourceGroups/write")
	step(f.put("owner", strings.ToUpper(partnerRG+"2"), `{}`), "P WriteSuccess P/rg-p2 Microsoft.Resources/subscriptions/resourceGroups/write")
	f.principal("somebody")
	role := assignmentAt(partnerRG+"2", guid1)
	step(f.put("owner", role, assignmentBody(access.RoleReader, f.principal("somebody"))), "P WriteSuccess P/rg-p2/role/"+guid1+" Microsoft.Authorization/roleAssignments/write")
	step(f.delete("owner", role), "P DeleteSuccess P/rg-p2/role/"+guid1+" Microsoft.Authorization/roleAssignments/delete")
	step(f.put("owner", role, assignmentBody(access.RoleReader, f.principal("somebody"))), "P WriteSuccess P/rg-p2/role/"+guid1+" Microsoft.Authorization/roleAssignments/write")
	step(f.put("owner", partnerRG+"2"+provider+"/topics/topic1", `{"location":"westeurope"}`), "P WriteSuccess P/rg-p2/EG/topics/topic1 "+eg+"topics/write")
	step(f.delete("owner", partnerRG+"2"), "P DeleteSuccess P/rg-p2 Microsoft.Resources/subscriptions/resourceGroups/delete",
		"P DeleteSuccess P/rg-p2/EG/topics/topic1 "+eg+"topics/delete", "P DeleteSuccess P/rg-p2/role/"+guid1+" Microsoft.Authorization/roleAssignments/delete")
	step(f.post("owner", "/subscriptions/"+partnerSub+provider+"/register", ""), "P ActionSuccess P Microsoft.EventGrid/register/action")
	step(f.put("owner", domain, `{"location":"westeurope"}`), "C WriteSuccess C/rg-c/EG/domains/domain1 "+eg+"domains/write")
	step(f.put("owner", domainTopic+provider+"/eventSubscriptions/es1", hookBody),
		"C WriteSuccess C/rg-c/EG/domains/domain1/topics/tenant1 "+eg+"domains/topics/write", "C WriteSuccess C/rg-c/EG/domains/domain1/topics/tenant1/EG/eventSubscriptions/es1 "+eg+"eventSubscriptions/write")
	step(f.delete("owner", domainTopic+"/eventSubscriptions/es1"),
		"C DeleteSuccess C/rg-c/EG/domains/domain1/topics/tenant1 "+eg+"domains/topics/delete", "C DeleteSuccess C/rg-c/EG/domains/domain1/topics/tenant1/eventSubscriptions/es1 "+eg+"domains/topics/eventSubscriptions/delete")
}

// A resource group hears of its own, a subscription of all in it, nobody of what
// is elsewhere.
func TestWhoListensWhere(t *testing.T) {
	f := newFixture(t).listen()
	f.put("owner", customerRG+provider+"/eventSubscriptions/of-group", hookBody).want(201)
	f.told.take()
	f.put("owner", customerRG+"2", `{"location":"westeurope"}`).want(201)
	if diff := cmp.Diff([]string{"C WriteSuccess C/rg-c2 Microsoft.Resources/subscriptions/resourceGroups/write"}, f.told.take()); diff != "" {
		t.Error(diff)
	}
	f.put("owner", customTopic, `{"location":"westeurope"}`).want(201)
	want := "WriteSuccess C/rg-c/EG/topics/topic1 Microsoft.EventGrid/topics/write"
	if diff := cmp.Diff([]string{"C " + want, "C/rg-c " + want}, f.told.take()); diff != "" {
		t.Error(diff)
	}
	f.delete("owner", customerRG+provider+"/eventSubscriptions/of-group").want(200)
	f.told.take()
	f.delete("owner", customTopic).want(204)
	if diff := cmp.Diff([]string{"C DeleteSuccess C/rg-c/EG/topics/topic1 Microsoft.EventGrid/topics/delete"}, f.told.take()); diff != "" {
		t.Error(diff)
	}
}

// Whatever the one side does that changes something of the other, the other's
// events tell nothing of it: not who, not from where, not what over there.
func TestEventsLeakNothingToTheOtherSide(t *testing.T) {
	f := newFixture(t).partnerFlow().listen()
	f.role("partner-person", access.RoleContributor, "/subscriptions/"+partnerSub)
	f.role("customer-person", access.RoleContributor, customerID)
	address := map[string]string{"partner-person": "198.51.100.1", "customer-person": "203.0.113.2"}
	sent := func(who, method, path, body string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, base+path+"?api-version="+version, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+f.token(who, "https://management.azure.com/"))
		r.Header.Set("X-Ms-Client-Request-Id", "request-of-"+who)
		r.RemoteAddr = address[who] + ":4711"
		if a := f.send(r); a.status >= 300 {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
	}
	for _, act := range []struct{ who, method, path, body string }{
		{"customer-person", "POST", topic + "/deactivate", ""},
		{"customer-person", "POST", topic + "/activate", ""},
		{"partner-person", "PUT", namespace + "/channels/ch2", channelBody("pt2")},
		{"partner-person", "PATCH", namespace + "/channels/ch2", `{"properties":{"expirationTimeIfNotActivatedUtc":"2026-03-05T00:00:00Z"}}`},
		{"partner-person", "DELETE", namespace + "/channels/ch2", ""},
		{"customer-person", "DELETE", topic, ""},
	} {
		f.told.entries = nil
		sent(act.who, act.method, act.path, act.body)
		own, other, otherSub := "/subscriptions/"+partnerSub, customerID, customerSub
		secrets := []string{"rg-p", "ns1"}
		if act.who == "customer-person" {
			own, other, otherSub = customerID, "/subscriptions/"+partnerSub, partnerSub
			secrets = []string{"rg-c", "pt1"}
		}
		secrets = append(secrets, own[len("/subscriptions/"):], f.principal(act.who), act.who, address[act.who], "Contributor", access.RoleContributor, "api-version", "arm.example")
		heard := map[string]int{}
		for _, e := range f.told.entries {
			heard[e.Event.Source]++
			d := dataOf(e)
			if e.Event.Source == own {
				if d.Claims["oid"] != f.principal(act.who) {
					t.Errorf("%s %s: the own side does not learn who did it: %s", act.method, act.path, e.Event.JSON)
				}
				secrets = append(secrets, d.CorrelationID)
			}
		}
		for _, e := range f.told.entries {
			if e.Event.Source != other {
				continue
			}
			for _, s := range secrets {
				if strings.Contains(strings.ToLower(string(e.Event.JSON)), strings.ToLower(s)) {
					t.Errorf("%s %s tells %s %q: %s", act.method, act.path, otherSub, s, e.Event.JSON)
				}
			}
		}
		if heard[own] == 0 || heard[other] == 0 {
			t.Errorf("%s %s was heard by %v", act.method, act.path, heard)
		}
	}
}

func TestWhatAnEventTells(t *testing.T) {
	f := newFixture(t).listen()
	f.role("somebody", access.RoleEventGridContributor, customerRG)
	f.ClientIP = func(r *http.Request) string { return r.Header.Get("X-Forwarded-For") }
	var audit bytes.Buffer
	f.Logger = slog.New(slog.NewTextHandler(&audit, nil))
	put := func() eventData {
		r := httptest.NewRequestWithContext(t.Context(), "PUT", base+customTopic+"?api-version="+version, strings.NewReader(`{"location":"westeurope"}`))
		r.Header.Set("Authorization", "Bearer "+f.token("somebody", "https://management.azure.com/"))
		r.Header.Set("X-Ms-Client-Request-Id", "mine")
		r.Header.Set("X-Forwarded-For", "198.51.100.9")
		a := f.send(r).want(201)
		d := dataOf(f.told.entries[0])
		if d.CorrelationID != a.header.Get("X-Ms-Correlation-Request-Id") {
			t.Errorf("correlation id %s", d.CorrelationID)
		}
		f.told.entries = nil
		return d
	}
	d := put()
	if d.HTTPRequest != nil || d.Status != "Succeeded" {
		t.Errorf("of a creation it tells %+v", d)
	}
	d = put()
	if r := d.HTTPRequest; r == nil || r.ClientIPAddress != "198.51.100.9" || r.ClientRequestID != "mine" || r.Method != http.MethodPut || r.URL != base+customTopic+"?api-version="+version {
		t.Errorf("of an update it tells %+v", r)
	}
	e := d.Authorization.Evidence
	if e["role"] != "EventGrid Contributor" || e["roleAssignmentScope"] != customerRG || e["roleDefinitionId"] != access.RoleEventGridContributor || e["principalId"] != f.principal("somebody") || e["principalType"] != "ServicePrincipal" || len(e["roleAssignmentId"]) != 36 {
		t.Errorf("evidence %v", e)
	}
	if d.Authorization.Scope != customTopic || d.Authorization.Action != "Microsoft.EventGrid/topics/write" || d.Claims["appid"] != "app-of-somebody" || d.Claims["aud"] != "https://management.azure.com/" {
		t.Errorf("got %+v", d)
	}
	for name, value := range d.Claims {
		if strings.Count(value, ".") > 1 && strings.HasPrefix(value, "ey") {
			t.Errorf("claim %s looks like a token", name)
		}
	}
	if out := audit.String(); strings.Count(out, "address=198.51.100.9 remote=192.0.2.1:1234") != 2 {
		t.Errorf("audited %s", out)
	}
}

func TestOutcomesOfOperations(t *testing.T) {
	f := newFixture(t).topics().listen()
	f.role("reader", access.RoleReader, "/")
	f.put("owner", customTopic, `{"location":"eastus"}`).want(409)
	f.put("owner", customTopic+"/eventSubscriptions/x_y", hookBody).want(400)
	f.delete("owner", config).want(200)
	f.post("owner", systemTopic+"/explode", "").want(404)
	f.post("owner", customTopic+"/regenerateKey", `{"keyName":"key9"}`).want(400)
	f.store.fail = errors.New("no disk")
	f.delete("owner", customTopic).want(500)
	f.store.fail = nil
	f.put("reader", customTopic, `{"location":"eastus"}`).want(403)
	f.put("", customTopic, `{"location":"eastus"}`).want(401)
	f.put("owner", customTopic+"?api-version=2031-01-01", `{"location":"eastus"}`).want(400)
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "PUT", base+customTopic+"/eventSubscriptions/es1?api-version="+version, strings.NewReader(hookBody))
	r.Header.Set("Authorization", "Bearer "+f.token("owner", base))
	f.hooks.fail = errors.New("asked in vain")
	f.hooks.during = cancel
	f.send(r)
	f.hooks.fail, f.hooks.during = nil, nil
	const eg = "Microsoft.EventGrid/"
	want := []string{
		"C WriteFailure C/rg-c/EG/topics/topic1 " + eg + "topics/write",
		"C WriteFailure C/rg-c/EG/topics/topic1/eventSubscriptions/x_y " + eg + "topics/eventSubscriptions/write",
		"C DeleteSuccess C/rg-c/EG/partnerConfigurations/default " + eg + "partnerConfigurations/delete",
		"C ActionFailure C/rg-c/EG/topics/topic1 " + eg + "topics/regenerateKey/action",
		"C DeleteFailure C/rg-c/EG/topics/topic1 " + eg + "topics/delete",
		"C WriteCancel C/rg-c/EG/topics/topic1/eventSubscriptions/es1 " + eg + "topics/eventSubscriptions/write",
	}
	if diff := cmp.Diff(want, f.told.take()); diff != "" {
		t.Error(diff)
	}
	// A right that is missing elsewhere is missing.
	f.role("group", access.RoleOwner, customerRG)
	f.put("group", customerRG+provider+"/systemTopics/second", `{"location":"global","properties":{"source":"`+customerID+`","topicType":"Microsoft.Resources.Subscriptions"}}`).want(403)
	if got := f.told.take(); len(got) != 0 {
		t.Errorf("a refusal was told: %v", got)
	}
}

// Events that cannot be written cost no operation.
func TestLostEventsAreCounted(t *testing.T) {
	f := newFixture(t).listen()
	f.told.fail = errors.New("disk is full")
	f.put("owner", customTopic, `{"location":"westeurope"}`).want(201)
	if f.told.lost != 1 {
		t.Errorf("%v lost", f.told.lost)
	}
	f.Activity = nil
	f.put("owner", customTopic, `{"location":"westeurope"}`).want(201)
}

// An operation that waits for consent ends when that comes, or does not.
func TestEventsOfOperationsThatWait(t *testing.T) {
	f := newFixture(t).listen()
	f.hooks.granted = false
	path := customerRG + provider + "/eventSubscriptions/es1"
	f.put("owner", path, hookBody).want(201)
	system := f.get("owner", customerRG+provider+"/extensionTopics/default").want(200).at("properties", "systemTopic").(string)
	short := strings.Replace(system, customerRG+provider, "C/rg-c/EG", 1)
	const write = " Microsoft.EventGrid/systemTopics/write"
	if diff := cmp.Diff([]string{"C WriteSuccess " + short + write, "C/rg-c WriteSuccess " + short + write}, f.told.take()); diff != "" {
		t.Error(diff)
	}
	f.open("GET", f.link()).want(200)
	done := "WriteSuccess " + short + "/eventSubscriptions/es1 Microsoft.EventGrid/systemTopics/eventSubscriptions/write"
	if diff := cmp.Diff([]string{"C " + done, "C/rg-c " + done}, f.told.take()); diff != "" {
		t.Error(diff)
	}
	f.open("GET", f.link()).want(200) // again: nothing changes
	if got := f.told.take(); len(got) != 0 {
		t.Errorf("told %v", got)
	}
	// The same change by the service itself, as when the time has passed.
	f.put("owner", path, hookBody).want(201)
	f.now = f.now.Add(time.Hour)
	id, err := resource.ParseID(system + "/eventSubscriptions/es1")
	if err != nil {
		t.Fatal(err)
	}
	var journal *activity.Journal
	if err := f.store.Commit(t.Context(), func(tx resource.Tx) error {
		journal = activity.NewJournal(tx)
		return f.Rules.Expire(journal, id, f.now)
	}); err != nil {
		t.Fatal(err)
	}
	f.Activity.Service(t.Context(), journal.Changes(), f.now)
	failed := strings.Replace(done, "Success", "Failure", 1)
	if diff := cmp.Diff([]string{"C " + failed, "C/rg-c " + failed}, f.told.take()); diff != "" {
		t.Error(diff)
	}
}

// Many at once, by both ways to the same subscriptions: nothing is told twice,
// nothing is missed.
func TestManyOperationsAtOnce(t *testing.T) {
	f := newFixture(t).topics().listen()
	before := len(f.store.view())
	const workers, rounds = 4, 15
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			// Two ways to one subscription, and two that share a system topic that
			// comes with the first and goes with the last.
			at := []string{
				customTopic + "/eventSubscriptions/one", customTopic + provider + "/eventSubscriptions/one",
				customerRG + provider + "/eventSubscriptions/two", customerRG + provider + "/eventSubscriptions/three",
			}[i]
			for range rounds {
				for method, body := range map[string]string{"PUT": hookBody, "DELETE": "", "GET": ""} {
					if a := f.do("owner", method, at, body); a.status >= 500 {
						t.Errorf("%s: %d %s", a.what, a.status, a.raw)
					}
				}
			}
			f.do("owner", "DELETE", at, "")
		})
	}
	wg.Wait()
	asked := 0
	for _, e := range f.told.entries {
		if e.Event.Source == customerID && strings.Contains(e.Event.Subject, "/eventSubscriptions/") && len(dataOf(e).Claims) > 0 {
			asked++
		}
	}
	if want := workers * (2*rounds + 1); asked != want {
		t.Errorf("%d events of %d operations", asked, want)
	}
	if n := len(f.store.view()) - before; n != 0 {
		t.Errorf("%d resources are left", n)
	}
}
