package eventgrid

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/intertie/intertie/resource"
)

// consent is what the handshake with the endpoint brought. It is a
// [resource.Proof]: until the write is over, a callback may still arrive.
type consent struct {
	url         string // that was asked; consent to one says nothing of another
	granted     bool
	code, token string
	validations *Validations
}

// Forget implements [resource.Proof].
func (c *consent) Forget() { c.validations.end(c.code) }

// consultEndpoint asks the endpoint whether it wants these events: at every
// create and every update, as Event Grid does.
func (r *Rules) consultEndpoint(ctx context.Context, res *resource.Resource, next, _ *EventSubscription) (any, error) {
	hook := next.Destination.Properties
	c := &consent{url: res.Secrets[SecretEndpointURL], validations: r.Validations}
	c.code, c.token = r.Validations.begin()
	var err error
	c.granted, err = r.Webhooks.Handshake(ctx, Handshake{
		Schema: next.Schema.Event(),
		URL:    c.url, SubscriptionName: res.ID.Name(), Topic: next.Topic,
		SubscriptionID: res.ID.String(), Code: c.code, Token: c.token,
		TenantID: hook.TenantID, ApplicationID: hook.ApplicationID,
	})
	if err != nil {
		c.Forget()
		return nil, resource.Errorf(resource.URLValidation,
			"The attempt to validate the provided endpoint %s failed. %s For more details, visit https://aka.ms/esvalidation.",
			baseURL(c.url), err)
	}
	return c, nil
}

// settleConsent turns the outcome of the handshake into the new state. Until an
// endpoint has consented, events keep going to the one that had before.
func (r *Rules) settleConsent(w *resource.Write, res *resource.Resource, next *EventSubscription) error {
	c, ok := w.Proof.(*consent)
	if !ok {
		next.ProvisioningState = "Creating" // dry run; nobody sees it
		return nil
	}
	if c.url != res.Secrets[SecretEndpointURL] {
		return resource.Errorf(resource.Conflict, "The event subscription '%s' was changed by another request meanwhile; repeat this one.", res.ID.Name())
	}
	// Asked as late as here, inside the transaction: a callback that comes after
	// this waits for the transaction and finds the pending consent stored.
	if c.validations.end(c.code) {
		c.granted = true
	}
	if c.granted {
		next.ProvisioningState = Succeeded
		res.Secret(SecretValidatedURL, res.Secrets[SecretEndpointURL])
		res.Secret(secretValidation, "")
		return nil
	}
	next.ProvisioningState = AwaitingManualAction
	pending, err := json.Marshal(pendingValidation{Code: c.code, Token: c.token, Deadline: w.Now.Add(cmp.Or(r.ValidationWindow, validationWindow))})
	if err != nil {
		return err
	}
	res.Secret(secretValidation, string(pending))
	return nil
}

func baseURL(raw string) string {
	base, _, _ := strings.Cut(raw, "?")
	return base
}
