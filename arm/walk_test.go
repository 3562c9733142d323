package arm

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/intertie/intertie/resource"
)

// step is one operation that Azure documents, in an order in which all succeed.
type step struct {
	name, method, path, body string
	want                     []int // the codes that Azure documents
}

var (
	only200   = []int{200}
	only201   = []int{201}
	either    = []int{200, 201}
	deletions = []int{200, 202, 204}
)

const (
	oldNamespace   = partnerRG + provider + "/partnerNamespaces/ns2"
	eventChannel   = oldNamespace + "/eventChannels/ec1"
	inbound        = namespace + "/channels/ch2"
	destination    = customerRG + provider + "/partnerDestinations/to-northwave"
	beforeChannels = "?api-version=2021-06-01-preview"
	preview        = "?api-version=2025-07-15-preview"
	oldest         = "?api-version=2020-04-01-preview"

	located         = `{"location":"westeurope"}`
	tagged          = `{"tags":{"team":"integration"}}`
	northwave       = `{"partnerName":"Northwave"}`
	registrationIs  = `{"location":"global","properties":{"partnerName":"Northwave"}}`
	namespaceIs     = `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"` + registration + `","partnerTopicRoutingMode":"ChannelNameHeader"}}`
	oldNamespaceIs  = `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"` + registration + `","partnerTopicRoutingMode":"SourceEventAttribute"}}`
	configurationIs = `{"location":"global","properties":{"partnerAuthorization":{"authorizedPartnersList":[` + northwave + `]}}}`
	systemTopicIs   = `{"location":"westeurope","properties":{"source":"` + storage + `","topicType":"Microsoft.Storage.StorageAccounts"}}`
	eventChannelIs  = `{"properties":{"source":{"source":"/northwave/2"},"destination":{"azureSubscriptionId":"` + customerSub + `","resourceGroup":"rg-c","partnerTopicName":"pt2"}}}`
	inboundChannel  = `{"properties":{"channelType":"PartnerDestination","partnerDestinationInfo":{"azureSubscriptionId":"` + customerSub +
		`","resourceGroupName":"rg-c","name":"to-northwave","endpointType":"WebHook","endpointServiceContext":"northwave/1","properties":{"endpointUrl":"https://in.northwave.example/1",` +
		`"clientAuthentication":{"clientAuthenticationType":"AzureAD","properties":{"azureActiveDirectoryTenantId":"` + tenant + `","azureActiveDirectoryApplicationIdOrUri":"api://northwave"}}}}}}`
	connectionIs = `{"properties":{"privateEndpoint":{"id":"` + customerRG + `/providers/Microsoft.Network/privateEndpoints/pe1"}}}`
)

// lists are the collections of a type in a group and in its subscription.
func lists(name, group, typ, query string) []step {
	subscription, _, _ := strings.Cut(group, "/resourceGroups")
	return []step{
		{name + "_ListByResourceGroup", "GET", group + provider + "/" + typ + query, "", only200},
		{name + "_ListBySubscription", "GET", subscription + provider + "/" + typ + query, "", only200},
	}
}

// subscriptionSteps are the operations of one family of event subscriptions; one
// of the name must not be there yet, and is gone afterwards. Some families have
// only one code for a PUT.
func subscriptionSteps(name, path, list string, put []int) []step {
	return []step{
		{name + "_CreateOrUpdate", "PUT", path, hookBody, put},
		{name + "_Get", "GET", path, "", only200},
		{name + "_Update", "PATCH", path, `{"labels":["a"]}`, only201},
		{name + "_GetFullUrl", "POST", path + "/getFullUrl", "", only200},
		{name + "_GetDeliveryAttributes", "POST", path + "/getDeliveryAttributes", "", only200},
		{name + "_List", "GET", list, "", only200},
		{name + "_Delete", "DELETE", path, "", deletions},
	}
}

// partnerSteps are the operations of the partner flow.
func partnerSteps() []step {
	all := []step{
		{"Operations_List", "GET", provider + "/operations", "", only200},
		{"PartnerRegistrations_CreateOrUpdate", "PUT", registration, registrationIs, []int{200, 202}},
		{"PartnerRegistrations_Get", "GET", registration, "", only200},
		{"PartnerRegistrations_Update", "PATCH", registration, tagged, either},
		{"PartnerRegistrations_List", "GET", provider + "/partnerRegistrations" + oldest, "", only200},
		{"PartnerTopicTypes_List", "GET", provider + "/partnerTopicTypes" + oldest, "", only200},
		{"PartnerNamespaces_CreateOrUpdate", "PUT", namespace, namespaceIs, only201},
		{"PartnerNamespaces_Get", "GET", namespace, "", only200},
		{"PartnerNamespaces_Update", "PATCH", namespace, tagged, either},
		{"PartnerNamespaces_ListSharedAccessKeys", "POST", namespace + "/listKeys", "", only200},
		{"PartnerNamespaces_RegenerateKey", "POST", namespace + "/regenerateKey", `{"keyName":"key1"}`, only200},
		{"PartnerConfigurations_CreateOrUpdate", "PUT", config, configurationIs, either},
		{"PartnerConfigurations_Get", "GET", config, "", only200},
		{"PartnerConfigurations_Update", "PATCH", config, `{"properties":{"defaultMaximumExpirationTimeInDays":9}}`, either},
		{"PartnerConfigurations_UnauthorizePartner", "POST", config + "/unauthorizePartner", northwave, only200},
		{"PartnerConfigurations_AuthorizePartner", "POST", config + "/authorizePartner", northwave, only200},
		{"Channels_CreateOrUpdate", "PUT", channel, channelBody("pt1"), either},
		{"Channels_Get", "GET", channel, "", only200},
		{"Channels_Update", "PATCH", channel, `{"properties":{}}`, only200},
		{"Channels_ListByPartnerNamespace", "GET", namespace + "/channels", "", only200},
		{"Channels_GetFullUrl", "POST", channel + "/getFullUrl", "", only200},
		{"PartnerTopics_Get", "GET", topic, "", only200},
		{"PartnerTopics_CreateOrUpdate", "PUT", topic, tagged, either},
		{"PartnerTopics_Update", "PATCH", topic, tagged, either},
		{"PartnerTopics_Activate", "POST", topic + "/activate", "", only200},
		{"PartnerTopics_Deactivate", "POST", topic + "/deactivate", "", only200},
		{"PartnerTopics_Activate again", "POST", topic + "/activate", "", only200},
		{"VerifiedPartners_CreateOrUpdate", "PUT", gallery + "/Northwave", galleryBody, only200}, // ours
		{"VerifiedPartners_Get", "GET", gallery + "/Northwave", "", only200},
		{"VerifiedPartners_List", "GET", gallery, "", only200},
		{"Channels_CreateOrUpdate, to the partner", "PUT", inbound + preview, inboundChannel, either},
		{"PartnerDestinations_Get", "GET", destination + preview, "", only200},
		{"PartnerDestinations_CreateOrUpdate", "PUT", destination + preview, tagged, either},
		{"PartnerDestinations_Update", "PATCH", destination + preview, tagged, []int{200, 201, 202}},
		{"PartnerDestinations_Activate", "POST", destination + "/activate" + preview, "", only200},
		{"PartnerNamespaces_CreateOrUpdate, by source", "PUT", oldNamespace, oldNamespaceIs, only201},
		{"EventChannels_CreateOrUpdate", "PUT", eventChannel + beforeChannels, eventChannelIs, only200},
		{"EventChannels_Get", "GET", eventChannel + beforeChannels, "", only200},
		{"EventChannels_ListByPartnerNamespace", "GET", oldNamespace + "/eventChannels" + beforeChannels, "", only200},
	}
	all = append(all, subscriptionSteps("PartnerTopicEventSubscriptions", eventSub, topic+"/eventSubscriptions", either)...)
	all = append(all, connectionSteps(namespace, "partnernamespace")...)
	all = append(all, lists("PartnerRegistrations", partnerRG, "partnerRegistrations", "")...)
	all = append(all, lists("PartnerNamespaces", partnerRG, "partnerNamespaces", "")...)
	all = append(all, lists("PartnerConfigurations", customerRG, "partnerConfigurations", "")...)
	all = append(all, lists("PartnerTopics", customerRG, "partnerTopics", "")...)
	return append(all, lists("PartnerDestinations", customerRG, "partnerDestinations", preview)...)
}

// sourceSteps are the operations of all other sources of events.
func sourceSteps() []step {
	all := []step{
		{"TopicTypes_List", "GET", provider + "/topicTypes", "", only200},
		{"TopicTypes_Get", "GET", provider + "/topicTypes/Microsoft.Storage.StorageAccounts", "", only200},
		{"TopicTypes_ListEventTypes", "GET", provider + "/topicTypes/Microsoft.Storage.StorageAccounts/eventTypes", "", only200},
		{"Topics_CreateOrUpdate", "PUT", customTopic, located, only201},
		{"Topics_Get", "GET", customTopic, "", only200},
		{"Topics_Update", "PATCH", customTopic, tagged, either},
		{"Topics_ListSharedAccessKeys", "POST", customTopic + "/listKeys", "", only200},
		{"Topics_RegenerateKey", "POST", customTopic + "/regenerateKey", `{"keyName":"key1"}`, []int{200, 202}},
		{"Topics_ListEventTypes", "GET", customTopic + provider + "/eventTypes", "", only200},
		{"Domains_CreateOrUpdate", "PUT", domain, located, only201},
		{"Domains_Get", "GET", domain, "", only200},
		{"Domains_Update", "PATCH", domain, tagged, either},
		{"Domains_ListSharedAccessKeys", "POST", domain + "/listKeys", "", only200},
		{"Domains_RegenerateKey", "POST", domain + "/regenerateKey", `{"keyName":"key1"}`, only200},
		{"DomainTopics_CreateOrUpdate", "PUT", domainTopic, "", only201},
		{"DomainTopics_Get", "GET", domainTopic, "", only200},
		{"DomainTopics_ListByDomain", "GET", domain + "/topics", "", only200},
		{"SystemTopics_CreateOrUpdate", "PUT", systemTopic, systemTopicIs, either},
		{"SystemTopics_Get", "GET", systemTopic, "", only200},
		{"SystemTopics_Update", "PATCH", systemTopic, tagged, either},
		{"ExtensionTopics_Get", "GET", storage + provider + "/extensionTopics/default", "", only200},
	}
	for name, scope := range map[string]string{"Topic": customTopic, "Domain": domain, "DomainTopic": domainTopic} {
		all = append(all, subscriptionSteps(name+"EventSubscriptions", scope+"/eventSubscriptions/es1", scope+"/eventSubscriptions", either)...)
	}
	all = append(all, subscriptionSteps("SystemTopicEventSubscriptions", systemTopic+"/eventSubscriptions/es1", systemTopic+"/eventSubscriptions", only201)...)
	for _, scope := range []string{customerID, customerRG, storage, customTopic, domain, domainTopic} {
		list := scope + provider + "/eventSubscriptions"
		all = append(all, subscriptionSteps("EventSubscriptions", list+"/es1", list, only201)...)
	}
	for _, scope := range []string{customerID, customerRG} {
		for _, list := range []string{"topicTypes/Microsoft.Resources.ResourceGroups/", "locations/westeurope/", "locations/westeurope/topicTypes/Microsoft.EventGrid.Topics/"} {
			all = append(all, step{"EventSubscriptions_List", "GET", scope + provider + "/" + list + "eventSubscriptions", "", only200})
		}
	}
	for parent, group := range map[string]string{customTopic: "topic", domain: "domain"} {
		all = append(all, connectionSteps(parent, group)...)
		all = append(all, step{"NetworkSecurityPerimeterConfigurations_List", "GET", parent + "/networkSecurityPerimeterConfigurations" + preview, "", only200})
	}
	all = append(all, lists("Topics", customerRG, "topics", "")...)
	all = append(all, lists("Domains", customerRG, "domains", "")...)
	return append(all, lists("SystemTopics", customerRG, "systemTopics", "")...)
}

// connectionSteps are the operations around private endpoints of one resource.
func connectionSteps(parent, group string) []step {
	at := parent + "/privateEndpointConnections"
	one := at + "/pe1." + guid1
	return []step{
		{"PrivateEndpointConnections_Update", "PUT", one, connectionIs, either},
		{"PrivateEndpointConnections_Update, approval", "PUT", one, `{"properties":{"privateLinkServiceConnectionState":{"status":"Approved"}}}`, either},
		{"PrivateEndpointConnections_Get", "GET", one, "", only200},
		{"PrivateEndpointConnections_ListByResource", "GET", at, "", only200},
		{"PrivateLinkResources_ListByResource", "GET", parent + "/privateLinkResources", "", only200},
		{"PrivateLinkResources_Get", "GET", parent + "/privateLinkResources/" + group, "", only200},
		{"PrivateEndpointConnections_Delete", "DELETE", one, "", []int{202, 204}},
	}
}

// deletionSteps take down what the others leave.
func deletionSteps() []step {
	return []step{
		{"SystemTopics_Delete", "DELETE", systemTopic, "", deletions},
		{"DomainTopics_Delete", "DELETE", domainTopic, "", deletions},
		{"Domains_Delete", "DELETE", domain, "", deletions},
		{"Topics_Delete", "DELETE", customTopic, "", []int{202, 204}},
		{"PartnerDestinations_Delete", "DELETE", destination + preview, "", deletions},
		{"PartnerTopics_Delete", "DELETE", topic, "", deletions},
		{"Channels_Delete", "DELETE", channel, "", deletions},
		{"Channels_Delete, to the partner", "DELETE", inbound, "", deletions},
		{"EventChannels_Delete", "DELETE", eventChannel + beforeChannels, "", deletions},
		{"PartnerNamespaces_Delete", "DELETE", namespace, "", deletions},
		{"PartnerNamespaces_Delete, by source", "DELETE", oldNamespace, "", deletions},
		{"PartnerConfigurations_Delete", "DELETE", config, "", deletions},
		{"PartnerRegistrations_Delete", "DELETE", registration, "", deletions},
		{"VerifiedPartners_Delete", "DELETE", gallery + "/Northwave", "", only200}, // ours
	}
}

// Every operation that Azure documents and this server has answers with a code
// that Azure documents for it, and nothing is left in the end.
func TestEveryOperationSucceeds(t *testing.T) {
	f := newFixture(t)
	for _, s := range slices.Concat(partnerSteps(), sourceSteps(), deletionSteps()) {
		a := f.do("owner", s.method, s.path, s.body)
		if !slices.Contains(s.want, a.status) {
			t.Errorf("%s, %s: status %d, want one of %v: %.300s", s.name, a.what, a.status, s.want, a.raw)
			continue
		}
		again, _, _ := strings.Cut(s.path, "?")
		switch s.method {
		case http.MethodDelete:
			if a.raw != "" {
				t.Errorf("%s has a body: %s", s.name, a.raw)
			}
			f.get("owner", s.path).want(404)
			f.do("owner", "DELETE", s.path, "").want(204)
		case http.MethodPut, http.MethodPatch:
			if a.at("id") != again || a.at("properties") == nil {
				t.Errorf("%s shows %.300s", s.name, a.raw)
			}
		default:
			if _, list := a.body["value"].([]any); strings.Contains(s.name, "_List") && !strings.HasSuffix(s.name, "Keys") && !list {
				t.Errorf("%s is no list: %.300s", s.name, a.raw)
			}
		}
	}
	for typ := range f.kinds {
		for _, r := range f.store.List(typ, resource.ID{}) {
			// The system topics that subscriptions of a group made are its own.
			if !strings.HasPrefix(typ, "microsoft.eventgrid/systemtopics") {
				t.Errorf("%s is left", r.ID)
			}
		}
	}
}

// Namespaces and what is in them this server does not have, and says so.
func TestWhatIsNotServedSaysSo(t *testing.T) {
	f := newFixture(t)
	one := customerRG + provider + "/namespaces/n1"
	paths := []string{one, one + "/topics/t1", one + "/topics/t1/eventSubscriptions/es1"}
	for _, typ := range []string{"caCertificates", "clientGroups", "clients", "topicSpaces", "permissionBindings"} {
		paths = append(paths, one+"/"+typ+"/x")
	}
	for _, version := range []string{"?api-version=2025-02-15", preview} {
		for _, path := range paths {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				f.do("owner", method, path+version, located).wantError(404, "InvalidResourceType", "namespaces")
			}
			for _, action := range []string{"listKeys", "regenerateKey", "validateCustomDomainOwnership", "getFullUrl", "getDeliveryAttributes"} {
				f.post("owner", path+"/"+action+version, "{}").wantError(404, "InvalidResourceType", "namespaces")
			}
			f.get("owner", path[:strings.LastIndexByte(path, '/')]+version).wantError(404, "InvalidResourceType", "namespaces")
		}
		f.get("owner", customerID+provider+"/namespaces"+version).wantError(404, "InvalidResourceType", "namespaces")
	}
}
