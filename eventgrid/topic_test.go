package eventgrid

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

var (
	customTopicID = customerGroup.Provider(TypeTopic, "acme-orders")
	domainID      = customerGroup.Provider(TypeDomain, "acme-tenants")
	tenantTopicID = domainID.Child("topics", "tenant-017")
)

// golden replaces what is random by a word.
func golden(s string, secrets ...string) string {
	for _, secret := range secrets {
		if uuid.Validate(secret) == nil {
			s = strings.ReplaceAll(s, secret, "GUID")
		}
	}
	return s
}

func TestTopicAsShown(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"nothing given": {
			`{"location":"West Europe"}`,
			`{"provisioningState":"Succeeded","endpoint":"https://host:8443/acme-orders.westeurope-1/api/events","inputSchema":"EventGridSchema","metricResourceId":"GUID",` +
				`"publicNetworkAccess":"Enabled","disableLocalAuth":false,"dataResidencyBoundary":"WithinGeopair"}`,
		},
		"everything given": {
			`{"location":"westeurope","properties":{"provisioningState":"Failed","endpoint":"https://forged","metricResourceId":"forged","inputSchema":"customeventschema",` +
				`"inputSchemaMapping":{"inputSchemaMappingType":"json","properties":{"id":{"sourceField":"myId"},"topic":{"sourceField":"myTopic"},"eventTime":{"sourceField":"at"},` +
				`"eventType":{"sourceField":"kind","defaultValue":"Unknown"},"subject":{"defaultValue":"none"},"dataVersion":{"sourceField":"v","defaultValue":"1"}}},` +
				`"publicNetworkAccess":"disabled","inboundIpRules":[{"ipMask":"198.51.100.0/24"}],"disableLocalAuth":true,"minimumTlsVersionAllowed":"1.2","dataResidencyBoundary":"withinregion",` +
				`"eventTypeInfo":{"inlineEventTypes":{"Acme.Order.Placed":{"displayName":"Order placed"}}},"encryption":{"customerManagedKeyEncryption":[]},"platformCapabilities":{"confidentialCompute":{"mode":"disabled"}}}}`,
			`{"provisioningState":"Succeeded","endpoint":"https://host:8443/acme-orders.westeurope-1/api/events","inputSchema":"CustomEventSchema",` +
				`"inputSchemaMapping":{"inputSchemaMappingType":"Json","properties":{"id":{"sourceField":"myId"},"topic":{"sourceField":"myTopic"},"eventTime":{"sourceField":"at"},` +
				`"eventType":{"sourceField":"kind","defaultValue":"Unknown"},"subject":{"defaultValue":"none"},"dataVersion":{"sourceField":"v","defaultValue":"1"}}},` +
				`"metricResourceId":"GUID","publicNetworkAccess":"Disabled","inboundIpRules":[{"ipMask":"198.51.100.0/24","action":"Allow"}],"disableLocalAuth":true,"minimumTlsVersionAllowed":"1.2",` +
				`"dataResidencyBoundary":"WithinRegion","eventTypeInfo":{"kind":"Inline","inlineEventTypes":{"Acme.Order.Placed":{"displayName":"Order placed"}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must(w.put(customTopicID, c.body))
			metric := props[Topic](w, customTopicID).MetricResourceID
			if diff := cmp.Diff(c.want, golden(w.show(customTopicID, resource.ID{}), metric)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// What GET showed can be sent again, and changes nothing but the state of
			// members that clients have no say in.
			before := w.show(customTopicID, resource.ID{})
			w.must(w.put(customTopicID, `{"location":"westeurope","properties":`+before+`}`))
			if diff := cmp.Diff(before, w.show(customTopicID, resource.ID{})); diff != "" {
				t.Errorf("after a PUT of what GET showed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDomainAsShown(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(domainID, `{"location":"westeurope","properties":{"inputSchema":"CloudEventSchemaV1_0"}}`))
	want := `{"provisioningState":"Succeeded","endpoint":"https://host:8443/acme-tenants.westeurope-1/api/events","inputSchema":"CloudEventSchemaV1_0","metricResourceId":"GUID",` +
		`"publicNetworkAccess":"Enabled","disableLocalAuth":false,"dataResidencyBoundary":"WithinGeopair",` +
		`"autoCreateTopicWithFirstSubscription":true,"autoDeleteTopicWithLastSubscription":true}`
	if diff := cmp.Diff(want, golden(w.show(domainID, resource.ID{}), props[Domain](w, domainID).MetricResourceID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.must(w.patch(domainID, `{"properties":{"autoCreateTopicWithFirstSubscription":false,"autoDeleteTopicWithLastSubscription":false,"disableLocalAuth":true}}`))
	if p := props[Domain](w, domainID); p.autoCreates() || p.autoDeletes() || !p.DisableLocalAuth || p.InputSchema != InputCloudEvents {
		t.Errorf("after a PATCH: %+v", p)
	}
	w.must(w.put(domainID, `{"location":"westeurope"}`))
	if p := props[Domain](w, domainID); !p.autoCreates() || !p.autoDeletes() || p.DisableLocalAuth || p.InputSchema != InputCloudEvents {
		t.Errorf("a PUT replaces all but what is fixed: %+v", p)
	}
	w.must(w.put(tenantTopicID, `{}`))
	if got := w.show(tenantTopicID, resource.ID{}); got != `{"provisioningState":"Succeeded"}` {
		t.Errorf("domain topic: %s", got)
	}
}

func TestTopicRefusals(t *testing.T) {
	mapping := func(fields string) string {
		return `"inputSchema":"CustomEventSchema","inputSchemaMapping":{"inputSchemaMappingType":"Json","properties":{` + fields + `}}`
	}
	rules := `{"ipMask":"10.0.0.1"},`
	for name, c := range map[string]struct {
		body  string
		code  resource.Code
		texts []string
	}{
		"schema of nobody":   {`"inputSchema":"Morse"`, resource.InvalidRequest, []string{"'Morse' is not one of the allowed values: EventGridSchema, CustomEventSchema, CloudEventSchemaV1_0."}},
		"mapping without":    {`"inputSchemaMapping":{"inputSchemaMappingType":"Json"}`, resource.InvalidRequest, []string{"The property 'inputSchemaMapping' is for topics with inputSchema 'CustomEventSchema'; this one has 'EventGridSchema'."}},
		"mapping of nobody":  {`"inputSchema":"CustomEventSchema","inputSchemaMapping":{"inputSchemaMappingType":"Xml"}`, resource.InvalidRequest, []string{"'Xml'", "Json"}},
		"default of an id":   {mapping(`"id":{"defaultValue":"x"}`), resource.InvalidRequest, []string{"inputSchemaMapping.properties.id takes no defaultValue"}},
		"default of a topic": {mapping(`"topic":{"defaultValue":"x"}`), resource.InvalidRequest, []string{"properties.topic"}},
		"default of a time":  {mapping(`"eventTime":{"defaultValue":"x"}`), resource.InvalidRequest, []string{"properties.eventTime"}},
		"field of a number":  {mapping(`"subject":{"sourceField":5}`), resource.InvalidRequestContent, []string{"sourceField", "a string"}},
		"network":            {`"publicNetworkAccess":"Maybe"`, resource.InvalidRequest, []string{"SecuredByPerimeter"}},
		"TLS":                {`"minimumTlsVersionAllowed":"0.9"`, resource.InvalidRequest, []string{"1.0, 1.1, 1.2"}},
		"residency":          {`"dataResidencyBoundary":"Mars"`, resource.InvalidRequest, []string{"WithinGeopair, WithinRegion"}},
		"too many IP rules":  {`"inboundIpRules":[` + strings.Repeat(rules, 128) + `{"ipMask":"10.0.0.2"}]`, resource.InvalidRequest, []string{"inboundIpRules holds 129 rules; at most 128 are allowed."}},
		"IP rule":            {`"inboundIpRules":[{"ipMask":"10.0.0.1"},{"ipMask":"home"}]`, resource.InvalidRequest, []string{"inboundIpRules[1].ipMask 'home'"}},
		"event type":         {`"eventTypeInfo":{"inlineEventTypes":{"` + strings.Repeat("x", 129) + `":{}}}`, resource.InvalidRequest, []string{"128"}},
		"own keys":           {`"encryption":{"customerManagedKeyEncryption":[{"keyEncryptionKeyUrl":"https://x"}]}`, resource.InvalidRequest, []string{"customer-managed key", "'encryption'"}},
		"enclave":            {`"platformCapabilities":{"confidentialCompute":{"mode":"Enabled"}}`, resource.InvalidRequest, []string{"Confidential compute"}},
		"local auth":         {`"disableLocalAuth":"yes"`, resource.InvalidRequestContent, []string{"Property 'properties.disableLocalAuth' is a JSON string; true or false is expected."}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, id := range []resource.ID{customTopicID, domainID} {
				w.wantError(w.put(id, `{"location":"westeurope","properties":{`+c.body+`}}`), c.code, c.texts...)
				if w.exists(id) {
					t.Error("created")
				}
			}
		})
	}
	w := newWorld(t)
	for _, name := range []string{"EventGrid", "eventgrid"} {
		w.wantError(w.put(customerGroup.Provider(TypeTopic, name), `{"location":"westeurope"}`), resource.InvalidRequest, "'"+name+"'", "reserved")
	}
	for _, name := range []string{"Microsoft-mine", "EventGrid-mine", "eventgrid2"} {
		w.must(w.put(customerGroup.Provider(TypeTopic, name), `{"location":"westeurope"}`))
	}
	w.wantError(w.put(customTopicID, `{}`), resource.LocationRequired)
	w.wantError(w.put(customTopicID, `{"location":"west/europe"}`), resource.LocationNotAvailable, "west/europe")
	w.rules.Regions = []string{"northeurope"}
	w.wantError(w.put(customTopicID, `{"location":"westeurope"}`), resource.LocationNotAvailable, "northeurope")
}

func TestWhatIsFixedOnATopic(t *testing.T) {
	w := newWorld(t)
	w.must(w.put(customTopicID, `{"location":"westeurope","properties":{"inputSchema":"CustomEventSchema","inputSchemaMapping":{"properties":{"subject":{"sourceField":"s"}}}}}`))
	for _, patch := range []bool{true, false} {
		w.wantError(w.write(at(customTopicID), `{"properties":{"inputSchema":"EventGridSchema"}}`, patch), resource.InvalidRequest,
			"Property 'properties.inputSchema' cannot be changed after creation: it is 'CustomEventSchema'")
		w.wantError(w.write(at(customTopicID), `{"properties":{"inputSchemaMapping":{"properties":{"subject":{"sourceField":"other"}}}}}`, patch), resource.InvalidRequest, "properties.inputSchemaMapping")
		w.must(w.write(at(customTopicID), `{"location":"westeurope","properties":{"inputSchema":"customEVENTschema","inputSchemaMapping":{"inputSchemaMappingType":"json","properties":{"subject":{"sourceField":"s"}}}}}`, patch))
	}
	before := props[Topic](w, customTopicID)
	keys := w.get(customTopicID).Secrets
	w.must(w.patch(customTopicID, `{"tags":{"a":"b"},"properties":{"publicNetworkAccess":"SecuredByPerimeter","inboundIpRules":[{"ipMask":"::1/128"}],"disableLocalAuth":true,"dataResidencyBoundary":"WithinRegion","minimumTlsVersionAllowed":"1.1"}}`))
	after := props[Topic](w, customTopicID)
	want := *before
	want.PublicNetworkAccess, want.DisableLocalAuth, want.DataResidency, want.MinimumTLSVersion = AccessPerimeter, true, "WithinRegion", "1.1"
	want.InboundIPRules = resource.List[IPRule]{{Mask: "::1/128", Action: "Allow"}}
	if diff := cmp.Diff(&want, after); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keys, w.get(customTopicID).Secrets); diff != "" || len(keys[SecretKey1]) != 44 {
		t.Errorf("the keys changed, or are none: %s", diff)
	}
}

// All three have an endpoint, so all three share the names of a region.
func TestNamesAreTakenInARegion(t *testing.T) {
	for _, first := range []string{TypeTopic, TypeDomain, TypePartnerNamespace} {
		for _, second := range []string{TypeTopic, TypeDomain, TypePartnerNamespace} {
			w := newWorld(t)
			w.must(w.put(registrationID, `{}`))
			body := func(location string) string {
				return `{"location":"` + location + `","properties":{"partnerRegistrationFullyQualifiedId":"` + registrationID.String() + `"}}`
			}
			w.must(w.put(partnerGroup.Provider(first, "Orders"), body("westeurope")))
			other := resource.GroupID(partnerSub, "rg-other").Provider(second, "oRDERS")
			w.wantError(w.put(other, body("West Europe")), resource.Conflict, "The name 'oRDERS' is already taken in region 'westeurope'. Choose another name.")
			w.must(w.put(other, body("northeurope")))
		}
	}
}

func TestLimitsOfTopicsAndDomains(t *testing.T) {
	w := newWorld(t)
	w.rules.Limits = Limits{TopicsPerSubscription: 2, DomainsPerSubscription: 1, TopicsPerDomain: 1, SubscriptionsPerDomain: 1, SubscriptionsPerDomainTopic: 2, SubscriptionsPerTopic: 3, IPRules: 1}
	topic := func(n int) resource.ID { return customerGroup.Provider(TypeTopic, fmt.Sprintf("topic-%d", n)) }
	w.must(w.put(topic(1), `{"location":"westeurope"}`))
	w.must(w.put(topic(2), `{"location":"westeurope"}`))
	w.wantError(w.put(topic(3), `{"location":"westeurope"}`), resource.Conflict, "has 2 custom topics in region 'westeurope', as many as it can have")
	w.must(w.put(topic(3), `{"location":"northeurope"}`))
	w.must(w.put(topic(1), `{"location":"westeurope"}`)) // an update needs no room
	w.must(w.put(partnerGroup.Provider(TypeTopic, "elsewhere"), `{"location":"westeurope"}`))
	w.must(w.put(domainID, `{"location":"westeurope"}`))
	w.wantError(w.put(customerGroup.Provider(TypeDomain, "second"), `{"location":"westeurope"}`), resource.Conflict, "has 1 domains")
	w.must(w.put(tenantTopicID, `{}`))
	w.must(w.put(tenantTopicID, `{}`))
	w.wantError(w.put(domainID.Child("topics", "tenant-018"), `{}`), resource.Conflict, "The domain 'acme-tenants' has 1 topics, as many as it can have.")
	w.wantError(w.write(w.on(domainID.Child("topics", "tenant-018"), "es1"), hookBody("https://x.example", ""), false), resource.Conflict, "1 topics")
	w.wantError(w.put(domainID, `{"location":"westeurope","properties":{"inboundIpRules":[{"ipMask":"10.0.0.1"},{"ipMask":"10.0.0.2"}]}}`), resource.InvalidRequest, "at most 1")
	for scope, room := range map[string]int{topic(1).String(): 3, domainID.String(): 1, tenantTopicID.String(): 2} {
		id, err := resource.ParseID(scope)
		w.must(err)
		for i := range room {
			w.must(w.put(id.Child("eventSubscriptions", fmt.Sprintf("es%d", i)), hookBody("https://x.example", "")))
		}
		w.wantError(w.put(id.Child("eventSubscriptions", "more"), hookBody("https://x.example", "")), resource.Conflict, fmt.Sprintf("has %d event subscriptions, as many as it can have", room))
	}
}

func TestMembersBesideTheProperties(t *testing.T) {
	w := newWorld(t)
	extra := func(id resource.ID) string {
		var all []string
		for _, name := range []string{"sku", "kind", "extendedLocation"} {
			if v, ok := w.get(id).Extra[name]; ok {
				all = append(all, name+"="+string(v))
			}
		}
		return strings.Join(all, " ")
	}
	w.must(w.put(customTopicID, `{"location":"westeurope","sku":{"name":"premium","x":1},"kind":"azurearc","extendedLocation":{"name":"n","type":"CustomLocation"},"plan":{}}`))
	const want = `sku={"name":"Premium"} kind="AzureArc" extendedLocation={"name":"n","type":"CustomLocation"}`
	if got := extra(customTopicID); got != want {
		t.Errorf("got %s", got)
	}
	w.must(w.patch(customTopicID, `{"sku":null}`))
	if got := extra(customTopicID); got != want {
		t.Errorf("after a PATCH of something else: %s", got)
	}
	w.must(w.patch(customTopicID, `{"sku":{"name":"Basic"}}`))
	if got := extra(customTopicID); got != strings.Replace(want, "Premium", "Basic", 1) {
		t.Errorf("after a PATCH: %s", got)
	}
	w.wantError(w.patch(customTopicID, `{"sku":{"name":"Gold"}}`), resource.InvalidRequest, "Basic, Premium")
	w.wantError(w.patch(customTopicID, `{"kind":5}`), resource.InvalidRequestContent, "5")
	w.wantError(w.patch(customTopicID, `{"extendedLocation":{"name":5}}`), resource.InvalidRequestContent, "extendedLocation.name", "a string")
	w.must(w.put(domainID, `{"location":"westeurope","sku":{"name":"Basic"},"kind":"Azure"}`))
	if got := extra(domainID); got != `sku={"name":"Basic"}` {
		t.Errorf("a domain has no kind: %s", got)
	}
}

func TestIdentityOfATopic(t *testing.T) {
	const none = `{"type":"None","principalId":null,"tenantId":null,"userAssignedIdentities":null}`
	w := newWorld(t)
	w.must(w.put(customTopicID, `{"location":"westeurope"}`))
	if got := string(w.get(customTopicID).Identity); got != none {
		t.Errorf("without: %s", got)
	}
	w.must(w.patch(customTopicID, `{"identity":{"type":"systemassigned, userassigned","principalId":"forged","userAssignedIdentities":{"`+account+`":null}}}`))
	const both = `{"type":"SystemAssigned, UserAssigned","principalId":null,"tenantId":null,"userAssignedIdentities":{"` + account + `":{}}}`
	w.must(w.patch(customTopicID, `{"tags":{}}`))
	if got := string(w.get(customTopicID).Identity); got != both {
		t.Errorf("with: %s", got)
	}
	w.wantError(w.patch(customTopicID, `{"identity":{"type":"Somebody"}}`), resource.InvalidRequest, "None, SystemAssigned")
	w.wantError(w.patch(customTopicID, `{"identity":{"userAssignedIdentities":{"me":{}}}}`), resource.InvalidRequest, "'me'")
	w.wantError(w.patch(customTopicID, `{"identity":[]}`), resource.InvalidRequestContent, "'identity'")
}

func TestInputOf(t *testing.T) {
	own := &event.Mapping{
		ID: event.Field{Source: "id"}, Topic: event.Field{Source: "topic"}, Time: event.Field{Source: "eventTime"},
		Subject: event.Field{Source: "subject"}, Type: event.Field{Source: "eventType"}, DataVersion: event.Field{Source: "dataVersion"},
	}
	for body, want := range map[string]struct {
		schema  event.Schema
		mapping *event.Mapping
	}{
		`{}`:                                     {event.EventGrid, nil},
		`{"inputSchema":"CloudEventSchemaV1_0"}`: {event.CloudEvents, nil},
		`{"inputSchema":"CustomEventSchema"}`:    {event.Custom, own},
		`{"inputSchema":"CustomEventSchema","inputSchemaMapping":{"properties":{"id":{"sourceField":"i"},"topic":{"sourceField":"t"},"eventTime":{"sourceField":"w"},
			"subject":{"sourceField":"s","defaultValue":"ds"},"eventType":{"defaultValue":"dt"},"dataVersion":{"sourceField":"v"}}}}`: {event.Custom, &event.Mapping{
			ID: event.Field{Source: "i"}, Topic: event.Field{Source: "t"}, Time: event.Field{Source: "w"},
			Subject: event.Field{Source: "s", Default: "ds"}, Type: event.Field{Default: "dt"}, DataVersion: event.Field{Source: "v"},
		}},
	} {
		w := newWorld(t)
		for _, id := range []resource.ID{customTopicID, domainID} {
			w.must(w.put(id, `{"location":"westeurope","properties":`+body+`}`))
			schema, mapping, err := InputOf(w.get(id))
			if diff := cmp.Diff(want.mapping, mapping); err != nil || schema != want.schema || diff != "" {
				t.Errorf("%s: %v, %v, %s", body, schema, err, diff)
			}
		}
	}
}
