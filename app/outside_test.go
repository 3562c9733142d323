package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// An endpoint that is only asked for its consent has a token as well: by then the
// application must be the subscription's, whatever becomes of the request.
func TestAnApplicationIsRegisteredBeforeItsFirstToken(t *testing.T) {
	tokens := tokensForWebhooks(t)
	tokens.audiences = &eventgrid.Audiences{FirstCome: true}
	asked := 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.Header.Get("Authorization") == "" {
			t.Error("asked without a token")
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(endpoint.Close)
	client := webhook.NewClient(webhook.Options{AllowPrivate: true})
	t.Cleanup(client.Close)
	w := webhooks{client: client, store: openStores(t, 1)[0], tokens: tokens, base: "https://localhost"}
	tokens.store = w.store
	ask := func(subscription string) error {
		_, err := w.Handshake(t.Context(), eventgrid.Handshake{
			Schema: event.EventGrid, URL: endpoint.URL, SubscriptionName: "es", Code: "c", Token: "t",
			Protection: eventgrid.Protection{TenantID: "contoso.example", ApplicationID: "api://erp", Subscription: subscription},
		})
		return err
	}
	if _, ok := errors.AsType[*webhook.Error](ask(oneSub)); !ok || asked != 1 {
		t.Fatalf("the endpoint was asked %d times and did not refuse", asked)
	}
	e, ok := errors.AsType[*resource.Error](ask(otherSub))
	if !ok || e.Code != resource.AuthorizationFailed || asked != 1 {
		t.Errorf("another subscription: %v; the endpoint was asked %d times", e, asked)
	}
	if err := ask(oneSub); err == nil || asked != 2 {
		t.Errorf("again: %v; the endpoint was asked %d times", err, asked)
	}
	if n := len(tokens.sources); n != 0 {
		t.Errorf("%d sources are kept of refused requests", n)
	}
}
