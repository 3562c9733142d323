package eventgrid

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/resource"
)

// sample is a kind, how to make room for a resource of it, and what may be set.
type sample struct {
	id         resource.ID
	properties any // a pointer to the properties struct
	members    map[string]*rapid.Generator[any]
	required   []string
	location   string
}

func oneOf(values ...any) *rapid.Generator[any] { return rapid.SampledFrom(values) }

func text(pattern string) *rapid.Generator[any] { return rapid.StringMatching(pattern).AsAny() }

// object draws each member or leaves it out.
func object(members map[string]*rapid.Generator[any], required ...string) *rapid.Generator[any] {
	names := slices.Sorted(maps.Keys(members))
	if len(names) == 0 {
		return rapid.Just[any](map[string]any{})
	}
	return rapid.Custom(func(t *rapid.T) any {
		out := map[string]any{}
		for _, name := range names {
			if slices.Contains(required, name) || rapid.Bool().Draw(t, name+"?") {
				out[name] = members[name].Draw(t, name)
			}
		}
		return out
	})
}

func listOf(of *rapid.Generator[any], most int) *rapid.Generator[any] {
	return rapid.SliceOfN(of, 1, most).AsAny()
}

var (
	anyText  = text(`[ -~äß日]{1,20}`)
	anyBool  = rapid.Bool().AsAny()
	ipRules  = listOf(object(map[string]*rapid.Generator[any]{"ipMask": oneOf("10.0.0.0/8", "192.0.2.7", "2001:db8::/32"), "action": oneOf("Allow")}, "ipMask", "action"), 3)
	typeInfo = rapid.Custom(func(t *rapid.T) any {
		detail := object(map[string]*rapid.Generator[any]{"displayName": anyText, "description": anyText, "documentationUrl": anyText, "dataSchemaUrl": anyText})
		return map[string]any{"kind": "Inline", "inlineEventTypes": map[string]any{"A.B": detail.Draw(t, "a"), "C": detail.Draw(t, "c")}}
	})
	network = oneOf("Enabled", "Disabled", "SecuredByPerimeter")
	tls     = oneOf("1.0", "1.1", "1.2")
	soon    = oneOf("2026-03-02T00:00:00Z", "2026-03-08T08:59:59.1234567Z")
)

func topicMembers(more map[string]*rapid.Generator[any]) map[string]*rapid.Generator[any] {
	field := object(map[string]*rapid.Generator[any]{"sourceField": anyText, "defaultValue": anyText})
	plain := object(map[string]*rapid.Generator[any]{"sourceField": anyText})
	members := map[string]*rapid.Generator[any]{
		"inputSchema": oneOf("CustomEventSchema"), "publicNetworkAccess": network, "inboundIpRules": ipRules, "disableLocalAuth": anyBool,
		"minimumTlsVersionAllowed": tls, "dataResidencyBoundary": oneOf("WithinGeopair", "WithinRegion"), "eventTypeInfo": typeInfo,
		"inputSchemaMapping": object(map[string]*rapid.Generator[any]{
			"inputSchemaMappingType": oneOf("Json"), "properties": object(map[string]*rapid.Generator[any]{
				"id": plain, "topic": plain, "eventTime": plain, "eventType": field, "subject": field, "dataVersion": field,
			}),
		}, "properties"),
	}
	maps.Copy(members, more)
	return members
}

func subscriptionMembers() map[string]*rapid.Generator[any] {
	filters := oneOf(
		map[string]any{"operatorType": "StringIn", "key": "data.country", "values": []any{"SE", "NO"}},
		map[string]any{"operatorType": "NumberGreaterThan", "key": "data.total", "value": 100.0},
		map[string]any{"operatorType": "NumberInRange", "key": "data.x", "values": []any{[]any{1.0, 2.5}}},
		map[string]any{"operatorType": "BoolEquals", "key": "data.y", "value": true},
		map[string]any{"operatorType": "IsNotNull", "key": "subject"},
	)
	attributes := rapid.Custom(func(t *rapid.T) any {
		var all []any
		for i := range rapid.IntRange(1, 10).Draw(t, "attributes") {
			properties := map[string]any{"value": rapid.StringMatching(`[!-~]{1,30}`).Draw(t, "value"), "isSecret": rapid.Bool().Draw(t, "secret")}
			typ := "Static"
			if rapid.Bool().Draw(t, "dynamic") {
				typ, properties = "Dynamic", map[string]any{"sourceField": "data.system"}
			}
			all = append(all, map[string]any{"name": fmt.Sprintf("x-%d", i), "type": typ, "properties": properties})
		}
		return all
	})
	return map[string]*rapid.Generator[any]{
		"labels": listOf(anyText, 3), "eventDeliverySchema": oneOf("CloudEventSchemaV1_0"), "expirationTimeUtc": soon,
		"destination": rapid.Custom(func(t *rapid.T) any {
			properties, _ := object(map[string]*rapid.Generator[any]{
				"endpointUrl": oneOf("https://x.example/h?code=1"), "maxEventsPerBatch": rapid.IntRange(1, 5000).AsAny(), "preferredBatchSizeInKilobytes": rapid.IntRange(1, 1024).AsAny(),
				"deliveryAttributeMappings": attributes, "minimumTlsVersionAllowed": tls,
			}, "endpointUrl").Draw(t, "properties").(map[string]any)
			if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
				return map[string]any{"endpointType": "PartnerDestination", "properties": map[string]any{"resourceId": partnerDestinationID.String()}}
			}
			if rapid.Bool().Draw(t, "entra") {
				properties["azureActiveDirectoryTenantId"], properties["azureActiveDirectoryApplicationIdOrUri"] = "contoso.example", text(`api://[a-z]{1,9}/?`).Draw(t, "app")
			}
			return map[string]any{"endpointType": "WebHook", "properties": properties}
		}),
		"filter": object(map[string]*rapid.Generator[any]{
			"subjectBeginsWith": anyText, "subjectEndsWith": anyText, "includedEventTypes": listOf(text(`[A-Z][a-z]{1,9}`), 3), "isSubjectCaseSensitive": oneOf(true),
			"enableAdvancedFilteringOnArrays": oneOf(true), "advancedFilters": listOf(filters, 5),
		}),
		"retryPolicy":           object(map[string]*rapid.Generator[any]{"maxDeliveryAttempts": rapid.IntRange(1, 30).AsAny(), "eventTimeToLiveInMinutes": rapid.IntRange(1, 1440).AsAny()}),
		"deadLetterDestination": oneOf(map[string]any{"endpointType": "StorageBlob", "properties": map[string]any{"resourceId": account, "blobContainerName": "dead-letters"}}),
	}
}

// samples returns one of every kind that a client can create.
func samples() map[string]sample {
	newTopic := customerGroup.Provider(TypeTopic, "new")
	all := map[string]sample{
		TypePartnerRegistration: {id: partnerGroup.Provider(TypePartnerRegistration, "new"), properties: &PartnerRegistration{}, members: map[string]*rapid.Generator[any]{
			"partnerName": oneOf("Southwave", "Tribal Group", "x-1"), "partnerResourceTypeName": oneOf("Northwave.Orders", "x"), "partnerResourceTypeDisplayName": anyText, "partnerResourceTypeDescription": anyText,
			"longDescription": anyText, "partnerCustomerServiceNumber": oneOf("+1 515 123 4567"), "partnerCustomerServiceExtension": oneOf("12", "1 2 3"),
			"customerServiceUri": anyText, "setupUri": anyText, "logoUri": anyText, "visibilityState": oneOf("Hidden", "PublicPreview", "GenerallyAvailable"),
			"authorizedAzureSubscriptionIds": listOf(oneOf(customerSub, strangerSub), 2),
		}},
		TypePartnerNamespace: {
			id: partnerGroup.Provider(TypePartnerNamespace, "new"), properties: &PartnerNamespace{}, location: "westeurope", required: []string{"partnerRegistrationFullyQualifiedId"},
			members: map[string]*rapid.Generator[any]{
				"partnerRegistrationFullyQualifiedId": oneOf(registrationID.String()), "partnerTopicRoutingMode": oneOf("ChannelNameHeader", "SourceEventAttribute"),
				"publicNetworkAccess": network, "inboundIpRules": ipRules, "disableLocalAuth": anyBool, "minimumTlsVersionAllowed": tls,
			},
		},
		TypeChannel + "#destination": {id: namespaceID.Child("channels", "new"), properties: &Channel{}, required: []string{"channelType", "partnerDestinationInfo"}, members: map[string]*rapid.Generator[any]{
			"channelType": oneOf("PartnerDestination"), "messageForActivation": anyText, "expirationTimeIfNotActivatedUtc": soon,
			"partnerDestinationInfo": object(map[string]*rapid.Generator[any]{
				"azureSubscriptionId": oneOf(customerSub), "resourceGroupName": oneOf("rg-c"), "name": oneOf("pd-new"), "endpointType": oneOf("WebHook"), "endpointServiceContext": anyText,
				"properties": object(map[string]*rapid.Generator[any]{
					"endpointUrl": oneOf("https://hooks.northwave.example/in?code=1"),
					"clientAuthentication": oneOf(map[string]any{"clientAuthenticationType": "AzureAD", "properties": map[string]any{
						"azureActiveDirectoryTenantId": "contoso.example", "azureActiveDirectoryApplicationIdOrUri": "api://x",
					}}),
				}, "endpointUrl"),
			}, "azureSubscriptionId", "resourceGroupName", "name", "properties"),
		}},
		TypeChannel: {id: namespaceID.Child("channels", "new"), properties: &Channel{}, required: []string{"partnerTopicInfo"}, members: map[string]*rapid.Generator[any]{
			"channelType": oneOf("PartnerTopic"), "messageForActivation": anyText, "expirationTimeIfNotActivatedUtc": soon,
			"partnerTopicInfo": object(map[string]*rapid.Generator[any]{
				"azureSubscriptionId": oneOf(customerSub), "resourceGroupName": oneOf("rg-c"), "name": oneOf("pt-new"), "source": anyText, "eventTypeInfo": typeInfo,
			}, "azureSubscriptionId", "resourceGroupName", "name"),
		}},
		TypeEventChannel: {id: oldNamespaceID.Child("eventChannels", "new"), properties: &EventChannel{}, required: []string{"source", "destination"}, members: map[string]*rapid.Generator[any]{
			"source": object(map[string]*rapid.Generator[any]{"source": text(`[a-z]{1,9}`)}, "source"), "partnerTopicFriendlyDescription": anyText, "expirationTimeIfNotActivatedUtc": soon,
			"destination": oneOf(map[string]any{"azureSubscriptionId": customerSub, "resourceGroup": "rg-c", "partnerTopicName": "pt-new"}),
			"filter":      oneOf(map[string]any{"enableAdvancedFilteringOnArrays": true, "advancedFilters": []any{map[string]any{"operatorType": "IsNotNull", "key": "subject"}}}),
		}},
		TypePartnerConfiguration: {id: partnerGroup.Provider(TypePartnerConfiguration, "default"), properties: &PartnerConfiguration{}, members: map[string]*rapid.Generator[any]{
			"partnerAuthorization": object(map[string]*rapid.Generator[any]{
				"defaultMaximumExpirationTimeInDays": rapid.IntRange(8, 365).AsAny(), "authorizedPartnersList": oneOf([]any{map[string]any{"partnerName": "Northwave", "authorizationExpirationTimeInUtc": "2026-03-05T09:00:00Z"}}),
			}),
		}},
		TypeTopic: {id: newTopic, properties: &Topic{}, location: "westeurope", required: []string{"inputSchema"}, members: topicMembers(nil)},
		TypeDomain: {id: customerGroup.Provider(TypeDomain, "new"), properties: &Domain{}, location: "westeurope", required: []string{"inputSchema"}, members: topicMembers(map[string]*rapid.Generator[any]{
			"autoCreateTopicWithFirstSubscription": anyBool, "autoDeleteTopicWithLastSubscription": anyBool,
		})},
		TypeDomainTopic: {id: domainID.Child("topics", "new"), properties: &DomainTopic{}},
		TypeSystemTopic: {id: customerGroup.Provider(TypeSystemTopic, "new"), properties: &SystemTopic{}, location: "global", required: []string{"source", "topicType"}, members: map[string]*rapid.Generator[any]{
			"source": oneOf(customerGroup.String()), "topicType": oneOf("Microsoft.Resources.ResourceGroups", "microsoft.resources.resourcegroups"),
		}},
	}
	details := object(map[string]*rapid.Generator[any]{"description": anyText, "longDescription": anyText, "setupUri": oneOf("https://console.northwave.example/azure")})
	all[TypeVerifiedPartner] = sample{id: galleryID("new"), properties: &VerifiedPartner{}, required: []string{"partnerRegistrationImmutableId"}, members: map[string]*rapid.Generator[any]{
		"partnerRegistrationImmutableId": oneOf("804a11ca-ce9b-4158-8e94-3c8dc7a072ec"), "organizationName": anyText, "partnerDisplayName": anyText,
		"partnerTopicDetails": details, "partnerDestinationDetails": details, "logoUri": oneOf("https://northwave.example/logo.svg"), "verified": anyBool,
	}}
	for _, p := range privateParents {
		parent := map[string]resource.ID{TypeTopic: customTopicID, TypeDomain: domainID, TypePartnerNamespace: namespaceID}[p.parent]
		all[p.connections()] = sample{id: connectionOf(parent, "new"), properties: &PrivateEndpointConnection{}, required: []string{"privateEndpoint"}, members: map[string]*rapid.Generator[any]{
			"privateEndpoint": oneOf(map[string]any{"id": privateEndpointID}), "groupIds": oneOf([]any{p.group}),
			"privateLinkServiceConnectionState": object(map[string]*rapid.Generator[any]{"status": oneOf("Pending", "Approved", "Rejected", "Disconnected"), "description": anyText, "actionsRequired": oneOf("None", "x")}),
		}}
	}
	for _, topic := range []resource.ID{customTopicID, domainID, tenantTopicID, systemTopicID, topicID} {
		id := topic.Child("eventSubscriptions", "new")
		all[id.Type()] = sample{id: id, properties: &EventSubscription{}, required: []string{"destination"}, members: subscriptionMembers()}
	}
	return all
}

// refusedByName are the members that are known only to be refused, and those
// that are another name for something.
var refusedByName = []string{"encryption", "platformCapabilities", "deliveryWithResourceIdentity", "deadLetterWithResourceIdentity", "defaultMaximumExpirationTimeInDays"}

// settableMembers returns the JSON names of what a client may set.
func settableMembers(t reflect.Type) []string {
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			names = append(names, settableMembers(field.Type)...)
		case field.Tag.Get("arm") != "computed" && !slices.Contains(refusedByName, name):
			names = append(names, name)
		}
	}
	return names
}

// Whoever adds a member has to add it to the samples, or this fails.
func TestSamplesHoldEverySettableMember(t *testing.T) {
	kinds := newWorld(t).kinds
	all := samples()
	for typ, kind := range kinds {
		s, ok := all[typ]
		members := maps.Clone(s.members)
		maps.Copy(members, all[typ+"#destination"].members)
		if !ok {
			if !kind.Service {
				t.Errorf("no sample of %s", typ)
			}
			continue
		}
		for _, name := range settableMembers(reflect.TypeOf(s.properties).Elem()) {
			if members[name] == nil {
				t.Errorf("%s: no sample of %s", typ, name)
			}
		}
	}
}

// What is written is what is read back, for every member of every kind; and what
// was read can be written again.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	base := everything(t)
	for typ, s := range samples() {
		t.Run(strings.TrimPrefix(typ, Namespace+"/"), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				w := base.copy(t)
				sent := object(s.members, s.required...).Draw(rt, "properties")
				body, err := json.Marshal(map[string]any{"location": s.location, "properties": sent})
				if err != nil {
					rt.Fatal(err)
				}
				if err := w.put(s.id, string(body)); err != nil {
					rt.Fatalf("%s: %v", body, err)
				}
				shown := w.show(s.id, resource.ID{})
				var got any
				if err := json.Unmarshal([]byte(shown), &got); err != nil {
					rt.Fatal(err)
				}
				if diff := missing(asRead(sent), got); diff != "" {
					rt.Fatalf("%s: %s\nsent  %s\nshown %s", typ, diff, body, shown)
				}
				if err := w.put(s.id, `{"location":"`+s.location+`","properties":`+shown+`}`); err != nil {
					rt.Fatalf("sending back %s: %v", shown, err)
				}
				if again := w.show(s.id, resource.ID{}); again != shown {
					rt.Fatalf("%s\nbecame %s", shown, again)
				}
			})
		})
	}
}

// copy returns the same world again, to be changed.
func (w *world) copy(t *testing.T) *world {
	c := *w
	c.t, c.all = t, maps.Clone(w.all)
	return &c
}

// asRead is how reads show what was sent: no URL, no secret.
func asRead(sent any) any {
	switch v := sent.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = asRead(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			out[name] = asRead(member)
			if name == "endpointUrl" {
				out[name] = nil
			}
		}
		if out["isSecret"] == true {
			out["value"] = hiddenValue
		}
		return out
	default:
		return v
	}
}

// missing says what of want is not in got; got may hold more.
func missing(want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%v is no object", got)
		}
		for name, member := range w {
			if diff := missing(member, g[name]); diff != "" {
				return name + ": " + diff
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%v is no list of %d", got, len(w))
		}
		for i := range w {
			if diff := missing(w[i], g[i]); diff != "" {
				return fmt.Sprintf("%d: %s", i, diff)
			}
		}
		return ""
	case int:
		want = float64(w)
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("want %v, got %v", want, got)
	}
	return ""
}

// nonsense is put where something sensible was.
var nonsense = oneOf(nil, true, -1, 0, 1.5, 1e300, "", "x", strings.Repeat("y", 5000), "2026-13-01", []any{}, []any{nil}, map[string]any{}, map[string]any{"value": nil}, []any{map[string]any{"name": nil}})

// spoil puts nonsense somewhere into a body.
func spoil(t *rapid.T, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if names := slices.Sorted(maps.Keys(v)); len(names) > 0 && rapid.IntRange(0, 4).Draw(t, "deeper") > 0 {
			out := maps.Clone(v)
			name := rapid.SampledFrom(names).Draw(t, "member")
			out[name] = spoil(t, v[name])
			return out
		}
	case []any:
		if len(v) > 0 && rapid.IntRange(0, 4).Draw(t, "deeper") > 0 {
			out := slices.Clone(v)
			i := rapid.IntRange(0, len(v)-1).Draw(t, "element")
			out[i] = spoil(t, v[i])
			return out
		}
	}
	return nonsense.Draw(t, "nonsense")
}

// Whatever is sent, the answer is a resource that can be shown, or an error in
// words: never a panic and never a fault of ours.
func TestNoBodyIsAnInternalError(t *testing.T) {
	base := everything(t)
	all := samples()
	types := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(rt *rapid.T) {
		w := base.copy(t)
		s := all[rapid.SampledFrom(types).Draw(rt, "kind")]
		id := s.id
		for range 3 {
			sent := spoil(rt, object(s.members, s.required...).Draw(rt, "properties"))
			patch := w.exists(id) && rapid.Bool().Draw(rt, "patch")
			whole := map[string]any{"location": s.location, "properties": sent}
			if patch && w.kinds[id.Type()].FlatPatch {
				members, ok := sent.(map[string]any)
				if !ok {
					continue // refused before it gets here
				}
				whole = members
			}
			body, err := json.Marshal(whole)
			if err != nil {
				rt.Fatal(err)
			}
			_, sensible := sent.(map[string]any)
			if !sensible && sent != nil {
				continue // as well
			}
			err = w.write(at(id), string(body), patch)
			if e, ok := errors.AsType[*resource.Error](err); err != nil && (!ok || e.Code == resource.Internal || e.Message == "") {
				rt.Fatalf("%s: %v", body, err)
			}
			if err == nil {
				w.show(id, resource.ID{})
			}
		}
	})
}
