package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// TestGoPublisher publishes with Microsoft's SDK for Go in each schema and with
// each credential.
func TestGoPublisher(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	sender := newMember(t, s, "sender", "EventGrid Data Sender", d.subscription, "")
	options := &azeventgrid.ClientOptions{ClientOptions: s.clientOptions()}
	now := time.Now().UTC()
	grid := func(id, topic string) azeventgrid.Event {
		e := azeventgrid.Event{ID: &id, Subject: new("orders/" + id), EventType: new("Shop.Order.Placed"), EventTime: &now, DataVersion: new("1"), Data: map[string]any{"id": id}}
		if topic != "" {
			e.Topic = &topic
		}
		return e
	}
	cloud := func(id, source string) messaging.CloudEvent {
		return messaging.CloudEvent{ID: id, Source: source, Type: "Shop.Order.Placed", SpecVersion: "1.0", Time: &now, Data: map[string]any{"id": id}}
	}
	custom := func(id string) any { return map[string]any{"ref": id, "id": id, "tenant": "tenant-a"} }
	for name, tt := range map[string]struct {
		at   *source
		send func(ctx context.Context, c *azeventgrid.Client, id string) error
	}{
		"grid": {d.openTopic(t, "grid-in", gridInput), func(ctx context.Context, c *azeventgrid.Client, id string) error {
			_, err := c.PublishEvents(ctx, []azeventgrid.Event{grid(id, "")}, nil)
			return err
		}},
		"cloud": {d.openTopic(t, "cloud-in", cloudInput), func(ctx context.Context, c *azeventgrid.Client, id string) error {
			_, err := c.PublishCloudEvents(ctx, []messaging.CloudEvent{cloud(id, "/shop")}, nil)
			return err
		}},
		"custom": {d.openTopic(t, "custom-in", customInput), func(ctx context.Context, c *azeventgrid.Client, id string) error {
			_, err := c.PublishCustomEventEvents(ctx, []any{custom(id)}, nil)
			return err
		}},
		"griddomain": {d.openDomain(t, "grid-domain", gridInput), func(ctx context.Context, c *azeventgrid.Client, id string) error {
			_, err := c.PublishEvents(ctx, []azeventgrid.Event{grid(id, "tenant-a")}, nil)
			return err
		}},
		"clouddomain": {d.openDomain(t, "cloud-domain", cloudInput), func(ctx context.Context, c *azeventgrid.Client, id string) error {
			_, err := c.PublishCloudEvents(ctx, []messaging.CloudEvent{cloud(id, "tenant-a")}, nil)
			return err
		}},
		"customdomain": {d.openDomain(t, "custom-domain", customInput), func(ctx context.Context, c *azeventgrid.Client, id string) error {
			_, err := c.PublishCustomEventEvents(ctx, []any{custom(id)}, nil)
			return err
		}},
	} {
		scope := tt.at.id
		if strings.HasSuffix(name, "domain") {
			scope += "/topics/tenant-a"
		}
		d.subscribeAt(t, scope, "all", webhook(hook.URL+"/"+name))
		var ids []string
		for credential, c := range map[string]*azeventgrid.Client{
			"key":   must(azeventgrid.NewClientWithSharedKeyCredential(tt.at.url, azcore.NewKeyCredential(tt.at.key), options))(t),
			"sas":   must(azeventgrid.NewClientWithSAS(tt.at.url, azcore.NewSASCredential(sas(tt.at.url, time.Now().Add(time.Hour), tt.at.key)), options))(t),
			"token": must(azeventgrid.NewClient(tt.at.url, sender.credential, options))(t),
		} {
			id := name + "-" + credential
			ids = append(ids, id)
			if err := tt.send(t.Context(), c, id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		other := must(azeventgrid.NewClient(tt.at.url, d.credential, options))(t)
		wantRefusal(t, tt.send(t.Context(), other, "never"), 403, "Forbidden")
		until(t, 10*time.Second, "the events of "+name+" arrive", func() bool { return hook.hasAll("/"+name, ids) })
	}
}

// TestCurl publishes as the documents of Event Grid show it: curl's own content
// type, no api-version, a time zone without a colon.
func TestCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		needed(t, "curl")
	}
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	grid, cloud, custom := d.openTopic(t, "grid-in", gridInput), d.openTopic(t, "cloud-in", cloudInput), d.openTopic(t, "custom-in", customInput)
	for path, topic := range map[string]*source{"/grid": grid, "/cloud": cloud, "/custom": custom} {
		d.subscribeAt(t, topic.id, "all", webhookAs(hook.URL+path, map[*source]armeventgrid.EventDeliverySchema{grid: asGrid, cloud: asCloud, custom: asCustom}[topic]))
	}
	const event = `event='[ {"id": "curl-1", "eventType": "recordInserted", "subject": "myapp/vehicles/motorcycles", "eventTime": "'$(date +%Y-%m-%dT%H:%M:%S%z)'",` +
		` "data":{ "make": "Ducati", "model": "Monster"},"dataVersion": "1.0"} ]'` + "\n"
	for name, tt := range map[string]struct {
		script string
		at     *source
		want   string
	}{
		"key":     {event + `curl -X POST -H "aeg-sas-key: $key" -d "$event" $endpoint`, grid, "200"},
		"query":   {event + `curl -X POST -d "$event" "$endpoint?aeg-sas-key=$key"`, grid, "200"},
		"no key":  {event + `curl -X POST -d "$event" $endpoint`, grid, "401"},
		"cloud":   {`curl -X POST -H "aeg-sas-key: $key" -H "Content-Type: application/cloudevents+json" -d '{"specversion":"1.0","id":"curl-2","type":"recordInserted","source":"/shop","subject":"x","time":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","data":{}}' $endpoint`, cloud, "200"},
		"binary":  {`curl -X POST -H "aeg-sas-key: $key" -H "Content-Type: application/json" -H "ce-specversion: 1.0" -H "ce-id: curl-3" -H "ce-type: t" -H "ce-source: /shop" -d '{"a":1}' $endpoint`, cloud, "200"},
		"array":   {`curl -X POST -H "aeg-sas-key: $key" -H "Content-Type: application/json" -d '[{"specversion":"1.0","id":"x","type":"t","source":"/shop"}]' $endpoint`, cloud, "400"},
		"form":    {`curl -X POST -H "aeg-sas-key: $key" -d '{"specversion":"1.0","id":"x","type":"t","source":"/shop"}' $endpoint`, cloud, "415"},
		"custom":  {`curl -X POST -H "aeg-sas-key: $key" -d '[{"id":"curl-4","resource":"Users/example/Messages/1000","resourceData":{"someDataField1":"SomeDataFieldValue"}}]' $endpoint`, custom, "200"},
		"unknown": {event + `curl -X POST -H "aeg-sas-key: $key" -d "$event" ${endpoint%%/*}//${endpoint#*//}x`, grid, "404"},
	} {
		script := strings.ReplaceAll(tt.script, "curl -X", `curl -sS -o /dev/null -w '%{http_code}' --cacert "$ca" -X`)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Env = append(cmd.Environ(), "key="+tt.at.key, "endpoint="+tt.at.url, "ca="+filepath.Join(s.dir, "ca.pem"))
		got, err := cmd.Output()
		if string(got) != tt.want {
			t.Errorf("%s: %s %v, want %s", name, got, err, tt.want)
		}
	}
	until(t, 10*time.Second, "what curl sent arrives", func() bool {
		return hook.hasAll("/grid", []string{"curl-1"}) && hook.hasAll("/cloud", []string{"curl-2", "curl-3"}) && hook.hasAll("/custom", []string{"curl-4"})
	})
	got := fields(t, hook.byID("/grid")["curl-1"].body)
	if at, ok := got["eventTime"].(string); !ok || !strings.HasPrefix(at, time.Now().UTC().Format("2006-01-02T")) {
		t.Errorf("eventTime is %v", got["eventTime"])
	}
}

// TestDataIsKept converts events whose data a server that decodes and encodes
// again would change.
func TestDataIsKept(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	grid, custom := d.openTopic(t, "grid-in", gridInput), d.openTopic(t, "custom-in", customInput)
	d.subscribeAt(t, grid.id, "grid", batched(webhookAs(hook.URL+"/grid-grid", asGrid), 3))
	d.subscribeAt(t, grid.id, "cloud", batched(webhookAs(hook.URL+"/grid-cloud", asCloud), 3))
	d.subscribeAt(t, custom.id, "grid", webhookAs(hook.URL+"/custom-grid", asGrid))
	d.subscribeAt(t, custom.id, "cloud", webhookAs(hook.URL+"/custom-cloud", asCloud))
	d.subscribeAt(t, custom.id, "custom", batched(webhookAs(hook.URL+"/custom-custom", asCustom), 3))
	want := map[string]map[string]string{"grid": {}, "custom": {}}
	var grids, customs, ids []string
	for i, data := range awkward {
		id := fmt.Sprint("a", i)
		ids = append(ids, id)
		grids = append(grids, gridEvent(id, data))
		want["grid"][id] = data
		want["custom"][id] = fmt.Sprintf(`{ "id" : %q,"ref":%q , "payload":%s}`, id, id, data)
		customs = append(customs, want["custom"][id])
	}
	grid.mustPublish(t, "["+strings.Join(grids, " ,\n")+"]", nil)
	custom.mustPublish(t, "\n[ "+strings.Join(customs, ",")+" ]", nil)
	for _, path := range []string{"/grid-grid", "/grid-cloud", "/custom-grid", "/custom-cloud", "/custom-custom"} {
		until(t, 10*time.Second, "all events arrive at "+path, func() bool { return hook.hasAll(path, ids) })
		from, as, _ := strings.Cut(strings.Trim(path, "/"), "-")
		for id, got := range hook.byID(path) {
			data := string(got.data)
			if as == "custom" {
				data = string(got.body)
			}
			if data != want[from][id] {
				t.Errorf("%s: %s is\n%s\nwant\n%s", path, id, data, want[from][id])
			}
		}
	}
}

// TestForbiddenConversions asks for delivery schemas that an input schema does
// not allow.
func TestForbiddenConversions(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, d := pair(t, s)
	if err := partner.putChannel(t, d, "orders"); err != nil {
		t.Fatal(err)
	}
	for scope, schemas := range map[string][]armeventgrid.EventDeliverySchema{
		d.openTopic(t, "grid-in", gridInput).id:        {asCustom},
		d.openTopic(t, "cloud-in", cloudInput).id:      {asGrid, asCustom},
		d.openDomain(t, "grid-domain", gridInput).id:   {asCustom},
		d.openDomain(t, "cloud-domain", cloudInput).id: {asGrid, asCustom},
		d.id("partnerTopics", "orders"):                {asGrid, asCustom},
	} {
		for _, schema := range schemas {
			_, err := d.NewEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), scope, "never", webhookAs(hook.URL+"/x", schema), nil)
			wantRefusal(t, err, 400, "InvalidRequest")
		}
	}
}
