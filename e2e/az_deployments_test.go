package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// TestAzDeployments deploys templates in the shape of the public Event Grid
// quickstarts, and of what Bicep writes; events go through what they make.
func TestAzDeployments(t *testing.T) {
	t.Parallel()
	s := serve(t, "--dead-letter-delay", "300ms")
	z := azSignIn(t, s)
	hook := receive(t)
	z.vars["hook"] = hook.URL
	z.vars["rg"] = "/subscriptions/" + z.vars["subscription"] + "/resourceGroups/depl"
	for _, name := range []string{"topic-webhook", "filtered", "storage", "group-changes", "partner"} {
		z.vars[name] = filepath.Join("testdata", "az", name+".json")
	}
	z.do(t, azStep{command: "group create -n depl -l westus2", want: map[string]any{"name": "depl"}})
	t.Run("both", func(t *testing.T) {
		t.Run("own", func(t *testing.T) {
			t.Parallel()
			azOwnTopics(t, z.fork(), hook)
		})
		t.Run("others", func(t *testing.T) {
			t.Parallel()
			azGroupChanges(t, z.fork(), hook)
			azPartnerTemplate(t, z.fork(), hook)
		})
	})
	z.do(t, azStep{command: "deployment group list -g depl --query [].properties.provisioningState", want: map[string]any{
		"": []any{"Succeeded", "Succeeded", "Succeeded", "Succeeded"},
	}})
}

// azOwnTopics deploys a topic, a storage account with a system topic, and
// filters whose undelivered events go to that account.
func azOwnTopics(t *testing.T, z *azCLI, hook *receiver) {
	const first = " -g depl -n first --template-file {topic-webhook} -p endpointUrl={hook}/all"
	z.do(t,
		azStep{command: "deployment group validate" + first, want: map[string]any{"error": nil, "properties.provisioningState": "Succeeded"}},
		azStep{command: "deployment group what-if --no-pretty-print" + first, want: map[string]any{
			"status": "Succeeded", "changes.#": 2, "changes.0.changeType": "Create", "changes.1.changeType": "Create",
		}},
		azStep{command: "resource list -g depl --resource-type Microsoft.EventGrid/topics", want: map[string]any{"#": 0}},
		azStep{command: "deployment group create" + first, want: map[string]any{
			"properties.provisioningState": "Succeeded", "properties.outputResources.#": 2, "properties.mode": "Incremental",
		}, save: map[string]string{"correlation": "properties.correlationId", "topic": "properties.outputs.topic.value", "endpoint": "properties.outputs.endpoint.value"}},
		azStep{command: "deployment group show -g depl -n first", want: map[string]any{
			"properties.outputs.topic.value": "{topic}", "properties.parameters.location.value": "westus2", "properties.correlationId": "{correlation}",
		}},
		azStep{command: "deployment operation group list -g depl -n first", want: map[string]any{
			"0.properties.targetResource.id": "{rg}/providers/Microsoft.EventGrid/topics/{topic}", "0.properties.provisioningState": "Succeeded",
			"1.properties.targetResource.resourceType": "Microsoft.EventGrid/eventSubscriptions", "1.properties.provisioningState": "Succeeded",
		}},
		azStep{command: "deployment group what-if --no-pretty-print" + first, want: map[string]any{"changes.0.changeType": "NoChange"}},
		azStep{command: "deployment group create -g depl -n storage --template-file {storage} -p endpointUrl={hook}/blobs", want: map[string]any{
			"properties.provisioningState": "Succeeded", "properties.outputResources.#": 4,
		}, save: map[string]string{"account": "properties.outputs.account.value"}},
	)
	z.vars["urls"] = fmt.Sprintf(`endpointUrls=[%q,%q]`, hook.URL+"/kept", hook.URL+"/refused")
	hook.answer("/refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	z.do(t,
		azStep{command: "deployment group create -g depl -n filtered --template-file {filtered} -p topicName={topic} deadLetterAccount={account} {urls}", want: map[string]any{
			"properties.provisioningState": "Succeeded", "properties.outputResources.#": 2,
			"properties.outputs.subscriptions.value.1": "{rg}/providers/Microsoft.EventGrid/topics/{topic}/providers/Microsoft.EventGrid/eventSubscriptions/filtered-1",
		}},
		azStep{command: "eventgrid topic key list -g depl -n {topic}", save: map[string]string{"key": "key1"}},
	)
	topic := &source{server: z.server, url: z.vars["endpoint"], key: z.vars["key"]}
	topic.mustPublish(t, "["+gridEvent("blue", `{"color":"blue","amount":11}`)+","+gridEvent("red", `{"color":"red","amount":11}`)+","+gridEvent("little", `{"color":"blue","amount":10}`)+"]", nil)
	until(t, 20*time.Second, "the events arrive", func() bool {
		return hook.hasAll("/all", []string{"blue", "red", "little"}) && hook.hasAll("/kept", []string{"blue"})
	})
	blobs := filepath.Join(z.server.dir, "blobs", z.vars["account"]+"@depl@"+z.vars["subscription"], "undelivered")
	until(t, 20*time.Second, "the refused event is a dead letter", func() bool { return len(deadLettersIn(t, blobs)) > 0 })
	if got := deadLettersIn(t, blobs); len(got) != 1 || got[0].fields["id"] != "blue" {
		t.Errorf("dead letters: %v", got)
	}
	if got := hook.byID("/kept"); len(got) != 1 {
		t.Errorf("the filter let %d events through", len(got))
	}
}

// azGroupChanges deploys, in an Azure subscription, a resource group and event
// subscriptions on both; a change in the group comes to both.
func azGroupChanges(t *testing.T, z *azCLI, hook *receiver) {
	z.do(t,
		azStep{command: "deployment sub create -l westus2 -n watch --template-file {group-changes} -p groupName=watched endpointUrl={hook}/watch", want: map[string]any{
			"properties.provisioningState": "Succeeded", "location": "westus2",
		}},
		azStep{command: "eventgrid topic create -g watched -n noticed -l westus2", want: map[string]any{"name": "noticed"}, save: map[string]string{"noticed": "id"}},
	)
	for _, path := range []string{"/watch", "/watch-of-group"} {
		until(t, 20*time.Second, "the change comes to "+path, func() bool {
			for _, d := range hook.deliveries(path) {
				if e := fields(t, d.body); e["subject"] == z.vars["noticed"] && e["eventType"] == "Microsoft.Resources.ResourceWriteSuccess" {
					return true
				}
			}
			return false
		})
	}
}

// azPartnerTemplate deploys both sides of a partner; what is left to the
// customer is to activate the topic.
func azPartnerTemplate(t *testing.T, z *azCLI, hook *receiver) {
	z.vars["topics"], z.vars["types"] = `topics=["orders","returns"]`, `eventTypes={"Northwave.Order.Placed":{"description":"An order"}}`
	z.do(t,
		azStep{command: "deployment group create -g depl -n partner --template-file {partner} -p partner=northwave {topics} {types} endpointUrl={hook}/orders?code=s3cr3t", want: map[string]any{
			"properties.provisioningState": "Succeeded", "properties.outputs.state.value": "NeverActivated", "properties.parameters.endpointUrl": map[string]any{"type": "SecureString"},
		}, save: map[string]string{"endpoint": "properties.outputs.endpoint.value", "namespace": "properties.outputs.namespace.value"}},
		azStep{command: "eventgrid partner topic activate -g depl -n orders", want: map[string]any{"activationState": "Activated", "source": "/northwave/orders"}},
		azStep{command: "eventgrid partner namespace key list -g depl --partner-namespace-name {namespace}", save: map[string]string{"key": "key1"}},
	)
	p := &publisher{server: z.server, endpoint: z.vars["endpoint"], key: z.vars["key"], channel: "orders"}
	if ok, err := p.publish(t.Context(), "deployed"); !ok {
		t.Fatalf("publishing to the channel: %v", err)
	}
	until(t, 20*time.Second, "the event arrives", func() bool { return hook.hasAll("/orders", []string{"deployed"}) })
}
