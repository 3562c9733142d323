package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// eventGridApp is the application under which Azure's Event Grid signs in to
// protected webhooks, and eventGridRole the role that these look for.
const (
	eventGridApp  = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
	eventGridRole = "AzureEventGridSecureWebhookSubscriber"
)

// webhookTokens makes the tokens with which events are delivered to webhooks
// protected by Microsoft Entra: by the built-in sign-in, or by the service that
// the operator names. It is safe for concurrent use.
type webhookTokens struct {
	tokens *access.Tokens
	issuer string
	tenant string
	now    func() time.Time
	// audiences is asked for each token by the resources as they are then.
	audiences *eventgrid.Audiences
	store     resource.Reader
	// external is the operator's token service, secret its client secret.
	external WebhookTokens
	secret   string
	http     *http.Client

	mu sync.Mutex // protects the fields below
	// sources are those of stored event subscriptions: each keeps the token it has,
	// and goes with the last of them that uses it.
	sources map[sourceKey]*sharedSource
	used    map[resource.UID]sourceKey
	// spare is the last source that was made for a message beside deliveries. Mostly
	// that was a handshake, and what it was for is stored next.
	spare    webhook.TokenSource
	spareKey sourceKey
}

// sourceKey is what makes two endpoints take the same token.
type sourceKey struct{ tenant, application string }

type sharedSource struct {
	webhook.TokenSource
	users int
}

func newWebhookTokens(tokens *access.Tokens, base, tenant string, o WebhookTokens, now func() time.Time) (*webhookTokens, error) {
	w := &webhookTokens{
		tokens: tokens, issuer: base + "/" + tenant + "/v2.0", tenant: tenant, now: now, external: o,
		http: &http.Client{Timeout: 30 * time.Second}, audiences: &eventgrid.Audiences{},
		sources: make(map[sourceKey]*sharedSource), used: make(map[resource.UID]sourceKey),
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

// keep returns the source of tokens for a stored event subscription, until drop or
// the next keep for it: nil for an endpoint that wants none.
func (w *webhookTokens) keep(user resource.UID, p eventgrid.Protection) webhook.TokenSource {
	if p.ApplicationID == "" {
		w.drop(user)
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := sourceKey{p.TenantID, p.ApplicationID}
	s := w.sources[key]
	if s == nil {
		s = &sharedSource{TokenSource: w.fresh(key)}
		w.sources[key], w.spare, w.spareKey = s, nil, sourceKey{}
	}
	s.users++ // before it is let go of, which may be the last time
	w.release(user)
	w.used[user] = key
	return permitted{w, p, s.TokenSource}
}

// drop says that an event subscription needs no source any more.
func (w *webhookTokens) drop(user resource.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release(user)
}

// release is drop for a caller that holds mu.
func (w *webhookTokens) release(user resource.UID) {
	key, ok := w.used[user]
	if !ok {
		return
	}
	delete(w.used, user)
	if s := w.sources[key]; s.users > 1 {
		s.users--
	} else {
		delete(w.sources, key)
	}
}

// once returns the source for a message beside deliveries, which may come to
// nothing: of what refused requests say only the last is kept.
func (w *webhookTokens) once(p eventgrid.Protection) webhook.TokenSource {
	if p.ApplicationID == "" {
		return nil
	}
	key := sourceKey{p.TenantID, p.ApplicationID}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sources[key]; s != nil {
		return permitted{w, p, s.TokenSource}
	}
	w.spare, w.spareKey = w.fresh(key), key
	return permitted{w, p, w.spare}
}

// fresh makes a source, unless the spare one fits. The caller holds mu.
func (w *webhookTokens) fresh(key sourceKey) webhook.TokenSource {
	if w.spare != nil && w.spareKey == key {
		return w.spare
	}
	if w.external.URL == "" {
		return &builtInTokens{webhookTokens: w, audience: key.application}
	}
	return webhook.NewClientCredentials(webhook.ClientCredentials{
		TokenURL: strings.ReplaceAll(w.external.URL, "{tenant}", key.tenant), ClientID: w.external.ClientID, ClientSecret: w.secret,
		Audience: key.application, HTTP: w.http, Now: w.now,
	})
}

// permitted is a source for one Azure subscription. It asks again for each token
// whether that may have it.
type permitted struct {
	tokens *webhookTokens
	eventgrid.Protection
	source webhook.TokenSource
}

// Token implements [webhook.TokenSource].
func (s permitted) Token(ctx context.Context) (string, error) {
	if err := s.tokens.audiences.Permits(s.tokens.store, s.Protection); err != nil {
		reason := err.Error()
		if e, ok := errors.AsType[*resource.Error](err); ok {
			reason = e.Message
		}
		return "", &webhook.NoTokenError{Reason: reason}
	}
	return s.source.Token(ctx)
}

// Forget drops a token that an endpoint refused, if the source can get another.
func (s permitted) Forget(token string) {
	if f, ok := s.source.(interface{ Forget(token string) }); ok {
		f.Forget(token)
	}
}

// builtInTokens issues tokens of this server. Receivers check them with the keys
// that its OpenID document names.
type builtInTokens struct {
	*webhookTokens
	audience string

	mu    sync.Mutex // protects the fields below
	token string
	until time.Time
}

// Token implements [webhook.TokenSource]. A signature costs a millisecond, so
// tokens are kept for half their life.
func (b *builtInTokens) Token(context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.token != "" && now.Before(b.until) {
		return b.token, nil
	}
	token, life, err := b.tokens.Issue(access.Subject{
		ObjectID: uuid.NewSHA1(uuid.MustParse(eventGridApp), []byte(b.tenant)).String(),
		AppID:    eventGridApp, Tenant: b.tenant, Name: "Event Grid", Role: eventGridRole,
	}, b.audience, b.issuer, now)
	if err != nil {
		return "", err
	}
	b.token, b.until = token, now.Add(life/2)
	return token, nil
}
