package eventgrid

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/resource"
)

// world is everything there is, in memory: two subscriptions, a partner's and a
// customer's, and the rules between them.
type world struct {
	t     *testing.T
	now   time.Time
	rules *Rules
	hooks *fakeWebhooks
	kinds map[string]*resource.Kind
	all   memory
	// version is the api-version of writes; empty knows every member.
	version string
	// authorize answers what a write asks for beside itself.
	authorize func(action string, scope resource.ID) error
}

const (
	partnerSub  = "11111111-aaaa-4bbb-8ccc-000000000001"
	customerSub = "22222222-aaaa-4bbb-8ccc-000000000002"
	strangerSub = "33333333-aaaa-4bbb-8ccc-000000000003"
)

var (
	partnerGroup  = resource.GroupID(partnerSub, "rg-p")
	customerGroup = resource.GroupID(customerSub, "rg-c")

	registrationID  = partnerGroup.Provider(TypePartnerRegistration, "reg")
	namespaceID     = partnerGroup.Provider(TypePartnerNamespace, "ns1")
	channelID       = namespaceID.Child("channels", "ch1")
	configurationID = customerGroup.Provider(TypePartnerConfiguration, "default")
	topicID         = customerGroup.Provider(TypePartnerTopic, "pt1")
	subscriptionID  = topicID.Child("eventSubscriptions", "es1")
)

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), hooks: &fakeWebhooks{granted: true}, kinds: make(map[string]*resource.Kind), all: make(memory)}
	w.authorize = func(string, resource.ID) error { return nil }
	w.rules = &Rules{Webhooks: w.hooks, Validations: NewValidations(), Audiences: &Audiences{FirstCome: true}}
	for _, k := range w.rules.Kinds() {
		w.kinds[k.Type] = k
	}
	for _, s := range []string{partnerSub, customerSub} {
		r := &resource.Resource{ID: resource.SubscriptionID(s), UID: resource.NewUID(), Type: resource.TypeSubscription}
		w.must(resource.Encode(r, &Subscription{State: "Enabled", Registered: []string{"microsoft.eventgrid"}}))
		w.all.Put(r)
	}
	for _, g := range []resource.ID{partnerGroup, customerGroup} {
		w.all.Put(&resource.Resource{ID: g, UID: resource.NewUID(), Type: resource.TypeGroup, Location: "westeurope"})
	}
	return w
}

// withNamespace adds a registration and a namespace for channels.
func (w *world) withNamespace() *world {
	w.must(w.put(registrationID, `{"properties":{"partnerName":"Northwave"}}`))
	w.must(w.put(namespaceID, `{"location":"West Europe","properties":{"partnerRegistrationFullyQualifiedId":"`+registrationID.String()+`","partnerTopicRoutingMode":"ChannelNameHeader"}}`))
	return w
}

// withGrant adds the customer's trust in the partner, by id.
func (w *world) withGrant() *world {
	w.must(w.put(configurationID, `{"properties":{"partnerAuthorization":{"authorizedPartnersList":[{"partnerRegistrationImmutableId":"`+w.partner().ImmutableID+`"}]}}}`))
	return w
}

// withChannel adds a channel, and with it the partner topic.
func (w *world) withChannel() *world {
	w.withNamespace().withGrant()
	w.must(w.put(channelID, channelBody(``)))
	return w
}

// withSubscription adds an event subscription to the activated partner topic.
func (w *world) withSubscription() *world {
	w.withChannel()
	w.must(w.post(topicID, "activate", ""))
	w.must(w.put(subscriptionID, hookBody("https://erp.example/hook?code=marker", "")))
	return w
}

func channelBody(more string) string {
	return `{"properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":"` + customerSub +
		`","resourceGroupName":"rg-c","name":"pt1","source":"/northwave/4711"}` + more + `}}`
}

func hookBody(url, more string) string {
	return `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"` + url + `"}}` + more + `}}`
}

func (w *world) partner() *PartnerRegistration {
	return props[PartnerRegistration](w, registrationID)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// change runs fn as the store does: whole or not at all, and maybe twice.
func (w *world) change(fn func(resource.Tx) error) error {
	if err := fn(maps.Clone(w.all)); err != nil {
		return err
	}
	next := maps.Clone(w.all)
	err := fn(next)
	if err == nil {
		w.all = next
	}
	return err
}

func (w *world) put(id resource.ID, body string) error   { return w.write(at(id), body, false) }
func (w *world) patch(id resource.ID, body string) error { return w.write(at(id), body, true) }

// at is where a resource is stored: a fixed place, or one to be found.
func at(id resource.ID) func(resource.Tx) (resource.ID, error) {
	return func(resource.Tx) (resource.ID, error) { return id, nil }
}

// on is where an event subscription in the extension form is stored.
func (w *world) on(scope resource.ID, name string) func(resource.Tx) (resource.ID, error) {
	return func(tx resource.Tx) (resource.ID, error) {
		home, err := w.rules.MakeHome(tx, scope, "caller", w.now)
		if err != nil {
			return resource.ID{}, err
		}
		return home.Child("eventSubscriptions", name), nil
	}
}

// subscribe creates an event subscription in the extension form and returns
// where it is stored.
func (w *world) subscribe(scope resource.ID, name, more string) resource.ID {
	w.t.Helper()
	w.must(w.write(w.on(scope, name), hookBody("https://x.example/h?code=1", more), false))
	home, ok := Home(w.all, scope)
	if !ok {
		w.t.Fatalf("no home for %s", scope)
	}
	return home.Child("eventSubscriptions", name)
}

// write is what the management API does around a kind.
func (w *world) write(place func(resource.Tx) (resource.ID, error), text string, patch bool) error {
	w.t.Helper()
	var b struct {
		Location             string
		Tags                 map[string]string
		Properties, Identity json.RawMessage
	}
	w.must(json.Unmarshal([]byte(text), &b))
	body := resource.Body{Location: b.Location, Tags: b.Tags, HasTags: b.Tags != nil, Properties: b.Properties, Identity: b.Identity}
	w.must(json.Unmarshal([]byte(text), &body.Extra))
	var kind *resource.Kind
	build := func(tx resource.Tx, proof any) (next, old *resource.Resource, err error) {
		id, err := place(tx)
		if err != nil {
			return nil, nil, err
		}
		kind = w.kinds[id.Type()]
		body := body
		if patch && kind.FlatPatch {
			body = resource.Body{Properties: []byte(text)}
		}
		old, _ = tx.Get(id)
		next, err = kind.Write(&resource.Write{
			Tx: tx, ID: id, Old: old, Body: body, Patch: patch, APIVersion: w.version, Proof: proof, Caller: "caller", Now: w.now, Authorize: w.authorize,
		})
		return next, old, err
	}
	next, old, err := build(maps.Clone(w.all), nil)
	if err != nil {
		return err
	}
	var proof any
	if kind.Consult != nil {
		if proof, err = kind.Consult(context.Background(), next, old); err != nil {
			return err
		}
		if p, ok := proof.(resource.Proof); ok {
			defer p.Forget()
		}
	}
	if w.hooks.beforeCommit != nil {
		w.hooks.beforeCommit()
	}
	return w.change(func(tx resource.Tx) error {
		next, _, err := build(tx, proof)
		if err == nil {
			tx.Put(next)
		}
		return err
	})
}

func (w *world) delete(id resource.ID) error {
	w.t.Helper()
	for done := false; !done; {
		err := w.change(func(tx resource.Tx) error {
			r, ok := tx.Get(id)
			if !ok {
				return fmt.Errorf("%s is not there", id)
			}
			var err error
			done, err = w.kinds[r.Type].Remove(&resource.Deletion{Tx: tx, Caller: "caller", Now: w.now}, r)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) post(id resource.ID, action, body string) error {
	_, err := w.ask(id, action, body)
	return err
}

func (w *world) ask(id resource.ID, action, body string) (answer any, err error) {
	w.t.Helper()
	do, ok := w.kinds[id.Type()].Actions[action]
	if !ok {
		w.t.Fatalf("no action %s", action)
	}
	err = w.change(func(tx resource.Tx) error {
		r, ok := tx.Get(id)
		if !ok {
			return fmt.Errorf("%s is not there", id)
		}
		answer, err = do.Do(&resource.Call{Tx: tx, Resource: r, Body: []byte(body), Caller: "caller", Now: w.now})
		return err
	})
	return answer, err
}

// hook is the destination of the event subscription.
func (w *world) hook() *WebHookDestination {
	w.t.Helper()
	hook, ok := props[EventSubscription](w, subscriptionID).WebHook()
	if !ok {
		w.t.Fatal("no webhook")
	}
	return hook
}

func (w *world) exists(id resource.ID) bool {
	_, ok := w.all.Get(id)
	return ok
}

func (w *world) get(id resource.ID) *resource.Resource {
	w.t.Helper()
	r, ok := w.all.Get(id)
	if !ok {
		w.t.Fatalf("%s is not there", id)
	}
	return r
}

func props[P any](w *world, id resource.ID) *P {
	w.t.Helper()
	p, err := resource.Properties[P](w.get(id))
	w.must(err)
	return p
}

// wantError demands an error with a code, and every one of the texts in it.
func (w *world) wantError(err error, code resource.Code, texts ...string) {
	w.t.Helper()
	e, ok := errors.AsType[*resource.Error](err)
	if !ok || e.Code != code {
		w.t.Errorf("got %v, want code %s", err, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(e.Message, text) {
			w.t.Errorf("the message does not say %q: %s", text, e.Message)
		}
	}
}

// memory is a transaction over a map.
type memory map[string]*resource.Resource

func (m memory) Get(id resource.ID) (*resource.Resource, bool) { r, ok := m[id.Key()]; return r, ok }
func (m memory) Put(r *resource.Resource)                      { m[r.ID.Key()] = r }
func (m memory) Delete(id resource.ID)                         { delete(m, id.Key()) }

// show is what GET answers as properties.
func (w *world) show(id, route resource.ID) string {
	w.t.Helper()
	r := w.get(id)
	shown, err := w.kinds[r.Type].Present(r, resource.View{BaseURL: "https://host:8443", Route: route})
	w.must(err)
	data, err := json.Marshal(shown)
	w.must(err)
	return string(data)
}

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

// fakeWebhooks is the outside world.
type fakeWebhooks struct {
	granted bool
	refuse  error // of Check
	fail    error // of Handshake
	asked   []Handshake
	// during runs while the endpoint is answering, beforeCommit after it did.
	during       func(Handshake)
	beforeCommit func()
}

func (f *fakeWebhooks) Check(string) error { return f.refuse }

func (f *fakeWebhooks) Handshake(_ context.Context, h Handshake) (bool, error) {
	f.asked = append(f.asked, h)
	if f.during != nil {
		f.during(h)
	}
	return f.granted, f.fail
}

// subscriptionsTo returns the event subscriptions that deliver to a partner
// destination.
func subscriptionsTo(tx resource.Reader, destination resource.ID) (found []resource.ID) {
	for _, typ := range SubscriptionTypes() {
		for _, r := range tx.List(typ, resource.ID{}) {
			if id, ok := PartnerDestinationOf(r); ok && id.Equal(destination) {
				found = append(found, r.ID)
			}
		}
	}
	return found
}
