package activity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

const (
	tenant   = "00000000-aaaa-4bbb-8ccc-00000000000f"
	partner  = "/subscriptions/11111111-aaaa-4bbb-8ccc-000000000001"
	customer = "/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002"
	group1   = partner + "/resourceGroups/rg-p"
	group2   = customer + "/resourceGroups/rg-c"
	channel  = group1 + "/providers/Microsoft.EventGrid/partnerNamespaces/ns1/channels/ch1"
	topic    = group2 + "/providers/Microsoft.EventGrid/partnerTopics/pt1"
)

var now = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// fakeLog keeps what it is given.
type fakeLog struct {
	mu      sync.Mutex // protects the fields below
	batches [][]Entry
	fail    func(batch int) error
	sawErr  error // of the context
}

func (l *fakeLog) Append(ctx context.Context, entries []Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sawErr = ctx.Err()
	if l.fail != nil {
		if err := l.fail(len(l.batches)); err != nil {
			return err
		}
	}
	l.batches = append(l.batches, append([]Entry(nil), entries...))
	return nil
}

func (l *fakeLog) all() (out []Entry) {
	for _, b := range l.batches {
		out = append(out, b...)
	}
	return out
}

type counter float64

func (c *counter) Add(n float64) { *c += counter(n) }

// world is an emitter with four system topics: of both subscriptions, and of one
// group in each.
type world struct {
	*Emitter
	t      testing.TB
	log    *fakeLog
	lost   counter
	output bytes.Buffer
	ids    int
	uids   map[resource.UID]string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, log: &fakeLog{}, uids: map[resource.UID]string{}}
	w.Emitter = &Emitter{Sources: &Sources{}, Log: w.log, Tenant: tenant, Logger: slog.New(slog.NewTextHandler(&w.output, nil)), Lost: &w.lost}
	w.NewID = func() string {
		w.ids++
		return fmt.Sprintf("99999999-aaaa-4bbb-8ccc-%012d", w.ids)
	}
	for _, s := range []string{partner, customer, group1, group2} {
		uid := resource.NewUID()
		w.uids[uid] = s
		w.Sources.Set(mustID(t, s), uid, "topic of "+s)
	}
	return w
}

// told lists what was told: source, type and subject.
func (w *world) told() []string {
	w.t.Helper()
	out := []string{}
	for _, e := range w.log.all() {
		if w.uids[e.Topic] != e.Event.Source {
			w.t.Errorf("the event of %s went to the topic of %s", e.Event.Source, w.uids[e.Topic])
		}
		out = append(out, short(e.Event.Source)+" "+strings.TrimPrefix(e.Event.Type, "Microsoft.Resources.Resource")+" "+short(e.Event.Subject))
	}
	return out
}

func short(id string) string {
	return strings.NewReplacer(partner, "P", customer, "C", "/resourceGroups/", "/", "/providers/Microsoft.EventGrid/", "/").Replace(id)
}

func caller() access.Claims {
	return access.Claims{
		Subject:  access.Subject{ObjectID: "oid-of-caller", AppID: "app-of-caller", Tenant: tenant, Name: "Name of caller"},
		Audience: "https://management.azure.com/", Issuer: "https://issuer.example/", ID: "uti-of-token", IssuedAt: now.Add(-time.Minute), Expires: now.Add(time.Hour),
	}
}

// activation is what a customer does that the partner has to learn of.
func (w *world) activation() (*Operation, []Change) {
	old, next := newResource(w.t, topic, `{"activationState":"NeverActivated"}`), newResource(w.t, topic, `{"activationState":"Activated"}`)
	oldChannel, nextChannel := newResource(w.t, channel, `{"provisioningState":"Succeeded"}`), newResource(w.t, channel, `{"provisioningState":"Succeeded"}`)
	return &Operation{
		Resource: mustID(w.t, topic), Verb: Action, Action: "Microsoft.EventGrid/partnerTopics/activate/action", Outcome: Success, Ended: now,
		CorrelationID: "77777777-aaaa-4bbb-8ccc-000000000001", Caller: caller(),
		Grant: access.Grant{
			Assignment: access.Assignment{
				ID:    customer + "/providers/Microsoft.Authorization/roleAssignments/55555555-aaaa-4bbb-8ccc-000000000005",
				Scope: customer, RoleID: customer + "/providers/Microsoft.Authorization/roleDefinitions/" + access.RoleContributor,
				PrincipalID: "oid-of-caller", PrincipalType: "ServicePrincipal",
			},
			Role: "Contributor",
		},
		Request: Request{ID: "id-of-client", Address: "198.51.100.7", Method: "POST", URL: "https://arm.example" + topic + "/activate?api-version=2022-06-15"},
	}, []Change{{oldChannel, nextChannel}, {old, next}}
}

func TestActivationReachesBothSides(t *testing.T) {
	w := newWorld(t)
	op, changes := w.activation()
	w.Ended(t.Context(), op, changes)
	want := []string{
		"C ActionSuccess C/rg-c/partnerTopics/pt1", "C/rg-c ActionSuccess C/rg-c/partnerTopics/pt1",
		"P WriteSuccess P/rg-p/partnerNamespaces/ns1/channels/ch1", "P/rg-p WriteSuccess P/rg-p/partnerNamespaces/ns1/channels/ch1",
	}
	if diff := cmp.Diff(want, w.told()); diff != "" {
		t.Error(diff)
	}
	if len(w.log.batches) != 1 || w.lost != 0 {
		t.Errorf("%d appends, %v lost", len(w.log.batches), w.lost)
	}
}

// Of a change in another subscription nothing tells who made it, or from where.
func TestTheOtherSideLearnsNothingOfWho(t *testing.T) {
	w := newWorld(t)
	op, changes := w.activation()
	w.Ended(t.Context(), op, changes)
	secrets := []string{
		"of-caller", "of caller", "of-token", "of-client", "198.51.100.7", "arm.example", "Contributor", "55555555", op.CorrelationID,
		"22222222-aaaa-4bbb-8ccc-000000000002", "rg-c", "pt1", access.RoleContributor, "api-version", "issuer.example",
	}
	foreign := 0
	for _, e := range w.log.all() {
		if !strings.HasPrefix(e.Event.Source, partner) {
			continue
		}
		foreign++
		for _, s := range secrets {
			if strings.Contains(strings.ToLower(string(e.Event.JSON)), strings.ToLower(s)) {
				t.Errorf("the partner's event tells %q: %s", s, e.Event.JSON)
			}
		}
	}
	if foreign != 2 {
		t.Errorf("%d events on the partner's side", foreign)
	}
	// The words to look for are right: the customer's own event has them all.
	for _, s := range secrets {
		if own := string(w.log.all()[0].Event.JSON); !strings.Contains(own, s) {
			t.Errorf("even the customer's event does not tell %q: %s", s, own)
		}
	}
}

func TestGoldenEvents(t *testing.T) {
	w := newWorld(t)
	op, changes := w.activation()
	w.Ended(t.Context(), op, changes)
	all := w.log.all()
	golden(t, "own side", all[0].Event.JSON, `{"id":"99999999-aaaa-4bbb-8ccc-000000000002","topic":"/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002",`+
		`"subject":"/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002/resourceGroups/rg-c/providers/Microsoft.EventGrid/partnerTopics/pt1",`+
		`"eventType":"Microsoft.Resources.ResourceActionSuccess","eventTime":"2026-03-01T09:30:00.0000000Z","dataVersion":"2","metadataVersion":"1",`+
		`"data":{"authorization":{"scope":"/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002/resourceGroups/rg-c/providers/Microsoft.EventGrid/partnerTopics/pt1",`+
		`"action":"Microsoft.EventGrid/partnerTopics/activate/action","evidence":{"role":"Contributor","roleAssignmentScope":"/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002",`+
		`"roleAssignmentId":"55555555-aaaa-4bbb-8ccc-000000000005","roleDefinitionId":"b24988ac-6180-42a0-ab88-20f7382dd24c","principalId":"oid-of-caller","principalType":"ServicePrincipal"}},`+
		`"claims":{"app_displayname":"Name of caller","appid":"app-of-caller","aud":"https://management.azure.com/","exp":"1772361000","iat":"1772357340","iss":"https://issuer.example/",`+
		`"oid":"oid-of-caller","sub":"oid-of-caller","tid":"00000000-aaaa-4bbb-8ccc-00000000000f","uti":"uti-of-token"},"correlationId":"77777777-aaaa-4bbb-8ccc-000000000001",`+
		`"httpRequest":{"clientRequestId":"id-of-client","clientIpAddress":"198.51.100.7","method":"POST",`+
		`"url":"https://arm.example/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002/resourceGroups/rg-c/providers/Microsoft.EventGrid/partnerTopics/pt1/activate?api-version=2022-06-15"},`+
		`"resourceProvider":"Microsoft.EventGrid","resourceUri":"/subscriptions/22222222-aaaa-4bbb-8ccc-000000000002/resourceGroups/rg-c/providers/Microsoft.EventGrid/partnerTopics/pt1",`+
		`"operationName":"Microsoft.EventGrid/partnerTopics/activate/action","status":"Succeeded","subscriptionId":"22222222-aaaa-4bbb-8ccc-000000000002","tenantId":"00000000-aaaa-4bbb-8ccc-00000000000f"}}`)
	golden(t, "other side", all[3].Event.JSON, `{"id":"99999999-aaaa-4bbb-8ccc-000000000003","topic":"/subscriptions/11111111-aaaa-4bbb-8ccc-000000000001/resourceGroups/rg-p",`+
		`"subject":"/subscriptions/11111111-aaaa-4bbb-8ccc-000000000001/resourceGroups/rg-p/providers/Microsoft.EventGrid/partnerNamespaces/ns1/channels/ch1",`+
		`"eventType":"Microsoft.Resources.ResourceWriteSuccess","eventTime":"2026-03-01T09:30:00.0000000Z","dataVersion":"2","metadataVersion":"1",`+
		`"data":{"authorization":{"scope":"/subscriptions/11111111-aaaa-4bbb-8ccc-000000000001/resourceGroups/rg-p/providers/Microsoft.EventGrid/partnerNamespaces/ns1/channels/ch1",`+
		`"action":"Microsoft.EventGrid/partnerNamespaces/channels/write","evidence":{}},"claims":{},"correlationId":"99999999-aaaa-4bbb-8ccc-000000000001",`+
		`"resourceProvider":"Microsoft.EventGrid","resourceUri":"/subscriptions/11111111-aaaa-4bbb-8ccc-000000000001/resourceGroups/rg-p/providers/Microsoft.EventGrid/partnerNamespaces/ns1/channels/ch1",`+
		`"operationName":"Microsoft.EventGrid/partnerNamespaces/channels/write","status":"Succeeded","subscriptionId":"11111111-aaaa-4bbb-8ccc-000000000001","tenantId":"00000000-aaaa-4bbb-8ccc-00000000000f"}}`)
}

// golden compares the members, whatever their order, and then demands that the
// text is of the same length: nothing is written twice.
func golden(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := errors.Join(json.Unmarshal(got, &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, g); diff != "" || len(got) != len(want) {
		t.Errorf("%s (-want +got):\n%s\n%s", what, diff, got)
	}
}

// Each verb with each outcome is a type of its own.
func TestNineTypes(t *testing.T) {
	w := newWorld(t)
	status := map[Outcome]string{Success: "Succeeded", Failure: "Failed", Cancel: "Canceled"}
	for _, verb := range []Verb{Write, Delete, Action} {
		for outcome, want := range status {
			w.log.batches = nil
			op, _ := w.activation()
			op.Verb, op.Outcome = verb, outcome
			w.Ended(t.Context(), op, nil)
			e := w.log.all()[0].Event
			var data struct {
				Data document `json:"data"`
			}
			if err := json.Unmarshal(e.JSON, &data); err != nil {
				t.Fatal(err)
			}
			if e.Type != "Microsoft.Resources.Resource"+string(verb)+string(outcome) || data.Data.Status != want {
				t.Errorf("%s %s: %s", verb, outcome, e.JSON)
			}
		}
	}
}

func TestWhatIsToldOfAnOperation(t *testing.T) {
	es := group2 + "/providers/Microsoft.EventGrid/systemTopics/st/eventSubscriptions/es"
	route := group2 + "/providers/Microsoft.EventGrid/eventSubscriptions/es"
	res := func(id, state string) *resource.Resource {
		return newResource(t, id, `{"provisioningState":"`+state+`"}`)
	}
	for name, c := range map[string]struct {
		op      Operation
		changes []Change
		want    []string
	}{
		"the client's own id":    {Operation{Resource: mustID(t, route), Stored: mustID(t, es), Verb: Write}, []Change{{nil, res(es, "Succeeded")}}, []string{"C/rg-c WriteSuccess C/rg-c/eventSubscriptions/es"}},
		"not finished":           {Operation{Resource: mustID(t, route), Stored: mustID(t, es), Verb: Write}, []Change{{nil, res(es, "AwaitingManualAction")}}, []string{}},
		"but what came along is": {Operation{Resource: mustID(t, route), Stored: mustID(t, es), Verb: Write}, []Change{{nil, res(strings.TrimSuffix(es, "/eventSubscriptions/es"), "Succeeded")}, {nil, res(es, "AwaitingManualAction")}}, []string{"C/rg-c WriteSuccess C/rg-c/systemTopics/st"}},
		"nothing changed":        {Operation{Resource: mustID(t, topic), Verb: Write}, nil, []string{"C/rg-c WriteSuccess C/rg-c/partnerTopics/pt1"}},
		"failed half way":        {Operation{Resource: mustID(t, group2), Verb: Delete, Outcome: Failure}, []Change{{res(topic, ""), nil}}, []string{"C/rg-c DeleteFailure C/rg-c", "C/rg-c DeleteSuccess C/rg-c/partnerTopics/pt1"}},
		"an effect not finished": {Operation{Resource: mustID(t, topic), Verb: Write}, []Change{{nil, res(es, "Creating")}}, []string{"C/rg-c WriteSuccess C/rg-c/partnerTopics/pt1"}},
		"a role assignment":      {Operation{Resource: mustID(t, group2+"/providers/Microsoft.Authorization/roleAssignments/x"), Verb: Write}, nil, []string{"C/rg-c WriteSuccess C/rg-c/providers/Microsoft.Authorization/roleAssignments/x"}},
		"at the tenant":          {Operation{Resource: resource.ID{}.Provider("Microsoft.Subscription/aliases", "x"), Verb: Write}, []Change{{nil, res("/providers/Microsoft.Subscription/aliases/y", "")}}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for uid, s := range w.uids {
				if s != group2 { // one listener, for short lists
					w.Sources.Remove(uid)
				}
			}
			if c.op.Outcome == "" {
				c.op.Outcome = Success
			}
			c.op.Action, c.op.Ended = "Microsoft.X/y/write", now
			w.Ended(t.Context(), &c.op, c.changes)
			if diff := cmp.Diff(c.want, w.told()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A first creation does not show its request; whatever changes what was there
// does, and what came along in the same subscription shows who is behind it.
func TestRequestsAndClaims(t *testing.T) {
	w := newWorld(t)
	op, _ := w.activation()
	op.Created = true
	other := group2 + "/providers/Microsoft.EventGrid/topics/x"
	w.Ended(t.Context(), op, []Change{{nil, newResource(t, other, `{}`)}, {newResource(t, other+"2", `{}`), newResource(t, other+"2", `{}`)}})
	for i, want := range []struct{ request, claims, evidence bool }{{false, true, true}, {false, true, true}, {false, true, false}, {false, true, false}, {true, true, false}, {true, true, false}} {
		var e struct {
			Data struct {
				document
				Correlation string `json:"correlationId"`
			} `json:"data"`
		}
		if err := json.Unmarshal(w.log.all()[i].Event.JSON, &e); err != nil {
			t.Fatal(err)
		}
		d := e.Data
		if got := (d.Request != nil); got != want.request || len(d.Claims) > 0 != want.claims || (d.Authorization.Evidence != evidence{}) != want.evidence || d.Correlation != op.CorrelationID {
			t.Errorf("%d: %s", i, w.log.all()[i].Event.JSON)
		}
	}
}

func TestTheServiceTellsOfItsOwnChanges(t *testing.T) {
	w := newWorld(t)
	es := topic + "/eventSubscriptions/es"
	state := func(s string) *resource.Resource { return newResource(t, es, `{"provisioningState":"`+s+`"}`) }
	for name, c := range map[string]struct {
		changes []Change
		want    []string
	}{
		"nobody activated":      {[]Change{{newResource(t, channel, `{}`), nil}, {newResource(t, topic, `{}`), nil}}, []string{"P DeleteSuccess P/rg-p/partnerNamespaces/ns1/channels/ch1", "P/rg-p DeleteSuccess P/rg-p/partnerNamespaces/ns1/channels/ch1", "C DeleteSuccess C/rg-c/partnerTopics/pt1", "C/rg-c DeleteSuccess C/rg-c/partnerTopics/pt1"}},
		"consent came":          {[]Change{{state("AwaitingManualAction"), state("Succeeded")}}, []string{"C WriteSuccess C/rg-c/partnerTopics/pt1/eventSubscriptions/es", "C/rg-c WriteSuccess C/rg-c/partnerTopics/pt1/eventSubscriptions/es"}},
		"consent did not come":  {[]Change{{state("AwaitingManualAction"), state("Failed")}}, []string{"C WriteFailure C/rg-c/partnerTopics/pt1/eventSubscriptions/es", "C/rg-c WriteFailure C/rg-c/partnerTopics/pt1/eventSubscriptions/es"}},
		"still failed":          {[]Change{{state("Failed"), state("Failed")}}, []string{"C WriteSuccess C/rg-c/partnerTopics/pt1/eventSubscriptions/es", "C/rg-c WriteSuccess C/rg-c/partnerTopics/pt1/eventSubscriptions/es"}},
		"nothing":               {nil, []string{}},
		"properties unreadable": {[]Change{{nil, newResource(t, topic, `[`)}}, []string{"C WriteSuccess C/rg-c/partnerTopics/pt1", "C/rg-c WriteSuccess C/rg-c/partnerTopics/pt1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.log.batches = nil
			w.Service(t.Context(), c.changes, now)
			if diff := cmp.Diff(c.want, w.told()); diff != "" {
				t.Error(diff)
			}
			for _, e := range w.log.all() {
				if raw := string(e.Event.JSON); !strings.Contains(raw, `"claims":{}`) || !strings.Contains(raw, `"evidence":{}`) || strings.Contains(raw, "httpRequest") {
					t.Errorf("somebody is named: %s", raw)
				}
			}
		})
	}
}

func TestWithoutListenersNothingIsBuilt(t *testing.T) {
	w := newWorld(t)
	for uid := range w.uids {
		w.Sources.Remove(uid)
	}
	op, changes := w.activation()
	allocations := testing.AllocsPerRun(100, func() {
		w.Ended(t.Context(), op, changes)
		w.Service(t.Context(), changes, now)
	})
	if w.ids != 0 || len(w.log.batches) != 0 || allocations > 0 {
		t.Errorf("%d ids, %d appends, %v allocations", w.ids, len(w.log.batches), allocations)
	}
}

// The client that goes away takes nothing with it: events are written under a
// context of their own.
func TestEventsOutliveTheRequest(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	op, changes := w.activation()
	op.Outcome = Cancel
	w.Ended(ctx, op, changes)
	if got := w.told(); len(got) != 4 || w.log.sawErr != nil || got[0] != "C ActionCancel C/rg-c/partnerTopics/pt1" {
		t.Errorf("%v, %v", got, w.log.sawErr)
	}
}

func TestManyEventsGoInParts(t *testing.T) {
	w := newWorld(t)
	var changes []Change
	for i := range 100 {
		changes = append(changes, Change{Old: newResource(t, fmt.Sprintf("%s/providers/Microsoft.EventGrid/topics/t%d", group2, i), `{}`)})
	}
	op := Operation{Resource: mustID(t, group2), Verb: Delete, Action: resource.TypeGroup + "/delete", Outcome: Success, Ended: now}
	w.Ended(t.Context(), &op, changes)
	if got := len(w.log.all()); got != 202 || len(w.log.batches) != 4 || len(w.log.batches[0]) != MaxAppend {
		t.Errorf("%d events in %d parts", got, len(w.log.batches))
	}
	w.log.batches = nil
	w.log.fail = func(batch int) error {
		if batch == 1 {
			return errors.New("disk is full")
		}
		return nil
	}
	w.Ended(t.Context(), &op, changes)
	if got := len(w.log.all()); got != MaxAppend || w.lost != counter(202-MaxAppend) {
		t.Errorf("%d events, %v lost", got, w.lost)
	}
	if out := w.output.String(); !strings.Contains(out, "level=ERROR") || !strings.Contains(out, "disk is full") || strings.Count(out, "\n") != 1 {
		t.Errorf("logged %s", out)
	}
}

// A name that is no text must not cost the event.
func TestNamesThatAreNoText(t *testing.T) {
	w := newWorld(t)
	id := resource.GroupID("22222222-aaaa-4bbb-8ccc-000000000002", "rg-c").Provider("Microsoft.X/y", "a\xff\"b")
	w.Ended(t.Context(), &Operation{Resource: id, Verb: Write, Action: "Microsoft.X/y/write", Outcome: Success, Ended: now}, nil)
	if len(w.log.all()) != 2 || w.lost != 0 {
		t.Fatalf("%d events, %v lost: %s", len(w.log.all()), w.lost, w.output.String())
	}
	if e := w.log.all()[0].Event; !json.Valid(e.JSON) || !strings.HasSuffix(e.Subject, "a�\"b") {
		t.Errorf("%s", e.JSON)
	}
}

func BenchmarkEnded(b *testing.B) {
	for name, listeners := range map[string]bool{"heard": true, "unheard": false} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			op, changes := w.activation()
			if !listeners {
				for uid := range w.uids {
					w.Sources.Remove(uid)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				w.Ended(b.Context(), op, changes)
				w.log.batches = w.log.batches[:0]
			}
		})
	}
}
