package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/intertie/intertie/access"
)

const (
	// refreshEvery is how long a key that the issuer took back may still work.
	refreshEvery = time.Hour
	// retryEvery is the pace while an issuer is down.
	retryEvery = 30 * time.Second
	// pause is the least time between two fetches that tokens ask for.
	pause = 10 * time.Second
	// patience bounds one fetch, and so what a request can wait.
	patience = 5 * time.Second
	// maxAge is how long keys are good without the issuer confirming them.
	maxAge = 24 * time.Hour

	maxDocument = 1 << 20
	maxKeys     = 100
	minRSABits  = 2048
)

// keys are the keys of one issuer. Nobody waits for a fetch who does not need
// its result.
type keys struct {
	url    string
	client *http.Client
	now    func() time.Time
	logger *slog.Logger

	mu     sync.Mutex // protects the fields below; never held during a fetch
	set    *keySet    // nil before the first fetch that succeeded
	at     time.Time  // of that fetch
	next   time.Time  // when tokens may ask for another one
	flight chan struct{}
}

// keySet is what one fetch brought. It is never changed, but for the tokens it
// has verified, which are forgotten with it.
type keySet struct {
	issuer   string // as the discovery document spells it
	byID     map[string][]jose.JSONWebKey
	all      []jose.JSONWebKey
	raw      string
	verified recent
}

func newKeys(issuer string, s Settings) *keys {
	return &keys{
		url: issuer, now: s.Now, logger: s.Logger,
		client: &http.Client{
			Transport: s.Transport,
			// A redirect would hand the choice of the keys to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// find returns the keys that a token with a key id may be signed by: without an
// id, all. If there are none it fetches, or waits for a fetch under way, or says
// no because there was one just now.
func (k *keys) find(id string, now time.Time) ([]jose.JSONWebKey, *keySet, error) {
	set, found := k.look(id, now)
	if len(found) > 0 {
		return found, set, nil
	}
	k.fetchOnce(now)
	set, found = k.look(id, now)
	switch {
	case len(found) > 0:
		return found, set, nil
	case set == nil:
		return nil, nil, access.ErrIssuerDown
	default:
		return nil, nil, fmt.Errorf("%w: unknown key id", access.ErrTokenSignature)
	}
}

func (k *keys) look(id string, now time.Time) (*keySet, []jose.JSONWebKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set == nil || now.Sub(k.at) > maxAge {
		return nil, nil
	}
	if id == "" {
		return k.set, k.set.all
	}
	return k.set, k.set.byID[id]
}

// fetchOnce fetches for a token, unless that is being done or was done just now.
func (k *keys) fetchOnce(now time.Time) {
	k.mu.Lock()
	if flight := k.flight; flight != nil {
		k.mu.Unlock()
		<-flight // within patience
		return
	}
	if now.Before(k.next) {
		k.mu.Unlock()
		return
	}
	done := k.begin(now)
	k.mu.Unlock()
	k.fetch(context.Background(), done) // for all who wait, so not by the time of one request
}

// begin claims the flight; mu is held.
func (k *keys) begin(now time.Time) chan struct{} {
	k.flight, k.next = make(chan struct{}), now.Add(pause)
	return k.flight
}

// fetch takes over what the issuer says now. It reports whether that worked.
func (k *keys) fetch(ctx context.Context, done chan struct{}) bool {
	defer close(done)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	set, err := k.download(limited)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flight = nil
	if err != nil {
		if ctx.Err() == nil {
			k.logger.Warn("the keys of a token issuer could not be fetched", "issuer", k.url, "error", err)
		}
		return false
	}
	if k.set == nil || k.set.raw != set.raw {
		k.set = set // else the verified tokens stay
	}
	k.at = k.now()
	return true
}

// keep fetches the keys again and again until ctx is done.
func (k *keys) keep(ctx context.Context) {
	for ctx.Err() == nil {
		wait := refreshEvery
		k.mu.Lock()
		var done chan struct{}
		if k.flight == nil {
			done = k.begin(k.now())
		}
		k.mu.Unlock()
		if done == nil || !k.fetch(ctx, done) {
			wait = retryEvery
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// download reads the discovery document and the key set it names.
func (k *keys) download(ctx context.Context) (*keySet, error) {
	var doc struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if _, err := k.get(ctx, trimmed(k.url)+"/.well-known/openid-configuration", &doc); err != nil {
		return nil, err
	}
	if trimmed(doc.Issuer) != trimmed(k.url) {
		return nil, fmt.Errorf("the discovery document names another issuer, %q", doc.Issuer)
	}
	u, err := url.Parse(doc.Keys)
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	if err := secure(u); err != nil {
		return nil, fmt.Errorf("jwks_uri %q: %w", doc.Keys, err)
	}
	var body struct {
		Keys []json.RawMessage `json:"keys"`
	}
	raw, err := k.get(ctx, doc.Keys, &body)
	if err != nil {
		return nil, err
	}
	set := &keySet{issuer: doc.Issuer, byID: make(map[string][]jose.JSONWebKey), raw: doc.Issuer + "\n" + string(raw)}
	for _, one := range body.Keys {
		var key jose.JSONWebKey
		// Keys of a kind that is not known here are for somebody else.
		if len(set.all) == maxKeys || json.Unmarshal(one, &key) != nil || !usable(key) {
			continue
		}
		set.all = append(set.all, key)
		set.byID[key.KeyID] = append(set.byID[key.KeyID], key)
	}
	if len(set.all) == 0 {
		return nil, fmt.Errorf("there is no usable key at %s", doc.Keys)
	}
	return set, nil
}

// usable takes public keys for signatures.
func usable(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() || !key.IsPublic() {
		return false
	}
	r, ok := key.Key.(*rsa.PublicKey)
	return !ok || r.N.BitLen() >= minRSABits
}

func (k *keys) get(ctx context.Context, from string, v any) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", from, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err // names method and URL
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", from, resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", from, err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, fmt.Errorf("get %s: %w", from, err)
	}
	return raw, nil
}
