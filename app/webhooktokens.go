package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/destination/webhook"
)

// eventGridApp is the application under which Azure's Event Grid signs in to
// protected webhooks, and eventGridRole the role that these look for.
const (
	eventGridApp  = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
	eventGridRole = "AzureEventGridSecureWebhookSubscriber"
)

// webhookTokens makes the tokens with which events are delivered to webhooks
// protected by Microsoft Entra: by the built-in sign-in, or by the service that
// the operator names.
type webhookTokens struct {
	tokens *access.Tokens
	issuer string
	tenant string
	now    func() time.Time
	// external is the operator's token service, secret its client secret.
	external WebhookTokens
	secret   string
	http     *http.Client

	mu sync.Mutex
	// sources are kept, since each holds the token it has.
	sources map[[2]string]webhook.TokenSource
}

func newWebhookTokens(tokens *access.Tokens, base, tenant string, o WebhookTokens, now func() time.Time) (*webhookTokens, error) {
	w := &webhookTokens{
		tokens: tokens, issuer: base + "/" + tenant + "/v2.0", tenant: tenant, now: now, external: o,
		http: &http.Client{Timeout: 30 * time.Second}, sources: make(map[[2]string]webhook.TokenSource),
	}
	if o.ClientSecretFile != "" {
		secret, err := os.ReadFile(o.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("--webhook-client-secret-file: %w", err)
		}
		if w.secret = strings.TrimSpace(string(secret)); w.secret == "" {
			return nil, fmt.Errorf("--webhook-client-secret-file: %s is empty", o.ClientSecretFile)
		}
	}
	return w, nil
}

// of returns the source of tokens for an application of a tenant, nil for a
// webhook that wants none.
func (w *webhookTokens) of(tenant, application string) webhook.TokenSource {
	if application == "" {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := [2]string{tenant, application}
	if s, ok := w.sources[key]; ok {
		return s
	}
	var s webhook.TokenSource = builtInTokens{w, application}
	if w.external.URL != "" {
		s = webhook.NewClientCredentials(webhook.ClientCredentials{
			TokenURL: strings.ReplaceAll(w.external.URL, "{tenant}", tenant), ClientID: w.external.ClientID, ClientSecret: w.secret,
			Audience: application, HTTP: w.http, Now: w.now,
		})
	}
	w.sources[key] = s
	return s
}

// builtInTokens issues tokens of this server. Receivers check them with the keys
// that its OpenID document names.
type builtInTokens struct {
	*webhookTokens
	audience string
}

// Token implements [webhook.TokenSource]. A signature costs a millisecond, so
// tokens are kept for half their life.
func (b builtInTokens) Token(context.Context) (string, error) {
	return b.tokens.Reuse(access.Subject{
		ObjectID: uuid.NewSHA1(uuid.MustParse(eventGridApp), []byte(b.tenant)).String(),
		AppID:    eventGridApp, Tenant: b.tenant, Name: "Event Grid", Role: eventGridRole,
	}, b.audience, b.issuer, b.now())
}
