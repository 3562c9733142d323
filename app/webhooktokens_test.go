package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	oneSub   = "11111111-aaaa-4bbb-8ccc-000000000001"
	otherSub = "22222222-aaaa-4bbb-8ccc-000000000002"
)

func tokensForWebhooks(t *testing.T) *webhookTokens {
	t.Helper()
	key, err := access.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := access.NewTokens([][]byte{key}, access.TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWebhookTokens(tokens, "https://localhost", uuid.NewString(), WebhookTokens{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w.store = openStores(t, 1)[0]
	w.audiences = &eventgrid.Audiences{Listed: map[string][]string{"api://erp": {oneSub}}}
	return w
}

// What a request names is kept while something stored names it, and no longer.
func TestTokenSourcesGoWithTheirLastUser(t *testing.T) {
	w := tokensForWebhooks(t)
	want := func(what string, n int) {
		t.Helper()
		if len(w.sources) != n {
			t.Errorf("%s: %d sources, want %d", what, len(w.sources), n)
		}
	}
	erp := eventgrid.Protection{TenantID: "contoso.example", ApplicationID: "api://erp", Subscription: oneSub}
	crm := erp
	crm.ApplicationID = "api://crm"
	for range 100 {
		w.once(eventgrid.Protection{TenantID: "contoso.example", ApplicationID: "api://" + uuid.NewString(), Subscription: oneSub})
	}
	want("requests that may be refused", 0)

	one, two := resource.NewUID(), resource.NewUID()
	w.keep(one, erp)
	w.keep(two, erp)
	w.keep(two, erp) // a write that changes something else
	want("two users of one", 1)
	w.keep(two, crm)
	want("each its own", 2)
	w.keep(two, eventgrid.Protection{})
	want("protected no more", 1)
	w.keep(two, erp)
	w.drop(one)
	want("one of two users gone", 1)
	w.drop(two)
	w.drop(two)
	want("both gone", 0)
	if len(w.used) != 0 {
		t.Errorf("%d users left", len(w.used))
	}
}

// The same through what is stored.
func TestDeletedSubscriptionsLeaveNoTokenSource(t *testing.T) {
	p := newPlane(t)
	topic := made(t, resource.GroupID(oneSub, "rg").Provider(eventgrid.TypeTopic, "orders"), &eventgrid.Topic{InputSchema: "EventGridSchema"})
	es := made(t, topic.ID.Child("eventSubscriptions", "erp"), &eventgrid.EventSubscription{
		Schema: "CloudEventSchemaV1_0",
		Destination: &eventgrid.Destination{EndpointType: eventgrid.WebHook, Properties: &eventgrid.WebHookDestination{
			TenantID: "contoso.example", ApplicationID: "api://erp", MaxEvents: 1, PreferredKB: 64,
		}},
	})
	es.Secrets[eventgrid.SecretValidatedURL] = "https://erp.example/hook"
	p.put(t, topic, es)
	if n := len(p.tokens.sources); n != 1 {
		t.Fatalf("%d sources of one event subscription: %s", n, p.log)
	}
	p.delete(t, es.ID)
	if n := len(p.tokens.sources); n != 0 {
		t.Errorf("%d sources left", n)
	}
}

// A list that shrank ends the tokens, with the reason.
func TestAnApplicationIsAskedForAtEachToken(t *testing.T) {
	w := tokensForWebhooks(t)
	ctx := context.Background()
	source := w.keep(resource.NewUID(), eventgrid.Protection{TenantID: "contoso.example", ApplicationID: "api://erp", Subscription: oneSub})
	if token, err := source.Token(ctx); err != nil || token == "" {
		t.Fatalf("%q, %v", token, err)
	}
	foreign := w.keep(resource.NewUID(), eventgrid.Protection{TenantID: "contoso.example", ApplicationID: "api://erp", Subscription: otherSub})
	w2 := *w.audiences
	w2.Listed = nil
	for what, c := range map[string]struct {
		source webhook.TokenSource
		now    *eventgrid.Audiences
		reason string
	}{
		"another subscription": {foreign, w.audiences, "has listed it for others"},
		"no longer listed":     {source, &w2, "not on the list of webhook audiences"},
	} {
		w.audiences = c.now
		token, err := c.source.Token(ctx)
		no, ok := errors.AsType[*webhook.NoTokenError](err)
		if token != "" || !ok || !strings.Contains(no.Reason, c.reason) || strings.Contains(no.Reason, "AuthorizationFailed") {
			t.Errorf("%s: %q, %v", what, token, err)
		}
	}
}

func TestWebhookAudiences(t *testing.T) {
	for text, c := range map[string]struct {
		list map[string][]string
		want string // of the error
	}{
		"fine":               {map[string][]string{"api://erp": {oneSub, otherSub}, "https://crm.example": {"*"}}, ""},
		"a scope":            {map[string][]string{"api://erp/.default": {oneSub}}, "leave /.default away"},
		"two":                {map[string][]string{"api://erp api://crm": {oneSub}}, "one application"},
		"no subscription":    {map[string][]string{"api://erp": nil}, "for no subscription"},
		"not a subscription": {map[string][]string{"api://erp": {"prod"}}, "api://erp=prod"},
		"management":         {map[string][]string{"https://MANAGEMENT.azure.com/": {"*"}}, "this server's own"},
		"publishing":         {map[string][]string{"https://eventgrid.azure.net": {"*"}}, "this server's own"},
		"the directory":      {map[string][]string{"https://events.example/graph": {"*"}}, "this server's own"},
		"another name":       {map[string][]string{"https://LOCALHOST:8443": {"*"}}, "this server's own"},
		"an issuer's":        {map[string][]string{"api://events": {"*"}}, "this server's own"},
	} {
		o := DefaultOptions()
		o.WebhookAudiences, o.PublicURL = c.list, "https://events.example"
		o.OIDCIssuers = []string{"https://login.example,audience=api://events"}
		err := o.validateAudiences()
		if err == nil {
			_, err = o.audiences(&hosts{names: map[string]bool{"localhost": true, "events.example": true}, ports: map[string]bool{"": true, "8443": true}})
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
