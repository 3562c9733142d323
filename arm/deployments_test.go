package arm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

const deployments = customerRG + "/providers/Microsoft.Resources/deployments/"

// running starts the runner; it ends with the test, or when stop is called.
func (f *fixture) running() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Deployments.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	}
	f.t.Cleanup(stop)
	return stop
}

// wrap puts a template into the body of a request.
func wrap(tpl, parameters, more string) string {
	if parameters == "" {
		parameters = "{}"
	}
	return `{"properties":{"mode":"Incremental","parameters":` + parameters + `,"template":` + tpl + more + `}}`
}

// ended polls as clients do until a deployment is over, and returns it.
func (f *fixture) ended(started *answer) *answer {
	f.t.Helper()
	poll := strings.TrimPrefix(started.header.Get("Azure-AsyncOperation"), base)
	if poll == "" {
		f.t.Fatalf("no poll URL: %d %s", started.status, started.raw)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		a := f.get("owner", poll)
		if a.status != 200 {
			f.t.Fatalf("poll: %d %s", a.status, a.raw)
		}
		switch s := a.at("status"); s {
		case "Accepted", "Running":
			if a.header.Get("Retry-After") != "1" {
				f.t.Errorf("poll without Retry-After: %v", a.header)
			}
		default:
			id, _ := started.at("id").(string)
			got := f.get("owner", id).want(200)
			if got.at("properties", "provisioningState") != s {
				f.t.Errorf("the status is %v, the deployment says %s", s, got.raw)
			}
			return got
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("still running: %s", a.raw)
		}
		select { // let others work; the state is what counts
		case <-time.After(2 * time.Millisecond):
		case <-f.t.Context().Done():
		}
	}
}

func (f *fixture) deploy(name, body string) *answer {
	f.t.Helper()
	return f.ended(f.put("owner", deployments+name, body).want(201))
}

func (a *answer) wantState(state string) *answer {
	a.f.t.Helper()
	if got := a.at("properties", "provisioningState"); got != state {
		a.f.t.Errorf("%s: state %v, want %s: %s", a.what, got, state, a.raw)
	}
	return a
}

// quickstart is the shape of the public template for a topic with a subscription.
const quickstart = `{
  "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", // comments are fine
  "contentVersion": "1.0.0.0",
  "parameters": {
    "eventGridTopicName": {"type": "string", "defaultValue": "[concat('topic-', uniqueString(resourceGroup().id))]"},
    "eventGridSubscriptionName": {"type": "string", "defaultValue": "sub1"},
    "eventGridSubscriptionUrl": {"type": "securestring", "metadata": {"description": "where the events go"}},
    "location": {"type": "string", "defaultValue": "[resourceGroup().location]"}
  },
  "resources": [
    {"type": "Microsoft.EventGrid/topics", "apiVersion": "2020-06-01", "name": "[parameters('eventGridTopicName')]", "location": "[parameters('location')]"},
    {"type": "Microsoft.EventGrid/eventSubscriptions", "apiVersion": "2020-06-01", "name": "[parameters('eventGridSubscriptionName')]",
     "scope": "[concat('Microsoft.EventGrid/topics/', parameters('eventGridTopicName'))]",
     "dependsOn": ["[resourceId('Microsoft.EventGrid/topics', parameters('eventGridTopicName'))]"],
     "properties": {"destination": {"endpointType": "WebHook", "properties": {"endpointUrl": "[parameters('eventGridSubscriptionUrl')]"}},
       "filter": {"isSubjectCaseSensitive": false}}}
  ],
  "outputs": {
    "endpoint": {"type": "string", "value": "[reference(parameters('eventGridTopicName')).endpoint]"},
    "key": {"type": "securestring", "value": "[listKeys(resourceId('Microsoft.EventGrid/topics', parameters('eventGridTopicName')), '2020-06-01').key1]"}
  }
}`

const quickstartParameters = `{"eventGridTopicName":{"value":"orders"},"eventGridSubscriptionUrl":{"value":"https://erp.example/hook?code=hidden"}}`

func TestADeploymentFromPutToOutputs(t *testing.T) {
	f := newFixture(t)
	f.running()
	started := f.put("owner", deployments+"first", wrap(quickstart, quickstartParameters, "")).want(201)
	if started.at("properties", "provisioningState") != "Accepted" || started.header.Get("Retry-After") != "1" {
		t.Errorf("got %v %s", started.header, started.raw)
	}
	a := f.ended(started).wantState("Succeeded")
	p, _ := a.at("properties").(map[string]any)
	if strings.Contains(a.raw, "hidden") {
		t.Errorf("the secret is shown: %s", a.raw)
	}
	topicID := customerRG + provider + "/topics/orders"
	endpoint := f.get("owner", topicID).want(200).at("properties", "endpoint")
	want := map[string]any{
		"parameters": map[string]any{
			"eventGridTopicName":        map[string]any{"type": "String", "value": "orders"},
			"eventGridSubscriptionName": map[string]any{"type": "String", "value": "sub1"},
			"eventGridSubscriptionUrl":  map[string]any{"type": "SecureString"},
			"location":                  map[string]any{"type": "String", "value": "westeurope"},
		},
		"outputs": map[string]any{
			"endpoint": map[string]any{"type": "String", "value": endpoint},
			"key":      map[string]any{"type": "SecureString"},
		},
		"mode": "Incremental", "provisioningState": "Succeeded",
		"outputResources": []any{
			map[string]any{"id": topicID},
			map[string]any{"id": topicID + "/providers/Microsoft.EventGrid/eventSubscriptions/sub1"},
		},
		"providers": []any{map[string]any{"namespace": "Microsoft.EventGrid", "resourceTypes": []any{
			map[string]any{"resourceType": "eventSubscriptions", "locations": []any{nil}},
			map[string]any{"resourceType": "topics", "locations": []any{nil}},
		}}},
		"dependencies": []any{map[string]any{
			"id": topicID + "/providers/Microsoft.EventGrid/eventSubscriptions/sub1", "resourceType": "Microsoft.EventGrid/eventSubscriptions", "resourceName": "sub1",
			"dependsOn": []any{map[string]any{"id": topicID, "resourceType": "Microsoft.EventGrid/topics", "resourceName": "orders"}},
		}},
	}
	for name, v := range want {
		if diff := cmp.Diff(v, p[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range []string{"timestamp", "duration", "correlationId", "templateHash"} {
		if s, _ := p[name].(string); s == "" {
			t.Errorf("no %s in %s", name, a.raw)
		}
	}
	if p["correlationId"] != started.header.Get("X-Ms-Correlation-Request-Id") {
		t.Errorf("correlation: %v, %v", p["correlationId"], started.header)
	}
	again := f.put("owner", deployments+"first", wrap(quickstart, quickstartParameters, "")).want(200)
	f.ended(again).wantState("Succeeded")

	// Nothing secret is stored in the clear.
	for key, r := range f.store.view() {
		if strings.Contains(string(r.Properties), "code=hidden") {
			t.Errorf("%s holds the secret: %s", key, r.Properties)
		}
	}
}

func TestWhatCanBeReadOfADeployment(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.deploy("one", wrap(quickstart, quickstartParameters, "")).wantState("Succeeded")
	if a := f.do("owner", "HEAD", deployments+"one", ""); a.status != 204 || a.raw != "" {
		t.Errorf("HEAD: %d %q", a.status, a.raw)
	}
	f.do("owner", "HEAD", deployments+"none", "").want(404)
	f.get("owner", deployments+"none").wantError(404, "DeploymentNotFound", "'none'")
	f.get("owner", strings.Replace(deployments, "rg-c", "rg-x", 1)+"one").wantError(404, "ResourceGroupNotFound")

	a := f.post("owner", deployments+"one/exportTemplate", "").want(200)
	if a.at("template", "contentVersion") != "1.0.0.0" || strings.Contains(a.raw, "comments are fine") {
		t.Errorf("export: %s", a.raw)
	}
	for _, path := range []string{customerRG + "/deployments/one/operations", deployments + "one/operations"} {
		a := f.get("owner", path).want(200)
		ops, _ := a.at("value").([]any)
		if len(ops) != 2 {
			t.Fatalf("%s: %s", path, a.raw)
		}
		op, _ := ops[0].(map[string]any)
		props, _ := op["properties"].(map[string]any)
		if props["provisioningState"] != "Succeeded" || props["statusCode"] != "Created" || props["provisioningOperation"] != "Create" {
			t.Errorf("%s: %v", path, op)
		}
		one := f.get("owner", path+"/"+op["operationId"].(string)).want(200)
		if diff := cmp.Diff(op, one.body); diff != "" {
			t.Error(diff)
		}
		f.get("owner", path+"/NONE").wantError(404, "DeploymentNotFound")
	}
	f.hooks.fail = resource.Errorf(resource.URLValidation, "the endpoint answers 404")
	f.deploy("two", wrap(quickstart, quickstartParameters, "")).wantState("Failed")
	f.hooks.fail = nil
	for query, want := range map[string][]string{
		"": {"one", "two"}, "?$filter=provisioningState%20eq%20'Failed'": {"two"}, "?$filter=provisioningstate%20EQ%20'succeeded'": {"one"},
	} {
		got := f.get("owner", deployments+query).want(200).names()
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	f.get("owner", deployments+"?$filter=name%20eq%20'x'").wantError(400, "InvalidRequest")
	a = f.get("owner", deployments+"?$top=1").want(200)
	next, _ := a.at("nextLink").(string)
	first := a.names()
	a = f.get("owner", strings.TrimPrefix(next, base)).want(200)
	if got := slices.Concat(first, a.names()); len(got) != 2 || got[0] == got[1] || a.at("nextLink") != nil {
		t.Errorf("pages: %v, %s", got, a.raw)
	}
	f.delete("owner", deployments+"one").want(204)
	f.delete("owner", deployments+"one").want(204)
	f.get("owner", deployments+"one").want(404)
	f.get("owner", customerRG+provider+"/topics/orders").want(200)
	f.patch("owner", deployments+"two", "{}").wantError(405, "HttpMethodNotAllowed")
	f.post("owner", deployments+"two/nonsense", "").wantError(404, "InvalidResourceType")
	f.post("owner", deployments+"two/cancel", "").wantError(409, "DeploymentCannotBeCanceled", "Failed")
	f.delete("owner", customerRG).want(200)
	if left := f.store.List(typeDeployment, resource.ID{}); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	for name, tt := range map[string]struct {
		path, body string
		code       resource.Code
		text       string
	}{
		"link":        {"d", `{"properties":{"templateLink":{"uri":"https://x.example/t.json"},"mode":"Incremental"}}`, "InvalidRequestContent", "'templateLink'"},
		"parameters":  {"d", `{"properties":{"parametersLink":{"uri":"https://x"},"template":{"resources":[]}}}`, "InvalidRequestContent", "'parametersLink'"},
		"onError":     {"d", `{"properties":{"onErrorDeployment":{"type":"LastSuccessful"},"template":{"resources":[]}}}`, "InvalidRequestContent", "'onErrorDeployment'"},
		"no template": {"d", `{"properties":{}}`, "InvalidRequestContent", "'template'"},
		"no body":     {"d", ``, "InvalidRequestContent", ""},
		"mode":        {"d", `{"properties":{"mode":"Total","template":{"resources":[]}}}`, "InvalidRequestContent", "'Total'"},
		"name":        {"a%3Cb", wrap(`{"resources":[]}`, "", ""), "InvalidDeploymentName", ""},
		"syntax":      {"d", `{"properties":{"template":{"resources":[}}}`, "InvalidRequestContent", "not valid JSON"},
		"section":     {"d", wrap(`{"resource":[]}`, "", ""), "InvalidTemplate", "resource"},
		"missing":     {"d", wrap(quickstart, "", ""), "InvalidTemplate", "'eventGridSubscriptionUrl' has no default"},
		"unknown":     {"d", wrap(`{"resources":[]}`, `{"x":{"value":1}}`, ""), "InvalidTemplate", "'x'"},
		"type": {
			"d", wrap("{\n\"resources\":[\n{\"type\":\"Microsoft.EventGrid/nope\",\"apiVersion\":\"2022-06-15\",\"name\":\"x\"}]}", "", ""),
			"InvalidTemplateDeployment", "",
		},
	} {
		for _, op := range []string{"", "/validate", "/whatIf"} {
			t.Run(name+op, func(t *testing.T) {
				method := map[bool]string{true: "PUT", false: "POST"}[op == ""]
				f.t = t
				a := f.do("owner", method, deployments+tt.path+op, tt.body).wantError(400, tt.code, tt.text)
				if name == "type" {
					details, _ := a.at("error", "details").([]any)
					d, _ := details[0].(map[string]any)
					if d["code"] != "InvalidResourceType" || d["target"] != customerRG+provider+"/nope/x at resources[0] (line 3)" {
						t.Errorf("details: %s", a.raw)
					}
				}
			})
		}
	}
	if left := f.store.List(typeDeployment, resource.ID{}); len(left) > 0 {
		t.Errorf("stored: %v", left)
	}
}

// TestTheFormOfAz: the Azure CLI splices the file into the body as it is.
func TestTheFormOfAz(t *testing.T) {
	f := newFixture(t)
	f.running()
	body := `{"properties": {"parameters": ` + quickstartParameters + `, "mode": "Incremental", template:` + quickstart + `}}`
	f.post("owner", deployments+"az/validate", body).want(200)
	f.ended(f.put("owner", strings.Replace(deployments, "resourceGroups", "resourcegroups", 1)+"az", body).want(201)).wantState("Succeeded")
	text, err := json.Marshal(quickstart)
	if err != nil {
		t.Fatal(err)
	}
	f.post("owner", deployments+"az/validate", wrap(string(text), quickstartParameters, "")).want(200)
}

func TestValidationMakesNothing(t *testing.T) {
	f := newFixture(t)
	before := len(f.store.view())
	a := f.post("owner", deployments+"v/validate", wrap(quickstart, quickstartParameters, "")).want(200).wantState("Succeeded")
	validated, _ := a.at("properties", "validatedResources").([]any)
	if len(validated) != 2 || len(f.store.view()) != before || len(f.hooks.asked) > 0 {
		t.Errorf("got %s; asked %v", a.raw, f.hooks.asked)
	}
}

func TestAFailureInTheMiddle(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.hooks.fail = resource.Errorf(resource.URLValidation, "The endpoint https://erp.example/hook?code=hidden answers 404.")
	tpl := strings.Replace(quickstart, `"resources": [`, `"resources": [
    {"type": "Microsoft.EventGrid/domains", "apiVersion": "2022-06-15", "name": "dom1", "location": "westeurope"},`, 1)
	a := f.deploy("bad", wrap(tpl, quickstartParameters, "")).wantState("Failed")
	e, _ := a.at("properties", "error").(map[string]any)
	details, _ := e["details"].([]any)
	if e["code"] != "DeploymentFailed" || len(details) != 1 {
		t.Fatalf("error: %s", a.raw)
	}
	want := map[string]any{
		"code": "Url validation", "message": details[0].(map[string]any)["message"],
		"target": customerRG + provider + "/topics/orders/providers/Microsoft.EventGrid/eventSubscriptions/sub1 at resources[2] (line 13)",
	}
	if diff := cmp.Diff(want, details[0]); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(a.raw, "hidden") || !strings.Contains(a.raw, "The endpoint (secure value) answers 404.") {
		t.Errorf("the secret in an error: %s", a.raw)
	}
	if a.at("properties", "outputs") != nil {
		t.Errorf("outputs of a failed deployment: %s", a.raw)
	}
	f.get("owner", customerRG+provider+"/topics/orders").want(200) // stays
	f.get("owner", customerRG+provider+"/domains/dom1").want(200)
	states := map[string]int{}
	for _, v := range f.get("owner", deployments+"bad/operations").at("value").([]any) {
		p, _ := v.(map[string]any)["properties"].(map[string]any)
		states[fmt.Sprint(p["provisioningState"])]++
		if p["provisioningState"] == "Failed" && !strings.Contains(fmt.Sprint(p["statusMessage"]), "Url validation") {
			t.Errorf("operation: %v", p)
		}
	}
	if states["Succeeded"] != 2 || states["Failed"] != 1 {
		t.Errorf("operations: %v", states)
	}
}

func TestEveryResourceIsAuthorizedAsTheCaller(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.role("deployer", access.RoleReader, customerRG)
	body := wrap(quickstart, quickstartParameters, "")
	for _, op := range []string{"/validate", "/whatIf", "/cancel", "/exportTemplate"} {
		f.post("deployer", deployments+"x"+op, body).wantError(403, "AuthorizationFailed", "Microsoft.Resources/deployments/"+op[1:]+"/action")
	}
	f.put("deployer", deployments+"x", body).wantError(403, "AuthorizationFailed", "Microsoft.Resources/deployments/write")
	f.delete("deployer", deployments+"x").wantError(403, "AuthorizationFailed", "Microsoft.Resources/deployments/delete")
	// May deploy, and write event subscriptions, but no topics.
	f.role("deployer", "428e0ff0-5e57-4d9c-a221-2c70d0e0a443", customerRG)
	a := f.put("deployer", deployments+"x", body).wantError(400, "InvalidTemplateDeployment")
	if !strings.Contains(a.raw, "AuthorizationFailed") || !strings.Contains(a.raw, "Microsoft.EventGrid/topics/write") {
		t.Errorf("got %s", a.raw)
	}
	f.get("owner", customerRG+provider+"/topics/orders").want(404)
}

const emptyTemplate = `{"resources":[]}`

func TestCompleteModeDeletesWhatTheTemplateDoesNotName(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.put("owner", customerRG+provider+"/topics/old", `{"location":"westeurope"}`).want(201)
	f.put("owner", customerRG+provider+"/topics/old/eventSubscriptions/sub", hookBody).want(201)
	f.put("owner", customerRG+provider+"/domains/olddomain", `{"location":"westeurope"}`).want(201)
	f.put("owner", customerRG+provider+"/topics/orders", `{"location":"westeurope"}`).want(201)
	complete := strings.Replace(wrap(quickstart, quickstartParameters, ""), `"Incremental"`, `"Complete"`, 1)

	a := f.post("owner", deployments+"c/whatIf", complete).want(200)
	if diff := cmp.Diff(map[string]string{
		"topics/old": "Delete", "domains/olddomain": "Delete", "topics/orders": "NoChange",
		"topics/orders/providers/Microsoft.EventGrid/eventSubscriptions/sub1": "Create",
	}, changesOf(a)); diff != "" {
		t.Error(diff)
	}
	a = f.deploy("c", complete).wantState("Succeeded")
	f.get("owner", customerRG+provider+"/topics/old").want(404)
	f.get("owner", customerRG+provider+"/domains/olddomain").want(404)
	f.get("owner", customerRG+provider+"/topics/orders").want(200)
	f.get("owner", customerRG+provider+"/topics/orders/eventSubscriptions/sub1").want(200)
	if a.at("properties", "mode") != "Complete" {
		t.Errorf("got %s", a.raw)
	}
}

func changesOf(a *answer) map[string]string {
	out := map[string]string{}
	changes, _ := a.at("properties", "changes").([]any)
	for _, c := range changes {
		m, _ := c.(map[string]any)
		id, _ := m["resourceId"].(string)
		out[strings.TrimPrefix(id, customerRG+provider+"/")], _ = m["changeType"].(string)
	}
	return out
}

func TestWhatIf(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.deploy("w", wrap(quickstart, quickstartParameters, "")).wantState("Succeeded")
	f.put("owner", customerRG+provider+"/topics/other", `{"location":"westeurope"}`).want(201)
	before := f.store.view()

	a := f.post("owner", deployments+"w/whatIf", wrap(quickstart, quickstartParameters, "")).want(200)
	sub := "topics/orders/providers/Microsoft.EventGrid/eventSubscriptions/sub1"
	if diff := cmp.Diff(map[string]string{"topics/orders": "NoChange", sub: "NoChange", "topics/other": "Ignore"}, changesOf(a)); diff != "" {
		t.Error(diff)
	}
	changed := strings.Replace(quickstart, `"isSubjectCaseSensitive": false`, `"isSubjectCaseSensitive": true, "includedEventTypes": ["A"]`, 1)
	changed = strings.Replace(changed, `"location": "[parameters('location')]"}`, `"location": "[parameters('location')]", "tags": {"k": "v"}}`, 1)
	a = f.post("owner", deployments+"w/whatIf", wrap(changed, quickstartParameters, "")).want(200)
	if diff := cmp.Diff(map[string]string{"topics/orders": "Modify", sub: "Modify", "topics/other": "Ignore"}, changesOf(a)); diff != "" {
		t.Error(diff)
	}
	changes, _ := a.at("properties", "changes").([]any)
	topic, _ := changes[0].(map[string]any)
	if diff := cmp.Diff([]any{map[string]any{"path": "tags", "propertyChangeType": "Create", "after": map[string]any{"k": "v"}}}, topic["delta"]); diff != "" {
		t.Error(diff)
	}
	es, _ := changes[1].(map[string]any)
	if diff := cmp.Diff([]any{
		map[string]any{"path": "properties.filter.includedEventTypes", "propertyChangeType": "Create", "after": []any{"A"}},
		map[string]any{"path": "properties.filter.isSubjectCaseSensitive", "propertyChangeType": "Create", "after": true},
	}, es["delta"]); diff != "" {
		t.Error(diff, a.raw)
	}
	if a.at("status") != "Succeeded" || strings.Contains(a.raw, "hidden") {
		t.Errorf("got %s", a.raw)
	}
	a = f.post("owner", deployments+"w/whatIf", wrap(changed, quickstartParameters, `,"whatIfSettings":{"resultFormat":"ResourceIdOnly"}`)).want(200)
	if strings.Contains(a.raw, "before") || strings.Contains(a.raw, "delta") {
		t.Errorf("got %s", a.raw)
	}
	if diff := cmp.Diff(len(before), len(f.store.view())); diff != "" {
		t.Error("the preview has changed the store:", diff)
	}
}
