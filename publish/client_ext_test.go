package publish_test

import (
	"context"
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
	mu    sync.Mutex
	types []string
}

func (l *recorder) Append(_ context.Context, entries []eventlog.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.types = append(l.types, e.Event.Type)
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
	h.Table.Set(&publish.Source{
		UID: resource.NewUID(), ID: namespace, Name: "contoso", Region: "westeurope", Keys: []string{key}, PublicNetworkAccess: true,
		Channels: map[string]*publish.Channel{"orders": {Name: "orders", Topic: resource.NewUID(), State: publish.Activated}},
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
