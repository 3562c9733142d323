package eventgrid

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// everyTopic returns a world with a topic of each family, and their ids by type.
func everyTopic(t *testing.T, input string) (*world, map[string]resource.ID) {
	w := newWorld(t).withChannel()
	w.must(w.post(topicID, "activate", ""))
	for _, id := range []resource.ID{customTopicID, domainID} {
		w.must(w.put(id, `{"location":"westeurope","properties":{"inputSchema":"`+input+`"}}`))
	}
	w.must(w.put(tenantTopicID, `{}`))
	w.must(w.put(systemTopicID, systemBody("westeurope", account, "Microsoft.Storage.StorageAccounts")))
	return w, map[string]resource.ID{
		TypeTopic: customTopicID, TypeDomain: domainID, TypeDomainTopic: tenantTopicID, TypeSystemTopic: systemTopicID, TypePartnerTopic: topicID,
	}
}

// What a topic takes decides what it can deliver, and as what by default.
func TestDeliverySchemas(t *testing.T) {
	const ce, eg, custom = CloudEventSchema, EventGridSchema, CustomInputSchema
	refusal := map[event.Schema]string{
		event.EventGrid:   "takes events of the Event Grid schema, which can be delivered only as EventGridSchema or CloudEventSchemaV1_0, not as ",
		event.CloudEvents: "takes CloudEvents, which can be delivered only as CloudEventSchemaV1_0, not as ",
		event.Custom:      "takes events of a custom schema, which can be delivered only as EventGridSchema or CloudEventSchemaV1_0 or CustomInputSchema, not as ",
	}
	allowed := map[event.Schema][]DeliverySchema{event.EventGrid: {eg, ce}, event.CloudEvents: {ce}, event.Custom: {eg, ce, custom}}
	for _, input := range []InputSchema{InputEventGrid, InputCloudEvents, InputCustom} {
		w, topics := everyTopic(t, string(input))
		for typ, topic := range topics {
			takes := input.Event()
			switch typ {
			case TypeSystemTopic:
				takes = event.EventGrid
			case TypePartnerTopic:
				takes = event.CloudEvents
			}
			for i, schema := range []DeliverySchema{"", ce, eg, custom} {
				id := topic.Child("eventSubscriptions", fmt.Sprintf("es%d", i))
				body := hookBody("https://x.example", "")
				if schema != "" {
					body = hookBody("https://x.example", `,"eventDeliverySchema":"`+strings.ToLower(string(schema))+`"`)
				}
				err := w.put(id, body)
				want := schema
				if schema == "" {
					want = allowed[takes][0]
				}
				if !strings.Contains(fmt.Sprint(allowed[takes]), string(want)) {
					w.wantError(err, resource.InvalidRequest, "Invalid event subscription request: the ", "'"+topic.Name()+"' "+refusal[takes]+string(schema)+".")
					continue
				}
				w.must(err)
				if got := props[EventSubscription](w, id).Schema; got != want {
					t.Errorf("%s of %s: %q became %s", typ, input, schema, got)
				}
				if asked := w.hooks.asked[len(w.hooks.asked)-1]; asked.Schema != want.Event() {
					t.Errorf("%s: asked for %v", want, asked.Schema)
				}
				for _, other := range []DeliverySchema{ce, eg, custom} {
					if other != want {
						w.wantError(w.patch(id, `{"eventDeliverySchema":"`+string(other)+`"}`), resource.InvalidRequest, "properties.eventDeliverySchema")
					}
				}
			}
		}
	}
}

// The families share their rules; what differs stands in their table.
func TestEveryFamilyOfEventSubscriptions(t *testing.T) {
	w, topics := everyTopic(t, "EventGridSchema")
	if len(SubscriptionTypes()) != len(topics) {
		t.Errorf("%d families, %d topics", len(SubscriptionTypes()), len(topics))
	}
	for typ, topic := range topics {
		id := topic.Child("eventSubscriptions", "es1")
		w.wantError(w.put(id, `{}`), resource.InvalidRequest, "'destination' is required")
		w.wantError(w.put(id, hookBody("https://x.example", `,"deliveryWithResourceIdentity":{"identity":{"type":"SystemAssigned"}}`)), resource.InvalidRequest, "managed identity")
		w.wantError(w.put(id, hookBody("https://x.example", `,"filter":{"advancedFilters":[{"operatorType":"NumberIn","key":"x"}]}`)), resource.InvalidRequest, "Invalid event subscription request:")
		w.must(w.put(id, hookBody("https://x.example/h?code=1", `,"labels":["a"],"expirationTimeUtc":"2026-03-01T09:05:00Z"`)))
		source := topic
		types := []string(nil)
		if typ == TypeSystemTopic {
			source, types = accountID, []string{"Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"}
		}
		p := props[EventSubscription](w, id)
		if diff := cmp.Diff(types, p.Filter.IncludedEventTypes); diff != "" || p.ProvisioningState != Succeeded {
			t.Errorf("%s: %+v, %s", typ, p, diff)
		}
		if asked := w.hooks.asked[len(w.hooks.asked)-1]; asked.Topic != source.String() || asked.SubscriptionID != id.String() || asked.SubscriptionName != "es1" {
			t.Errorf("%s: asked %+v", typ, asked)
		}
		if at := w.rules.Due(w.get(id)); !at.Equal(w.now.Add(5 * time.Minute)) {
			t.Errorf("%s: due %v", typ, at)
		}
		// The extension form leads to the same resource.
		if home, ok := Home(w.all, source); !ok || !home.Equal(topic) {
			t.Errorf("%s: home %s", typ, home)
		}
		if again, err := w.rules.MakeHome(w.all, source, "me", w.now); err != nil || !again.Equal(topic) {
			t.Errorf("%s: made %s, %v", typ, again, err)
		}
		if got := SourceOf(w.all, w.get(topic)); !got.Equal(source) {
			t.Errorf("%s: source %s", typ, got)
		}
		if _, err := w.ask(id, "getfullurl", ""); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		// Setting a filter without types means the default set again.
		w.must(w.patch(id, `{"filter":{"subjectBeginsWith":"/x"}}`))
		if diff := cmp.Diff(types, props[EventSubscription](w, id).Filter.IncludedEventTypes); diff != "" {
			t.Errorf("%s: after a PATCH of the filter: %s", typ, diff)
		}
	}
	names := map[string]string{
		TypeTopic: "Microsoft.EventGrid.Topics", TypeDomain: "Microsoft.EventGrid.Domains", TypeDomainTopic: "Microsoft.EventGrid.Domains",
		TypeSystemTopic: "Microsoft.Storage.StorageAccounts", TypePartnerTopic: "Microsoft.EventGrid.PartnerTopics",
	}
	for typ, topic := range topics {
		if got := TopicTypeName(w.all, w.get(topic)); got != names[typ] || IsGlobal(w.get(topic)) {
			t.Errorf("%s: topic type %s", typ, got)
		}
	}
}

func TestTheTopicThatASubscriptionShows(t *testing.T) {
	w := withDomain(t, `{}`)
	es := w.subscribe(tenantTopicID, "es1", "")
	const want = `"topic":"/subscriptions/` + customerSub + `/resourceGroups/rg-c/providers/microsoft.eventgrid/domains/acme-tenants/topics/tenant-017"`
	for _, route := range []resource.ID{{}, es, tenantTopicID.Provider(TypeEventSubscription, "es1")} {
		if got := w.show(es, route); !strings.Contains(got, want) {
			t.Errorf("by %s: %s", route, got)
		}
	}
}

type deliveries map[resource.UID]any

func (d deliveries) Status(uid resource.UID) (any, bool) { v, ok := d[uid]; return v, ok }

func TestDeliveryStatus(t *testing.T) {
	w := newWorld(t).withSubscription()
	const nothing = "Nothing is known of the delivery to the event subscription 'es1'"
	_, err := w.ask(subscriptionID, "getdeliverystatus", "")
	w.wantError(err, resource.NotFound, nothing)
	known := deliveries{}
	w.rules.Deliveries = known
	_, err = w.ask(subscriptionID, "getdeliverystatus", "")
	w.wantError(err, resource.NotFound, nothing)
	known[w.get(subscriptionID).UID] = "fine"
	if answer, err := w.ask(subscriptionID, "getdeliverystatus", ""); answer != "fine" || err != nil {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestValidationWindowCanBeSet(t *testing.T) {
	w := newWorld(t).withChannel()
	w.rules.ValidationWindow = 3 * time.Second
	w.hooks.granted = false
	w.must(w.put(subscriptionID, hookBody("https://x.example", "")))
	if at := w.rules.Due(w.get(subscriptionID)); !at.Equal(w.now.Add(3 * time.Second)) {
		t.Errorf("due %v", at)
	}
}

func TestBatching(t *testing.T) {
	for more, want := range map[string]bool{
		``: false, `,"maxEventsPerBatch":1,"preferredBatchSizeInKilobytes":64`: false, `,"maxEventsPerBatch":2`: true,
		`,"preferredBatchSizeInKilobytes":65`: true, `,"maxEventsPerBatch":5000,"preferredBatchSizeInKilobytes":1024`: true, `,"preferredBatchSizeInKilobytes":1`: false,
	} {
		w := newWorld(t).withChannel()
		w.must(w.put(subscriptionID, hookWith(more)))
		if got := w.hook().Batches(); got != want {
			t.Errorf("%q: %v", more, got)
		}
	}
}
