package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/intertie/intertie/arm"
	"github.com/intertie/intertie/destination/webhook"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// webhooks gives the rules of package eventgrid a way to endpoints.
type webhooks struct {
	client *webhook.Client
	store  *store.Store
	tokens *webhookTokens
	base   string // by which endpoints reach the validation link
}

// validationVersion is the api-version that validation links carry.
const validationVersion = "2025-02-15"

func (w webhooks) Check(url string) error { return w.client.Check(url) }

// Handshake uses the way of the schema that events will be delivered in.
func (w webhooks) Handshake(ctx context.Context, h eventgrid.Handshake) (bool, error) {
	if err := w.register(ctx, h.Protection); err != nil {
		return false, err
	}
	handshake := w.client.HandshakeEventGrid
	if h.Schema == event.CloudEvents {
		handshake = w.client.HandshakeCloudEvents
	}
	result, err := handshake(ctx, webhook.Handshake{
		URL: h.URL, SubscriptionName: h.SubscriptionName, Topic: h.Topic, Code: h.Code,
		CallbackURL: arm.ValidationURL(w.base, h, validationVersion), Token: w.tokens.once(h.Protection),
	})
	return result == webhook.Granted, err
}

// register makes sure that an application is registered before an endpoint gets a
// token for it. The write that the endpoint is asked for may come to nothing.
func (w webhooks) register(ctx context.Context, p eventgrid.Protection) error {
	if p.ApplicationID == "" || w.tokens.audiences.Permits(w.store, p) == nil {
		return nil
	}
	return w.store.Commit(ctx, func(tx resource.Tx) error {
		return w.tokens.audiences.Register(tx, p, "", w.tokens.now().UTC())
	})
}

// trustPool returns the system's authorities, the local one, and the operator's.
func trustPool(files ...string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without any, such as a bare container
	}
	for _, f := range files {
		if f == "" {
			continue
		}
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", f)
		}
	}
	return pool, nil
}
