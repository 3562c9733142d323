package eventgrid

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

func static(name, value string, secret bool) string {
	return fmt.Sprintf(`{"name":%q,"type":"Static","properties":{"value":%q,"isSecret":%v}}`, name, value, secret)
}

func dynamic(name, field string) string {
	return fmt.Sprintf(`{"name":%q,"type":"Dynamic","properties":{"sourceField":%q}}`, name, field)
}

// hookWith is the body of an event subscription with attributes, and maybe more
// members of the destination.
func hookWith(more string, attributes ...string) string {
	return `{"properties":` + destinationWith(more, attributes...) + `}`
}

func destinationWith(more string, attributes ...string) string {
	return `{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://x.example/h"` + more +
		`,"deliveryAttributeMappings":[` + strings.Join(attributes, ",") + `]}}}`
}

const entra = `,"azureActiveDirectoryTenantId":"44444444-aaaa-4bbb-8ccc-000000000004","azureActiveDirectoryApplicationIdOrUri":"api://erp"`

func TestAttributeRefusals(t *testing.T) {
	const is = "Invalid event subscription request: "
	many := make([]string, 11)
	for i := range many {
		many[i] = static(fmt.Sprintf("x-%d", i), "v", false)
	}
	long := strings.Repeat("ä", 2049)
	for name, c := range map[string]struct {
		body string
		text string
	}{
		"eleven":              {hookWith("", many...), is + "deliveryAttributeMappings holds 11 attributes; at most 10 are allowed."},
		"no name":             {hookWith("", static("", "v", false)), is + "the delivery attribute '' has a name that is none of an HTTP header"},
		"a name with a blank": {hookWith("", static("x y", "v", false)), is + "the delivery attribute 'x y' has a name"},
		"a name with a colon": {hookWith("", dynamic("x:y", "subject")), is + "the delivery attribute 'x:y' has a name"},
		"a name with a break": {hookWith("", static("x\ny", "v", false)), "none of an HTTP header"},
		"a long name":         {hookWith("", static(strings.Repeat("x", 4097), "v", false)), "has 4097 bytes"},
		"twice":               {hookWith("", static("X-A", "1", false), dynamic("x-a", "subject")), is + "the delivery attribute 'x-a' is there twice."},
		"aeg":                 {hookWith("", static("AEG-Mine", "1", false)), is + "the delivery attribute 'AEG-Mine' begins with 'aeg-', which is reserved."},
		"no value":            {hookWith("", `{"name":"x","type":"Static","properties":{"value":null}}`), is + "the static delivery attribute 'x' needs a value."},
		"empty value":         {hookWith("", static("x", "", false)), is + "the static delivery attribute 'x' needs a value."},
		"no secret value":     {hookWith("", `{"name":"x","type":"Static","properties":{"isSecret":true}}`), is + "the static delivery attribute 'x' needs a value."},
		"a hidden new one":    {hookWith("", static("x", "Hidden", true)), is + "the static delivery attribute 'x' needs a value."},
		"a long value":        {hookWith("", static("x", long, false)), is + "the value of the delivery attribute 'x' has 4098 bytes; at most 4096 are allowed."},
		"a long secret":       {hookWith("", static("x", long, true)), "has 4098 bytes"},
		"a break in a value":  {hookWith("", static("x", "a\r\nHost: b", true)), is + "the value of the delivery attribute 'x' holds a control character, which no header can."},
		"no type":             {hookWith("", `{"name":"x","properties":{"value":"v"}}`), is + "the delivery attribute 'x' needs a type: Static or Dynamic."},
		"type of nobody":      {hookWith("", `{"name":"x","type":"Magic"}`), "'Magic' is not one of the allowed values: Static, Dynamic."},
		"no field":            {hookWith("", `{"name":"x","type":"Dynamic","properties":{"value":"v"}}`), is + "the dynamic delivery attribute 'x' needs a sourceField, such as data.system."},
		"no path":             {hookWith("", dynamic("x", "data..a")), is + "the sourceField 'data..a' of the delivery attribute 'x' is no path into an event, such as data.system."},
		"authorization twice": {hookWith(entra, static("Authorization", "Basic x", true)), is + "the delivery attribute 'Authorization' is taken: azureActiveDirectoryApplicationIdOrUri makes the service send a token there."},
		"value of a number":   {hookWith("", `{"name":"x","type":"Static","properties":{"value":5}}`), "Property 'deliveryAttributeMappings.properties.value' is a JSON number; a string is expected."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withChannel()
			code := resource.InvalidRequest
			if strings.HasPrefix(c.text, "Property") {
				code = resource.InvalidRequestContent
			}
			w.wantError(w.put(subscriptionID, c.body), code, c.text)
			if len(w.hooks.asked) > 0 {
				t.Error("the endpoint was bothered")
			}
		})
	}
	w := newWorld(t).withChannel()
	for _, name := range []string{
		"Host", "content-length", "Content-Type", "Transfer-Encoding", "connection", "Origin", "WebHook-Request-Origin", "Accept-Encoding", "TE", "Upgrade", "Proxy-Authorization",
	} {
		w.wantError(w.put(subscriptionID, hookWith("", static(name, "v", false))), resource.InvalidRequest, is+"the delivery attribute '"+name+"' is a header that the service sets itself.")
	}
	w.must(w.put(subscriptionID, hookWith("", static("Authorization", "Basic x", true), static("Accept", "*/*", false), dynamic("x-a", "data.a"))))
}

// A path may be written as JSONPath; it is shown as it was sent.
func TestDynamicAttributesAsJSONPath(t *testing.T) {
	w := newWorld(t).withChannel()
	for sent, want := range map[string]string{"$.data.system": "data.system", "$.subject": "subject", "data.system": "data.system", "data.$.a": "data.$.a"} {
		w.must(w.put(subscriptionID, hookWith("", dynamic("x-a", sent))))
		w.wantAttributes([]Attribute{{Name: "x-a", Type: DynamicAttribute, SourceField: sent}})
		if got := (&Attribute{SourceField: sent}).Field(); got != want {
			t.Errorf("%s is the field %q, want %q", sent, got, want)
		}
	}
	for _, sent := range []string{"$.", "$.data..a"} {
		w.wantError(w.put(subscriptionID, hookWith("", dynamic("x-a", sent))), resource.InvalidRequest, "is no path into an event")
	}
}

func TestAttributesAreStoredAndHidden(t *testing.T) {
	w := newWorld(t).withChannel()
	limit := strings.Repeat("v", 4096)
	all := []string{static("X-Key", "s3cr3t", true), static("x-plain", limit, false), dynamic("x-type", "type")}
	w.must(w.put(subscriptionID, hookWith("", all...)))
	shown := w.show(subscriptionID, resource.ID{})
	wantShown := `"deliveryAttributeMappings":[{"name":"X-Key","type":"Static","properties":{"value":"Hidden","isSecret":true}},` +
		`{"name":"x-plain","type":"Static","properties":{"value":"` + limit + `","isSecret":false}},{"name":"x-type","type":"Dynamic","properties":{"sourceField":"type"}}]`
	if !strings.Contains(shown, wantShown) || strings.Contains(string(w.get(subscriptionID).Properties), "s3cr3t") {
		t.Errorf("shown: %s", shown)
	}
	want := []Attribute{{Name: "X-Key", Type: StaticAttribute, Value: "s3cr3t", Secret: true}, {Name: "x-plain", Type: StaticAttribute, Value: limit}, {Name: "x-type", Type: DynamicAttribute, SourceField: "type"}}
	w.wantAttributes(want)
	answer, err := w.ask(subscriptionID, "getdeliveryattributes", "")
	data, jsonErr := json.Marshal(answer)
	if err != nil || jsonErr != nil || string(data) != `{"value":[`+strings.Join(all, ",")+`]}` {
		t.Errorf("getDeliveryAttributes: %s, %v, %v", data, err, jsonErr)
	}

	// What a client that read them sends back keeps the secret, in any casing of
	// the name; so does one that leaves the value out.
	for _, keeps := range []string{static("x-KEY", "Hidden", true), `{"name":"x-KEY","type":"static","properties":{"value":null,"isSecret":true}}`, `{"name":"x-KEY","type":"Static","properties":{"isSecret":true}}`} {
		w.must(w.patch(subscriptionID, destinationWith("", keeps)))
		w.wantAttributes([]Attribute{{Name: "x-KEY", Type: StaticAttribute, Value: "s3cr3t", Secret: true}})
		w.must(w.put(subscriptionID, hookWith("", keeps)))
		w.wantAttributes([]Attribute{{Name: "x-KEY", Type: StaticAttribute, Value: "s3cr3t", Secret: true}})
	}
	w.must(w.patch(subscriptionID, `{"labels":["a"]}`))
	w.wantAttributes([]Attribute{{Name: "x-KEY", Type: StaticAttribute, Value: "s3cr3t", Secret: true}})

	// Made public, the word Hidden is a value like any other: it must not bring the
	// secret to light.
	w.must(w.patch(subscriptionID, destinationWith("", static("x-key", "Hidden", false))))
	w.wantAttributes([]Attribute{{Name: "x-key", Type: StaticAttribute, Value: "Hidden"}})
	for name := range w.get(subscriptionID).Secrets {
		if strings.HasPrefix(name, secretAttribute) {
			t.Errorf("%s is left", name)
		}
	}
	w.wantError(w.patch(subscriptionID, destinationWith("", static("x-key", "Hidden", true))), resource.InvalidRequest, "needs a value")
	w.must(w.patch(subscriptionID, `{"destination":{"endpointType":"WebHook","properties":{}}}`))
	w.wantAttributes([]Attribute{})
}

func (w *world) wantAttributes(want []Attribute) {
	w.t.Helper()
	got, err := DeliveryAttributes(w.get(subscriptionID))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		w.t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestEntraIsHandedToTheHandshake(t *testing.T) {
	w := newWorld(t).withChannel()
	w.must(w.put(subscriptionID, hookWith(entra)))
	asked := w.hooks.asked[0]
	if asked.TenantID != "44444444-aaaa-4bbb-8ccc-000000000004" || asked.ApplicationID != "api://erp" {
		t.Errorf("asked with %+v", asked)
	}
	if shown := w.show(subscriptionID, resource.ID{}); !strings.Contains(shown, entra[1:]) {
		t.Errorf("shown: %s", shown)
	}
}

// Whatever an attribute mapping is, it is refused in words, or what is stored
// obeys the rules, shows no secret and can be sent back.
func FuzzAttributes(f *testing.F) {
	for _, seed := range []string{static("x", "v", true), dynamic("x", "data.a"), `{}`, `null`, `{"name":"aeg-x"}`, `{"name":"x","type":"static","properties":{"value":"Hidden","isSecret":true}}`, `[]`, `5`} {
		f.Add(seed, false)
		f.Add(seed+","+seed, true)
	}
	f.Fuzz(func(t *testing.T, mappings string, withEntra bool) {
		more := ""
		if withEntra {
			more = entra
		}
		body := `{"endpointType":"WebHook","properties":{"endpointUrl":"https://x.example/h"` + more + `,"deliveryAttributeMappings":[` + mappings + `]}}`
		var d Destination
		if !json.Valid([]byte(body)) || json.Unmarshal([]byte(body), &d) != nil {
			return
		}
		res := &resource.Resource{}
		write := &destinationWrite{Write: &resource.Write{}, rules: &Rules{Webhooks: &fakeWebhooks{}, Audiences: &Audiences{Listed: map[string][]string{"api://erp": {"*"}}}}, es: res}
		hook, ok := d.Properties.(*WebHookDestination)
		if !ok {
			return
		}
		if err := hook.check(write); err != nil {
			if e, ok := err.(*resource.Error); !ok || e.Code != resource.InvalidRequest { //nolint:errorlint // it must be one as it is
				t.Fatalf("%s: %v", body, err)
			}
			return
		}
		if err := resource.Encode(res, &EventSubscription{Schema: CloudEventSchema, Destination: &d}); err != nil {
			t.Fatal(err)
		}
		all, err := DeliveryAttributes(res)
		if err != nil || len(all) > maxAttributes {
			t.Fatalf("%d attributes, %v", len(all), err)
		}
		for i, a := range all {
			name := strings.ToLower(a.Name)
			if strings.HasPrefix(name, "aeg-") || slices.Contains(reservedHeaders, name) || withEntra && name == "authorization" {
				t.Fatalf("reserved: %q", a.Name)
			}
			if len(a.Value) > maxAttributeLength || strings.ContainsAny(a.Name+a.Value, "\r\n\x00") || a.Type == StaticAttribute && a.Value == "" {
				t.Fatalf("attribute %+v", a)
			}
			if a.Secret && hook.Attributes[i].Value != hiddenValue {
				t.Fatalf("stored in clear: %+v", hook.Attributes[i])
			}
		}
		again := *hook
		again.Attributes = slices.Clone(hook.Attributes)
		if err := again.check(write); err != nil {
			t.Fatalf("sent back: %v", err)
		}
		if diff := cmp.Diff(hook.Attributes, again.Attributes); diff != "" {
			t.Fatal(diff)
		}
	})
}
