package e2e

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
	"github.com/google/go-cmp/cmp"
)

// TestTopicsAndDomains walks the management operations of custom topics and of
// domains.
func TestTopicsAndDomains(t *testing.T) {
	t.Parallel()
	s := serve(t)
	d := shop(t, s)
	t.Run("topic", func(t *testing.T) {
		at := d.openTopic(t, "orders", gridInput)
		c := d.NewTopicsClient()
		got := must(c.Get(t.Context(), d.group, "orders", nil))(t)
		if want := s.url + "/orders.westeurope-1/api/events"; *got.Properties.Endpoint != want || *got.Properties.InputSchema != gridInput || *got.ID != d.id("topics", "orders") {
			t.Errorf("%s %s %s", *got.ID, *got.Properties.Endpoint, *got.Properties.InputSchema)
		}
		up, err := c.BeginUpdate(t.Context(), d.group, "orders", armeventgrid.TopicUpdateParameters{
			Tags: map[string]*string{"team": new("shop")}, Properties: &armeventgrid.TopicUpdateParameterProperties{DisableLocalAuth: new(true)},
		}, nil)
		await(t, up, err)
		if a, err := at.post(t.Context(), "["+gridEvent("1", "{}")+"]", nil); err != nil || a.status != 401 {
			t.Errorf("a key where keys are disabled: %d %v", a.status, err)
		}
		up, err = c.BeginUpdate(t.Context(), d.group, "orders", armeventgrid.TopicUpdateParameters{
			Properties: &armeventgrid.TopicUpdateParameterProperties{DisableLocalAuth: new(false)},
		}, nil)
		await(t, up, err)
		re, err := c.BeginRegenerateKey(t.Context(), d.group, "orders", armeventgrid.TopicRegenerateKeyRequest{KeyName: new("key1")}, nil)
		if fresh := await(t, re, err); *fresh.Key1 == at.key {
			t.Error("regenerating key1 did not change it")
		}
		if a, err := at.post(t.Context(), "["+gridEvent("1", "{}")+"]", nil); err != nil || a.status != 401 {
			t.Errorf("the former key: %d %v", a.status, err)
		}
		d.openTopic(t, "spare", cloudInput)
		wantNames(t, "topics of the group", []string{"orders", "spare"}, all(t, c.NewListByResourceGroupPager(d.group, nil), func(p armeventgrid.TopicsClientListByResourceGroupResponse) []*armeventgrid.Topic { return p.Value }), func(v *armeventgrid.Topic) string { return *v.Name })
		wantNames(t, "topics of the subscription", []string{"orders", "spare"}, all(t, c.NewListBySubscriptionPager(nil), func(p armeventgrid.TopicsClientListBySubscriptionResponse) []*armeventgrid.Topic { return p.Value }), func(v *armeventgrid.Topic) string { return *v.Name })
		// What is fixed at creation stays.
		_, err = c.BeginCreateOrUpdate(t.Context(), d.group, "spare", armeventgrid.Topic{Location: new(region), Properties: &armeventgrid.TopicProperties{InputSchema: new(gridInput)}}, nil)
		wantRefusal(t, err, 400, "InvalidRequest")
		gone, err := c.BeginDelete(t.Context(), d.group, "spare", nil)
		await(t, gone, err)
		_, err = c.Get(t.Context(), d.group, "spare", nil)
		wantRefusal(t, err, 404, "ResourceNotFound")
	})
	t.Run("domain", func(t *testing.T) {
		d.openDomain(t, "tenants", gridInput)
		c := d.NewDomainsClient()
		got := must(c.Get(t.Context(), d.group, "tenants", nil))(t)
		if !*got.Properties.AutoCreateTopicWithFirstSubscription || !*got.Properties.AutoDeleteTopicWithLastSubscription {
			t.Error("domain topics are not managed by default")
		}
		up, err := c.BeginUpdate(t.Context(), d.group, "tenants", armeventgrid.DomainUpdateParameters{Tags: map[string]*string{"a": new("b")}}, nil)
		await(t, up, err)
		before := must(c.ListSharedAccessKeys(t.Context(), d.group, "tenants", nil))(t)
		after := must(c.RegenerateKey(t.Context(), d.group, "tenants", armeventgrid.DomainRegenerateKeyRequest{KeyName: new("key2")}, nil))(t)
		if *before.Key1 != *after.Key1 || *before.Key2 == *after.Key2 {
			t.Error("regenerating key2 did not change exactly key2")
		}
		topics := d.NewDomainTopicsClient()
		for range 2 {
			up, err := topics.BeginCreateOrUpdate(t.Context(), d.group, "tenants", "made", nil)
			await(t, up, err)
		}
		if got := must(topics.Get(t.Context(), d.group, "tenants", "made", nil))(t); *got.Properties.ProvisioningState != armeventgrid.DomainTopicProvisioningStateSucceeded {
			t.Errorf("the domain topic is %s", *got.Properties.ProvisioningState)
		}
		gone, err := topics.BeginDelete(t.Context(), d.group, "tenants", "made", nil)
		await(t, gone, err)
		all1, err := c.BeginDelete(t.Context(), d.group, "tenants", nil)
		await(t, all1, err)
		wantNames(t, "domains", nil, all(t, c.NewListByResourceGroupPager(d.group, nil), func(p armeventgrid.DomainsClientListByResourceGroupResponse) []*armeventgrid.Domain { return p.Value }), func(v *armeventgrid.Domain) string { return *v.Name })
	})
}

// wantNames compares the names in a list, in any order.
func wantNames[V any](t *testing.T, what string, want []string, list []V, name func(V) string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(names(list, name)))
	if diff := cmp.Diff(want, got); diff != "" || len(got) != len(list) {
		t.Errorf("%s: %s", what, diff)
	}
}

func subscriptionName(v *armeventgrid.EventSubscription) string { return *v.Name }

// TestManagedDomainTopics has domain topics come and go with their event
// subscriptions.
func TestManagedDomainTopics(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	at := d.openDomain(t, "tenants", gridInput)
	d.subscribeAt(t, at.id, "all", webhook(hook.URL+"/all"))
	topics := func() []*armeventgrid.DomainTopic {
		return all(t, d.NewDomainTopicsClient().NewListByDomainPager(d.group, "tenants", nil), func(p armeventgrid.DomainTopicsClientListByDomainResponse) []*armeventgrid.DomainTopic {
			return p.Value
		})
	}
	name := func(v *armeventgrid.DomainTopic) string { return *v.Name }
	up, err := d.NewDomainTopicsClient().BeginCreateOrUpdate(t.Context(), d.group, "tenants", "by-hand", nil)
	await(t, up, err)
	d.subscribeAt(t, at.id+"/topics/tenant-a", "first", webhook(hook.URL+"/a"))
	d.subscribeAt(t, at.id+"/topics/Tenant-A", "second", webhook(hook.URL+"/a2"))
	d.subscribeAt(t, at.id+"/topics/by-hand", "only", webhook(hook.URL+"/by-hand"))
	wantNames(t, "domain topics", []string{"by-hand", "tenant-a"}, topics(), name)

	send := func(prefix string) {
		t.Helper()
		var events []string
		for _, tenant := range []string{"tenant-a", "TENANT-A", "tenant-b", "by-hand"} {
			id := prefix + "-" + tenant
			events = append(events, strings.Replace(gridEvent(id, "{}"), `{"id"`, `{"topic":"`+tenant+`","id"`, 1))
		}
		at.mustPublish(t, "["+strings.Join(events, ",")+"]", nil)
	}
	send("1")
	want := func(path string, ids ...string) {
		t.Helper()
		until(t, 10*time.Second, path+" has its events", func() bool { return hook.hasAll(path, ids) })
		if got := hook.byID(path); len(got) != len(ids) {
			t.Errorf("%s has %v, want %v", path, slices.Collect(maps.Keys(got)), ids)
		}
	}
	want("/all", "1-tenant-a", "1-TENANT-A", "1-tenant-b", "1-by-hand")
	want("/a", "1-tenant-a", "1-TENANT-A")
	want("/a2", "1-tenant-a", "1-TENANT-A")
	want("/by-hand", "1-by-hand")

	remove := func(scope, es string) {
		t.Helper()
		p, err := d.NewEventSubscriptionsClient().BeginDelete(t.Context(), scope, es, nil)
		await(t, p, err)
	}
	remove(at.id+"/topics/tenant-a", "first")
	wantNames(t, "domain topics after the first deletion", []string{"by-hand", "tenant-a"}, topics(), name)
	remove(at.id+"/topics/tenant-a", "second")
	wantNames(t, "domain topics after the second deletion", []string{"by-hand"}, topics(), name)
	until(t, 10*time.Second, "the endpoint learns of the deletion", func() bool { return len(hook.deliveries(deletionsOf("/a"))) > 0 })
	notice := fields(t, hook.deliveries(deletionsOf("/a"))[0].body)
	if notice["eventType"] != "Microsoft.EventGrid.SubscriptionDeletedEvent" {
		t.Errorf("the notice is %v", notice)
	}
	send("2")
	want("/all", "1-tenant-a", "1-TENANT-A", "1-tenant-b", "1-by-hand", "2-tenant-a", "2-TENANT-A", "2-tenant-b", "2-by-hand")
	want("/a", "1-tenant-a", "1-TENANT-A")
	// An event without a domain topic is refused, and one with another's too.
	if a, err := at.post(t.Context(), "["+gridEvent("x", "{}")+"]", nil); err != nil || a.status != 400 {
		t.Errorf("no domain topic: %d %v", a.status, err)
	}
	// Without the switch nobody makes them.
	off, err := d.NewDomainsClient().BeginUpdate(t.Context(), d.group, "tenants", armeventgrid.DomainUpdateParameters{
		Properties: &armeventgrid.DomainUpdateParameterProperties{AutoCreateTopicWithFirstSubscription: new(false)},
	}, nil)
	await(t, off, err)
	_, err = d.NewEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), at.id+"/topics/tenant-c", "never", webhook(hook.URL+"/c"), nil)
	if err == nil {
		t.Error("a domain topic was made although the domain does not allow it")
	}
	wantNames(t, "domain topics with the switch off", []string{"by-hand"}, topics(), name)
}

// TestNestedFormMakesDomainTopic has the nested form of the first event
// subscription make the domain topic, as the extension form does.
func TestNestedFormMakesDomainTopic(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	d.openDomain(t, "tenants", gridInput)
	c := d.NewDomainTopicEventSubscriptionsClient()
	made, err := c.BeginCreateOrUpdate(t.Context(), d.group, "tenants", "tenant-a", "first", webhook(hook.URL+"/a"), nil)
	await(t, made, err)
	must(d.NewDomainTopicsClient().Get(t.Context(), d.group, "tenants", "tenant-a", nil))(t)
	gone, err := c.BeginDelete(t.Context(), d.group, "tenants", "tenant-a", "first", nil)
	await(t, gone, err)
	_, err = d.NewDomainTopicsClient().Get(t.Context(), d.group, "tenants", "tenant-a", nil)
	wantRefusal(t, err, 404, "ResourceNotFound")
}

// TestRouteFamilies looks at the same event subscriptions by their nested and
// their extension form, and in every list.
func TestRouteFamilies(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	topic, domain := d.openTopic(t, "orders", gridInput), d.openDomain(t, "tenants", gridInput)
	secret := func(path string) armeventgrid.EventSubscription {
		es := webhook(hook.URL + path + "?code=s3cr3t")
		es.Properties.Labels = []*string{new("erp")}
		hookProperties(es).DeliveryAttributeMappings = []armeventgrid.DeliveryAttributeMappingClassification{
			&armeventgrid.StaticDeliveryAttributeMapping{
				Type: new(armeventgrid.DeliveryAttributeMappingTypeStatic), Name: new("x-key"),
				Properties: &armeventgrid.StaticDeliveryAttributeMappingProperties{Value: new("attribute-s3cr3t"), IsSecret: new(true)},
			},
		}
		return es
	}
	ofTopic, err := d.NewTopicEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), d.group, "orders", "nested", secret("/x"), nil)
	await(t, ofTopic, err)
	d.subscribeAt(t, topic.id, "extension", secret("/x"))
	ofDomain, err := d.NewDomainEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), d.group, "tenants", "nested", secret("/x"), nil)
	await(t, ofDomain, err)
	d.subscribeAt(t, domain.id+"/topics/a-1", "nested", secret("/x"))
	group := "/subscriptions/" + d.subscription + "/resourceGroups/" + d.group
	sys, err := d.NewSystemTopicsClient().BeginCreateOrUpdate(t.Context(), d.group, "changes", armeventgrid.SystemTopic{
		Location: new("global"), Properties: &armeventgrid.SystemTopicProperties{Source: new(group), TopicType: new("Microsoft.Resources.ResourceGroups")},
	}, nil)
	await(t, sys, err)
	ofSystem, err := d.NewSystemTopicEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), d.group, "changes", "nested", secret("/x"), nil)
	await(t, ofSystem, err)
	d.subscribeAt(t, "/subscriptions/"+d.subscription, "whole", secret("/x"))

	c := d.NewEventSubscriptionsClient()
	// Each by both addresses; the id and the type follow the address.
	for _, tt := range []struct{ scope, nested, kind string }{
		{topic.id, topic.id, "topics"},
		{domain.id, domain.id, "domains"},
		{domain.id + "/topics/a-1", domain.id + "/topics/a-1", "domains/topics"},
		{group, d.id("systemTopics", "changes"), "systemTopics"},
	} {
		for _, form := range []struct{ id, kind string }{
			{tt.scope + "/providers/Microsoft.EventGrid/eventSubscriptions/nested", "Microsoft.EventGrid/eventSubscriptions"},
			{tt.nested + "/eventSubscriptions/nested", "Microsoft.EventGrid/" + tt.kind + "/eventSubscriptions"},
		} {
			a := d.call(t, "GET", form.id, "")
			if a.status != 200 {
				t.Errorf("GET %s: %d %s", form.id, a.status, a.body)
				continue
			}
			got := fields(t, a.body)
			if got["id"] != form.id || got["type"] != form.kind {
				t.Errorf("GET %s: id %v, type %v", form.id, got["id"], got["type"])
			}
			if strings.Contains(string(a.body), "s3cr3t") || !strings.Contains(string(a.body), `"Hidden"`) {
				t.Errorf("GET %s shows secrets: %s", form.id, a.body)
			}
			if a := d.call(t, "POST", form.id+"/getFullUrl", ""); a.status != 200 || fields(t, a.body)["endpointUrl"] != hook.URL+"/x?code=s3cr3t" {
				t.Errorf("%s/getFullUrl: %d %s", form.id, a.status, a.body)
			}
			if a := d.call(t, "POST", form.id+"/getDeliveryAttributes", ""); a.status != 200 || !strings.Contains(string(a.body), `"attribute-s3cr3t"`) {
				t.Errorf("%s/getDeliveryAttributes: %d %s", form.id, a.status, a.body)
			}
		}
	}
	attributes := must(c.GetDeliveryAttributes(t.Context(), topic.id, "nested", nil))(t)
	if len(attributes.Value) != 1 || *attributes.Value[0].(*armeventgrid.StaticDeliveryAttributeMapping).Properties.Value != "attribute-s3cr3t" {
		t.Errorf("delivery attributes %v", attributes.Value)
	}
	up, err := c.BeginUpdate(t.Context(), topic.id, "nested", armeventgrid.EventSubscriptionUpdateParameters{Labels: []*string{new("changed")}}, nil)
	await(t, up, err)
	if got := must(d.NewTopicEventSubscriptionsClient().Get(t.Context(), d.group, "orders", "nested", nil))(t); len(got.Properties.Labels) != 1 || *got.Properties.Labels[0] != "changed" {
		t.Errorf("labels %v", got.Properties.Labels)
	}
	checkLists(t, d)

	// Deleting by one address deletes by the other.
	gone, err := c.BeginDelete(t.Context(), topic.id, "nested", nil)
	await(t, gone, err)
	_, err = d.NewTopicEventSubscriptionsClient().Get(t.Context(), d.group, "orders", "nested", nil)
	wantRefusal(t, err, 404, "ResourceNotFound")
	checkHiddenSystemTopic(t, d)
}

// pages turns a pager of event subscriptions into a list.
func pages[R any](t *testing.T, p *runtime.Pager[R], values func(R) []*armeventgrid.EventSubscription) []*armeventgrid.EventSubscription {
	t.Helper()
	return all(t, p, values)
}

// checkLists reads every list variant of event subscriptions.
func checkLists(t *testing.T, d *side) {
	t.Helper()
	c := d.NewEventSubscriptionsClient()
	type value = []*armeventgrid.EventSubscription
	groups, subscriptions, topics := url.PathEscape("Microsoft.Resources.ResourceGroups"), "Microsoft.Resources.Subscriptions", "Microsoft.EventGrid.Topics"
	for _, tt := range []struct {
		what string
		want []string
		got  value
	}{
		{"of the topic", []string{"extension", "nested"}, pages(t, d.NewTopicEventSubscriptionsClient().NewListPager(d.group, "orders", nil), func(p armeventgrid.TopicEventSubscriptionsClientListResponse) value { return p.Value })},
		{"of the domain", []string{"nested"}, pages(t, d.NewDomainEventSubscriptionsClient().NewListPager(d.group, "tenants", nil), func(p armeventgrid.DomainEventSubscriptionsClientListResponse) value { return p.Value })},
		{"of the domain topic", []string{"nested"}, pages(t, d.NewDomainTopicEventSubscriptionsClient().NewListPager(d.group, "tenants", "a-1", nil), func(p armeventgrid.DomainTopicEventSubscriptionsClientListResponse) value { return p.Value })},
		{"of the system topic", []string{"nested"}, pages(t, d.NewSystemTopicEventSubscriptionsClient().NewListBySystemTopicPager(d.group, "changes", nil), func(p armeventgrid.SystemTopicEventSubscriptionsClientListBySystemTopicResponse) value {
			return p.Value
		})},
		{"of the resource", []string{"extension", "nested"}, pages(t, c.NewListByResourcePager(d.group, "Microsoft.EventGrid", "topics", "orders", nil), func(p armeventgrid.EventSubscriptionsClientListByResourceResponse) value { return p.Value })},
		{"of the domain topic, extension form", []string{"nested"}, pages(t, c.NewListByDomainTopicPager(d.group, "tenants", "a-1", nil), func(p armeventgrid.EventSubscriptionsClientListByDomainTopicResponse) value { return p.Value })},
		{"global, of the group", []string{"nested"}, pages(t, c.NewListGlobalByResourceGroupPager(d.group, nil), func(p armeventgrid.EventSubscriptionsClientListGlobalByResourceGroupResponse) value { return p.Value })},
		{"global, of the group, of a topic type", []string{"nested"}, pages(t, c.NewListGlobalByResourceGroupForTopicTypePager(d.group, groups, nil), func(p armeventgrid.EventSubscriptionsClientListGlobalByResourceGroupForTopicTypeResponse) value {
			return p.Value
		})},
		{"global, of the group, of another topic type", nil, pages(t, c.NewListGlobalByResourceGroupForTopicTypePager(d.group, topics, nil), func(p armeventgrid.EventSubscriptionsClientListGlobalByResourceGroupForTopicTypeResponse) value {
			return p.Value
		})},
		{"global, of the subscription", []string{"nested", "whole"}, pages(t, c.NewListGlobalBySubscriptionPager(nil), func(p armeventgrid.EventSubscriptionsClientListGlobalBySubscriptionResponse) value { return p.Value })},
		{"global, of the subscription, of a topic type", []string{"whole"}, pages(t, c.NewListGlobalBySubscriptionForTopicTypePager(subscriptions, nil), func(p armeventgrid.EventSubscriptionsClientListGlobalBySubscriptionForTopicTypeResponse) value {
			return p.Value
		})},
		{"regional, of the group, of a topic type", []string{"extension", "nested"}, pages(t, c.NewListRegionalByResourceGroupForTopicTypePager(d.group, region, topics, nil), func(p armeventgrid.EventSubscriptionsClientListRegionalByResourceGroupForTopicTypeResponse) value {
			return p.Value
		})},
		{"regional, of the subscription, of a topic type", []string{"extension", "nested"}, pages(t, c.NewListRegionalBySubscriptionForTopicTypePager(region, topics, nil), func(p armeventgrid.EventSubscriptionsClientListRegionalBySubscriptionForTopicTypeResponse) value {
			return p.Value
		})},
		{"regional, elsewhere", nil, pages(t, c.NewListRegionalBySubscriptionPager("northeurope", nil), func(p armeventgrid.EventSubscriptionsClientListRegionalBySubscriptionResponse) value { return p.Value })},
	} {
		wantNames(t, tt.what, tt.want, tt.got, subscriptionName)
	}
	// These hold several of the same name, in different topics.
	for what, got := range map[string]value{
		"regional, of the group":        pages(t, c.NewListRegionalByResourceGroupPager(d.group, region, nil), func(p armeventgrid.EventSubscriptionsClientListRegionalByResourceGroupResponse) value { return p.Value }),
		"regional, of the subscription": pages(t, c.NewListRegionalBySubscriptionPager(region, nil), func(p armeventgrid.EventSubscriptionsClientListRegionalBySubscriptionResponse) value { return p.Value }),
	} {
		if len(got) != 4 {
			t.Errorf("%s: %d event subscriptions, want 4", what, len(got))
		}
	}
}

// checkHiddenSystemTopic: the event subscription at the Azure subscription has
// made a system topic, which goes with it.
func checkHiddenSystemTopic(t *testing.T, d *side) {
	t.Helper()
	scope := "/subscriptions/" + d.subscription
	inDefault := func() int {
		return len(all(t, d.NewSystemTopicsClient().NewListByResourceGroupPager("Default-EventGrid", nil), func(p armeventgrid.SystemTopicsClientListByResourceGroupResponse) []*armeventgrid.SystemTopic {
			return p.Value
		}))
	}
	if n := inDefault(); n != 1 {
		t.Errorf("%d system topics in Default-EventGrid", n)
	}
	x := must(d.NewExtensionTopicsClient().Get(t.Context(), scope, nil))(t)
	if !strings.Contains(*x.Properties.SystemTopic, "/resourceGroups/Default-EventGrid/providers/Microsoft.EventGrid/systemTopics/") {
		t.Errorf("the extension topic leads to %s", *x.Properties.SystemTopic)
	}
	gone, err := d.NewEventSubscriptionsClient().BeginDelete(t.Context(), scope, "whole", nil)
	await(t, gone, err)
	if n := inDefault(); n != 0 {
		t.Errorf("%d system topics are left in Default-EventGrid", n)
	}
	_, err = d.NewExtensionTopicsClient().Get(t.Context(), scope, nil)
	wantRefusal(t, err, 404, "ResourceNotFound")
}

// TestTopicSubscriptionEnds has an event subscription of a custom topic with an
// end: it goes by itself, and a domain topic with its last one.
func TestTopicSubscriptionEnds(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	topic, domain := d.openTopic(t, "orders", gridInput), d.openDomain(t, "tenants", gridInput)
	for _, scope := range []string{topic.id, domain.id + "/topics/tenant-a"} {
		es := webhook(hook.URL + "/x")
		es.Properties.ExpirationTimeUTC = new(time.Now().Add(1500 * time.Millisecond))
		d.subscribeAt(t, scope, "short", es)
	}
	for _, id := range []string{topic.id + "/eventSubscriptions/short", domain.id + "/topics/tenant-a/eventSubscriptions/short", domain.id + "/topics/tenant-a"} {
		until(t, 10*time.Second, id+" ends", func() bool { return d.call(t, "GET", id, "").status == 404 })
	}
}
