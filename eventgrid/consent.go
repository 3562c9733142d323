package eventgrid

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

// noConsent is the proof for a destination that asks nobody.
type noConsent struct{}

// consultEndpoint asks the endpoint whether it wants these events: at every
// create and every update, as Event Grid does.
func (r *Rules) consultEndpoint(ctx context.Context, res *resource.Resource, next, _ *EventSubscription) (any, error) {
	h := next.Destination.Properties.handshake(res)
	if h == nil {
		return noConsent{}, nil
	}
	c := &consent{url: h.URL, validations: r.Validations}
	c.code, c.token = r.Validations.begin()
	h.Schema, h.SubscriptionName, h.SubscriptionID, h.Topic = next.Schema.Event(), res.ID.Name(), res.ID.String(), next.Topic
	h.Code, h.Token = c.code, c.token
	var err error
	if c.granted, err = r.Webhooks.Handshake(ctx, *h); err != nil {
		c.Forget()
		if e, ok := errors.AsType[*resource.Error](err); ok { // it did not come to asking
			return nil, e
		}
		return nil, resource.Errorf(resource.URLValidation,
			"The attempt to validate the provided endpoint %s failed. %s For more details, visit https://aka.ms/esvalidation.",
			baseURL(c.url), err)
	}
	return c, nil
}

// settleConsent turns the outcome of the handshake into the new state. Until an
// endpoint has consented, events keep going to the one that had before.
func (r *Rules) settleConsent(w *resource.Write, res *resource.Resource, next *EventSubscription) error {
	if w.Proof == nil {
		next.ProvisioningState = "Creating" // dry run; nobody sees it
		return nil
	}
	h := next.Destination.Properties.handshake(res)
	c, asked := w.Proof.(*consent)
	if h == nil && !asked {
		next.ProvisioningState = Succeeded
		return nil
	}
	if !asked || h == nil || c.url != h.URL {
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
