package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeHost keeps what it is given.
type fakeHost struct {
	made    map[string]map[string]any // by lower-case id
	order   []string
	refuses string // part of an id
	nested  []string
	// canceled is asked before each resource.
	canceled func() bool
	// preview makes nothing and answers nil.
	preview bool
	bodies  []map[string]any
}

func (h *fakeHost) Put(_ context.Context, r Resource) (map[string]any, error) {
	if h.refuses != "" && strings.Contains(r.ID, h.refuses) {
		return nil, errors.New("refused by the host")
	}
	h.bodies = append(h.bodies, r.Body)
	if h.preview {
		return nil, nil
	}
	if h.made == nil {
		h.made = map[string]map[string]any{}
	}
	out := map[string]any{"id": r.ID, "apiVersion": r.Version}
	maps.Copy(out, r.Body)
	h.made[strings.ToLower(r.ID)] = out
	h.order = append(h.order, r.ID[strings.LastIndexByte(r.ID, '/')+1:])
	return out, nil
}

func (h *fakeHost) Get(_ context.Context, id, _ string) (map[string]any, error) {
	if r, ok := h.made[strings.ToLower(id)]; ok {
		return r, nil
	}
	return nil, fmt.Errorf("%s does not exist", id)
}

func (h *fakeHost) Act(_ context.Context, id, action, _ string, _ any) (any, error) {
	return map[string]any{"key1": action + " of " + id[strings.LastIndexByte(id, '/')+1:]}, nil
}

func (h *fakeHost) Around(_ context.Context, sub, group string) (map[string]map[string]any, error) {
	around := map[string]map[string]any{"subscription": {"id": "/subscriptions/" + sub, "subscriptionId": sub}}
	if group != "" {
		around["resourcegroup"] = map[string]any{"id": "/subscriptions/" + sub + "/resourceGroups/" + group, "name": group, "location": "westeurope"}
	}
	return around, nil
}

func (h *fakeHost) Nest(_ context.Context, n Nested) (func(*Result, error) error, error) {
	name := n.ID[strings.LastIndexByte(n.ID, '/')+1:]
	h.nested = append(h.nested, name+" begins")
	return func(_ *Result, err error) error {
		h.nested = append(h.nested, fmt.Sprint(name, " ends ", err == nil))
		return err
	}, nil
}

func (h *fakeHost) Canceled() bool { return h.canceled != nil && h.canceled() }

func input(parameters map[string]any) Input {
	return Input{
		Name: "d1", Mode: "Incremental", Subscription: "s1", Group: "rg1", Parameters: parameters,
		Now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC),
	}
}

func deploy(t *testing.T, h *fakeHost, src string, parameters map[string]any) (*Result, error) {
	t.Helper()
	tpl, err := Parse([]byte(src))
	if err != nil {
		return nil, err
	}
	return tpl.Deploy(context.Background(), h, input(parameters))
}

func TestDeploy(t *testing.T) {
	h := &fakeHost{}
	got, err := deploy(t, h, `{
  "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", // comment
  "contentVersion": "1.0.0.0",
  "parameters": {
    "name": {"type": "string", "defaultValue": "[concat('t-', uniqueString(resourceGroup().id))]", "minLength": 3},
    "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
    "hooks": {"type": "array", "defaultValue": ["a", "b"]},
    "secret": {"type": "securestring"}
  },
  "variables": {
    "topic": "[parameters('name')]",
    "copy": [{"name": "names", "count": "[length(parameters('hooks'))]", "input": "[format('{0}-{1:00}', parameters('hooks')[copyIndex('names')], copyIndex('names', 1))]"}]
  },
  "resources": [
    {
      "type": "Microsoft.EventGrid/topics/eventSubscriptions", "apiVersion": "2022-06-15",
      "name": "[format('{0}/{1}', variables('topic'), variables('names')[copyIndex()])]",
      "copy": {"name": "subs", "count": "[length(parameters('hooks'))]"},
      "properties": {"destination": {"endpointType": "WebHook", "properties": {"endpointUrl": "[uri('https://x.example/', parameters('hooks')[copyIndex()])]"}},
        "filter": {"copy": [{"name": "includedEventTypes", "count": 2, "input": "[concat('T', copyIndex('includedEventTypes'))]"}]}},
      "dependsOn": ["[resourceId('Microsoft.EventGrid/topics', variables('topic'))]"]
    },
    {"type": "Microsoft.EventGrid/topics", "apiVersion": "2022-06-15", "name": "[variables('topic')]", "location": "[parameters('location')]",
     "properties": {"inputSchema": "CloudEventSchemaV1_0", "note": "[[not an expression]"}},
    {"condition": false, "type": "Microsoft.EventGrid/domains", "apiVersion": "2022-06-15", "name": "never", "properties": {}}
  ],
  "outputs": {
    "endpoint": {"type": "string", "value": "[reference(variables('topic')).inputSchema]"},
    "key": {"type": "securestring", "value": "[listKeys(resourceId('Microsoft.EventGrid/topics', variables('topic')), '2022-06-15').key1]"},
    "all": {"type": "array", "copy": {"count": 2, "input": "[copyIndex()]"}}
  }
}`, map[string]any{"secret": map[string]any{"value": "hidden"}, "name": map[string]any{"value": "orders"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"orders", "a-01", "b-02"}, h.order); diff != "" {
		t.Error("order:", diff)
	}
	if diff := cmp.Diff(map[string]Value{
		"endpoint": {"String", "CloudEventSchemaV1_0"}, "key": {Type: "SecureString"}, "all": {"Array", []any{int64(0), int64(1)}},
	}, got.Outputs); diff != "" {
		t.Error("outputs:", diff)
	}
	if v := got.Parameters["secret"]; v.Value != nil {
		t.Errorf("the secret parameter is shown: %v", v)
	}
	sub := h.made["/subscriptions/s1/resourcegroups/rg1/providers/microsoft.eventgrid/topics/orders/eventsubscriptions/b-02"]
	want := map[string]any{
		"destination": map[string]any{"endpointType": "WebHook", "properties": map[string]any{"endpointUrl": "https://x.example/b"}},
		"filter":      map[string]any{"includedEventTypes": []any{"T0", "T1"}},
	}
	if diff := cmp.Diff(want, sub["properties"]); diff != "" {
		t.Error("subscription:", diff)
	}
	topic := h.made["/subscriptions/s1/resourcegroups/rg1/providers/microsoft.eventgrid/topics/orders"]
	if p, _ := topic["properties"].(map[string]any); p["note"] != "[not an expression]" {
		t.Errorf("note: %v", p["note"])
	}
}

func TestErrorsNameTheResourceAndTheLine(t *testing.T) {
	head := "{\n\"resources\": [\n"
	for name, tt := range map[string]struct{ src, want string }{
		"syntax":            {"{\n\n \"a\" 1}", "line 3: The template is not valid JSON: ':' is missing behind the property name 'a'."},
		"section":           {`{"resource": []}`, "resource: A template has no section 'resource'; it has parameters, variables, functions, resources and outputs."},
		"no name":           {head + `{"type": "A.B/c", "apiVersion": "1"}]}`, "resources[0] (line 3): The resource has no name."},
		"unknown function":  {head + `{"type": "A.B/c", "apiVersion": "1", "name": "x",` + "\n\"properties\": {\"y\": [1, \"[nope()]\"]}}]}", "resources[0].properties.y[1] (line 4): There is no template function 'nope'."},
		"unknown parameter": {head + `{"type": "A.B/c", "apiVersion": "1", "name": "[parameters('p')]"}]}`, "resources[0].name (line 3): The template has no parameter 'p'."},
		"depends":           {head + `{"type": "A.B/c", "apiVersion": "1", "name": "x", "dependsOn": ["gone"]}]}`, "resources[0].dependsOn[0] (line 3): There is no resource 'gone' in the template."},
		"circle":            {head + `{"type": "A.B/c", "apiVersion": "1", "name": "x", "dependsOn": ["y"]},` + "\n" + `{"type": "A.B/c", "apiVersion": "1", "name": "y", "dependsOn": ["x"]}]}`, "resources[0] (line 3): The resources depend on each other in a circle: /subscriptions/s1/resourceGroups/rg1/providers/A.B/c/x → /subscriptions/s1/resourceGroups/rg1/providers/A.B/c/y → /subscriptions/s1/resourceGroups/rg1/providers/A.B/c/x."},
		"refused":           {head + `{"type": "A.B/c", "apiVersion": "1", "name": "bad"}]}`, "resources[0] (line 3): The resource '/subscriptions/s1/resourceGroups/rg1/providers/A.B/c/bad' could not be deployed: refused by the host"},
		"segments":          {head + `{"type": "A.B/c/d", "apiVersion": "1", "name": "x"}]}`, "resources[0] (line 3): The type 'A.B/c/d' has 2 segments behind its namespace, so the name must have as many; 'x' has 1."},
		"variable":          {`{"variables": {"a": "[variables('b')]", "b": "[variables('a')]"}, "resources": [], "outputs": {"o": {"type": "string", "value": "[variables('a')]"}}}`, "variables.b: The variable 'a' depends on itself."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := deploy(t, &fakeHost{refuses: "bad"}, tt.src, nil)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestFunctions(t *testing.T) {
	for expr, want := range map[string]any{
		"[concat('a', 1, true)]":                                    "a1True",
		"[concat(createArray(1), createArray('x'))]":                []any{int64(1), "x"},
		"[format('{0:000}/{1}{{}}', 7, 'x')]":                       "007/x{}",
		"[format('{0,6}|{0,-6:000}|{1, 3}|{1,-3}|{1,1}', 7, 'ä😀')]": "     7|007   |ä😀|ä😀|ä😀",
		"[format('{1,5}|{1,-5}|{0,4:X2}', 10, 'ab')]":               "   ab|ab   |  0A",
		"[toLower('ÄB')]":                                           "äb",
		"[split('a;b,c', createArray(';', ','))]":                   []any{"a", "b", "c"},
		"[substring('abcdef', 2, 3)]":                               "cde",
		"[padLeft(7, 3, '0')]":                                      "007",
		"[if(equals(1, 1), 'yes', nope())]":                         "yes",
		"[and(true(), false(), nope())]":                            false,
		"[or(false(), true)]":                                       true,
		"[coalesce(null(), null, 'x')]":                             "x",
		"[union(createObject('a', createObject('b', 1)), createObject('A', createObject('c', 2)))]":   map[string]any{"a": map[string]any{"b": int64(1), "c": int64(2)}},
		"[intersection(createArray(1, 2, 3), createArray(3, 2))]":                                     []any{int64(2), int64(3)},
		"[map(range(0, 3), lambda('i', mul(lambdaVariables('i'), 2)))]":                               []any{int64(0), int64(2), int64(4)},
		"[filter(createArray('a', 'b'), lambda('x', not(equals(lambdaVariables('x'), 'a'))))]":        []any{"b"},
		"[reduce(range(1, 4), 0, lambda('s', 'x', add(lambdaVariables('s'), lambdaVariables('x'))))]": int64(10),
		"[toObject(createArray('a'), lambda('x', lambdaVariables('x')), lambda('x', 1))]":             map[string]any{"a": int64(1)},
		"[guid('a', 'b')]":                 "2d796349-8c7e-55ec-9624-54ece82ed031",
		"[json('{\"a\": [1, 2.5]}').A[0]]": int64(1),
		"[createObject('a', 1).?b]":        nil,
		"[dateTimeAdd('2026-03-01T08:00:00Z', 'P1DT2H', 'yyyy-MM-dd HH')]":        "2026-03-02 10",
		"[resourceId('rg2', 'Microsoft.EventGrid/topics', 'x')]":                  "/subscriptions/s1/resourceGroups/rg2/providers/Microsoft.EventGrid/topics/x",
		"[resourceId('Microsoft.EventGrid/topics/eventSubscriptions', 'x', 'y')]": "/subscriptions/s1/resourceGroups/rg1/providers/Microsoft.EventGrid/topics/x/eventSubscriptions/y",
		"[extensionResourceId('/subscriptions/s1', 'A.B/c', 'd')]":                "/subscriptions/s1/providers/A.B/c/d",
		"[my.double(21)]":  int64(42),
		"[last('abc')]":    "c",
		"[utcNow('yyyy')]": "2026",
		"[contains(createObject('One', 1), 'one')]":      true,
		"[split('abc', '')]":                             []any{"abc"},
		"[join(createArray('a', 1), '-')]":               "a-1",
		"[managementGroupResourceId('m', 'A.B/c', 'd')]": "/providers/Microsoft.Management/managementGroups/m/providers/A.B/c/d",
	} {
		src := fmt.Sprintf(`{"functions": [{"namespace": "my", "members": {"double": {"parameters": [{"name": "n", "type": "int"}], "output": {"type": "int", "value": "[mul(parameters('n'), 2)]"}}}}],
			"resources": [], "outputs": {"o": {"value": %q}}}`, expr)
		got, err := deploy(t, &fakeHost{}, src, nil)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if diff := cmp.Diff(want, got.Outputs["o"].Value); diff != "" {
			t.Errorf("%s: %s", expr, diff)
		}
	}
}

// Full is the resource with where it is and how it was referred to, by name, by
// id and in a loop.
func TestReferenceFull(t *testing.T) {
	group := "/subscriptions/s1/resourceGroups/rg1"
	h := &fakeHost{made: map[string]map[string]any{
		strings.ToLower("/subscriptions/s2/resourceGroups/rg2/providers/A.B/c/there/d/e"): {"kind": "old", "properties": map[string]any{"n": int64(1)}},
		strings.ToLower("/subscriptions/s2/resourceGroups/rg2"):                           {"location": "here"},
	}}
	got, err := deploy(t, h, `{"resources": [
	  {"type": "A.B/c", "apiVersion": "7", "name": "[concat('x', copyIndex())]", "location": "west", "copy": {"name": "all", "count": 1}}],
	 "outputs": {
	  "made": {"type": "object", "value": "[reference('x0', '8', 'Full')]"},
	  "loop": {"type": "array", "value": "[references('all', 'Full')]"},
	  "there": {"type": "object", "value": "[reference('/subscriptions/s2/resourceGroups/rg2/providers/A.B/c/there/d/e', '9', 'full')]"},
	  "group": {"type": "object", "value": "[reference('/subscriptions/s2/resourceGroups/rg2', '2021-04-01', 'Full')]"}}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	full := func(version, sub, group, id string, made bool) map[string]any {
		operation := map[bool]string{true: "Create", false: "Read"}[made]
		return map[string]any{
			"apiVersion": version, "referenceApiVersion": version, "subscriptionId": sub, "resourceGroupName": group, "resourceId": id,
			"condition": true, "isConditionTrue": true, "isTemplateResource": made, "isAction": false, "provisioningOperation": operation,
		}
	}
	for name, want := range map[string]map[string]any{
		"made":  full("8", "s1", "rg1", "A.B/c/x0", true),
		"loop":  full("7", "s1", "rg1", "A.B/c/x0", true),
		"there": full("9", "s2", "rg2", "A.B/c/there/d/e", false),
		"group": full("2021-04-01", "s2", "rg2", "/subscriptions/s2/resourceGroups/rg2", false),
	} {
		state, ok := got.Outputs[name].Value.(map[string]any)
		if loop, is := got.Outputs[name].Value.([]any); is {
			state, ok = loop[0].(map[string]any)
		}
		if !ok {
			t.Fatalf("%s is %v", name, got.Outputs[name].Value)
		}
		own := map[string]string{"made": "location", "loop": "location", "there": "properties", "group": "location"}[name]
		if _, ok := state[own]; !ok {
			t.Errorf("%s lost its own %s: %v", name, own, state)
		}
		for member := range want {
			if diff := cmp.Diff(want[member], state[member]); diff != "" {
				t.Errorf("%s.%s: %s", name, member, diff)
			}
		}
	}
	if len(h.made) != 3 || h.made[strings.ToLower(group+"/providers/A.B/c/x0")]["resourceId"] != nil {
		t.Errorf("the host's own state was changed: %v", h.made)
	}
}

func TestNestedDeployments(t *testing.T) {
	h := &fakeHost{}
	got, err := deploy(t, h, `{"parameters": {"p": {"type": "string", "defaultValue": "outer"}}, "resources": [
	  {"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "inner", "resourceGroup": "rg2", "properties": {"mode": "Incremental",
	    "expressionEvaluationOptions": {"scope": "inner"}, "parameters": {"p": {"value": "[concat(parameters('p'), '-in')]"}},
	    "template": {"parameters": {"p": {"type": "string"}}, "resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[parameters('p')]"}],
	      "outputs": {"group": {"type": "string", "value": "[resourceGroup().name]"}}}}},
	  {"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "shared", "properties": {"mode": "Incremental",
	    "template": {"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[parameters('p')]"}]}}}],
	  "outputs": {"group": {"type": "string", "value": "[reference('inner').outputs.group.value]"}}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"outer-in", "outer"}, h.order); diff != "" {
		t.Error(diff)
	}
	if got.Outputs["group"].Value != "rg2" {
		t.Errorf("output: %v", got.Outputs)
	}
	if diff := cmp.Diff([]string{"inner begins", "inner ends true", "shared begins", "shared ends true"}, h.nested); diff != "" {
		t.Error(diff)
	}
}

func TestAPreviewGoesOnWithWhatItCannotKnow(t *testing.T) {
	h := &fakeHost{preview: true}
	got, err := deploy(t, h, `{"resources": {"t": {"type": "A.B/c", "apiVersion": "1", "name": "x"},
	  "u": {"type": "A.B/c", "apiVersion": "1", "name": "y", "properties": {"of": "[concat('a', reference('t').key)]"}}}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.made) > 0 || len(got.Planned) != 2 || len(h.bodies) != 2 {
		t.Fatalf("made %v, planned %v", h.made, got.Planned)
	}
	if !Known(h.bodies[0]) || Known(h.bodies[1]) {
		t.Errorf("bodies: %v", h.bodies)
	}
}

func TestGrowthIsBounded(t *testing.T) {
	for name, src := range map[string]string{
		"text":   `"[reduce(range(0, 60), 'ab', lambda('s', 'x', concat(lambdaVariables('s'), lambdaVariables('s'))))]"`,
		"arrays": `"[reduce(range(0, 60), 'ab', lambda('s', 'x', createArray(lambdaVariables('s'), lambdaVariables('s'))))]"`,
		"loops":  `{"copy": [{"name": "a", "count": 800, "input": {"copy": [{"name": "b", "count": 800, "input": {"copy": [{"name": "c", "count": 800, "input": 1}]}}]}}]}`,
	} {
		_, err := deploy(t, &fakeHost{}, `{"resources": [], "outputs": {"o": {"value": `+src+`}}}`, nil)
		if err == nil || !strings.Contains(err.Error(), "steps to evaluate") && !strings.Contains(err.Error(), "while it is evaluated") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzDeploy(f *testing.F) {
	f.Add(`{"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[concat('a', copyIndex())]", "copy": {"name": "l", "count": 2}}]}`)
	f.Add(`{"variables": {"a": "[if(true(), json('1'), 2)]"}, "resources": [], "outputs": {"o": {"value": "[variables('a').b[0].?c]"}}}`)
	f.Fuzz(func(t *testing.T, src string) {
		tpl, err := Parse([]byte(src))
		if err != nil {
			return
		}
		_, _ = tpl.Deploy(context.Background(), &fakeHost{}, input(nil)) // must end, without a panic
	})
}

func TestOneFailureDoesNotKeepTheOthersFromBeingMade(t *testing.T) {
	h := &fakeHost{refuses: "bad"}
	_, err := deploy(t, h, `{
"resources": [
  {"type": "A.B/c", "apiVersion": "1", "name": "bad1"},
  {"type": "A.B/c", "apiVersion": "1", "name": "after", "dependsOn": ["bad1"]},
  {"type": "A.B/c", "apiVersion": "1", "name": "later", "dependsOn": ["after"]},
  {"type": "A.B/c", "apiVersion": "1", "name": "good"},
  {"type": "A.B/c", "apiVersion": "1", "name": "bad2"}]}`, nil)
	var places []string
	for _, e := range ErrorsOf(err) {
		places = append(places, fmt.Sprint(e.Path, " ", e.Line, " ", e.Resource[strings.LastIndexByte(e.Resource, '/')+1:]))
	}
	if diff := cmp.Diff([]string{"resources[0] 3 bad1", "resources[4] 7 bad2"}, places); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"good"}, h.order); diff != "" {
		t.Error(diff)
	}
}

func TestCanceledBetweenResources(t *testing.T) {
	h := &fakeHost{}
	h.canceled = func() bool { return len(h.made) == 1 }
	_, err := deploy(t, h, `{"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "x"}, {"type": "A.B/c", "apiVersion": "1", "name": "y"}]}`, nil)
	if !errors.Is(err, ErrCanceled) || len(h.made) != 1 {
		t.Errorf("got %v, made %v", err, h.made)
	}
}

func TestReadRequest(t *testing.T) {
	az := "{\"location\": \"westeurope\", \"properties\": {\"mode\": \"complete\", \"parameters\": {\"p\": {\"value\": \"[not evaluated]\"}}, template:{ // as the file is\r\n  \"parameters\": {\"p\": {\"type\": \"string\"}},\n  \"resources\": [{\"type\": \"A.B/c\"}]\n}}}"
	_, err := ReadRequest([]byte(az))
	if err == nil || err.Error() != "resources[0] (line 3): The resource has no name." {
		t.Errorf("got %v", err)
	}
	r, err := ReadRequest([]byte(strings.Replace(az, `{"type": "A.B/c"}`, "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"p": map[string]any{"value": "[not evaluated]"}}, r.Parameters); diff != "" || r.Mode != Complete || r.Location != "westeurope" {
		t.Errorf("%+v %s", r, diff)
	}
	if got := string(r.Template.JSON()); got != `{"parameters":{"p":{"type":"string"}},"resources":[]}` {
		t.Errorf("JSON: %s", got)
	}
	spaced, err := Parse([]byte(`{ "parameters": {"p": {"type": "string"}}, /* x */ "resources": [] }`))
	if err != nil || spaced.Hash() != r.Template.Hash() || spaced.Hash() == "" {
		t.Errorf("hash %s, %s, %v", spaced.Hash(), r.Template.Hash(), err)
	}
}

func TestSecretsAreNeitherShownNorTold(t *testing.T) {
	got, err := deploy(t, &fakeHost{}, `{"languageVersion": "2.0", "definitions": {"key": {"type": "securestring"}},
	  "parameters": {"s": {"type": "securestring", "allowedValues": ["x"]}}, "resources": []}`, map[string]any{"s": map[string]any{"value": "hunter22"}})
	if err == nil || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(got.Redact("said hunter22 twice"), "said (secure value) twice") {
		t.Errorf("secrets: %v", got.Secrets)
	}
	got, err = deploy(t, &fakeHost{}, `{"definitions": {"key": {"type": "securestring"}}, "parameters": {"s": {"$ref": "#/definitions/key"}}, "resources": [],
	  "outputs": {"o": {"$ref": "#/definitions/key", "value": "[parameters('s')]"}}}`, map[string]any{"s": map[string]any{"value": "hunter22"}})
	if err != nil || got.Parameters["s"] != (Value{Type: "SecureString"}) || got.Outputs["o"] != (Value{Type: "SecureString"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSizesAreBounded(t *testing.T) {
	big := `parameters('big')`
	for name, expr := range map[string]string{
		"replace": `[length(replace(` + big + `, 'a', ` + big + `))]`,
		"join":    `[length(join(map(range(0, 100), lambda('i', ` + big + `)), ''))]`,
		"copies":  `[copyIndex()]`,
	} {
		resources := `[]`
		if name == "copies" {
			resources = `[{"type": "A.B/c", "apiVersion": "1", "name": "[format('a{0}', copyIndex())]", "copy": {"name": "x", "count": 500}},
			  {"type": "A.B/d", "apiVersion": "1", "name": "[format('b{0}', copyIndex())]", "copy": {"name": "y", "count": 500}}]`
			expr = ""
		}
		_, err := deploy(t, &fakeHost{}, `{"parameters": {"big": {"type": "string"}}, "resources": `+resources+`, "outputs": {"o": {"type": "int", "value": "`+expr+`"}}}`,
			map[string]any{"big": map[string]any{"value": strings.Repeat("a", 1<<20)}})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWaysToNameAResource(t *testing.T) {
	const topic = `"type": "A.B/topics", "apiVersion": "1", "name": "t1"`
	for name, src := range map[string]string{
		"relative scope":  `[{"type": "A.B/subs", "apiVersion": "1", "name": "s1", "scope": "A.B/topics/t1"}, {` + topic + `}]`,
		"old child form":  `[{"type": "A.B/topics/providers/subs", "apiVersion": "1", "name": "t1/A.B/s1"}, {` + topic + `}]`,
		"nested child":    `[{` + topic + `, "resources": [{"type": "subs", "apiVersion": "1", "name": "s1"}]}]`,
		"symbols":         `{"s": {"type": "A.B/topics/subs", "apiVersion": "1", "name": "t1/s1", "dependsOn": ["t"]}, "t": {` + topic + `}}`,
		"type and name":   `[{"type": "C.D/subs", "apiVersion": "1", "name": "s1", "dependsOn": ["A.B/topics/t1"]}, {` + topic + `}]`,
		"through an expr": `[{"type": "C.D/subs", "apiVersion": "1", "name": "s1", "p": "[reference(resourceId('A.B/topics', 't1')).x]"}, {` + topic + `, "properties": {"x": 1}}]`,
		"a loop by name":  `[{"type": "C.D/subs", "apiVersion": "1", "name": "s1", "dependsOn": ["all"]}, {"type": "A.B/topics", "apiVersion": "1", "name": "[format('t{0}', copyIndex(1))]", "copy": {"name": "all", "count": 1}}]`,
		"a group's id":    `[{"type": "C.D/subs", "apiVersion": "1", "name": "s1", "dependsOn": ["[subscriptionResourceId('Microsoft.Resources/resourceGroups', 't1')]"]}, {"type": "Microsoft.Resources/resourceGroups", "apiVersion": "1", "name": "t1", "location": "x"}]`,
		"other group":     `[{"type": "C.D/subs", "apiVersion": "1", "name": "s1", "dependsOn": ["[resourceId('rg9', 'A.B/topics', 't1')]"]}, {` + topic + `, "resourceGroup": "rg9"}]`,
	} {
		h := &fakeHost{}
		if _, err := deploy(t, h, `{"resources": `+src+`}`, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]string{"t1", "s1"}, h.order); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(`{"properties": {template:{"resources": []}, "mode": "Complete", "parameters": {"a": {"value": [1, null, {"b": 1.5e3}]}}}}`)
	f.Add(`{"properties": {"template": "{\"resources\": {}}"}, "tags": {"a": "b"}}`)
	f.Fuzz(func(t *testing.T, src string) {
		r, err := ReadRequest([]byte(src))
		if err != nil {
			return
		}
		again, err := Parse(r.Template.JSON())
		if err != nil {
			t.Fatalf("%s: %v", r.Template.JSON(), err)
		}
		if again.Hash() != r.Template.Hash() {
			t.Errorf("%s and %s", again.JSON(), r.Template.JSON())
		}
	})
}
