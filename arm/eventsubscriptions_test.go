package arm

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// ids lists the ids in a collection, below the customer's subscription.
func (a *answer) ids() []string {
	out := []string{}
	values, _ := a.body["value"].([]any)
	for _, v := range values {
		m, _ := v.(map[string]any)
		id, _ := m["id"].(string)
		out = append(out, shortID(id))
	}
	return out
}

func shortID(id string) string {
	return strings.NewReplacer(customerID, "S", "/resourceGroups/", "/", provider, "/EG", "/providers/", "/", "/eventSubscriptions/", "/ES/").Replace(id)
}

// sources has an event subscription on sources of every kind: in two groups, in
// three regions and in none, and on a source whose system topic lies in another
// group than itself.
func (f *fixture) sources() *fixture {
	f.t.Helper()
	f.topics()
	other := customerID + "/resourceGroups/rg-other"
	f.put("owner", other, `{"location":"westeurope"}`).want(201)
	f.put("owner", other+provider+"/topics/topic2", `{"location":"eastus"}`).want(201)
	elsewhere := customerRG + "/providers/Microsoft.Storage/storageAccounts/acc2"
	f.put("owner", other+provider+"/systemTopics/astray", `{"location":"eastus","properties":{"source":"`+elsewhere+`","topicType":"Microsoft.Storage.StorageAccounts"}}`).want(200)
	for name, at := range map[string]string{
		"on-topic": customTopic + "/", "on-topic-2": customTopic + provider + "/", "on-topic2": other + provider + "/topics/topic2/", "on-domain": domain + "/",
		"on-domain-topic": domainTopic + provider + "/", "on-partner-topic": topic + "/", "on-storage": storage + provider + "/", "on-astray": elsewhere + provider + "/",
		"on-system-topic": systemTopic + "/", "on-group": customerRG + provider + "/", "on-group2": other + provider + "/", "on-subscription": customerID + provider + "/",
	} {
		f.put("owner", at+"eventSubscriptions/"+name, hookBody).want(201)
	}
	return f
}

func TestListsOfEventSubscriptions(t *testing.T) {
	f := newFixture(t).sources()
	rg, eg := customerRG+provider, customerID+provider
	const ext = "Microsoft.EventGrid/eventSubscriptions"
	var (
		topic1    = []string{"S/rg-c/EG/topics/topic1/EG/ES/on-topic", "S/rg-c/EG/topics/topic1/EG/ES/on-topic-2"}
		topic2    = []string{"S/rg-other/EG/topics/topic2/EG/ES/on-topic2"}
		blobs     = []string{"S/rg-c/Microsoft.Storage/storageAccounts/acc1/EG/ES/on-storage", "S/rg-c/Microsoft.Storage/storageAccounts/acc1/EG/ES/on-system-topic"}
		astray    = []string{"S/rg-c/Microsoft.Storage/storageAccounts/acc2/EG/ES/on-astray"}
		inDomain  = []string{"S/rg-c/EG/domains/domain1/EG/ES/on-domain"}
		inTopic   = []string{"S/rg-c/EG/domains/domain1/topics/tenant1/EG/ES/on-domain-topic"}
		inPartner = []string{"S/rg-c/EG/partnerTopics/pt1/EG/ES/on-partner-topic"}
		group     = []string{"S/rg-c/EG/ES/on-group"}
		group2    = []string{"S/rg-other/EG/ES/on-group2"}
		whole     = []string{"S/EG/ES/on-subscription"}
	)
	for path, want := range map[string]struct {
		typ string
		ids [][]string
	}{
		eg + "/eventSubscriptions": {ext, [][]string{whole, group, group2}},
		rg + "/eventSubscriptions": {ext, [][]string{group}},
		eg + "/topicTypes/Microsoft.Resources.Subscriptions/eventSubscriptions":                       {ext, [][]string{whole}},
		eg + "/topictypes/microsoft.resources.resourcegroups/eventsubscriptions":                      {ext, [][]string{group, group2}},
		rg + "/topicTypes/Microsoft.Resources.ResourceGroups/eventSubscriptions":                      {ext, [][]string{group}},
		rg + "/topicTypes/Microsoft.Resources.Subscriptions/eventSubscriptions":                       {ext, nil},
		eg + "/topicTypes/Microsoft.EventGrid.Topics/eventSubscriptions":                              {ext, nil}, // not global
		eg + "/locations/westeurope/eventSubscriptions":                                               {ext, [][]string{topic1, blobs, inPartner}},
		eg + "/locations/West%20Europe/eventSubscriptions":                                            {ext, [][]string{topic1, blobs, inPartner}},
		eg + "/locations/eastus/eventSubscriptions":                                                   {ext, [][]string{astray, topic2}},
		rg + "/locations/eastus/eventSubscriptions":                                                   {ext, [][]string{astray}},
		rg + "/locations/northeurope/eventSubscriptions":                                              {ext, [][]string{inDomain, inTopic}},
		rg + "/locations/nowhere/eventSubscriptions":                                                  {ext, nil},
		eg + "/locations/eastus/topicTypes/Microsoft.EventGrid.Topics/eventSubscriptions":             {ext, [][]string{topic2}},
		eg + "/locations/eastus/topicTypes/Microsoft.Storage.StorageAccounts/eventSubscriptions":      {ext, [][]string{astray}},
		rg + "/locations/westeurope/topicTypes/Microsoft.Storage.StorageAccounts/eventSubscriptions":  {ext, [][]string{blobs}},
		rg + "/locations/northeurope/topicTypes/Microsoft.EventGrid.Domains/eventSubscriptions":       {ext, [][]string{inDomain, inTopic}},
		rg + "/locations/westeurope/topicTypes/Microsoft.Resources.ResourceGroups/eventSubscriptions": {ext, nil}, // not regional
		customTopic + provider + "/eventSubscriptions":                                                {ext, [][]string{topic1}},
		encoded(customTopic + provider + "/eventSubscriptions"):                                       {ext, [][]string{topic1}},
		domain + provider + "/eventSubscriptions":                                                     {ext, [][]string{inDomain}},
		domainTopic + provider + "/eventSubscriptions":                                                {ext, [][]string{inTopic}},
		topic + provider + "/eventSubscriptions":                                                      {ext, [][]string{inPartner}},
		storage + provider + "/eventSubscriptions":                                                    {ext, [][]string{blobs}},
		strings.ToUpper(storage) + provider + "/eventSubscriptions":                                   {ext, [][]string{blobs}},
		storage + "9" + provider + "/eventSubscriptions":                                              {ext, nil},
		systemTopic + provider + "/eventSubscriptions":                                                {ext, [][]string{{"S/rg-c/EG/systemTopics/blobs/EG/ES/on-storage", "S/rg-c/EG/systemTopics/blobs/EG/ES/on-system-topic"}}},
		customTopic + "/eventSubscriptions":                                                           {eventgrid.TypeTopicEventSubscription, [][]string{{"S/rg-c/EG/topics/topic1/ES/on-topic", "S/rg-c/EG/topics/topic1/ES/on-topic-2"}}},
		domain + "/eventSubscriptions":                                                                {eventgrid.TypeDomainEventSubscription, [][]string{{"S/rg-c/EG/domains/domain1/ES/on-domain"}}},
		domainTopic + "/eventSubscriptions":                                                           {eventgrid.TypeDomainTopicEventSubscription, [][]string{{"S/rg-c/EG/domains/domain1/topics/tenant1/ES/on-domain-topic"}}},
		systemTopic + "/eventSubscriptions":                                                           {eventgrid.TypeSystemTopicEventSubscription, [][]string{{"S/rg-c/EG/systemTopics/blobs/ES/on-storage", "S/rg-c/EG/systemTopics/blobs/ES/on-system-topic"}}},
		topic + "/eventSubscriptions":                                                                 {eventgrid.TypePartnerTopicEventSubscription, [][]string{{"S/rg-c/EG/partnerTopics/pt1/ES/on-partner-topic"}}},
	} {
		a := f.get("owner", path).want(200)
		got, ids := a.ids(), append([]string{}, slices.Concat(want.ids...)...)
		slices.Sort(got)
		slices.Sort(ids)
		if diff := cmp.Diff(ids, got); diff != "" || a.at("nextLink") != nil {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		values, _ := a.body["value"].([]any)
		for _, v := range values {
			m, _ := v.(map[string]any)
			if id, _ := m["id"].(string); m["type"] != want.typ || !strings.HasSuffix(id, "/"+m["name"].(string)) || strings.Contains(fmt.Sprint(m), "secret") {
				t.Errorf("%s: %v", path, m)
			}
			// What a list shows can be asked for by the id that it has there.
			if again := f.get("owner", m["id"].(string)); again.status != 200 || !strings.EqualFold(again.at("id").(string), m["id"].(string)) {
				t.Errorf("%s lists %s: %d %s", path, m["id"], again.status, again.raw)
			}
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH"} {
			f.do("owner", method, path, "{}").wantError(405, "HttpMethodNotAllowed")
		}
	}
}

func TestListsOfEventSubscriptionsHavePages(t *testing.T) {
	f := newFixture(t).topics()
	var want []string
	for i := range 25 {
		name := fmt.Sprintf("es-%02d", i)
		at := []string{customTopic, domain, domainTopic, topic, systemTopic}[i%5]
		f.put("owner", at+"/eventSubscriptions/"+name, hookBody).want(201)
		if i%5 != 1 && i%5 != 2 {
			want = append(want, name)
		}
	}
	at := customerRG + provider + "/locations/westeurope/eventSubscriptions"
	for query, c := range map[string]struct {
		pages int
		want  []string
	}{
		"": {1, want}, "?$top=4": {4, want}, "?$top=15": {1, want}, "?$top=1": {15, want},
		"?$top=2&$filter=" + url.QueryEscape("contains(name,'-1')"): {3, slices.DeleteFunc(slices.Clone(want), func(s string) bool { return !strings.Contains(s, "-1") })},
		"?$filter=" + url.QueryEscape("name eq 'ES-05'"):            {1, []string{"es-05"}},
	} {
		names, pages := f.follow(at + query)
		slices.Sort(names)
		if diff := cmp.Diff(c.want, names); diff != "" || pages != c.pages {
			t.Errorf("%s: %d pages, want %d: %s", query, pages, c.pages, diff)
		}
	}
	f.get("owner", at+"?$top=0").wantError(400, "InvalidRequest", "$top")
	f.get("owner", at+"?$filter=location").wantError(400, "InvalidRequest", "$filter")
}

// A list asks the store for what its scope holds, never for everything.
func TestListsLookNoFurtherThanTheirScope(t *testing.T) {
	f := newFixture(t).sources()
	spy := &scopeSpy{memoryStore: f.store}
	f.Store = spy
	for path, within := range map[string]string{
		customerID + provider + "/eventSubscriptions":                      customerID,
		customerRG + provider + "/eventSubscriptions":                      customerID,
		customerRG + provider + "/locations/westeurope/eventSubscriptions": customerID,
		customTopic + provider + "/eventSubscriptions":                     customTopic,
		domainTopic + "/eventSubscriptions":                                domainTopic,
		storage + provider + "/eventSubscriptions":                         customerID,
	} {
		spy.scopes = nil
		f.get("owner", path).want(200)
		if len(spy.scopes) == 0 {
			t.Errorf("%s asks for nothing", path)
		}
		for _, s := range spy.scopes {
			if !strings.HasPrefix(s.Key(), strings.ToLower(within)) {
				t.Errorf("%s looks at %s", path, s)
			}
		}
	}
}

type scopeSpy struct {
	*memoryStore
	scopes []resource.ID
}

func (s *scopeSpy) List(typ string, scope resource.ID) []*resource.Resource {
	s.scopes = append(s.scopes, scope)
	return s.memoryStore.List(typ, scope)
}

// Which role may do what by which form: wildcards work on the type of the form,
// not on what is stored.
func TestRolesByForm(t *testing.T) {
	whole := newFixture(t).topics()
	for name, form := range forms {
		whole.put("owner", form.path+strings.ReplaceAll(name, " ", "-"), hookBody).want(201)
	}
	whole.role("contributor", access.RoleEventSubscriptionContributor, customerID)
	whole.role("reader", access.RoleEventSubscriptionReader, customerID)
	whole.role("eventgrid", access.RoleEventGridContributor, customerID)
	whole.role("viewer", access.RoleReader, customerID)
	whole.role("elsewhere", access.RoleOwner, "/subscriptions/"+partnerSub)
	whole.role("here", access.RoleEventSubscriptionContributor, customTopic)
	whole.principal("stranger")
	state := whole.store.view()
	const read, write, action, remove = 1, 2, 4, 8
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			f := whole
			f.t = t
			path := form.path + strings.ReplaceAll(name, " ", "-")
			extension := form.typ == eventgrid.TypeEventSubscription
			rights := map[string]int{"owner": 15, "eventgrid": 15, "viewer": read, "elsewhere": 0, "stranger": 0, "contributor": 0, "reader": 0, "here": 0}
			if extension {
				rights["contributor"], rights["reader"] = 15, read
				if form.scope == customTopic {
					rights["here"] = 15
				}
			}
			for who, may := range rights {
				for _, c := range []struct {
					right                  int
					method, path, body, do string
				}{
					{read, "GET", path, "", "read"},
					{read, "HEAD", path, "", "read"},
					{write, "PUT", path, hookBody, "write"},
					{write, "PATCH", path, `{"labels":["a"]}`, "write"},
					{action, "POST", path + "/getFullUrl", "", "getFullUrl/action"},
					{action, "POST", path + "/getDeliveryAttributes", "", "getDeliveryAttributes/action"},
					{remove, "DELETE", path, "", "delete"},
				} {
					f.store.replace(state)
					a := f.do(who, c.method, c.path, c.body)
					switch {
					case may&c.right != 0 && a.status >= 300:
						t.Errorf("%s may not %s: %d %s", who, a.what, a.status, a.raw)
					case may&c.right == 0:
						a.want(403)
						if c.method != "HEAD" {
							a.wantError(403, "AuthorizationFailed", "'"+form.typ+"/"+c.do+"'", path)
						}
					}
				}
			}
		})
	}
}

func TestRolesOfLists(t *testing.T) {
	f := newFixture(t).topics()
	f.role("reader", access.RoleEventSubscriptionReader, customerID)
	f.role("sender", access.RoleEventGridDataSender, customerID)
	f.role("viewer", access.RoleReader, customerRG)
	for path, action := range map[string]string{
		"/eventSubscriptions":                                   "Microsoft.EventGrid/eventSubscriptions/read",
		"/topicTypes/x/eventSubscriptions":                      "Microsoft.EventGrid/topicTypes/eventSubscriptions/read",
		"/locations/westeurope/eventSubscriptions":              "Microsoft.EventGrid/locations/eventSubscriptions/read",
		"/locations/westeurope/topicTypes/x/eventSubscriptions": "Microsoft.EventGrid/locations/topicTypes/eventSubscriptions/read",
		"/extensionTopics/default":                              "Microsoft.EventGrid/extensionTopics/read",
		"/eventTypes":                                           "Microsoft.EventGrid/eventTypes/read",
	} {
		list := strings.HasSuffix(path, "eventSubscriptions")
		for _, scope := range []string{customerID, customerRG} {
			a := f.get("reader", scope+provider+path)
			if list {
				a.want(200)
			} else {
				a.wantError(403, "AuthorizationFailed", "'"+action+"'")
			}
			f.get("sender", scope+provider+path).wantError(403, "AuthorizationFailed", "'"+action+"'", "'"+scope)
		}
		if a := f.get("viewer", customerID+provider+path); a.status != 403 {
			t.Errorf("%s: %d", a.what, a.status)
		}
		if a := f.get("viewer", customerRG+provider+path); a.status == 403 {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
	}
	// By resource it is the extension's read, nested the topic's own.
	f.get("reader", customTopic+provider+"/eventSubscriptions").want(200)
	f.get("reader", customTopic+"/eventSubscriptions").wantError(403, "AuthorizationFailed", "'Microsoft.EventGrid/topics/eventSubscriptions/read'")
	f.get("sender", domainTopic+provider+"/eventSubscriptions").wantError(403, "AuthorizationFailed", "'Microsoft.EventGrid/eventSubscriptions/read'")
}

// A system topic shows what happens to its source, so it takes the right to
// subscribe there, whatever else one has at the place of the topic.
func TestSystemTopicsTakeRightsAtTheirSource(t *testing.T) {
	f := newFixture(t)
	f.role("group", access.RoleOwner, customerRG)
	f.role("both", access.RoleOwner, customerRG)
	f.role("both", access.RoleEventSubscriptionContributor, customerID)
	at := customerRG + provider + "/systemTopics/changes"
	body := `{"location":"global","properties":{"source":"` + customerID + `","topicType":"Microsoft.Resources.Subscriptions"}}`
	f.put("group", at, body).wantError(403, "AuthorizationFailed", "'Microsoft.EventGrid/eventSubscriptions/write'", "'"+customerID+"'")
	f.put("both", at, body).want(200)
	f.put("owner", at+"2", strings.ReplaceAll(body, customerSub, partnerSub)).want(400)
}

func TestTopicTypes(t *testing.T) {
	f := newFixture(t).topics()
	f.principal("stranger")
	names := f.get("stranger", provider+"/topicTypes").want(200).names()
	if !slices.Contains(names, "Microsoft.EventGrid.Topics") || !slices.Contains(names, "Microsoft.Storage.StorageAccounts") {
		t.Errorf("got %v", names)
	}
	a := f.get("stranger", provider+"/topictypes/microsoft.resources.subscriptions").want(200)
	want := map[string]any{
		"id": "providers/Microsoft.EventGrid/topicTypes/Microsoft.Resources.Subscriptions", "name": "Microsoft.Resources.Subscriptions", "type": "Microsoft.EventGrid/topicTypes",
		"properties": map[string]any{
			"provider": "Microsoft.Resources", "displayName": a.at("properties", "displayName"), "description": a.at("properties", "description"),
			"resourceRegionType": "GlobalResource", "provisioningState": "Succeeded", "supportedLocations": []any{}, "sourceResourceFormat": "/subscriptions/{subscriptionId}",
			"supportedScopesForSource": []any{"AzureSubscription"}, "areRegionalAndGlobalSourcesSupported": false,
		},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Error(diff)
	}
	if regions, _ := f.get("stranger", provider+"/topicTypes/Microsoft.EventGrid.Topics").want(200).at("properties", "supportedLocations").([]any); !slices.Contains(regions, any("West Europe")) {
		t.Errorf("got %v", regions)
	}
	changes := f.get("stranger", provider+"/topicTypes/Microsoft.Resources.Subscriptions/eventTypes").want(200)
	if got := changes.names(); len(got) != 9 || !slices.Contains(got, "Microsoft.Resources.ResourceWriteSuccess") {
		t.Errorf("got %s", changes.raw)
	}
	f.get("stranger", provider+"/topicTypes/Microsoft.Flowers").wantError(404, "ResourceNotFound", "Microsoft.Flowers")
	f.get("stranger", provider+"/topicTypes/Microsoft.Flowers/eventTypes").wantError(404, "ResourceNotFound")
	f.get("stranger", provider+"/topicTypes?api-version=2031-01-01").wantError(400, "NoRegisteredProviderFound")
	f.do("stranger", "PUT", provider+"/topicTypes/x", "{}").wantError(405, "HttpMethodNotAllowed")
	f.get("owner", customerRG+provider+"/topicTypes").wantError(404, "InvalidResourceType")

	f.put("owner", customTopic, `{"location":"westeurope","properties":{"eventTypeInfo":{"kind":"Inline","inlineEventTypes":{"b.Changed":{"displayName":"B"},"a.Made":{}}}}}`).want(201)
	a = f.get("owner", customTopic+provider+"/eventTypes").want(200)
	if diff := cmp.Diff([]string{"a.Made", "b.Changed"}, a.names()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"S/rg-c/EG/topics/topic1/EG/eventTypes/a.Made", "S/rg-c/EG/topics/topic1/EG/eventTypes/b.Changed"}, a.ids()); diff != "" {
		t.Error(diff)
	}
	if got := f.get("owner", storage+provider+"/eventTypes").want(200).names(); !slices.Contains(got, "Microsoft.Storage.BlobCreated") {
		t.Errorf("got %v", got)
	}
	if got := f.get("owner", customerRG+"/providers/Microsoft.Flowers/pots/p"+provider+"/eventTypes").want(200).names(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	f.get("owner", provider+"/eventTypes").wantError(404, "InvalidResourceType")
	f.get("owner", customTopic+"9"+provider+"/eventTypes").wantError(404, "ResourceNotFound")
}

// A domain topic comes with its first event subscription. Before that it has none,
// which is no error; a topic of a domain that is not there is one.
func TestADomainTopicThatIsNotThereHasNoSubscriptions(t *testing.T) {
	f := newFixture(t)
	f.topics()
	for _, path := range []string{domain + "/topics/later/eventSubscriptions", domain + "/topics/later" + provider + "/eventSubscriptions"} {
		if got := f.get("owner", path).want(200).names(); len(got) != 0 {
			t.Errorf("%s: %v", path, got)
		}
		f.get("owner", strings.Replace(path, "domain1", "domain2", 1)).wantError(404, "ResourceNotFound", "domain2")
	}
}
