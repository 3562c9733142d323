package e2e

import (
	"testing"
	"time"
)

// TestAzResources uses what az has for resources of any kind, for locks, tags
// and roles, and signs in as a service principal that az made.
func TestAzResources(t *testing.T) {
	t.Parallel()
	s := serve(t)
	z := azSignIn(t, s)
	z.vars["rg"] = "/subscriptions/" + z.vars["subscription"] + "/resourceGroups/shop"
	z.vars["orders"] = z.vars["rg"] + "/providers/Microsoft.EventGrid/topics/orders"
	z.vars["cloudInput"] = `{"inputSchema":"CloudEventSchemaV1_0"}`
	z.do(t, azStep{command: "group create -n shop -l westus2", want: map[string]any{"name": "shop"}},
		azStep{command: "resource create -g shop -n orders --resource-type Microsoft.EventGrid/topics -l westus2 --properties {cloudInput}", want: map[string]any{
			"id": "{orders}", "properties.inputSchema": "CloudEventSchemaV1_0", "properties.provisioningState": "Succeeded",
		}, save: map[string]string{"endpoint": "properties.endpoint"}})
	t.Run("both", func(t *testing.T) {
		t.Run("resources", func(t *testing.T) {
			t.Parallel()
			azResources(t, z.fork())
		})
		t.Run("roles", func(t *testing.T) {
			t.Parallel()
			azRoles(t, z.fork())
		})
	})
	z.do(t,
		azStep{command: "resource delete --ids {orders}"},
		azStep{command: "resource list -g shop", want: map[string]any{"#": 0}},
	)
}

func azResources(t *testing.T, z *azCLI) {
	const (
		topics   = " --resource-type Microsoft.EventGrid/topics"
		accounts = " --resource-type Microsoft.Storage/storageAccounts"
	)
	z.vars["account"] = z.vars["rg"] + "/providers/Microsoft.Storage/storageAccounts/shopdata"
	z.vars["full"] = `{"location":"westus2","sku":{"name":"Standard_LRS"},"kind":"StorageV2","properties":{"accessTier":"Cool"}}`
	z.vars["body"] = `{"location":"westus2","tags":{"team":"red"}}`
	z.do(t,
		azStep{command: "resource create -g shop -n shopdata --is-full-object --properties {full}" + accounts, want: map[string]any{
			"id": "{account}", "sku.name": "Standard_LRS", "kind": "StorageV2", "properties.accessTier": "Cool",
		}},
		azStep{command: "resource show -g shop -n orders" + topics, want: map[string]any{"id": "{orders}", "properties.endpoint": "{endpoint}"}},
		azStep{command: "resource tag --ids {orders} --tags team=blue", want: map[string]any{"tags": map[string]any{"team": "blue"}}},
		azStep{command: "resource list --tag team=blue", want: map[string]any{"#": 1, "0.id": "{orders}", "0.type": "Microsoft.EventGrid/topics"}},
		azStep{command: "resource invoke-action --action listKeys -g shop -n orders" + topics, save: map[string]string{"key": "key1"}},
		azStep{command: "tag update --resource-id {account} --operation merge --tags a=1 b=2", want: map[string]any{"properties.tags": map[string]any{"a": "1", "b": "2"}}},
		azStep{command: "tag create --resource-id {account} --tags c=3", want: map[string]any{"properties.tags": map[string]any{"c": "3"}}},
		azStep{command: "tag list --resource-id {account}", want: map[string]any{"properties.tags": map[string]any{"c": "3"}}},

		azStep{command: "lock create -n keep --lock-type CanNotDelete -g shop --resource shopdata" + accounts, want: map[string]any{"level": "CanNotDelete", "name": "keep"}},
		azStep{command: "lock list -g shop", want: map[string]any{"#": 1, "0.id": "{account}/providers/Microsoft.Authorization/locks/keep"}},
		azStep{command: "group delete -n shop -y", refused: "ScopeLocked"},
		azStep{command: "lock delete -n keep -g shop --resource shopdata" + accounts},
		azStep{command: "resource delete -g shop -n shopdata" + accounts},
		azStep{command: "resource show -g shop -n shopdata" + accounts, refused: "ResourceNotFound"},

		azStep{command: "rest --method put --url {rg}/providers/Microsoft.EventGrid/topics/rested?api-version=2022-06-15 --body {body}", want: map[string]any{
			"name": "rested", "tags.team": "red", "properties.provisioningState": "Succeeded",
		}},
		azStep{command: "rest --method get --url {rg}/providers/Microsoft.EventGrid/topics?api-version=2022-06-15 --query value[].name", want: map[string]any{"#": 2}},
		azStep{command: "rest --method delete --url {rg}/providers/Microsoft.EventGrid/topics/rested?api-version=2022-06-15"},
		azStep{command: "rest --method get --url {rg}/providers/Microsoft.EventGrid/topics/rested?api-version=2022-06-15", refused: "ResourceNotFound"},
	)
}

func azRoles(t *testing.T, z *azCLI) {
	const event = `{"specversion":"1.0","id":"by-robot","source":"/shop","type":"Shop.Order.Placed"}`
	hook := receive(t)
	z.vars["hook"] = hook.URL
	z.vars["senderRole"], z.vars["readerRole"] = "EventGrid Data Sender", "Topic Reader"
	z.vars["definition"] = `{"Name":"Topic Reader","Description":"Reads topics","Actions":["Microsoft.EventGrid/topics/read"],"AssignableScopes":["` + z.vars["rg"] + `"]}`
	z.do(t,
		azStep{command: "role definition list --name {senderRole}", want: map[string]any{"#": 1, "0.roleName": "{senderRole}", "0.roleType": "BuiltInRole"}},
		azStep{command: "role definition create --role-definition {definition}", want: map[string]any{"roleName": "{readerRole}", "roleType": "CustomRole"}},
		azStep{
			command: "ad sp create-for-rbac -n robot --role {readerRole} --scopes {rg}", want: map[string]any{"displayName": "robot", "tenant": "{tenant}"},
			save: map[string]string{"robot": "appId", "robotSecret": "password"},
		},
		azStep{command: "ad sp show --id {robot}", want: map[string]any{"displayName": "robot", "appId": "{robot}"}, save: map[string]string{"robotObject": "id"}},
		azStep{command: "eventgrid event-subscription create -n events1 --source-resource-id {orders} --endpoint {hook}/robot", want: map[string]any{"provisioningState": "Succeeded"}},
	)
	robot := z.as(t, z.vars["robot"], z.vars["robotSecret"])
	robot.do(t,
		azStep{command: "eventgrid topic show -g shop -n orders", want: map[string]any{"id": "{orders}"}},
		azStep{command: "eventgrid topic key list -g shop -n orders", refused: "AuthorizationFailed"},
		azStep{command: "resource tag --ids {orders} --tags mine=yes", refused: "AuthorizationFailed"},
		azStep{command: "ad sp list --display-name robot", refused: "Insufficient privileges"},
		azStep{command: "account get-access-token --resource https://eventgrid.azure.net", save: map[string]string{"token": "accessToken"}},
	)
	topic := &source{server: z.server, url: z.vars["endpoint"]}
	bearer := map[string]string{"Content-Type": "application/cloudevents+json", "aeg-sas-key": "", "Authorization": "Bearer " + robot.vars["token"]}
	if a, err := topic.post(t.Context(), event, bearer); err != nil || a.status != 403 {
		t.Errorf("publishing without the role: %d %s %v", a.status, a.body, err)
	}
	z.do(t, azStep{command: "role assignment create --assignee {robot} --role {senderRole} --scope {orders}", want: map[string]any{
		"principalId": "{robotObject}", "scope": "{orders}", "principalType": "ServicePrincipal",
	}})
	topic.mustPublish(t, event, bearer)
	until(t, 20*time.Second, "the event arrives", func() bool { return hook.hasAll("/robot", []string{"by-robot"}) })
	z.do(t,
		azStep{command: "role assignment list --assignee {robot} --all", want: map[string]any{"#": 2, "0.principalName": "{robot}", "1.principalName": "{robot}"}},
		azStep{command: "role assignment delete --assignee {robot} --role {readerRole} --scope {rg}"},
		azStep{command: "role definition delete --name {readerRole} --scope {rg}"},
		azStep{command: "ad sp delete --id {robot}"},
	)
	robot.do(t, azStep{command: "account get-access-token --resource https://management.core.windows.net", refused: "AADSTS"})
}
