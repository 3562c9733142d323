package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/eventgrid/azeventgrid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
)

// What the program wires together must fit.
var (
	_ publish.Log        = (*eventlog.Log)(nil)
	_ publish.Tokens     = (*access.Tokens)(nil)
	_ publish.Authorizer = (*access.Authorizer)(nil)
	_ http.Handler       = (*publish.Handler)(nil)
)

type recorder struct {
	mu      sync.Mutex
	types   []string
	entries []eventlog.Entry
}

func (l *recorder) Append(_ context.Context, entries []eventlog.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.types = append(l.types, e.Event.Type)
		e.Event.JSON = bytes.Clone(e.Event.JSON)
		l.entries = append(l.entries, e)
	}
	return nil
}

type issuer struct {
	tokens *access.Tokens
	oid    string
}

func (i issuer) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	audience := strings.TrimSuffix(o.Scopes[0], "/.default")
	token, lifetime, err := i.tokens.Issue(access.Subject{ObjectID: i.oid, AppID: i.oid}, audience, "https://issuer", time.Now())
	return azcore.AccessToken{Token: token, ExpiresOn: time.Now().Add(lifetime)}, err
}

// TestAzureClient publishes with the Azure SDK for Go, in each of its three
// ways to authenticate.
func TestAzureClient(t *testing.T) {
	const namespace = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.EventGrid/partnerNamespaces/contoso"
	signing, err := access.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := access.NewTokens([][]byte{signing}, access.TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	authorizer := &access.Authorizer{}
	authorizer.Set([]access.Assignment{{Scope: "/subscriptions/s", RoleID: access.RoleEventGridDataSender, PrincipalID: "sender"}}, nil)
	key := access.NewKey()
	log := &recorder{}
	h := &publish.Handler{Table: &publish.Table{}, Log: log, Tokens: tokens, Authorizer: authorizer}
	channels := &publish.Channels{}
	channels.Set(&publish.Channel{Name: "orders", Topic: resource.NewUID(), State: publish.Activated})
	h.Table.Set(&publish.Source{
		UID: resource.NewUID(), ID: namespace, Name: "contoso", Region: "westeurope", Keys: []string{key}, PublicNetworkAccess: true,
		Channels: channels,
	})
	server := httptest.NewTLSServer(h)
	defer server.Close()
	endpoint := server.URL + "/contoso.westeurope-1/api/events"
	options := &azeventgrid.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: server.Client(), Retry: policy.RetryOptions{MaxRetries: -1},
	}}
	sas, err := access.SignSAS(endpoint, time.Now().Add(time.Hour), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		client func() (*azeventgrid.Client, error)
		status int
	}{
		{"key", func() (*azeventgrid.Client, error) {
			return azeventgrid.NewClientWithSharedKeyCredential(endpoint, azcore.NewKeyCredential(key), options)
		}, 200},
		{"wrong-key", func() (*azeventgrid.Client, error) {
			return azeventgrid.NewClientWithSharedKeyCredential(endpoint, azcore.NewKeyCredential(access.NewKey()), options)
		}, 401},
		{"sas", func() (*azeventgrid.Client, error) {
			return azeventgrid.NewClientWithSAS(endpoint, azcore.NewSASCredential(sas), options)
		}, 200},
		{"token", func() (*azeventgrid.Client, error) {
			return azeventgrid.NewClient(endpoint, issuer{tokens, "sender"}, options)
		}, 200},
		{"token-of-a-stranger", func() (*azeventgrid.Client, error) {
			return azeventgrid.NewClient(endpoint, issuer{tokens, "stranger"}, options)
		}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, err := tt.client()
			if err != nil {
				t.Fatal(err)
			}
			var batch []messaging.CloudEvent
			for range 3 {
				ev, err := messaging.NewCloudEvent("/orders", "Contoso."+tt.name, map[string]any{"n": 1}, nil)
				if err != nil {
					t.Fatal(err)
				}
				batch = append(batch, ev)
			}
			binary, err := messaging.NewCloudEvent("/orders", "Contoso."+tt.name, []byte{1, 2, 255}, nil)
			if err != nil {
				t.Fatal(err)
			}
			channel := "orders"
			_, err = client.PublishCloudEvents(t.Context(), append(batch, binary), &azeventgrid.PublishCloudEventsOptions{AegChannelName: &channel})
			stored := 0
			for _, typ := range log.types {
				if typ == "Contoso."+tt.name {
					stored++
				}
			}
			if tt.status == http.StatusOK {
				if err != nil || stored != 4 {
					t.Errorf("%d events stored, error %v", stored, err)
				}
				return
			}
			re, ok := errors.AsType[*azcore.ResponseError](err)
			if !ok || re.StatusCode != tt.status || stored != 0 {
				t.Fatalf("%d events stored, error %v", stored, err)
			}
			if want := map[int]string{401: "Unauthorized", 403: "Forbidden"}[tt.status]; re.ErrorCode != want {
				t.Errorf("the client reads the code %q, want %q", re.ErrorCode, want)
			}
		})
	}
}

// TestAzureClientOnTopics publishes with the Azure SDK for Go to custom topics
// and a domain: events of each schema where they belong, and where they do not.
func TestAzureClientOnTopics(t *testing.T) {
	const provider = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.EventGrid"
	key := access.NewKey()
	topics := &publish.DomainTopics{}
	tenant := resource.NewUID()
	topics.Set("tenant-7", tenant)
	grid := func(subject string, topic *string) azeventgrid.Event {
		id, typ, version := "1", "Contoso.Placed", "2"
		at := time.Date(2026, 11, 21, 20, 0, 0, 500, time.UTC)
		return azeventgrid.Event{ID: &id, EventType: &typ, Subject: &subject, DataVersion: &version, EventTime: &at, Topic: topic, Data: map[string]any{"n": 1}}
	}
	cloud := func(source string) messaging.CloudEvent {
		ev, err := messaging.NewCloudEvent(source, "Contoso.Placed", map[string]any{"n": 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	stranger, name, unknown := provider+"/topics/other", "Tenant-7", "tenant-8"
	for _, tt := range []struct {
		name   string
		source publish.Source
		send   func(*azeventgrid.Client) error
		status int
		code   string
		topic  string // of the first event, as stored
	}{
		{"grid on grid", publish.Source{ID: provider + "/topics/contoso", Kind: publish.Topic, Schema: event.EventGrid}, func(c *azeventgrid.Client) error {
			_, err := c.PublishEvents(t.Context(), []azeventgrid.Event{grid("a", nil), grid("b", nil)}, nil)
			return err
		}, 200, "", provider + "/topics/contoso"},
		{"grid of another topic", publish.Source{ID: provider + "/topics/contoso", Kind: publish.Topic, Schema: event.EventGrid}, func(c *azeventgrid.Client) error {
			_, err := c.PublishEvents(t.Context(), []azeventgrid.Event{grid("a", nil), grid("b", &stranger)}, nil)
			return err
		}, 401, "Unauthorized", ""},
		{"cloud on cloud", publish.Source{ID: provider + "/topics/contoso", Kind: publish.Topic}, func(c *azeventgrid.Client) error {
			_, err := c.PublishCloudEvents(t.Context(), []messaging.CloudEvent{cloud("/a"), cloud("/b")}, nil)
			return err
		}, 200, "", "/a"},
		{"cloud on grid", publish.Source{ID: provider + "/topics/contoso", Kind: publish.Topic, Schema: event.EventGrid}, func(c *azeventgrid.Client) error {
			_, err := c.PublishCloudEvents(t.Context(), []messaging.CloudEvent{cloud("/a")}, nil)
			return err
		}, 400, "BadRequest", ""},
		{"grid on cloud", publish.Source{ID: provider + "/topics/contoso", Kind: publish.Topic}, func(c *azeventgrid.Client) error {
			_, err := c.PublishEvents(t.Context(), []azeventgrid.Event{grid("a", nil)}, nil)
			return err
		}, 400, "BadRequest", ""},
		{"grid on a domain", publish.Source{ID: provider + "/domains/contoso", Kind: publish.Domain, Schema: event.EventGrid}, func(c *azeventgrid.Client) error {
			_, err := c.PublishEvents(t.Context(), []azeventgrid.Event{grid("a", &name), grid("b", &unknown)}, nil)
			return err
		}, 200, "", provider + "/domains/contoso/topics/Tenant-7"},
		{"cloud on a domain", publish.Source{ID: provider + "/domains/contoso", Kind: publish.Domain}, func(c *azeventgrid.Client) error {
			_, err := c.PublishCloudEvents(t.Context(), []messaging.CloudEvent{cloud("TENANT-7"), cloud("tenant-8")}, nil)
			return err
		}, 200, "", "TENANT-7"},
		{"custom", publish.Source{ID: provider + "/topics/contoso", Kind: publish.Topic, Schema: event.Custom, Mapping: &event.Mapping{
			ID: event.Field{Source: "ref"}, Subject: event.Field{Source: "what"}, Type: event.Field{Default: "Contoso.Placed"},
		}}, func(c *azeventgrid.Client) error {
			_, err := c.PublishCustomEventEvents(t.Context(), []any{map[string]any{"ref": 1, "what": "a"}, map[string]any{"ref": 2, "what": "b"}}, nil)
			return err
		}, 200, "", provider + "/topics/contoso"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := &recorder{}
			src := tt.source
			src.UID, src.Name, src.Region, src.Keys, src.PublicNetworkAccess, src.DomainTopics = resource.NewUID(), "contoso", "westeurope", []string{key}, true, topics
			h := &publish.Handler{Table: &publish.Table{}, Log: log}
			h.Table.Set(&src)
			server := httptest.NewTLSServer(h)
			defer server.Close()
			client, err := azeventgrid.NewClientWithSharedKeyCredential(server.URL+"/contoso.westeurope-1/api/events", azcore.NewKeyCredential(key),
				&azeventgrid.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: server.Client(), Retry: policy.RetryOptions{MaxRetries: -1}}})
			if err != nil {
				t.Fatal(err)
			}
			err = tt.send(client)
			if tt.status != http.StatusOK {
				re, ok := errors.AsType[*azcore.ResponseError](err)
				if !ok || re.StatusCode != tt.status || re.ErrorCode != tt.code || len(log.entries) != 0 {
					t.Fatalf("%d events are stored, error %v", len(log.entries), err)
				}
				return
			}
			if err != nil || len(log.entries) != 2 {
				t.Fatalf("%d events are stored, error %v", len(log.entries), err)
			}
			for i, e := range log.entries {
				topic, domain := src.UID, resource.UID{}
				if src.Kind == publish.Domain && i == 0 {
					topic, domain = tenant, src.UID
				}
				if e.Topic != topic || e.Domain != domain || e.Event.Type != "Contoso.Placed" || !json.Valid(e.Event.JSON) {
					t.Errorf("events[%d]: %+v", i, e)
				}
			}
			if got := log.entries[0].Event.Source; got != tt.topic {
				t.Errorf("source %q, want %q", got, tt.topic)
			}
		})
	}
}
