package e2e

import (
	"net/http"
	"testing"
	"time"
)

// TestAz takes the Azure CLI through topics, domains, system topics and both
// kinds of partner resources; what it connects, events go through.
func TestAz(t *testing.T) {
	t.Parallel()
	s := serve(t)
	z := azSignIn(t, s)
	hook := receive(t)
	sender := newMember(t, s, "sender", "Reader", z.vars["subscription"], "")
	z.vars["hook"] = hook.URL
	z.vars["sender"], z.vars["senderRole"] = sender.principal.ObjectID, "EventGrid Data Sender"
	z.vars["rg"] = "/subscriptions/" + z.vars["subscription"] + "/resourceGroups/rg1"
	z.vars["eg"] = z.vars["rg"] + "/providers/Microsoft.EventGrid"
	z.do(t,
		azStep{command: "account show", want: map[string]any{
			"environmentName": "Intertie", "id": "{subscription}", "state": "Enabled", "tenantId": "{tenant}", "user.name": "{admin}",
		}},
		azStep{command: "group create -n rg1 -l westus2", want: map[string]any{"id": "{rg}", "properties.provisioningState": "Succeeded"}},
		azStep{command: "provider register --namespace Microsoft.EventGrid --wait"},
	)
	t.Run("both", func(t *testing.T) {
		t.Run("topics", func(t *testing.T) {
			t.Parallel()
			z.fork().do(t, azTopicSteps(hook, sender)...)
		})
		t.Run("partners", func(t *testing.T) {
			t.Parallel()
			z.fork().do(t, azPartnerSteps(hook)...)
		})
	})
	z.do(t,
		azStep{command: "group delete -n rg1 -y"},
		azStep{command: "group exists -n rg1", want: map[string]any{"": false}},
	)
}

func azTopicSteps(hook *receiver, sender *side) []azStep {
	const event = `{"specversion":"1.0","id":"by-az","source":"/shop","type":"Shop.Order.Placed","data":{"n":1}}`
	publish := func(t *testing.T, z *azCLI) {
		topic := &source{server: z.server, url: z.vars["endpoint"], key: z.vars["key"]}
		topic.mustPublish(t, event, map[string]string{"Content-Type": "application/cloudevents+json"})
		until(t, 20*time.Second, "the event arrives", func() bool { return hook.hasAll("/topic", []string{"by-az"}) })
		// The role that az assigned is enough as well.
		topic.mustPublish(t, event, map[string]string{
			"Content-Type": "application/cloudevents+json", "aeg-sas-key": "", "Authorization": "Bearer " + sender.token(t, "https://eventgrid.azure.net/.default"),
		})
	}
	return []azStep{
		{command: "role assignment create --assignee-object-id {sender} --assignee-principal-type ServicePrincipal --role {senderRole} --scope {rg}", want: map[string]any{
			"principalId": "{sender}", "principalType": "ServicePrincipal", "scope": "{rg}",
		}},
		{command: "role assignment list --scope {rg}", want: map[string]any{"#": 1, "0.principalId": "{sender}", "0.roleDefinitionName": "{senderRole}"}},
		{command: "eventgrid topic create -g rg1 -n topic1 -l westus2 --input-schema cloudeventschemav1_0", want: map[string]any{
			"id": "{eg}/topics/topic1", "inputSchema": "CloudEventSchemaV1_0", "provisioningState": "Succeeded", "location": "westus2", "resourceGroup": "rg1",
		}, save: map[string]string{"endpoint": "endpoint"}},
		{command: "eventgrid topic key list -g rg1 -n topic1", save: map[string]string{"key": "key1", "other": "key2"}},
		{command: "eventgrid event-subscription create -n events1 --source-resource-id {eg}/topics/topic1 --endpoint {hook}/topic?code=s3cr3t", want: map[string]any{
			"id": "{eg}/topics/topic1/providers/Microsoft.EventGrid/eventSubscriptions/events1", "provisioningState": "Succeeded", "topic": "{rg}/providers/microsoft.eventgrid/topics/topic1",
			// Of what it created, this az shows the destination unread.
			"destination.properties.endpointBaseUrl": "{hook}/topic", "destination.properties.endpointUrl": nil, "eventDeliverySchema": "CloudEventSchemaV1_0",
			"retryPolicy.maxDeliveryAttempts": 30, "retryPolicy.eventTimeToLiveInMinutes": 1440,
		}, then: publish},
		{command: "eventgrid event-subscription list --source-resource-id {eg}/topics/topic1", want: map[string]any{"#": 1, "0.name": "events1"}},
		{command: "eventgrid event-subscription delete -n events1 --source-resource-id {eg}/topics/topic1"},
		{
			command: "eventgrid system-topic create -g rg1 -n system1 -l westus2 --topic-type Microsoft.Storage.StorageAccounts --source {rg}/providers/Microsoft.Storage/storageAccounts/acc",
			want: map[string]any{
				"id": "{eg}/systemTopics/system1", "source": "{rg}/providers/Microsoft.Storage/storageAccounts/acc", "topicType": "Microsoft.Storage.StorageAccounts", "provisioningState": "Succeeded",
			},
		},
		{command: "eventgrid domain create -g rg1 -n domain1 -l westus2", want: map[string]any{
			"id": "{eg}/domains/domain1", "autoCreateTopicWithFirstSubscription": true, "autoDeleteTopicWithLastSubscription": true, "provisioningState": "Succeeded",
		}},
		{command: "eventgrid topic delete -g rg1 -n topic1", then: func(t *testing.T, z *azCLI) {
			topic := &source{server: z.server, url: z.vars["endpoint"], key: z.vars["key"]}
			if a, err := topic.post(t.Context(), event, nil); err != nil || a.status != http.StatusNotFound {
				t.Errorf("publishing to a deleted topic: %d %s %v", a.status, a.body, err)
			}
		}},
	}
}

func azPartnerSteps(hook *receiver) []azStep {
	const channel = "eventgrid partner namespace channel create -g rg1 --partner-namespace-name ns1 --destination-sub-id {subscription} --destination-rg rg1 "
	publisher := func(z *azCLI) *publisher {
		return &publisher{server: z.server, endpoint: z.vars["endpoint"], key: z.vars["key"], channel: "ch1"}
	}
	return []azStep{
		{command: "eventgrid partner registration create -g rg1 -n reg1", want: map[string]any{
			"id": "{eg}/partnerRegistrations/reg1", "location": "global", "provisioningState": "Succeeded",
		}, save: map[string]string{"immutable": "partnerRegistrationImmutableId"}},
		{
			command: "eventgrid partner namespace create -g rg1 -n ns1 -l westus2 --partner-registration-id {eg}/partnerRegistrations/reg1 --partner-topic-routing-mode ChannelNameHeader",
			want:    map[string]any{"id": "{eg}/partnerNamespaces/ns1", "partnerTopicRoutingMode": "ChannelNameHeader", "provisioningState": "Succeeded"},
			save:    map[string]string{"endpoint": "endpoint"},
		},
		{command: "eventgrid partner namespace key list -g rg1 --partner-namespace-name ns1", save: map[string]string{"key": "key1", "other": "key2"}},
		{command: "eventgrid partner configuration create -g rg1 --default-maximum-expiration-time-in-days 7", want: map[string]any{
			"name": "default", "partnerAuthorization.defaultMaximumExpirationTimeInDays": 7, "partnerAuthorization.authorizedPartnersList.#": 0,
		}},
		{command: "eventgrid partner configuration authorize -g rg1 --partner-registration-immutable-id {immutable}", want: map[string]any{
			"partnerAuthorization.authorizedPartnersList.#": 1, "partnerAuthorization.authorizedPartnersList.0.partnerRegistrationImmutableId": "{immutable}",
		}},
		{command: channel + "-n ch1 --channel-type PartnerTopic --partner-topic-name pt1 --partner-topic-source src1", want: map[string]any{
			"id": "{eg}/partnerNamespaces/ns1/channels/ch1", "channelType": "PartnerTopic", "readinessState": "NeverActivated", "partnerTopicInfo.source": "src1",
		}},
		{
			command: channel + "-n ch2 --channel-type PartnerDestination --partner-destination-name pd1 --endpoint-url {hook}/partner?code=s3cr3t --endpoint-service-context ctx --aad-app-id {admin} --aad-tenant-id {tenant}",
			want: map[string]any{
				"channelType": "PartnerDestination", "partnerDestinationInfo.endpointBaseUrl": "{hook}/partner", "partnerDestinationInfo.endpointUrl": nil,
				"partnerDestinationInfo.clientAuthentication.azureActiveDirectoryTenantId": "{tenant}", "partnerDestinationInfo.clientAuthentication.azureActiveDirectoryApplicationIdOrUri": "{admin}",
			},
		},
		{command: "eventgrid partner topic activate -g rg1 -n pt1", want: map[string]any{"activationState": "Activated", "partnerRegistrationImmutableId": "{immutable}", "source": "src1"}},
		{command: "eventgrid partner topic event-subscription create -g rg1 --partner-topic-name pt1 -n events1 --endpoint {hook}/channel", want: map[string]any{
			"id": "{eg}/partnerTopics/pt1/eventSubscriptions/events1", "provisioningState": "Succeeded", "eventDeliverySchema": "CloudEventSchemaV1_0",
		}, then: func(t *testing.T, z *azCLI) {
			if ok, err := publisher(z).publish(t.Context(), "by-partner"); !ok {
				t.Fatalf("publishing to the channel: %v", err)
			}
			until(t, 20*time.Second, "the event arrives", func() bool { return hook.hasAll("/channel", []string{"by-partner"}) })
		}},
		{command: "eventgrid partner destination activate -g rg1 -n pd1", want: map[string]any{"activationState": "Activated"}},
		{command: "eventgrid partner destination show -g rg1 -n pd1", want: map[string]any{
			"id": "{eg}/partnerDestinations/pd1", "endpointBaseUrl": "{hook}/partner", "endpointServiceContext": "ctx", "partnerRegistrationImmutableId": "{immutable}",
		}},
		{command: "eventgrid partner destination list -g rg1", want: map[string]any{"#": 1, "0.name": "pd1"}},
		{command: "eventgrid partner destination update -g rg1 -n pd1 --tags a=b", want: map[string]any{"tags": map[string]any{"a": "b"}}},
		{command: "eventgrid partner destination delete -g rg1 -n pd1 -y"},
		{command: "eventgrid partner verified-partner list", want: map[string]any{"#": 0}},
		{command: "eventgrid partner namespace channel delete -g rg1 --partner-namespace-name ns1 -n ch1 -y", then: func(t *testing.T, z *azCLI) {
			if ok, err := publisher(z).publish(t.Context(), "too-late"); ok || err != nil {
				t.Errorf("publishing to a deleted channel: %v %v", ok, err)
			}
		}},
	}
}
