package e2e

import "strings"

// managed is one operation of the management API. Its path begins with {T}, the
// root of the tenant, {S}, a subscription, or {RG}, a resource group, each with
// the provider behind it; other placeholders are names of resources. A
// {parent} stands for each type that can have private endpoints, {in} for each
// that can be in a perimeter.
//
// The rows are in the order in which the PUTs among them can make everything.
type managed struct {
	name, method, path string
	body               string
	action             string // that it needs, without the provider
	want               string // status codes, of which one must come
	version            string // other than the usual one
}

const (
	previewOfDestinations  = "2021-10-15-preview"
	previewOfEventChannels = "2020-10-15-preview"
	previewOfTenantLists   = "2020-04-01-preview"
	previewOfPerimeters    = "2025-07-15-preview"

	// What webhook bodies of the table look like; the first has a secret.
	hookBody  = `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"{HOOK}?code=s3cr3t","deliveryAttributeMappings":[{"name":"X-Key","type":"Static","properties":{"value":"s3cr3t","isSecret":true}}]}}}}`
	labelBody = `{"labels":["changed"]}`
	tagBody   = `{"tags":{"a":"b"}}`
	keyBody   = `{"keyName":"key1"}`
	place     = `{"location":"westeurope"}`
)

var managedOperations = expand([]managed{
	{"Operations_List", "GET", "{T}/operations", "", "operations/read", "200", ""},
	{"PartnerRegistrations_CreateOrUpdate", "PUT", "{RG}/partnerRegistrations/{pr}", `{"location":"global","properties":{"partnerName":"{pr}"}}`, "partnerRegistrations/write", "200,201,202", ""},
	{"PartnerRegistrations_Get", "GET", "{RG}/partnerRegistrations/{pr}", "", "partnerRegistrations/read", "200", ""},
	{"PartnerRegistrations_Update", "PATCH", "{RG}/partnerRegistrations/{pr}", tagBody, "partnerRegistrations/write", "200,201", ""},
	{"PartnerRegistrations_ListBySubscription", "GET", "{S}/partnerRegistrations", "", "partnerRegistrations/read", "200", ""},
	{"PartnerRegistrations_ListByResourceGroup", "GET", "{RG}/partnerRegistrations", "", "partnerRegistrations/read", "200", ""},
	{"PartnerRegistrations_Delete", "DELETE", "{RG}/partnerRegistrations/{pr}", "", "partnerRegistrations/delete", "200,204", ""},
	{"PartnerRegistrations_List", "GET", "{T}/partnerRegistrations", "", "", "200", previewOfTenantLists},
	{"PartnerNamespaces_CreateOrUpdate", "PUT", "{RG}/partnerNamespaces/{pn}", `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"{RG}/partnerRegistrations/{pr}","partnerTopicRoutingMode":"ChannelNameHeader"}}`, "partnerNamespaces/write", "201", ""},
	{"PartnerNamespaces_CreateOrUpdate by source", "PUT", "{RG}/partnerNamespaces/{ps}", `{"location":"westeurope","properties":{"partnerRegistrationFullyQualifiedId":"{RG}/partnerRegistrations/{pr}","partnerTopicRoutingMode":"SourceEventAttribute"}}`, "partnerNamespaces/write", "201", ""},
	{"PartnerNamespaces_Get", "GET", "{RG}/partnerNamespaces/{pn}", "", "partnerNamespaces/read", "200", ""},
	{"PartnerNamespaces_Update", "PATCH", "{RG}/partnerNamespaces/{pn}", tagBody, "partnerNamespaces/write", "200,201", ""},
	{"PartnerNamespaces_ListBySubscription", "GET", "{S}/partnerNamespaces", "", "partnerNamespaces/read", "200", ""},
	{"PartnerNamespaces_ListByResourceGroup", "GET", "{RG}/partnerNamespaces", "", "partnerNamespaces/read", "200", ""},
	{"PartnerNamespaces_ListSharedAccessKeys", "POST", "{RG}/partnerNamespaces/{pn}/listKeys", "", "partnerNamespaces/listKeys/action", "200", ""},
	{"PartnerNamespaces_RegenerateKey", "POST", "{RG}/partnerNamespaces/{pn}/regenerateKey", keyBody, "partnerNamespaces/regenerateKey/action", "200", ""},
	{"PartnerNamespaces_Delete", "DELETE", "{RG}/partnerNamespaces/{pn}", "", "partnerNamespaces/delete", "200,204", ""},
	{"PartnerNamespaces_Delete by source", "DELETE", "{RG}/partnerNamespaces/{ps}", "", "partnerNamespaces/delete", "200,204", ""},
	{"PartnerConfigurations_CreateOrUpdate", "PUT", "{RG}/partnerConfigurations/default", `{"location":"global","properties":{"partnerAuthorization":{"authorizedPartnersList":[{"partnerName":"{pr}"}]}}}`, "partnerConfigurations/write", "200,201", ""},
	{"PartnerConfigurations_Get", "GET", "{RG}/partnerConfigurations/default", "", "partnerConfigurations/read", "200", ""},
	{"PartnerConfigurations_Update", "PATCH", "{RG}/partnerConfigurations/default", tagBody, "partnerConfigurations/write", "200,201", ""},
	{"PartnerConfigurations_ListByResourceGroup", "GET", "{RG}/partnerConfigurations", "", "partnerConfigurations/read", "200", ""},
	{"PartnerConfigurations_ListBySubscription", "GET", "{S}/partnerConfigurations", "", "partnerConfigurations/read", "200", ""},
	{"PartnerConfigurations_AuthorizePartner", "POST", "{RG}/partnerConfigurations/default/authorizePartner", `{"partnerName":"Someone"}`, "partnerConfigurations/authorizePartner/action", "200", ""},
	{"PartnerConfigurations_UnauthorizePartner", "POST", "{RG}/partnerConfigurations/default/unauthorizePartner", `{"partnerName":"Someone"}`, "partnerConfigurations/unauthorizePartner/action", "200", ""},
	{"PartnerConfigurations_Delete", "DELETE", "{RG}/partnerConfigurations/default", "", "partnerConfigurations/delete", "200,204", ""},
	{"Channels_CreateOrUpdate", "PUT", "{RG}/partnerNamespaces/{pn}/channels/{ch}", `{"properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":"{SUB}","resourceGroupName":"{GROUP}","name":"{pt}","source":"/orders"}}}`, "partnerNamespaces/channels/write", "200,201", ""},
	{"Channels_CreateOrUpdate to destination", "PUT", "{RG}/partnerNamespaces/{pn}/channels/{cd}", `{"properties":{"channelType":"PartnerDestination","partnerDestinationInfo":{"azureSubscriptionId":"{SUB}","resourceGroupName":"{GROUP}","name":"{pd}","endpointType":"WebHook","properties":{"endpointUrl":"{HOOK}?code=s3cr3t","endpointBaseUrl":"{HOOK}"}}}}`, "partnerNamespaces/channels/write", "200,201", previewOfDestinations},
	{"Channels_Get", "GET", "{RG}/partnerNamespaces/{pn}/channels/{ch}", "", "partnerNamespaces/channels/read", "200", ""},
	{"Channels_Update", "PATCH", "{RG}/partnerNamespaces/{pn}/channels/{ch}", `{"properties":{}}`, "partnerNamespaces/channels/write", "200", ""},
	{"Channels_ListByPartnerNamespace", "GET", "{RG}/partnerNamespaces/{pn}/channels", "", "partnerNamespaces/channels/read", "200", ""},
	{"Channels_GetFullUrl", "POST", "{RG}/partnerNamespaces/{pn}/channels/{cd}/getFullUrl", "", "partnerNamespaces/channels/getFullUrl/action", "200", ""},
	{"Channels_Delete", "DELETE", "{RG}/partnerNamespaces/{pn}/channels/{ch}", "", "partnerNamespaces/channels/delete", "200,204", ""},
	{"Channels_Delete to destination", "DELETE", "{RG}/partnerNamespaces/{pn}/channels/{cd}", "", "partnerNamespaces/channels/delete", "200,204", ""},
	{"EventChannels_CreateOrUpdate", "PUT", "{RG}/partnerNamespaces/{ps}/eventChannels/{ec}", `{"properties":{"source":{"source":"/old"},"destination":{"azureSubscriptionId":"{SUB}","resourceGroup":"{GROUP}","partnerTopicName":"{pe}"}}}`, "partnerNamespaces/eventChannels/write", "200", previewOfEventChannels},
	{"EventChannels_Get", "GET", "{RG}/partnerNamespaces/{ps}/eventChannels/{ec}", "", "partnerNamespaces/eventChannels/read", "200", previewOfEventChannels},
	{"EventChannels_ListByPartnerNamespace", "GET", "{RG}/partnerNamespaces/{ps}/eventChannels", "", "partnerNamespaces/eventChannels/read", "200", previewOfEventChannels},
	{"EventChannels_Delete", "DELETE", "{RG}/partnerNamespaces/{ps}/eventChannels/{ec}", "", "partnerNamespaces/eventChannels/delete", "200,204", previewOfEventChannels},
	{"PartnerDestinations_CreateOrUpdate", "PUT", "{RG}/partnerDestinations/{pd}", place, "partnerDestinations/write", "200,201", previewOfDestinations},
	{"PartnerDestinations_Get", "GET", "{RG}/partnerDestinations/{pd}", "", "partnerDestinations/read", "200", previewOfDestinations},
	{"PartnerDestinations_Update", "PATCH", "{RG}/partnerDestinations/{pd}", tagBody, "partnerDestinations/write", "200,201,202", previewOfDestinations},
	{"PartnerDestinations_ListBySubscription", "GET", "{S}/partnerDestinations", "", "partnerDestinations/read", "200", previewOfDestinations},
	{"PartnerDestinations_ListByResourceGroup", "GET", "{RG}/partnerDestinations", "", "partnerDestinations/read", "200", previewOfDestinations},
	{"PartnerDestinations_Activate", "POST", "{RG}/partnerDestinations/{pd}/activate", "", "partnerDestinations/activate/action", "200", previewOfDestinations},
	{"PartnerDestinations_Delete", "DELETE", "{RG}/partnerDestinations/{pd}", "", "partnerDestinations/delete", "200,204", previewOfDestinations},
	{"PartnerTopics_CreateOrUpdate", "PUT", "{RG}/partnerTopics/{pt}", place, "partnerTopics/write", "200,201", ""},
	{"PartnerTopics_Get", "GET", "{RG}/partnerTopics/{pt}", "", "partnerTopics/read", "200", ""},
	{"PartnerTopics_Update", "PATCH", "{RG}/partnerTopics/{pt}", tagBody, "partnerTopics/write", "200,201", ""},
	{"PartnerTopics_ListBySubscription", "GET", "{S}/partnerTopics", "", "partnerTopics/read", "200", ""},
	{"PartnerTopics_ListByResourceGroup", "GET", "{RG}/partnerTopics", "", "partnerTopics/read", "200", ""},
	{"PartnerTopics_Activate", "POST", "{RG}/partnerTopics/{pt}/activate", "", "partnerTopics/activate/action", "200", ""},
	{"PartnerTopics_Deactivate", "POST", "{RG}/partnerTopics/{pt}/deactivate", "", "partnerTopics/deactivate/action", "200", ""},
	{"PartnerTopics_Delete", "DELETE", "{RG}/partnerTopics/{pt}", "", "partnerTopics/delete", "200,204", ""},
	{"VerifiedPartners_Get", "GET", "{T}/verifiedPartners/Northwave", "", "verifiedPartners/read", "200", ""},
	{"VerifiedPartners_List", "GET", "{T}/verifiedPartners", "", "verifiedPartners/read", "200", ""},
	{"PartnerTopicTypes_List", "GET", "{T}/partnerTopicTypes", "", "partnerTopicTypes/read", "200", previewOfTenantLists},
	{"TopicTypes_List", "GET", "{T}/topicTypes", "", "topicTypes/read", "200", ""},
	{"TopicTypes_Get", "GET", "{T}/topicTypes/Microsoft.EventGrid.Topics", "", "topicTypes/read", "200", ""},
	{"TopicTypes_ListEventTypes", "GET", "{T}/topicTypes/Microsoft.Resources.ResourceGroups/eventTypes", "", "topicTypes/eventTypes/read", "200", ""},
	{"Topics_CreateOrUpdate", "PUT", "{RG}/topics/{t}", place, "topics/write", "201", ""},
	{"Topics_Get", "GET", "{RG}/topics/{t}", "", "topics/read", "200", ""},
	{"Topics_Update", "PATCH", "{RG}/topics/{t}", tagBody, "topics/write", "200,201", ""},
	{"Topics_ListBySubscription", "GET", "{S}/topics", "", "topics/read", "200", ""},
	{"Topics_ListByResourceGroup", "GET", "{RG}/topics", "", "topics/read", "200", ""},
	{"Topics_ListSharedAccessKeys", "POST", "{RG}/topics/{t}/listKeys", "", "topics/listKeys/action", "200", ""},
	{"Topics_RegenerateKey", "POST", "{RG}/topics/{t}/regenerateKey", keyBody, "topics/regenerateKey/action", "200,202", ""},
	{"Topics_ListEventTypes", "GET", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventTypes", "", "eventTypes/read", "200", ""},
	{"Topics_Delete", "DELETE", "{RG}/topics/{t}", "", "topics/delete", "202,204", ""},
	{"Domains_CreateOrUpdate", "PUT", "{RG}/domains/{d}", place, "domains/write", "201", ""},
	{"Domains_Get", "GET", "{RG}/domains/{d}", "", "domains/read", "200", ""},
	{"Domains_Update", "PATCH", "{RG}/domains/{d}", tagBody, "domains/write", "200,201", ""},
	{"Domains_ListBySubscription", "GET", "{S}/domains", "", "domains/read", "200", ""},
	{"Domains_ListByResourceGroup", "GET", "{RG}/domains", "", "domains/read", "200", ""},
	{"Domains_ListSharedAccessKeys", "POST", "{RG}/domains/{d}/listKeys", "", "domains/listKeys/action", "200", ""},
	{"Domains_RegenerateKey", "POST", "{RG}/domains/{d}/regenerateKey", keyBody, "domains/regenerateKey/action", "200", ""},
	{"Domains_Delete", "DELETE", "{RG}/domains/{d}", "", "domains/delete", "200,204", ""},
	{"DomainTopics_CreateOrUpdate", "PUT", "{RG}/domains/{d}/topics/{dt}", "", "domains/topics/write", "201", ""},
	{"DomainTopics_Get", "GET", "{RG}/domains/{d}/topics/{dt}", "", "domains/topics/read", "200", ""},
	{"DomainTopics_ListByDomain", "GET", "{RG}/domains/{d}/topics", "", "domains/topics/read", "200", ""},
	{"DomainTopics_Delete", "DELETE", "{RG}/domains/{d}/topics/{dt}", "", "domains/topics/delete", "200,204", ""},
	{"SystemTopics_CreateOrUpdate", "PUT", "{RG}/systemTopics/{st}", `{"location":"global","properties":{"source":"/subscriptions/{SUB}/resourceGroups/{GROUP}","topicType":"Microsoft.Resources.ResourceGroups"}}`, "systemTopics/write", "200,201", ""},
	{"SystemTopics_Get", "GET", "{RG}/systemTopics/{st}", "", "systemTopics/read", "200", ""},
	{"SystemTopics_Update", "PATCH", "{RG}/systemTopics/{st}", tagBody, "systemTopics/write", "200,201", ""},
	{"SystemTopics_ListBySubscription", "GET", "{S}/systemTopics", "", "systemTopics/read", "200", ""},
	{"SystemTopics_ListByResourceGroup", "GET", "{RG}/systemTopics", "", "systemTopics/read", "200", ""},
	{"SystemTopics_Delete", "DELETE", "{RG}/systemTopics/{st}", "", "systemTopics/delete", "200,204", ""},
	{"ExtensionTopics_Get", "GET", "{RG}/extensionTopics/default", "", "extensionTopics/read", "200", ""},
	{"{of}EventSubscriptions_CreateOrUpdate", "PUT", "{RG}/{of}/eventSubscriptions/{es}", hookBody, "{of}/eventSubscriptions/write", "200,201", ""},
	{"{of}EventSubscriptions_Get", "GET", "{RG}/{of}/eventSubscriptions/{es}", "", "{of}/eventSubscriptions/read", "200", ""},
	{"{of}EventSubscriptions_Update", "PATCH", "{RG}/{of}/eventSubscriptions/{es}", labelBody, "{of}/eventSubscriptions/write", "201", ""},
	{"{of}EventSubscriptions_List", "GET", "{RG}/{of}/eventSubscriptions", "", "{of}/eventSubscriptions/read", "200", ""},
	{"{of}EventSubscriptions_GetFullUrl", "POST", "{RG}/{of}/eventSubscriptions/{es}/getFullUrl", "", "{of}/eventSubscriptions/getFullUrl/action", "200", ""},
	{"{of}EventSubscriptions_GetDeliveryAttributes", "POST", "{RG}/{of}/eventSubscriptions/{es}/getDeliveryAttributes", "", "{of}/eventSubscriptions/getDeliveryAttributes/action", "200", ""},
	{"{of}EventSubscriptions_Delete", "DELETE", "{RG}/{of}/eventSubscriptions/{es}", "", "{of}/eventSubscriptions/delete", "200,204", ""},
	{"EventSubscriptions_CreateOrUpdate", "PUT", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventSubscriptions/{ex}", hookBody, "eventSubscriptions/write", "201", ""},
	{"EventSubscriptions_Get", "GET", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventSubscriptions/{ex}", "", "eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_Update", "PATCH", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventSubscriptions/{ex}", labelBody, "eventSubscriptions/write", "201", ""},
	{"EventSubscriptions_GetFullUrl", "POST", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventSubscriptions/{ex}/getFullUrl", "", "eventSubscriptions/getFullUrl/action", "200", ""},
	{"EventSubscriptions_GetDeliveryAttributes", "POST", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventSubscriptions/{ex}/getDeliveryAttributes", "", "eventSubscriptions/getDeliveryAttributes/action", "200", ""},
	{"EventSubscriptions_Delete", "DELETE", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventSubscriptions/{ex}", "", "eventSubscriptions/delete", "200,204", ""},
	{"EventSubscriptions_ListByResource", "GET", "{RG}/topics/{t}/providers/Microsoft.EventGrid/eventSubscriptions", "", "eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListByDomainTopic", "GET", "{RG}/domains/{d}/topics/{dt}/providers/Microsoft.EventGrid/eventSubscriptions", "", "eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListGlobalBySubscription", "GET", "{S}/eventSubscriptions", "", "eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListGlobalByResourceGroup", "GET", "{RG}/eventSubscriptions", "", "eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListGlobalBySubscriptionForTopicType", "GET", "{S}/topicTypes/Microsoft.Resources.ResourceGroups/eventSubscriptions", "", "topicTypes/eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListGlobalByResourceGroupForTopicType", "GET", "{RG}/topicTypes/Microsoft.Resources.ResourceGroups/eventSubscriptions", "", "topicTypes/eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListRegionalBySubscription", "GET", "{S}/locations/westeurope/eventSubscriptions", "", "locations/eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListRegionalByResourceGroup", "GET", "{RG}/locations/westeurope/eventSubscriptions", "", "locations/eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListRegionalBySubscriptionForTopicType", "GET", "{S}/locations/westeurope/topicTypes/Microsoft.EventGrid.Topics/eventSubscriptions", "", "locations/topicTypes/eventSubscriptions/read", "200", ""},
	{"EventSubscriptions_ListRegionalByResourceGroupForTopicType", "GET", "{RG}/locations/westeurope/topicTypes/Microsoft.EventGrid.Topics/eventSubscriptions", "", "locations/topicTypes/eventSubscriptions/read", "200", ""},
	{"{parent}PrivateEndpointConnections_Update", "PUT", "{RG}/{parent}/privateEndpointConnections/{pec}", `{"properties":{"privateEndpoint":{"id":"/subscriptions/{SUB}/resourceGroups/{GROUP}/providers/Microsoft.Network/privateEndpoints/pe"},"privateLinkServiceConnectionState":{"status":"Approved"}}}`, "{parent}/privateEndpointConnections/write", "200,201", ""},
	{"{parent}PrivateEndpointConnections_Get", "GET", "{RG}/{parent}/privateEndpointConnections/{pec}", "", "{parent}/privateEndpointConnections/read", "200", ""},
	{"{parent}PrivateEndpointConnections_ListByResource", "GET", "{RG}/{parent}/privateEndpointConnections", "", "{parent}/privateEndpointConnections/read", "200", ""},
	{"{parent}PrivateEndpointConnections_Delete", "DELETE", "{RG}/{parent}/privateEndpointConnections/{pec}", "", "{parent}/privateEndpointConnections/delete", "202,204", ""},
	{"{parent}PrivateLinkResources_Get", "GET", "{RG}/{parent}/privateLinkResources/{link}", "", "{parent}/privateLinkResources/read", "200", ""},
	{"{parent}PrivateLinkResources_ListByResource", "GET", "{RG}/{parent}/privateLinkResources", "", "{parent}/privateLinkResources/read", "200", ""},
	{"{in}NetworkSecurityPerimeterConfigurations_List", "GET", "{RG}/{in}/networkSecurityPerimeterConfigurations", "", "{in}/networkSecurityPerimeterConfigurations/read", "200", previewOfPerimeters},
	// Nothing is ever in a perimeter here.
	{"{in}NetworkSecurityPerimeterConfigurations_Get", "GET", "{RG}/{in}/networkSecurityPerimeterConfigurations/{np}", "", "{in}/networkSecurityPerimeterConfigurations/read", "404", previewOfPerimeters},
	{"{in}NetworkSecurityPerimeterConfigurations_Reconcile", "POST", "{RG}/{in}/networkSecurityPerimeterConfigurations/{np}/reconcile", "", "{in}/networkSecurityPerimeterConfigurations/reconcile/action", "404", previewOfPerimeters},
})

// expand writes out the rows that stand for several types.
func expand(rows []managed) []managed {
	types := map[string]string{ // the path of each that can have the children below
		"topics": "topics/{t}", "domains": "domains/{d}", "domains/topics": "domains/{d}/topics/{dt}", "partnerNamespaces": "partnerNamespaces/{pn}",
		"partnerTopics": "partnerTopics/{pt}", "systemTopics": "systemTopics/{st}",
	}
	of := map[string][]string{
		"{of}": {"topics", "domains", "domains/topics", "partnerTopics", "systemTopics"}, "{parent}": {"topics", "domains", "partnerNamespaces"}, "{in}": {"topics", "domains"},
	}
	var all []managed
	for _, row := range rows {
		placeholder := row.action[:strings.Index(row.action+"/", "/")]
		if of[placeholder] == nil {
			all = append(all, row)
			continue
		}
		for _, typ := range of[placeholder] {
			one := row
			one.name, one.action = strings.Replace(row.name, placeholder, typ+" ", 1), strings.Replace(row.action, placeholder, typ, 1)
			one.path = strings.Replace(row.path, placeholder, types[typ], 1)
			one.path = strings.Replace(one.path, "{link}", strings.ToLower(strings.TrimSuffix(typ, "s")), 1)
			all = append(all, one)
		}
	}
	return all
}
