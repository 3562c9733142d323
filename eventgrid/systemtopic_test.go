package eventgrid

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

var (
	systemTopicID = customerGroup.Provider(TypeSystemTopic, "acme-blobs")
	accountID     = customerGroup.Provider("Microsoft.Storage/storageAccounts", "acmedata")
	managementSet = []string{
		"Microsoft.Resources.ResourceWriteSuccess", "Microsoft.Resources.ResourceWriteFailure", "Microsoft.Resources.ResourceWriteCancel",
		"Microsoft.Resources.ResourceDeleteSuccess", "Microsoft.Resources.ResourceDeleteFailure", "Microsoft.Resources.ResourceDeleteCancel",
		"Microsoft.Resources.ResourceActionSuccess", "Microsoft.Resources.ResourceActionFailure", "Microsoft.Resources.ResourceActionCancel",
	}
)

func systemBody(location, source, topicType string) string {
	return fmt.Sprintf(`{"location":%q,"properties":{"source":%q,"topicType":%q}}`, location, source, topicType)
}

func TestSystemTopicAsShown(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(systemTopicID, systemBody("West Europe", account, "microsoft.storage.STORAGEACCOUNTS")))
	want := `{"provisioningState":"Succeeded","source":"` + account + `","topicType":"microsoft.storage.STORAGEACCOUNTS","metricResourceId":"GUID"}`
	metric := props[SystemTopic](w, systemTopicID).MetricResourceID
	if diff := cmp.Diff(want, golden(w.show(systemTopicID, resource.ID{}), metric)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.must(w.patch(systemTopicID, `{"tags":{"a":"b"}}`))
	w.wantError(w.patch(systemTopicID, `{"properties":{"source":"`+customerGroup.String()+`"}}`), resource.InvalidRequest, "properties.source")
	if got := props[SystemTopic](w, systemTopicID).MetricResourceID; got != metric {
		t.Errorf("metricResourceId changed to %s", got)
	}
	topic := w.get(systemTopicID)
	if !SourceOf(w.all, topic).Equal(accountID) || TopicTypeName(w.all, topic) != "microsoft.storage.STORAGEACCOUNTS" || IsGlobal(topic) {
		t.Errorf("source %s, type %s", SourceOf(w.all, topic), TopicTypeName(w.all, topic))
	}
}

func TestSystemTopicRefusals(t *testing.T) {
	sub := resource.SubscriptionID(customerSub).String()
	for name, c := range map[string]struct {
		body  string
		code  resource.Code
		texts []string
	}{
		"nothing":               {`{"location":"westeurope"}`, resource.InvalidRequest, []string{"'source' and 'topicType' are required"}},
		"no type":               {systemBody("westeurope", account, ""), resource.InvalidRequest, []string{"required"}},
		"no source":             {systemBody("westeurope", "", "Microsoft.Storage.StorageAccounts"), resource.InvalidRequest, []string{"required"}},
		"no id":                 {systemBody("westeurope", "acmedata", "Microsoft.Storage.StorageAccounts"), resource.InvalidRequest, []string{"'acmedata' is not the id of a resource"}},
		"the root":              {systemBody("westeurope", "/", "Microsoft.Storage.StorageAccounts"), resource.InvalidRequest, []string{"'/'"}},
		"unknown type":          {systemBody("westeurope", account, "Microsoft.Storage.Boxes"), resource.InvalidRequest, []string{"'Microsoft.Storage.Boxes' is not known"}},
		"type of others":        {systemBody("westeurope", account, "Microsoft.KeyVault.vaults"), resource.InvalidRequest, []string{"'Microsoft.KeyVault.vaults' does not fit the source '" + account + "', which is of type 'Microsoft.Storage/storageAccounts'"}},
		"a custom topic":        {systemBody("westeurope", customTopicID.String(), "Microsoft.EventGrid.Topics"), resource.InvalidRequest, []string{"does not fit"}},
		"another subscription":  {systemBody("global", resource.SubscriptionID(partnerSub).String(), "Microsoft.Resources.Subscriptions"), resource.InvalidRequest, []string{"another subscription"}},
		"no group":              {systemBody("global", sub+"/resourceGroups/none", "Microsoft.Resources.ResourceGroups"), resource.ResourceGroupNotFound, []string{"'none'"}},
		"subscription regional": {systemBody("westeurope", sub, "Microsoft.Resources.Subscriptions"), resource.InvalidRequest, []string{"must be that of its source, 'global', not 'westeurope'"}},
		"group regional":        {systemBody("westeurope", customerGroup.String(), "Microsoft.Resources.ResourceGroups"), resource.InvalidRequest, []string{"'global'"}},
		"account global":        {systemBody("global", account, "Microsoft.Storage.StorageAccounts"), resource.InvalidRequest, []string{"'Microsoft.Storage.StorageAccounts' have a region"}},
		"no region":             {systemBody("a/b", account, "Microsoft.Storage.StorageAccounts"), resource.LocationNotAvailable, []string{"a/b"}},
		"no location":           {`{"properties":{"source":"` + account + `","topicType":"Microsoft.Storage.StorageAccounts"}}`, resource.LocationRequired, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wantError(w.put(systemTopicID, c.body), c.code, c.texts...)
		})
	}
}

func TestOneSystemTopicPerSource(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(systemTopicID, systemBody("westeurope", account, "Microsoft.Storage.StorageAccounts")))
	second := customerGroup.Provider(TypeSystemTopic, "second")
	w.wantError(w.put(second, systemBody("westeurope", strings.ToUpper(account), "Microsoft.Storage.StorageAccounts")), resource.InvalidRequest,
		"Only one system topic is allowed per source", systemTopicID.String())
	w.must(w.put(systemTopicID, systemBody("westeurope", account, "Microsoft.Storage.StorageAccounts")))
	// A subscription is the source of two topic types.
	sub := resource.SubscriptionID(customerSub).String()
	w.must(w.put(second, systemBody("global", sub, "Microsoft.PolicyInsights.PolicyStates")))
	if _, ok := Home(w.all, resource.SubscriptionID(customerSub)); ok {
		t.Error("subscriptions on a subscription are about its resources, not its policies")
	}
	third := customerGroup.Provider(TypeSystemTopic, "third")
	w.must(w.put(third, systemBody("global", sub, "Microsoft.Resources.Subscriptions")))
	if home, ok := Home(w.all, resource.SubscriptionID(customerSub)); !ok || !home.Equal(third) || !IsGlobal(w.get(third)) {
		t.Errorf("home %s", home)
	}
}

// Events of a subscription tell what everybody does in it, so creating a system
// topic in one's own group is not enough.
func TestASourceHasToBeOpenToTheCaller(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.authorize = func(action string, scope resource.ID) error {
		asked = append(asked, action+" at "+scope.String())
		return resource.Errorf(resource.AuthorizationFailed, "no")
	}
	body := systemBody("global", resource.SubscriptionID(customerSub).String(), "Microsoft.Resources.Subscriptions")
	w.wantError(w.put(systemTopicID, body), resource.AuthorizationFailed)
	if diff := cmp.Diff([]string{"Microsoft.EventGrid/eventSubscriptions/write at /subscriptions/" + customerSub}, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.authorize = nil
	w.wantError(w.put(systemTopicID, body), resource.AuthorizationFailed)
}

func TestHiddenSystemTopicComesAndGoes(t *testing.T) {
	for name, c := range map[string]struct {
		scope, group        resource.ID
		prefix, location    string
		topicType, shownIn  string
		defaultSet          []string
		deliveredByDefault  DeliverySchema
		handshakeTopicExact string
	}{
		"a subscription": {
			scope: resource.SubscriptionID(customerSub), group: resource.GroupID(customerSub, "Default-EventGrid"), prefix: customerSub + "-", location: "global",
			topicType: "Microsoft.Resources.Subscriptions", shownIn: "/subscriptions/" + customerSub, defaultSet: managementSet,
		},
		"a group": {
			scope: customerGroup, group: customerGroup, prefix: "rg-c-", location: "global",
			topicType: "Microsoft.Resources.ResourceGroups", shownIn: customerGroup.String(), defaultSet: managementSet,
		},
		"an account": {
			scope: accountID, group: customerGroup, prefix: "acmedata-", location: "westeurope", topicType: "Microsoft.Storage.StorageAccounts",
			shownIn:    "/subscriptions/" + customerSub + "/resourceGroups/rg-c/providers/microsoft.storage/storageaccounts/acmedata",
			defaultSet: []string{"Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if _, ok := Home(w.all, c.scope); ok {
				t.Error("a home from the start")
			}
			es := w.subscribe(c.scope, "es1", "")
			topic := w.get(es.Parent())
			p := props[SystemTopic](w, topic.ID)
			if topic.Type != TypeSystemTopic || !topic.ID.GroupScope().Equal(c.group) || !strings.HasPrefix(topic.ID.Name(), c.prefix) || topic.Location != c.location {
				t.Errorf("topic %s in %s", topic.ID, topic.Location)
			}
			if p.Source != c.scope.String() || p.TopicType != c.topicType || p.MetricResourceID == "" || !SourceOf(w.all, topic).Equal(c.scope) {
				t.Errorf("got %+v", p)
			}
			if !longNamePattern.MatchString(topic.ID.Name()) || !w.exists(c.group) {
				t.Errorf("name %s", topic.ID.Name())
			}
			sub := props[EventSubscription](w, es)
			if diff := cmp.Diff(c.defaultSet, sub.Filter.IncludedEventTypes); diff != "" || sub.Schema != EventGridSchema {
				t.Errorf("schema %s, types %s", sub.Schema, diff)
			}
			if got := w.hooks.asked[0].Topic; got != c.scope.String() {
				t.Errorf("the endpoint was asked for %s", got)
			}
			route := c.scope.Provider(TypeEventSubscription, "es1")
			if shown := w.show(es, route); !strings.HasPrefix(shown, `{"topic":"`+c.shownIn+`",`) {
				t.Errorf("by its extension form: %s", shown)
			}
			if shown := w.show(es, resource.ID{}); !strings.Contains(shown, "/providers/microsoft.eventgrid/systemtopics/"+topic.ID.Name()+`"`) {
				t.Errorf("by its nested form: %s", shown)
			}

			second := w.subscribe(c.scope, "es2", `,"filter":{"includedEventTypes":["X"]}`)
			if !second.Parent().Equal(topic.ID) {
				t.Errorf("a second topic: %s", second)
			}
			if diff := cmp.Diff([]string{"X"}, props[EventSubscription](w, second).Filter.IncludedEventTypes); diff != "" {
				t.Error(diff)
			}
			other := customerGroup.Provider(TypeSystemTopic, "explicit")
			w.wantError(w.put(other, systemBody(c.location, c.scope.String(), c.topicType)), resource.InvalidRequest, "Only one system topic is allowed per source", topic.ID.Name())
			w.must(w.delete(es))
			if !w.exists(topic.ID) {
				t.Fatal("gone before its last subscription")
			}
			role := topic.ID.Provider(resource.TypeRoleAssignment, "r1")
			w.all.Put(&resource.Resource{ID: role, Type: resource.TypeRoleAssignment})
			w.must(w.delete(second))
			if w.exists(topic.ID) || w.exists(role) {
				t.Error("left behind")
			}
		})
	}
}

// The id is already in the handshake, so dry run and write have to agree on it.
func TestHiddenSystemTopicHasAForeseeableName(t *testing.T) {
	w := newWorld(t)
	es := w.subscribe(accountID, "es1", "")
	if got := w.hooks.asked[0].SubscriptionID; got != es.String() {
		t.Errorf("asked as %s, stored as %s", got, es)
	}
	odd := resource.GroupID(customerSub, "Grüße_(1)."+strings.Repeat("x", 79))
	w.all.Put(&resource.Resource{ID: odd, Type: resource.TypeGroup, Location: "westeurope"})
	if name := w.subscribe(odd, "es1", "").Parent().Name(); !longNamePattern.MatchString(name) {
		t.Errorf("name %q", name)
	}
}

func TestAnExplicitSystemTopicStays(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(systemTopicID, systemBody("westeurope", account, "Microsoft.Storage.StorageAccounts")))
	es := w.subscribe(accountID, "es1", "")
	if !es.Parent().Equal(systemTopicID) {
		t.Fatalf("stored at %s", es)
	}
	w.must(w.delete(es))
	if !w.exists(systemTopicID) {
		t.Error("gone with its last subscription")
	}
	// A hidden one that somebody PUT is not hidden any more; a PATCH of tags says nothing.
	hidden := w.subscribe(customerGroup, "es1", "").Parent()
	w.must(w.patch(hidden, `{"tags":{"a":"b"}}`))
	if w.get(hidden).Secrets[secretHidden] == "" {
		t.Error("not hidden after a PATCH")
	}
	w.must(w.put(hidden, `{"location":"global"}`))
	w.must(w.delete(hidden.Child("eventSubscriptions", "es1")))
	if !w.exists(hidden) {
		t.Error("gone although it was wanted")
	}
	w.must(w.delete(hidden))
}

func TestMakeHomeRefusals(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		scope resource.ID
		code  resource.Code
		texts []string
	}{
		"nothing to hear":    {customerGroup.Provider("Microsoft.Compute/virtualMachines", "vm1"), resource.InvalidRequest, []string{"'Microsoft.Compute/virtualMachines'", "virtualMachines/vm1"}},
		"the root":           {resource.ID{}, resource.InvalidRequest, []string{"tenants"}},
		"a namespace":        {namespaceID, resource.InvalidRequest, []string{"partnerNamespaces"}},
		"no topic":           {customTopicID, resource.ParentNotFound, []string{"The topic 'acme-orders' could not be found."}},
		"no domain":          {domainID, resource.ParentNotFound, []string{"The domain 'acme-tenants' could not be found."}},
		"no domain around":   {tenantTopicID, resource.ParentNotFound, []string{"The domain 'acme-tenants' could not be found."}},
		"no system topic":    {systemTopicID, resource.ParentNotFound, []string{"The system topic 'acme-blobs' could not be found."}},
		"no partner topic":   {topicID, resource.ParentNotFound, []string{"The partner topic 'pt1' could not be found."}},
		"no group":           {resource.GroupID(customerSub, "none").Provider("Microsoft.Storage/storageAccounts", "acmedata"), resource.ResourceGroupNotFound, []string{"'none'"}},
		"no group as source": {resource.GroupID(customerSub, "none"), resource.ResourceGroupNotFound, []string{"'none'"}},
		"no subscription":    {resource.SubscriptionID(strangerSub), resource.SubscriptionNotFound, []string{strangerSub}},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			before := len(w.all)
			w.wantError(w.write(w.on(c.scope, "es1"), hookBody("https://x.example", ""), false), c.code, c.texts...)
			if len(w.all) != before {
				t.Error("something was made")
			}
		})
	}
}

// A refused handshake must leave no system topic, no group and no domain topic.
func TestARefusedSubscriptionMakesNoHome(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(domainID, `{"location":"westeurope"}`))
	w.hooks.fail = errors.New("no thanks")
	before := len(w.all)
	for _, scope := range []resource.ID{resource.SubscriptionID(customerSub), accountID, tenantTopicID} {
		w.wantError(w.write(w.on(scope, "es1"), hookBody("https://x.example", ""), false), resource.URLValidation, "no thanks")
	}
	if len(w.all) != before {
		t.Error("something is left")
	}
}
