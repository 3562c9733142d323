package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// source is a custom topic or a domain: what takes events, and how.
type source struct {
	server *server
	id     string
	url    string
	key    string
}

// shop makes a side that has topics of its own.
func shop(t *testing.T, s *server) *side {
	t.Helper()
	d := newSide(t, s, "shop", "Contributor")
	d.makeGroup(t)
	return d
}

// customMapping is the input mapping of topics with a custom schema.
func customMapping() *armeventgrid.JSONInputSchemaMapping {
	return &armeventgrid.JSONInputSchemaMapping{
		InputSchemaMappingType: new(armeventgrid.InputSchemaMappingTypeJSON),
		Properties: &armeventgrid.JSONInputSchemaMappingProperties{
			ID:        &armeventgrid.JSONField{SourceField: new("ref")},
			EventType: &armeventgrid.JSONFieldWithDefault{SourceField: new("what"), DefaultValue: new("Shop.Something")},
			Subject:   &armeventgrid.JSONFieldWithDefault{SourceField: new("where"), DefaultValue: new("shop")},
			EventTime: &armeventgrid.JSONField{SourceField: new("when")},
		},
	}
}

// openTopic makes a custom topic.
func (d *side) openTopic(t *testing.T, name string, schema armeventgrid.InputSchema) *source {
	t.Helper()
	p := &armeventgrid.TopicProperties{InputSchema: new(schema)}
	if schema == armeventgrid.InputSchemaCustomEventSchema {
		p.InputSchemaMapping = customMapping()
	}
	c := d.NewTopicsClient()
	up, err := c.BeginCreateOrUpdate(t.Context(), d.group, name, armeventgrid.Topic{Location: new(region), Properties: p}, nil)
	made := await(t, up, err)
	keys := must(c.ListSharedAccessKeys(t.Context(), d.group, name, nil))(t)
	return &source{server: d.server, id: *made.ID, url: *made.Properties.Endpoint, key: *keys.Key1}
}

// openDomain makes a domain; with a custom schema, the domain topic is in the
// field tenant.
func (d *side) openDomain(t *testing.T, name string, schema armeventgrid.InputSchema) *source {
	t.Helper()
	p := &armeventgrid.DomainProperties{InputSchema: new(schema)}
	if schema == armeventgrid.InputSchemaCustomEventSchema {
		m := customMapping()
		m.Properties.Topic = &armeventgrid.JSONField{SourceField: new("tenant")}
		p.InputSchemaMapping = m
	}
	c := d.NewDomainsClient()
	up, err := c.BeginCreateOrUpdate(t.Context(), d.group, name, armeventgrid.Domain{Location: new(region), Properties: p}, nil)
	made := await(t, up, err)
	keys := must(c.ListSharedAccessKeys(t.Context(), d.group, name, nil))(t)
	return &source{server: d.server, id: *made.ID, url: *made.Properties.Endpoint, key: *keys.Key1}
}

// hookProperties returns the webhook in a body that [webhook] made, to be
// refined.
func hookProperties(es armeventgrid.EventSubscription) *armeventgrid.WebHookEventSubscriptionDestinationProperties {
	return es.Properties.Destination.(*armeventgrid.WebHookEventSubscriptionDestination).Properties
}

// webhookAs is the body of an event subscription with a delivery schema.
func webhookAs(url string, schema armeventgrid.EventDeliverySchema) armeventgrid.EventSubscription {
	es := webhook(url)
	es.Properties.EventDeliverySchema = new(schema)
	return es
}

// batched lets an event subscription take several events in a request.
func batched(es armeventgrid.EventSubscription, events int32) armeventgrid.EventSubscription {
	hookProperties(es).MaxEventsPerBatch = new(events)
	return es
}

// deadLettered sends what an event subscription could not deliver to a container,
// after a number of attempts.
func deadLettered(es armeventgrid.EventSubscription, account, container string, attempts int32) armeventgrid.EventSubscription {
	es.Properties.RetryPolicy = &armeventgrid.RetryPolicy{MaxDeliveryAttempts: new(attempts)}
	es.Properties.DeadLetterDestination = &armeventgrid.StorageBlobDeadLetterDestination{
		EndpointType: new(armeventgrid.DeadLetterEndPointTypeStorageBlob),
		Properties:   &armeventgrid.StorageBlobDeadLetterDestinationProperties{ResourceID: new(account), BlobContainerName: new(container)},
	}
	return es
}

// account is the id of a storage account, which nobody has to create.
func (d *side) account(name string) string {
	return "/subscriptions/" + d.subscription + "/resourceGroups/" + d.group + "/providers/Microsoft.Storage/storageAccounts/" + name
}

// subscribeAt makes an event subscription at any scope, in the extension form.
func (d *side) subscribeAt(t *testing.T, scope, name string, body armeventgrid.EventSubscription) armeventgrid.EventSubscription {
	t.Helper()
	p, err := d.NewEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), scope, name, body, nil)
	got := await(t, p, err).EventSubscription
	if *got.Properties.ProvisioningState != armeventgrid.EventSubscriptionProvisioningStateSucceeded {
		t.Fatalf("the event subscription is %s", *got.Properties.ProvisioningState)
	}
	return got
}

// post publishes a body with the key; extra headers replace those of a good
// request.
func (p *source) post(ctx context.Context, body string, extra map[string]string) (answer, error) {
	header := map[string]string{"aeg-sas-key": p.key, "Content-Type": "application/json"}
	for k, v := range extra {
		if header[k] = v; v == "" {
			delete(header, k)
		}
	}
	return p.server.send(ctx, http.MethodPost, p.url, header, []byte(body))
}

// publish sends events in the Event Grid schema, and reports whether they were
// accepted.
func (p *source) publish(ctx context.Context, ids ...string) (bool, error) {
	events := make([]string, len(ids))
	for i, id := range ids {
		events[i] = gridEvent(id, `{"id":"`+id+`"}`)
	}
	a, err := p.post(ctx, "["+strings.Join(events, ",")+"]", nil)
	return err == nil && a.status == http.StatusOK, err
}

// mustPublish publishes a body that must be accepted.
func (p *source) mustPublish(t *testing.T, body string, extra map[string]string) {
	t.Helper()
	a, err := p.post(t.Context(), body, extra)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("publishing: %d %s %v", a.status, a.body, err)
	}
}

// gridEvent is an event in the Event Grid schema.
func gridEvent(id, data string) string {
	return fmt.Sprintf(`{"id":%q,"subject":"orders/%s","eventType":"Shop.Order.Placed","eventTime":"2026-03-01T08:00:00Z","data":%s,"dataVersion":"1"}`, id, id, data)
}

// fields decodes a JSON object.
func fields(t *testing.T, object []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(object, &m); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return m
}
