package arm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The templates of this file have the shapes of those that people deploy: public
// quickstarts, and what Bicep compiles to.

const schemaHead = `{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0",`

func TestTemplatesThatPeopleDeploy(t *testing.T) {
	for name, tt := range map[string]struct {
		template, parameters string
		exist                []string // below the customer's group
	}{
		"topic with custom input": {
			schemaHead + `
  "parameters":{"name":{"type":"string","defaultValue":"[concat('topic', uniqueString(resourceGroup().id))]"}},
  "resources":[{"type":"Microsoft.EventGrid/topics","apiVersion":"2022-06-15","name":"[parameters('name')]","location":"[resourceGroup().location]","tags":{"env":"test"},
    "properties":{"inputSchema":"CustomEventSchema","inputSchemaMapping":{"inputSchemaMappingType":"Json","properties":{
      "id":{"sourceField":"myId"},"topic":{"sourceField":null},"eventTime":{"sourceField":"at"},
      "eventType":{"sourceField":"kind","defaultValue":"Thing"},"subject":{"sourceField":"about","defaultValue":"none"},"dataVersion":{"defaultValue":"1.0"}}}}}],
  "outputs":{"id":{"type":"string","value":"[resourceId('Microsoft.EventGrid/topics', parameters('name'))]"}}}`,
			`{"name":{"value":"custom"}}`,
			[]string{provider + "/topics/custom"},
		},

		"domain": {
			schemaHead + `
  "parameters":{"names":{"type":"array","defaultValue":["alpha","beta"]},"hook":{"type":"string"}},
  "variables":{"domain":"mydomain"},
  "resources":[
   {"type":"Microsoft.EventGrid/domains","apiVersion":"2022-06-15","name":"[variables('domain')]","location":"[resourceGroup().location]",
    "resources":[{"type":"topics","apiVersion":"2022-06-15","name":"nested-topic","dependsOn":["[variables('domain')]"]}]},
   {"type":"Microsoft.EventGrid/domains/topics","apiVersion":"2022-06-15","name":"[concat(variables('domain'),'/',parameters('names')[copyIndex()])]",
    "copy":{"name":"topicLoop","count":"[length(parameters('names'))]","mode":"serial","batchSize":1},"dependsOn":["[resourceId('Microsoft.EventGrid/domains',variables('domain'))]"]},
   {"type":"Microsoft.EventGrid/domains/topics/eventSubscriptions","apiVersion":"2022-06-15","name":"[concat(variables('domain'),'/alpha/sub1')]","dependsOn":["topicLoop"],
    "properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"[parameters('hook')]"}}}}]}`,
			`{"hook":{"value":"https://erp.example/hook"}}`,
			[]string{
				provider + "/domains/mydomain/topics/nested-topic", provider + "/domains/mydomain/topics/beta", provider + "/domains/mydomain/topics/alpha/eventSubscriptions/sub1",
			},
		},

		"system topic on a storage account": {
			schemaHead + `
  "parameters":{"storageName":{"type":"string","defaultValue":"[format('storage{0}', uniqueString(resourceGroup().id))]"},
    "endpoint":{"type":"string"},"location":{"type":"string","defaultValue":"[resourceGroup().location]"}},
  "resources":[
   {"type":"Microsoft.Storage/storageAccounts","apiVersion":"2021-08-01","name":"[parameters('storageName')]","location":"[parameters('location')]","sku":{"name":"Standard_LRS"},"kind":"StorageV2","properties":{"accessTier":"Hot"}},
   {"type":"Microsoft.Storage/storageAccounts/blobServices/containers","apiVersion":"2021-08-01","name":"[format('{0}/{1}/{2}', parameters('storageName'), 'default', 'deadletters')]",
    "dependsOn":["[resourceId('Microsoft.Storage/storageAccounts/blobServices', parameters('storageName'), 'default')]"]},
   {"type":"Microsoft.Storage/storageAccounts/blobServices","apiVersion":"2021-08-01","name":"[format('{0}/{1}', parameters('storageName'), 'default')]",
    "dependsOn":["[resourceId('Microsoft.Storage/storageAccounts', parameters('storageName'))]"]},
   {"type":"Microsoft.EventGrid/systemTopics","apiVersion":"2021-12-01","name":"systopic","location":"[parameters('location')]",
    "properties":{"source":"[resourceId('Microsoft.Storage/storageAccounts', parameters('storageName'))]","topicType":"Microsoft.Storage.StorageAccounts"},
    "dependsOn":["[resourceId('Microsoft.Storage/storageAccounts', parameters('storageName'))]"]},
   {"type":"Microsoft.EventGrid/systemTopics/eventSubscriptions","apiVersion":"2021-12-01","name":"[format('{0}/{1}', 'systopic', 'sub1')]",
    "properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"[parameters('endpoint')]"}},
      "filter":{"includedEventTypes":["Microsoft.Storage.BlobCreated","Microsoft.Storage.BlobDeleted"]},
      "deadLetterDestination":{"endpointType":"StorageBlob","properties":{"resourceId":"[resourceId('Microsoft.Storage/storageAccounts', parameters('storageName'))]","blobContainerName":"deadletters"}}},
    "dependsOn":["[resourceId('Microsoft.EventGrid/systemTopics', 'systopic')]","[resourceId('Microsoft.Storage/storageAccounts/blobServices/containers', parameters('storageName'), 'default', 'deadletters')]"]}],
  "outputs":{"blob":{"type":"string","value":"[reference(resourceId('Microsoft.Storage/storageAccounts', parameters('storageName')), '2021-08-01', 'full').kind]"}}}`,
			`{"storageName":{"value":"acct1"},"endpoint":{"value":"https://erp.example/hook"}}`,
			[]string{
				"/providers/Microsoft.Storage/storageAccounts/acct1", provider + "/systemTopics/systopic/eventSubscriptions/sub1",
			},
		},

		"the old form of children": {
			schemaHead + `
  "parameters":{},"variables":{"topicName":"oldtopic"},
  "resources":[
   {"type":"Microsoft.EventGrid/topics","name":"[variables('topicName')]","apiVersion":"2018-01-01","location":"[resourceGroup().location]"},
   {"type":"Microsoft.EventGrid/topics/providers/eventSubscriptions","name":"[concat(variables('topicName'),'/Microsoft.EventGrid/','old-sub')]","apiVersion":"2018-01-01","location":"[resourceGroup().location]",
    "dependsOn":["[variables('topicName')]"],
    "properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://erp.example/hook"}},"filter":{"subjectBeginsWith":"","subjectEndsWith":"","isSubjectCaseSensitive":false,"includedEventTypes":["All"]}}}]}`,
			"",
			[]string{provider + "/topics/oldtopic/eventSubscriptions/old-sub"},
		},

		"conditions and existing resources": {
			schemaHead + `"languageVersion":"2.0",
  "parameters":{"withDomain":{"type":"bool","defaultValue":false},"hooks":{"type":"object","defaultValue":{"a":"https://a.example/x","b":"https://b.example/x"}}},
  "resources":{
   "group":{"existing":true,"type":"Microsoft.Resources/resourceGroups","apiVersion":"2021-04-01","subscriptionId":"[subscription().subscriptionId]","name":"rg-c"},
   "made":{"type":"Microsoft.EventGrid/topics","apiVersion":"2022-06-15","name":"cond","location":"[reference('group','2021-04-01','full').location]"},
   "dom":{"condition":"[parameters('withDomain')]","type":"Microsoft.EventGrid/domains","apiVersion":"2022-06-15","name":"never","location":"westeurope"},
   "subs":{"copy":{"name":"subs","count":"[length(items(parameters('hooks')))]"},"type":"Microsoft.EventGrid/eventSubscriptions","apiVersion":"2022-06-15","scope":"[resourceId('Microsoft.EventGrid/topics','cond')]",
     "name":"[format('sub-{0}', items(parameters('hooks'))[copyIndex()].key)]","properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"[items(parameters('hooks'))[copyIndex()].value]"}}},"dependsOn":["made","dom"]}},
  "outputs":{"ids":{"type":"array","copy":{"count":"[length(items(parameters('hooks')))]","input":"[extensionResourceId(resourceId('Microsoft.EventGrid/topics','cond'),'Microsoft.EventGrid/eventSubscriptions',format('sub-{0}', items(parameters('hooks'))[copyIndex()].key))]"}},
    "states":{"type":"array","value":"[map(references('subs'), lambda('s', lambdaVariables('s').provisioningState))]"}}}`,
			"",
			[]string{provider + "/topics/cond/eventSubscriptions/sub-a", provider + "/topics/cond/eventSubscriptions/sub-b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.running()
			body := wrap(tt.template, tt.parameters, "")
			f.post("owner", deployments+"people/validate", body).want(200)
			a := f.deploy("people", body).wantState("Succeeded")
			for _, path := range tt.exist {
				f.get("owner", customerRG+path+"?api-version=2022-06-15").want(200)
			}
			f.get("owner", customerRG+provider+"/domains/never").want(404)
			// Again: nothing changes.
			for id, change := range changesOf(f.post("owner", deployments+"people/whatIf", body).want(200)) {
				if change != "NoChange" {
					t.Errorf("%s: %s", id, change)
				}
			}
			if t.Failed() {
				t.Log(a.raw)
			}
		})
	}
}

// partnerTemplate is the whole partner flow, as Bicep compiles it with symbolic
// names; %s stand for the deployment of the customer's side.
const partnerBicep = schemaHead + `"languageVersion":"2.0","metadata":{"_generator":{"name":"bicep","version":"0.30.3.12046","templateHash":"1"}},
 "parameters":{"customer":{"type":"string"},"customerGroup":{"type":"string","defaultValue":"rg-c"},"hook":{"type":"securestring"}},
 "variables":{"source":"/northwave"},
 "resources":{
  "registration":{"type":"Microsoft.EventGrid/partnerRegistrations","apiVersion":"2022-06-15","name":"reg","location":"global","properties":{"partnerName":"Northwave"}},
  "ns":{"type":"Microsoft.EventGrid/partnerNamespaces","apiVersion":"2022-06-15","name":"ns1","location":"[resourceGroup().location]",
    "properties":{"partnerRegistrationFullyQualifiedId":"[resourceId('Microsoft.EventGrid/partnerRegistrations','reg')]","partnerTopicRoutingMode":"ChannelNameHeader"},"dependsOn":["registration"]},
  "consent":{"type":"Microsoft.Resources/deployments","apiVersion":"2022-09-01","name":"consent","subscriptionId":"[parameters('customer')]","resourceGroup":"[parameters('customerGroup')]",
    "properties":{"expressionEvaluationOptions":{"scope":"inner"},"mode":"Incremental","parameters":{"partner":{"value":"northwave"}},
     "template":{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","languageVersion":"2.0","contentVersion":"1.0.0.0",
      "parameters":{"partner":{"type":"string"}},
      "resources":{"config":{"type":"Microsoft.EventGrid/partnerConfigurations","apiVersion":"2022-06-15","name":"default","location":"global",
        "properties":{"partnerAuthorization":{"authorizedPartnersList":[{"partnerName":"[parameters('partner')]"}]}}}},
      "outputs":{"group":{"type":"string","value":"[resourceGroup().name]"}}}}},
  "channel":{"type":"Microsoft.EventGrid/partnerNamespaces/channels","apiVersion":"2022-06-15","name":"[format('{0}/{1}','ns1','ch1')]",
    "properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":"[parameters('customer')]","resourceGroupName":"[reference('consent').outputs.group.value]","name":"pt1","source":"[variables('source')]"}},
    "dependsOn":["consent","ns"]},
  "subscribe":{"type":"Microsoft.Resources/deployments","apiVersion":"2022-09-01","name":"subscribe","subscriptionId":"[parameters('customer')]","resourceGroup":"[parameters('customerGroup')]",
    "properties":{"expressionEvaluationOptions":{"scope":"inner"},"mode":"Incremental","parameters":{"hook":{"value":"[parameters('hook')]"}},
     "template":{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","languageVersion":"2.0","contentVersion":"1.0.0.0",
      "parameters":{"hook":{"type":"securestring"}},
      "resources":{
       "pt":{"existing":true,"type":"Microsoft.EventGrid/partnerTopics","apiVersion":"2022-06-15","name":"pt1"},
       "es":{"type":"Microsoft.EventGrid/partnerTopics/eventSubscriptions","apiVersion":"2022-06-15","name":"[format('{0}/{1}','pt1','es1')]",
        "properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"[parameters('hook')]"}}},"dependsOn":["pt"]}},
      "outputs":{"source":{"type":"string","value":"[reference('pt').source]"}}}},
    "dependsOn":["channel"]}},
 "outputs":{"channel":{"type":"string","value":"[resourceId('Microsoft.EventGrid/partnerNamespaces/channels','ns1','ch1')]"},
   "source":{"type":"string","value":"[reference('subscribe').outputs.source.value]"}}}`

// partnerClassic is the same with a list of resources, and nested deployments
// whose expressions belong to the template around them.
const partnerClassic = schemaHead + `
 "parameters":{"customer":{"type":"string"},"hook":{"type":"securestring"}},
 "resources":[
  {"type":"Microsoft.Resources/deployments","apiVersion":"2021-04-01","name":"subscribe","subscriptionId":"[parameters('customer')]","resourceGroup":"rg-c",
   "dependsOn":["[resourceId('Microsoft.EventGrid/partnerNamespaces/channels','ns1','ch1')]"],
   "properties":{"mode":"Incremental","template":{"contentVersion":"1.0.0.0","resources":[
     {"type":"Microsoft.EventGrid/partnerTopics/eventSubscriptions","apiVersion":"2022-06-15","name":"pt1/es1",
      "properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"[parameters('hook')]"}}}}]}}},
  {"type":"Microsoft.EventGrid/partnerNamespaces/channels","apiVersion":"2022-06-15","name":"ns1/ch1",
   "dependsOn":["[resourceId('Microsoft.EventGrid/partnerNamespaces','ns1')]","[resourceId(parameters('customer'),'rg-c','Microsoft.Resources/deployments','consent')]"],
   "properties":{"channelType":"PartnerTopic","partnerTopicInfo":{"azureSubscriptionId":"[parameters('customer')]","resourceGroupName":"rg-c","name":"pt1","source":"/northwave"}}},
  {"type":"Microsoft.Resources/deployments","apiVersion":"2021-04-01","name":"consent","subscriptionId":"[parameters('customer')]","resourceGroup":"rg-c",
   "properties":{"mode":"Incremental","template":{"contentVersion":"1.0.0.0","resources":[
     {"type":"Microsoft.EventGrid/partnerConfigurations","apiVersion":"2022-06-15","name":"default","location":"global",
      "properties":{"partnerAuthorization":{"authorizedPartnersList":[{"partnerName":"northwave"}]}}}]}}},
  {"type":"Microsoft.EventGrid/partnerNamespaces","apiVersion":"2022-06-15","name":"ns1","location":"[resourceGroup().location]",
   "dependsOn":["[resourceId('Microsoft.EventGrid/partnerRegistrations','reg')]"],
   "properties":{"partnerRegistrationFullyQualifiedId":"[resourceId('Microsoft.EventGrid/partnerRegistrations','reg')]","partnerTopicRoutingMode":"ChannelNameHeader"}},
  {"type":"Microsoft.EventGrid/partnerRegistrations","apiVersion":"2022-06-15","name":"reg","location":"global","properties":{"partnerName":"Northwave"}}],
 "outputs":{"source":{"type":"string","value":"[reference(resourceId(parameters('customer'),'rg-c','Microsoft.EventGrid/partnerTopics','pt1'),'2022-06-15').source]"}}}`

func TestThePartnerFlowInOneGo(t *testing.T) {
	for name, tpl := range map[string]string{"bicep": partnerBicep, "classic": partnerClassic} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.running()
			body := wrap(tpl, `{"customer":{"value":"`+customerSub+`"},"hook":{"value":"https://erp.example/hook?code=hidden"}}`, "")
			at := partnerRG + "/providers/Microsoft.Resources/deployments/flow"
			f.post("owner", at+"/validate", body).want(200)
			a := f.ended(f.put("owner", at, body).want(201)).wantState("Succeeded")
			if a.at("properties", "outputs", "source", "value") != "/northwave" {
				t.Errorf("got %s", a.raw)
			}
			f.get("owner", eventSub).want(200)
			f.get("owner", channel).want(200)
			for _, nested := range []string{"consent", "subscribe"} {
				n := f.get("owner", deployments+nested).want(200).wantState("Succeeded")
				if n.at("properties", "correlationId") != a.at("properties", "correlationId") || strings.Contains(n.raw, "hidden") {
					t.Errorf("got %s", n.raw)
				}
			}
			for key, r := range f.store.view() {
				if strings.Contains(string(r.Properties), "hidden") {
					t.Errorf("%s shows the secret: %s", key, r.Properties)
				}
			}
			// Somebody without rights on the customer's side cannot do it.
			f.role("partner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", partnerRG)
			p := f.put("partner", at+"2", body).wantError(400, "InvalidTemplateDeployment")
			if !strings.Contains(p.raw, "AuthorizationFailed") || !strings.Contains(p.raw, "deployments/write") {
				t.Errorf("got %s", p.raw)
			}
		})
	}
}

func TestASubscriptionTemplateMakesGroups(t *testing.T) {
	f := newFixture(t)
	f.running()
	tpl := schemaHead + `"parameters":{"group":{"type":"string"},"places":{"type":"array","defaultValue":["westeurope","northeurope"]}},
  "resources":[
   {"type":"Microsoft.Resources/resourceGroups","apiVersion":"2021-04-01","name":"[format('{0}-{1}', parameters('group'), copyIndex())]","location":"[parameters('places')[copyIndex()]]","properties":{},
    "copy":{"name":"groups","count":"[length(parameters('places'))]"}},
   {"type":"Microsoft.Resources/deployments","apiVersion":"2021-04-01","name":"[format('inside-{0}', copyIndex())]","resourceGroup":"[format('{0}-{1}', parameters('group'), copyIndex())]",
    "copy":{"name":"insides","count":2},"dependsOn":["groups"],
    "properties":{"mode":"Incremental","expressionEvaluationOptions":{"scope":"inner"},"parameters":{"name":{"value":"[format('topic-{0}', copyIndex())]"}},
     "template":` + schemaHead + `"parameters":{"name":{"type":"string"}},
       "resources":[{"type":"Microsoft.EventGrid/topics","apiVersion":"2022-06-15","name":"[parameters('name')]","location":"[resourceGroup().location]"}],
       "outputs":{"at":{"type":"string","value":"[reference(resourceId('Microsoft.EventGrid/topics', parameters('name')),'2022-06-15','full').location]"}}}}}],
  "outputs":{"places":{"type":"array","copy":{"count":2,"input":"[reference(resourceId(subscription().subscriptionId, format('{0}-{1}', parameters('group'), copyIndex()), 'Microsoft.Resources/deployments', format('inside-{0}', copyIndex()))).outputs.at.value]"}}}}`
	at := "/subscriptions/" + customerSub + "/providers/Microsoft.Resources/deployments/all"
	body := wrap(tpl, `{"group":{"value":"made"}}`, "")
	f.put("owner", at, body).wantError(400, "LocationRequired")
	body = strings.Replace(body, `{"properties"`, `{"location":"westeurope","properties"`, 1)
	f.post("owner", at+"/validate", body).want(200)
	w := f.post("owner", at+"/whatIf", body).want(200)
	if n := strings.Count(w.raw, `"changeType":"Create"`); n != 4 {
		t.Errorf("%d of 4 to create: %s", n, w.raw)
	}
	a := f.ended(f.put("owner", at, body).want(201)).wantState("Succeeded")
	if diff := cmp.Diff([]any{"westeurope", "northeurope"}, a.at("properties", "outputs", "places", "value")); diff != "" {
		t.Error(diff, a.raw)
	}
	if a.at("location") != "westeurope" {
		t.Errorf("got %s", a.raw)
	}
	for i := range 2 {
		f.get("owner", fmt.Sprintf("/subscriptions/%s/resourceGroups/made-%d%s/topics/topic-%d", customerSub, i, provider, i)).want(200)
	}
	ops := f.get("owner", at+"/operations").want(200)
	if n := len(ops.at("value").([]any)); n != 4 {
		t.Errorf("operations: %s", ops.raw)
	}
	got := f.get("owner", strings.TrimSuffix(at, "all")).want(200).names()
	if diff := cmp.Diff([]string{"all"}, got); diff != "" {
		t.Error(diff)
	}
	f.put("owner", at, strings.Replace(body, `"Incremental"`, `"Complete"`, 1)).wantError(400, "InvalidTemplateDeployment", "Incremental")
}

func TestDeploymentsTellEvents(t *testing.T) {
	f := newFixture(t).listen()
	f.running()
	f.told.mu.Lock()
	f.told.take()
	f.told.mu.Unlock()
	f.deploy("told", wrap(quickstart, quickstartParameters, "")).wantState("Succeeded")
	f.waitFor("the runner has told", func() bool {
		f.Deployments.mu.Lock()
		defer f.Deployments.mu.Unlock()
		return f.Deployments.total == 0
	})
	f.told.mu.Lock()
	defer f.told.mu.Unlock()
	correlations := map[string]bool{}
	var types []string
	for _, e := range f.told.entries {
		d := dataOf(e)
		correlations[d.CorrelationID] = true
		types = append(types, e.Event.Type+" "+d.OperationName)
	}
	if diff := cmp.Diff([]string{
		"Microsoft.Resources.ResourceWriteSuccess Microsoft.EventGrid/topics/write",
		"Microsoft.Resources.ResourceWriteSuccess Microsoft.EventGrid/eventSubscriptions/write",
		"Microsoft.Resources.ResourceActionSuccess Microsoft.EventGrid/topics/listKeys/action",
		"Microsoft.Resources.ResourceWriteSuccess Microsoft.Resources/deployments/write",
	}, types); diff != "" {
		t.Error(diff)
	}
	if len(correlations) != 1 {
		t.Errorf("correlations: %v", correlations)
	}
}

func TestADeploymentRegistersTheProvider(t *testing.T) {
	f := newFixture(t)
	f.running()
	at := "/subscriptions/" + customerSub + provider
	f.post("owner", at+"/unregister", "").want(200)
	f.role("deployer", "1e241071-0855-49ea-94dc-649edcd759de", customerRG) // may not register
	body := wrap(quickstart, quickstartParameters, "")
	a := f.put("deployer", deployments+"reg", body).want(400)
	if !strings.Contains(a.raw, "MissingSubscriptionRegistration") {
		t.Errorf("got %s", a.raw)
	}
	f.post("owner", deployments+"reg/whatIf", body).want(200)
	if s := f.get("owner", at).at("registrationState"); s == "Registered" {
		t.Errorf("a preview registered the provider: %v", s)
	}
	f.deploy("reg", body).wantState("Succeeded")
	if s := f.get("owner", at).at("registrationState"); s != "Registered" {
		t.Errorf("state %v", s)
	}
}
