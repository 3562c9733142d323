package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
	"github.com/google/go-cmp/cmp"
)

const (
	gridInput   = armeventgrid.InputSchemaEventGridSchema
	cloudInput  = armeventgrid.InputSchemaCloudEventSchemaV10
	customInput = armeventgrid.InputSchemaCustomEventSchema
	asGrid      = armeventgrid.EventDeliverySchemaEventGridSchema
	asCloud     = armeventgrid.EventDeliverySchemaCloudEventSchemaV10
	asCustom    = armeventgrid.EventDeliverySchemaCustomInputSchema
)

// jsJob is one call of send in publish.js.
type jsJob struct {
	Endpoint   string `json:"endpoint"`
	Schema     string `json:"schema"`
	Credential string `json:"credential"`
	Key        string `json:"key,omitempty"`
	Tenant     string `json:"tenant,omitempty"`
	Client     string `json:"client,omitempty"`
	Secret     string `json:"secret,omitempty"`
	Authority  string `json:"authority,omitempty"`
	Channel    string `json:"channel,omitempty"`
	Events     []any  `json:"events"`
}

// jsTarget is something to publish to with Microsoft's JavaScript SDK.
type jsTarget struct {
	name, schema string
	at           *source
	channel      string
	// event makes an event with an id.
	event func(id string) any
}

func jsGridEvent(topic string) func(string) any {
	return func(id string) any {
		e := map[string]any{
			"id": id, "subject": "orders/" + id, "eventType": "Shop.Order.Placed", "eventTime": "2026-03-01T08:00:00.000Z",
			"dataVersion": "1", "data": map[string]any{"id": id, "text": "Grüße 🐙"},
		}
		if topic != "" {
			e["topic"] = topic
		}
		return e
	}
}

func jsCloudEvent(source string) func(string) any {
	return func(id string) any {
		return map[string]any{"id": id, "source": source, "type": "Shop.Order.Placed", "subject": "orders/" + id, "data": map[string]any{"id": id, "text": "Grüße 🐙"}}
	}
}

func jsCustomEvent(id string) any {
	return map[string]any{"ref": id, "what": "Shop.Order.Placed", "where": "orders/" + id, "when": "2026-03-01T08:00:00.000Z", "tenant": "tenant-a", "total": 12.5}
}

// TestJavaScript publishes with Microsoft's SDK for JavaScript in its three ways
// to authenticate, to everything that takes events; a receiver that deserializes
// with the same SDK gets them in every delivery schema.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	modules(t)
	s := serve(t)
	r := receiveInJS(t, s)
	partner, d := pair(t, s)
	if err := partner.putChannel(t, d, "orders"); err != nil {
		t.Fatal(err)
	}
	d.activate(t, "orders")
	p := publisherOf(t, partner, "orders")
	targets := []jsTarget{
		{"grid", "EventGrid", d.openTopic(t, "grid-in", gridInput), "", jsGridEvent("")},
		{"cloud", "CloudEvent", d.openTopic(t, "cloud-in", cloudInput), "", jsCloudEvent("/shop")},
		{"custom", "Custom", d.openTopic(t, "custom-in", customInput), "", jsCustomEvent},
		{"griddomain", "EventGrid", d.openDomain(t, "grid-domain", gridInput), "", jsGridEvent("tenant-a")},
		{"clouddomain", "CloudEvent", d.openDomain(t, "cloud-domain", cloudInput), "", jsCloudEvent("tenant-a")},
		{"customdomain", "Custom", d.openDomain(t, "custom-domain", customInput), "", jsCustomEvent},
		{"partner", "CloudEvent", &source{id: d.id("partnerTopics", "orders"), url: p.endpoint, key: p.key}, "orders", jsCloudEvent("/northwave")},
	}
	byName := map[string]*source{}
	for _, target := range targets {
		byName[target.name] = target.at
	}
	tenant := func(domain string) string { return byName[domain].id + "/topics/tenant-a" }
	for path, es := range map[string]struct {
		scope  string
		schema armeventgrid.EventDeliverySchema
		events int32
	}{
		"/grid/grid":             {byName["grid"].id, asGrid, 1},
		"/cloud/grid":            {byName["grid"].id, asCloud, 1},
		"/grid/grid-batch":       {byName["grid"].id, asGrid, 10},
		"/cloud/grid-batch":      {byName["grid"].id, asCloud, 10},
		"/cloud/cloud":           {byName["cloud"].id, asCloud, 1},
		"/cloud/cloud-batch":     {byName["cloud"].id, asCloud, 10},
		"/grid/custom":           {byName["custom"].id, asGrid, 1},
		"/cloud/custom":          {byName["custom"].id, asCloud, 1},
		"/raw/custom":            {byName["custom"].id, asCustom, 1},
		"/raw/custom-batch":      {byName["custom"].id, asCustom, 10},
		"/grid/griddomain":       {byName["griddomain"].id, asGrid, 1},
		"/grid/griddomain-a":     {tenant("griddomain"), asGrid, 1},
		"/cloud/griddomain-a":    {tenant("griddomain"), asCloud, 1},
		"/cloud/clouddomain":     {byName["clouddomain"].id, asCloud, 1},
		"/cloud/clouddomain-a":   {tenant("clouddomain"), asCloud, 1},
		"/grid/customdomain-a":   {tenant("customdomain"), asGrid, 1},
		"/raw/customdomain":      {byName["customdomain"].id, asCustom, 1},
		"/cloud/partner":         {byName["partner"].id, asCloud, 1},
		"/cloud/partner-batched": {byName["partner"].id, asCloud, 10},
	} {
		d.subscribeAt(t, es.scope, strings.ReplaceAll(strings.Trim(path, "/"), "/", "-"), batched(webhookAs(r.url+path, es.schema), es.events))
	}
	sender := newMember(t, s, "sender", "EventGrid Data Sender", d.subscription, "/subscriptions/"+d.subscription)
	partnerSender := newMember(t, s, "partner-sender", "EventGrid Data Sender", partner.subscription, partner.id("partnerNamespaces", namespace))

	var jobs []jsJob
	sent := map[string][]string{}
	for _, target := range targets {
		by := sender
		if target.name == "partner" {
			by = partnerSender
		}
		for _, credential := range []string{"key", "sas", "token"} {
			job := jsJob{
				Endpoint: target.at.url, Schema: target.schema, Credential: credential, Key: target.at.key, Channel: target.channel,
				Tenant: s.tenant(t), Client: by.principal.AppID, Secret: by.principal.Secret, Authority: s.url,
			}
			for i := range 12 {
				id := fmt.Sprintf("%s-%s-%d", target.name, credential, i)
				sent[target.name] = append(sent[target.name], id)
				job.Events = append(job.Events, target.event(id))
			}
			jobs = append(jobs, job)
		}
	}
	wrongKey := jobs[0]
	wrongKey.Key = byName["cloud"].key
	wrongSchema := jobs[0]
	wrongSchema.Schema, wrongSchema.Events = "CloudEvent", []any{jsCloudEvent("/shop")("never")}
	wrongRole := jobs[2]
	wrongRole.Client, wrongRole.Secret = d.principal.AppID, d.principal.Secret
	good := len(jobs)
	jobs = append(jobs, wrongKey, wrongSchema, wrongRole)
	var became []string
	runScript(t, s, "publish.js", jobs, &became)
	for i, b := range became[:good] {
		if b != "ok" {
			t.Errorf("%s by %s: %s", jobs[i].Endpoint, jobs[i].Credential, b)
		}
	}
	for i, want := range []string{"401 ", "400 ", "403 "} {
		if got := became[good+i]; !strings.HasPrefix(got, want) {
			t.Errorf("a bad publish of kind %d became %q", i, got)
		}
	}

	for path, target := range map[string]string{
		"/grid/grid": "grid", "/cloud/grid": "grid", "/grid/grid-batch": "grid", "/cloud/grid-batch": "grid",
		"/cloud/cloud": "cloud", "/cloud/cloud-batch": "cloud",
		"/grid/custom": "custom", "/cloud/custom": "custom", "/raw/custom": "custom", "/raw/custom-batch": "custom",
		"/grid/griddomain": "griddomain", "/grid/griddomain-a": "griddomain", "/cloud/griddomain-a": "griddomain",
		"/cloud/clouddomain": "clouddomain", "/cloud/clouddomain-a": "clouddomain",
		"/grid/customdomain-a": "customdomain", "/raw/customdomain": "customdomain",
		"/cloud/partner": "partner", "/cloud/partner-batched": "partner",
	} {
		by := "id"
		if strings.HasPrefix(path, "/raw/") {
			by = "ref"
		}
		want := slices.Sorted(slices.Values(sent[target]))
		cameTrue(t.Context(), 20*time.Second, func() bool { return len(r.events(path, by)) >= len(want) })
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(r.events(path, by)))); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	for _, f := range r.failures() {
		t.Errorf("the SDK cannot read what came to %s: %s\n%s", f.Path, f.Error, f.Body)
	}
	checkJSEvents(t, r, byName)
	checkJSBatches(t, r)
}

// checkJSEvents looks at one event of each way through the schemas.
func checkJSEvents(t *testing.T, r *jsReceiver, at map[string]*source) {
	t.Helper()
	data := func(id string) map[string]any { return map[string]any{"id": id, "text": "Grüße 🐙"} }
	original := func(id string) map[string]any { return jsCustomEvent(id).(map[string]any) }
	grid := func(id, topic string, data any) map[string]any {
		return map[string]any{
			"id": id, "topic": topic, "subject": "orders/" + id, "eventType": "Shop.Order.Placed", "eventTime": "2026-03-01T08:00:00.000Z",
			"dataVersion": "1", "metadataVersion": "1", "data": data,
		}
	}
	cloud := func(id, source string, data any) map[string]any {
		return map[string]any{
			"id": id, "source": source, "type": "Shop.Order.Placed", "subject": "orders/" + id,
			"time": "2026-03-01T08:00:00.000Z", "dataschema": "#1", "specversion": "1.0", "data": data,
		}
	}
	with := func(m map[string]any, key string, value any) map[string]any { m[key] = value; return m }
	without := func(m map[string]any, keys ...string) map[string]any {
		for _, k := range keys {
			delete(m, k)
		}
		return m
	}
	for _, tt := range []struct {
		path, id string
		want     map[string]any
	}{
		{"/grid/grid", "grid-key-0", grid("grid-key-0", at["grid"].id, data("grid-key-0"))},
		{"/cloud/grid", "grid-sas-1", cloud("grid-sas-1", at["grid"].id, data("grid-sas-1"))},
		{"/cloud/cloud", "cloud-token-2", without(cloud("cloud-token-2", "/shop", data("cloud-token-2")), "dataschema")},
		{"/grid/custom", "custom-key-3", with(grid("custom-key-3", at["custom"].id, original("custom-key-3")), "dataVersion", "")},
		{"/cloud/custom", "custom-key-4", with(cloud("custom-key-4", at["custom"].id, original("custom-key-4")), "dataschema", "#")},
		{"/raw/custom", "custom-key-5", original("custom-key-5")},
		{"/grid/griddomain", "griddomain-key-0", grid("griddomain-key-0", at["griddomain"].id+"/topics/tenant-a", data("griddomain-key-0"))},
		{"/grid/griddomain-a", "griddomain-key-0", grid("griddomain-key-0", at["griddomain"].id+"/topics/tenant-a", data("griddomain-key-0"))},
		{"/cloud/griddomain-a", "griddomain-key-0", cloud("griddomain-key-0", at["griddomain"].id+"/topics/tenant-a", data("griddomain-key-0"))},
		{"/cloud/clouddomain-a", "clouddomain-sas-0", without(cloud("clouddomain-sas-0", "tenant-a", data("clouddomain-sas-0")), "dataschema")},
		{"/grid/customdomain-a", "customdomain-key-0", with(grid("customdomain-key-0", at["customdomain"].id+"/topics/tenant-a", original("customdomain-key-0")), "dataVersion", "")},
		{"/raw/customdomain", "customdomain-key-1", original("customdomain-key-1")},
		{"/cloud/partner", "partner-token-0", without(cloud("partner-token-0", "/northwave", data("partner-token-0")), "dataschema")},
	} {
		by := "id"
		if strings.HasPrefix(tt.path, "/raw/") {
			by = "ref"
		}
		got := maps.Clone(r.events(tt.path, by)[tt.id])
		if strings.HasPrefix(tt.path, "/cloud/") {
			delete(got, "datacontenttype") // the publishing SDK adds it
			if tt.want["dataschema"] == nil {
				delete(got, "time") // so it does
				delete(tt.want, "time")
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.path, diff)
		}
	}
	for path, want := range map[string]string{
		"/grid/grid": "application/json; charset=utf-8", "/cloud/grid": "application/cloudevents+json; charset=utf-8",
		"/raw/custom": "application/json; charset=utf-8", "/cloud/grid-batch": "application/cloudevents-batch+json; charset=utf-8",
	} {
		if got := r.deliveries(path)[0].Headers["content-type"]; got != want {
			t.Errorf("%s: content type %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string][2]string{"/grid/grid": {"1", "1"}, "/cloud/cloud": {"", "1.0"}} {
		h := r.deliveries(path)[0].Headers
		if got := [2]string{h["aeg-data-version"], h["aeg-metadata-version"]}; got != want {
			t.Errorf("%s: data and metadata version %q, want %q", path, got, want)
		}
	}
}

// checkJSBatches: never more than asked for, and more than one where there was
// more than one.
func checkJSBatches(t *testing.T, r *jsReceiver) {
	t.Helper()
	for _, path := range []string{"/grid/grid-batch", "/cloud/grid-batch", "/cloud/cloud-batch", "/raw/custom-batch", "/cloud/partner-batched"} {
		largest := 0
		for _, d := range r.deliveries(path) {
			largest = max(largest, len(d.Events))
		}
		if largest < 2 || largest > 10 {
			t.Errorf("%s: the largest batch has %d events", path, largest)
		}
	}
	for _, path := range []string{"/grid/grid", "/cloud/cloud", "/raw/custom"} {
		for _, d := range r.deliveries(path) {
			if len(d.Events) != 1 {
				t.Errorf("%s: a request with %d events", path, len(d.Events))
			}
		}
	}
}

// TestJavaScriptManagement walks the management API with Microsoft's SDK for
// JavaScript.
func TestJavaScriptManagement(t *testing.T) {
	t.Parallel()
	modules(t)
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	// This SDK does not register the provider by itself.
	if a := d.call(t, "POST", "/subscriptions/"+d.subscription+"/providers/Microsoft.EventGrid/register", ""); a.status != 200 {
		t.Fatalf("registering: %d %s", a.status, a.body)
	}
	var seen map[string]any
	runScript(t, s, "manage.js", map[string]string{
		"authority": s.url, "tenant": s.tenant(t), "client": d.principal.AppID, "secret": d.principal.Secret,
		"subscription": d.subscription, "group": d.group, "hook": hook.URL,
	}, &seen)
	want := map[string]any{
		"topic":             []any{"Succeeded", "EventGridSchema", s.url + "/js-topic.westeurope-1/api/events"},
		"tags":              map[string]any{"a": "b"},
		"regenerated":       []any{true, false},
		"byScope":           []any{"Succeeded", "Microsoft.EventGrid/eventSubscriptions", "EventGridSchema"},
		"nested":            []any{"Succeeded", "Microsoft.EventGrid/topics/eventSubscriptions"},
		"ofTopic":           []any{"by-scope", "nested"},
		"ofResource":        []any{"by-scope", "nested"},
		"fullURL":           hook.URL + "/grid/nested?code=s3cr3t",
		"labels":            []any{"changed"},
		"domainTopics":      []any{"first", "made"},
		"domainTopicsLater": []any{"made"},
		"system":            []any{"Succeeded", "Microsoft.Resources.ResourceGroups"},
		"global":            []any{"changes"},
		"topicTypes":        true,
		"left":              []any{},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}
