package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/activity"
	"github.com/intertie/intertie/deliver"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// counting counts the resources that somebody reads.
type counting struct {
	resource.Reader
	read int
}

func (c *counting) Get(id resource.ID) (*resource.Resource, bool) {
	c.read++
	return c.Reader.Get(id)
}

func (c *counting) List(typ string, scope resource.ID) []*resource.Resource {
	all := c.Reader.List(typ, scope)
	c.read += len(all)
	return all
}

// plane is a store, and what follows it.
type plane struct {
	*projection
	store  *store.Store
	events *eventlog.Log
	reads  *counting
	log    *bytes.Buffer
	// publish answers what publishers send.
	publish publish.Handler
}

func newPlane(t testing.TB) *plane {
	t.Helper()
	e := openEngine(t)
	st := openStore(t, e)
	ledger := &eventlog.Ledger{}
	events, err := eventlog.Open(e, eventlog.Options{Ledger: ledger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Close)
	p := &plane{store: st, events: events, reads: &counting{Reader: st}, log: &bytes.Buffer{}}
	logger := slog.New(slog.NewTextHandler(p.log, nil))
	o := deliver.DefaultOptions()
	o.Log, o.Logger = events, logger
	dispatcher, err := deliver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	webhooks := webhook.NewClient(webhook.Options{})
	t.Cleanup(webhooks.Close)
	tokens, err := newWebhookTokens(nil, "https://localhost", "t", WebhookTokens{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	emitter := &activity.Emitter{Sources: &activity.Sources{}}
	p.projection = &projection{
		store: p.reads, authorizer: &access.Authorizer{}, directory: newDirectory(st, time.Now),
		table: &publish.Table{}, dispatcher: dispatcher, webhooks: webhooks, tokens: tokens, sources: emitter.Sources,
		notices: newNotices(webhooks, tokens, logger), expiry: newExpiry(&eventgrid.Rules{}, st, emitter, new(clock), logger),
		certificates: &certificates{regions: make(map[string]bool), changed: make(chan struct{}, 1)},
		ledger:       ledger, logger: logger, blobs: &blobStores{root: t.TempDir()},
		domains:  make(map[resource.UID]*publish.DomainTopics),
		channels: make(map[resource.UID]*publish.Channels), built: make(map[resource.UID]built),
		delivering: make(map[string]map[string]resource.ID),
	}
	st.Observe(p.observe)
	p.publish = publish.Handler{Table: p.table, Log: events}
	return p
}

// put is [put] for benchmarks too.
func (p *plane) put(t testing.TB, rs ...*resource.Resource) {
	t.Helper()
	err := p.store.Commit(t.Context(), func(tx resource.Tx) error {
		for _, r := range rs {
			tx.Put(r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *plane) delete(t testing.TB, ids ...resource.ID) {
	t.Helper()
	err := p.store.Commit(t.Context(), func(tx resource.Tx) error {
		for _, id := range ids {
			tx.Delete(id)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// send publishes an event and returns the answer's status. channel is its source
// too.
func (p *plane) send(namespace, channel string) int {
	r := httptest.NewRequest(http.MethodPost, "/"+namespace+".westeurope-1/api/events", strings.NewReader(
		`{"specversion":"1.0","id":"1","type":"t","source":"/`+channel+`"}`))
	r.Header.Set("Aeg-Sas-Key", planeKey)
	r.Header.Set("Aeg-Channel-Name", channel)
	r.Header.Set("Content-Type", "application/cloudevents+json")
	w := httptest.NewRecorder()
	p.publish.ServeHTTP(w, r)
	return w.Code
}

var planeKey = access.NewKey()

// made is a resource with properties.
func made[P any](t testing.TB, id resource.ID, properties *P) *resource.Resource {
	t.Helper()
	r := &resource.Resource{ID: id, UID: resource.NewUID(), Type: id.Type(), Location: "westeurope", Secrets: map[string]string{}}
	if err := resource.Encode(r, properties); err != nil {
		t.Fatal(err)
	}
	return r
}

// torn is a version of r that nobody can read.
func torn(r *resource.Resource) *resource.Resource {
	c := *r
	c.Properties = []byte(`{"filter":7,"provisioningState":7}`)
	return &c
}

func namespaceOf(t testing.TB, name string, mode eventgrid.RoutingMode) *resource.Resource {
	t.Helper()
	r := made(t, resource.GroupID("s", "partner").Provider(eventgrid.TypePartnerNamespace, name),
		&eventgrid.PartnerNamespace{RoutingMode: mode, PublicNetworkAccess: eventgrid.AccessEnabled})
	r.Secrets[eventgrid.SecretKey1] = planeKey
	return r
}

// channelOf is a channel or event channel of a namespace, and its partner topic.
func channelOf(t testing.TB, namespace *resource.Resource, typ, name string) (channel, topic *resource.Resource) {
	t.Helper()
	topic = made(t, resource.GroupID("s", "customer").Provider(eventgrid.TypePartnerTopic, name),
		&eventgrid.PartnerTopic{ActivationState: eventgrid.Activated})
	id := resource.GroupID("s", "partner").Provider(typ, namespace.ID.Name(), name)
	topic.Secrets["channelId"] = id.String()
	if typ == eventgrid.TypeChannel {
		return made(t, id, &eventgrid.Channel{
			Type:         eventgrid.ChannelToPartnerTopic,
			PartnerTopic: &eventgrid.PartnerTopicInfo{Subscription: "s", Group: "customer", Name: name},
		}), topic
	}
	return made(t, id, &eventgrid.EventChannel{
		Source:      &eventgrid.EventChannelSource{Source: "/" + name},
		Destination: &eventgrid.EventChannelDestination{Subscription: "s", Group: "customer", Name: name},
	}), topic
}

// crowded returns a plane with a namespace of so many channels.
func crowded(t testing.TB, typ string, n int) (p *plane, channel, topic *resource.Resource) {
	t.Helper()
	p = newPlane(t)
	mode := eventgrid.ChannelNameHeader
	if typ == eventgrid.TypeEventChannel {
		mode = eventgrid.SourceEventAttribute
	}
	ns := namespaceOf(t, "ns", mode)
	all := []*resource.Resource{ns}
	for i := range n {
		c, pt := channelOf(t, ns, typ, fmt.Sprintf("c%d", i))
		all = append(all, c, pt)
		if i == n/2 {
			channel, topic = c, pt
		}
	}
	for len(all) > 0 {
		some := min(500, len(all))
		p.put(t, all[:some]...)
		all = all[some:]
	}
	return p, channel, topic
}

// What a write of one channel, or of what it leads to, has to look at is the same
// however many others the namespace has.
func TestAWriteReadsNothingOfOtherChannels(t *testing.T) {
	for _, typ := range []string{eventgrid.TypeChannel, eventgrid.TypeEventChannel} {
		var reads [2][]int
		for i, n := range []int{10, 300} {
			p, channel, topic := crowded(t, typ, n)
			name := channel.ID.Name()
			step := func(what string, want int, change func()) {
				t.Helper()
				p.reads.read = 0
				change()
				reads[i] = append(reads[i], p.reads.read)
				if got := p.send("ns", name); got != want {
					t.Errorf("%s of %d, %s: %d, want %d", typ, n, what, got, want)
				}
			}
			missing := http.StatusNotFound
			if typ == eventgrid.TypeEventChannel {
				missing = http.StatusOK // nobody wants the event
			}
			step("the channel is written", 200, func() { p.put(t, channel) })
			step("the topic is written", 200, func() { p.put(t, topic) })
			step("the topic is deleted", missing, func() { p.delete(t, topic.ID) })
			step("it is there again", 200, func() { p.put(t, topic) })
			step("both are deleted", missing, func() { p.delete(t, channel.ID, topic.ID) })
			step("both are there again", 200, func() { p.put(t, channel, topic) })
			step("the namespace is written", 200, func() { ns, _ := p.store.Get(channel.ID.Parent()); p.put(t, ns) })
		}
		if fmt.Sprint(reads[0]) != fmt.Sprint(reads[1]) {
			t.Errorf("%s: %v resources are read beside 10 others, %v beside 300", typ, reads[0], reads[1])
		}
	}
}

// Nor does a write of a partner destination look at event subscriptions that deliver
// elsewhere; those that deliver to it follow it.
func TestAWriteReadsNothingOfOtherSubscriptions(t *testing.T) {
	var reads [2][]int
	for i, n := range []int{10, 300} {
		p := newPlane(t)
		group := resource.GroupID("s", "customer")
		var all []*resource.Resource
		for j := range n {
			topic := made(t, group.Provider(eventgrid.TypeTopic, fmt.Sprintf("t%d", j)), &eventgrid.Topic{InputSchema: "EventGridSchema"})
			all = append(all, topic, made(t, group.Provider(eventgrid.TypeTopic+"/eventSubscriptions", topic.ID.Name(), "es"), &eventgrid.EventSubscription{
				Schema:      "EventGridSchema",
				Destination: &eventgrid.Destination{EndpointType: eventgrid.WebHook, Properties: &eventgrid.WebHookDestination{}},
			}))
		}
		destination := made(t, group.Provider(eventgrid.TypePartnerDestination, "crm"), &eventgrid.PartnerDestination{})
		topic := made(t, group.Provider(eventgrid.TypeTopic, "orders"), &eventgrid.Topic{InputSchema: "EventGridSchema"})
		es := made(t, group.Provider(eventgrid.TypeTopic+"/eventSubscriptions", "orders", "es"), &eventgrid.EventSubscription{
			Schema: "CloudEventSchemaV1_0",
			Destination: &eventgrid.Destination{
				EndpointType: eventgrid.ToPartnerDestination, Properties: &eventgrid.PartnerDestinationRef{ResourceID: destination.ID.String()},
			},
		})
		p.put(t, all...)
		for _, step := range []func(){
			func() { p.put(t, topic, es, destination) },
			func() { p.put(t, destination) },
			func() { p.delete(t, destination.ID) },
			func() { p.delete(t, es.ID) },
			func() { p.put(t, destination) },
		} {
			p.reads.read = 0
			step()
			reads[i] = append(reads[i], p.reads.read)
		}
		if got := reads[i]; got[1] == 0 || got[2] == 0 || got[4] != 0 {
			t.Errorf("%v resources are read: its event subscription did not follow it while there was one, or did after that", got)
		}
		if len(p.delivering) != 0 {
			t.Errorf("%v is left", p.delivering)
		}
	}
	if fmt.Sprint(reads[0]) != fmt.Sprint(reads[1]) {
		t.Errorf("%v resources are read beside 10 event subscriptions, %v beside 300", reads[0], reads[1])
	}
}

// BenchmarkChannelWrite is a durable write of one channel beside others, until
// publishing acts by it.
func BenchmarkChannelWrite(b *testing.B) {
	for _, n := range []int{10, 3000} {
		b.Run(fmt.Sprintf("channels=%d", n), func(b *testing.B) {
			p, channel, topic := crowded(b, eventgrid.TypeChannel, n)
			b.ReportAllocs()
			for b.Loop() {
				p.put(b, channel, topic)
			}
		})
	}
}

// A resource that cannot be read is not a deleted one: publishers are asked to come
// back, its neighbours go on, and it works again once it can be read.
func TestWhatCannotBeReadIsNotGone(t *testing.T) {
	p := newPlane(t)
	byName, bySource := namespaceOf(t, "by-name", eventgrid.ChannelNameHeader), namespaceOf(t, "by-source", eventgrid.SourceEventAttribute)
	one, oneTopic := channelOf(t, byName, eventgrid.TypeChannel, "one")
	two, twoTopic := channelOf(t, byName, eventgrid.TypeChannel, "two")
	three, threeTopic := channelOf(t, bySource, eventgrid.TypeEventChannel, "three")
	four, fourTopic := channelOf(t, bySource, eventgrid.TypeEventChannel, "four")
	all := []*resource.Resource{byName, bySource, one, oneTopic, two, twoTopic, three, threeTopic, four, fourTopic}
	type answers [4]int // of the four channels
	good := answers{200, 200, 200, 200}
	for _, c := range []struct {
		what *resource.Resource
		want answers
	}{
		{one, answers{503, 200, 200, 200}},
		{oneTopic, answers{503, 200, 200, 200}},
		{byName, answers{503, 503, 200, 200}},
		{threeTopic, answers{200, 200, 503, 200}},
		{three, answers{200, 200, 503, 503}}, // nobody can say what its source was
		{bySource, answers{200, 200, 503, 503}},
	} {
		for _, step := range []struct {
			name string
			do   func()
			want answers
		}{
			{"all is well", func() { p.put(t, all...) }, good},
			{"it cannot be read", func() { p.put(t, torn(c.what)) }, c.want},
			{"it can again", func() { p.put(t, c.what) }, good},
		} {
			step.do()
			got := answers{p.send("by-name", "one"), p.send("by-name", "two"), p.send("by-source", "three"), p.send("by-source", "four")}
			if got != step.want {
				t.Errorf("%s, %s: %v, want %v", c.what.ID, step.name, got, step.want)
			}
		}
	}
}

// An event subscription that cannot be read is not a deleted one.
func TestAnEventSubscriptionThatCannotBeReadStays(t *testing.T) {
	group := resource.GroupID("s", "g")
	topic := made(t, group.Provider(eventgrid.TypeTopic, "orders"), &eventgrid.Topic{PublicNetworkAccess: eventgrid.AccessEnabled, InputSchema: "EventGridSchema"})
	es := made(t, group.Provider(eventgrid.TypeTopic+"/eventSubscriptions", "orders", "es"), &eventgrid.EventSubscription{
		Schema:      "EventGridSchema",
		Destination: &eventgrid.Destination{EndpointType: eventgrid.WebHook, Properties: &eventgrid.WebHookDestination{}},
	})
	es.Secrets[eventgrid.SecretEndpointURL], es.Secrets[eventgrid.SecretValidatedURL] = "https://example.com/", "https://example.com/"
	without := *es
	without.Properties = []byte(`{}`)
	wrongFilter := *es
	wrongFilter.Properties = bytes.Replace(es.Properties, []byte(`"filter":null`),
		[]byte(`"filter":{"advancedFilters":[{"operatorType":"Unheard","key":"k","values":["a"]}]}`), 1)

	for name, bad := range map[string]*resource.Resource{"members of another kind": torn(es), "no destination": &without, "a filter": &wrongFilter} {
		t.Run(name, func(t *testing.T) {
			p := newPlane(t)
			status := func(wantParked bool) {
				t.Helper()
				s, ok := p.dispatcher.Status(es.UID)
				if !ok || (s.Error != "") != wantParked {
					t.Errorf("known %v, %q; want it parked: %v\n%s", ok, s.Error, wantParked, p.log)
				}
			}
			p.put(t, topic, bad)
			status(true)
			if log := p.log.String(); !strings.Contains(log, es.ID.String()) {
				t.Errorf("nobody is told: %s", log)
			}
			p.put(t, es)
			status(false)
			p.put(t, bad)
			status(false) // by the last version that could be read
			p.delete(t, es.ID)
			if _, ok := p.dispatcher.Status(es.UID); ok {
				t.Error("it is there after its deletion")
			}
		})
	}
}
