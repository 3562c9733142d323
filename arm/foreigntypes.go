package arm

import (
	"slices"
	"strings"
)

// foreignTypes are the types of other providers that provider documents list, in
// canonical casing, each with the api-versions that generic clients choose from,
// newest first. A type that is not here works just as well, for clients that name
// an api-version themselves.
var foreignTypes = []struct {
	namespace string
	versions  []string
	types     []string // nested ones after what they are nested in
}{
	{"Microsoft.App", []string{"2024-03-01", "2023-05-01"}, []string{"containerApps", "jobs", "managedEnvironments"}},
	{"Microsoft.Cache", []string{"2024-03-01", "2023-08-01"}, []string{"Redis"}},
	{"Microsoft.Communication", []string{"2023-04-01"}, []string{"communicationServices", "emailServices", "emailServices/domains"}},
	{"Microsoft.Compute", []string{"2024-03-01", "2023-09-01"}, []string{"disks", "virtualMachines", "virtualMachines/extensions", "virtualMachineScaleSets"}},
	{"Microsoft.ContainerRegistry", []string{"2023-07-01"}, []string{"registries", "registries/webhooks"}},
	{"Microsoft.ContainerService", []string{"2024-02-01"}, []string{"managedClusters", "managedClusters/agentPools"}},
	{"Microsoft.Devices", []string{"2023-06-30", "2021-07-02"}, []string{"IotHubs", "IotHubs/eventHubEndpoints/ConsumerGroups"}},
	{"Microsoft.DocumentDB", []string{"2024-05-15", "2023-11-15"}, []string{
		"databaseAccounts", "databaseAccounts/sqlDatabases", "databaseAccounts/sqlDatabases/containers",
	}},
	{"Microsoft.EventHub", []string{"2024-01-01", "2021-11-01"}, []string{
		"namespaces", "namespaces/authorizationRules", "namespaces/eventhubs", "namespaces/eventhubs/authorizationRules", "namespaces/eventhubs/consumergroups",
	}},
	{"Microsoft.HealthcareApis", []string{"2023-11-01"}, []string{"workspaces", "workspaces/fhirservices"}},
	{"Microsoft.Insights", []string{"2020-02-02", "2018-03-01"}, []string{"actionGroups", "components", "metricAlerts", "webtests"}},
	{"Microsoft.Insights", []string{"2021-05-01-preview"}, []string{"diagnosticSettings"}},
	{"Microsoft.KeyVault", []string{"2023-07-01", "2022-07-01"}, []string{"vaults", "vaults/accessPolicies", "vaults/keys", "vaults/secrets"}},
	{"Microsoft.Logic", []string{"2019-05-01"}, []string{"workflows"}},
	{"Microsoft.ManagedIdentity", []string{"2023-01-31", "2018-11-30"}, []string{"userAssignedIdentities", "userAssignedIdentities/federatedIdentityCredentials"}},
	{"Microsoft.Maps", []string{"2023-06-01"}, []string{"accounts"}},
	{"Microsoft.Network", []string{"2024-01-01", "2023-09-01"}, []string{
		"networkInterfaces", "networkSecurityGroups", "privateEndpoints", "privateEndpoints/privateDnsZoneGroups", "publicIPAddresses", "virtualNetworks", "virtualNetworks/subnets",
	}},
	{"Microsoft.Network", []string{"2020-06-01"}, []string{"privateDnsZones", "privateDnsZones/virtualNetworkLinks"}},
	{"Microsoft.OperationalInsights", []string{"2023-09-01", "2022-10-01"}, []string{"workspaces"}},
	{"Microsoft.Relay", []string{"2021-11-01"}, []string{"namespaces", "namespaces/hybridConnections", "namespaces/authorizationRules"}},
	{"Microsoft.ServiceBus", []string{"2021-11-01", "2017-04-01"}, []string{
		"namespaces", "namespaces/AuthorizationRules", "namespaces/queues", "namespaces/queues/authorizationRules",
		"namespaces/topics", "namespaces/topics/authorizationRules", "namespaces/topics/subscriptions", "namespaces/topics/subscriptions/rules",
	}},
	{"Microsoft.SignalRService", []string{"2023-02-01"}, []string{"SignalR", "WebPubSub"}},
	{"Microsoft.Sql", []string{"2021-11-01"}, []string{"servers", "servers/databases", "servers/firewallRules"}},
	{"Microsoft.Storage", []string{"2023-05-01", "2022-09-01", "2021-09-01", "2019-06-01"}, []string{
		"storageAccounts", "storageAccounts/blobServices", "storageAccounts/blobServices/containers", "storageAccounts/fileServices", "storageAccounts/fileServices/shares",
		"storageAccounts/managementPolicies", "storageAccounts/queueServices", "storageAccounts/queueServices/queues", "storageAccounts/tableServices", "storageAccounts/tableServices/tables",
	}},
	{"Microsoft.Web", []string{"2023-12-01", "2022-09-01"}, []string{
		"certificates", "connections", "serverfarms", "sites", "sites/config", "sites/functions", "sites/slots", "sites/sourcecontrols", "staticSites",
	}},
}

// foreignNamespaces lists the providers of foreignTypes.
func foreignNamespaces() []string {
	var out []string
	for _, t := range foreignTypes {
		if !slices.Contains(out, t.namespace) {
			out = append(out, t.namespace)
		}
	}
	return out
}

// knownCasing returns a full type in the casing of foreignTypes, as far as it is
// known there.
func knownCasing(typ string) string {
	ns, short, _ := strings.Cut(typ, "/")
	for _, t := range foreignTypes {
		if !strings.EqualFold(t.namespace, ns) {
			continue
		}
		for _, name := range t.types {
			if strings.EqualFold(name, short) {
				return t.namespace + "/" + name
			}
		}
		ns = t.namespace
	}
	return ns + "/" + short
}
