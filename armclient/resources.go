package armclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// EventGrid is the provider whose resources Intertie serves.
const EventGrid = "Microsoft.EventGrid"

// API versions of the calls in this package: those that az and the SDKs send.
const (
	VersionEventGrid     = "2022-06-15"
	versionResources     = "2021-04-01"
	versionSubscriptions = "2022-12-01"
	versionAliases       = "2021-10-01"
	versionAuthorization = "2022-04-01"
)

// pollInterval is the time between two looks at an operation that is not
// finished, when the server names none.
const pollInterval = 300 * time.Millisecond

// EnsureGroup creates a resource group, or leaves the one that exists as it is.
// It returns the id of the group.
func (c *Client) EnsureGroup(ctx context.Context, subscription, name, location string) (string, error) {
	id := GroupID(subscription, name)
	err := c.ensure(ctx, id, versionResources, map[string]any{"location": location}, nil)
	return id, err
}

// RegisterProvider registers a resource provider in a subscription and waits
// until it is registered. Registering again is harmless.
func (c *Client) RegisterProvider(ctx context.Context, subscription, namespace string) error {
	path := "/subscriptions/" + url.PathEscape(subscription) + "/providers/" + url.PathEscape(namespace)
	var answer struct {
		RegistrationState string `json:"registrationState"`
	}
	// send, not do: do calls us.
	_, err := c.send(ctx, http.MethodPost, path+"/register", versionResources, nil, &answer)
	for err == nil && strings.EqualFold(answer.RegistrationState, "Registering") {
		if err = c.pause(ctx, pollInterval); err == nil {
			_, err = c.send(ctx, http.MethodGet, path, versionResources, nil, &answer)
		}
	}
	if err != nil {
		return fmt.Errorf("registering %s: %w", namespace, err)
	}
	return nil
}

// Get reads a resource. A missing one is an [*Error] with Status 404.
func (c *Client) Get(ctx context.Context, id, apiVersion string, out any) error {
	return c.Do(ctx, http.MethodGet, id, apiVersion, nil, out)
}

// Put writes a resource and waits until the server has finished with it, also
// when it answered before that. out receives the final resource. An operation
// that fails is an [*Error] with the code the server gives.
func (c *Client) Put(ctx context.Context, id, apiVersion string, in, out any) error {
	var state provisioned
	raw := json.RawMessage{}
	header, err := c.do(ctx, http.MethodPut, id, apiVersion, in, &raw)
	if err != nil {
		return err
	}
	call := http.MethodPut + " " + id
	poll := header.Get("Azure-AsyncOperation")
	if poll != "" {
		if err := c.waitOperation(ctx, poll, header, call); err != nil {
			return err
		}
	}
	for again := poll != ""; ; again = true {
		if again {
			if err := c.Get(ctx, id, apiVersion, &raw); err != nil {
				return err
			}
		}
		state = provisioned{}
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &state); err != nil {
				return fmt.Errorf("%s: reading the answer: %w", call, err)
			}
		}
		switch strings.ToLower(state.Properties.ProvisioningState) {
		case "creating", "updating", "accepted":
			if err := c.pause(ctx, pollInterval); err != nil {
				return fmt.Errorf("%s: still %s: %w", call, state.Properties.ProvisioningState, err)
			}
			continue
		case "failed", "canceled":
			return &Error{
				Status: http.StatusOK, Code: "ResourceOperationFailure", Call: call,
				Message: "the resource ended in state " + state.Properties.ProvisioningState,
			}
		}
		if out == nil || len(raw) == 0 {
			return nil
		}
		return json.Unmarshal(raw, out)
	}
}

type provisioned struct {
	Properties struct {
		ProvisioningState string `json:"provisioningState"`
	} `json:"properties"`
}

// waitOperation follows Azure-AsyncOperation until the operation is decided.
func (c *Client) waitOperation(ctx context.Context, poll string, header http.Header, call string) error {
	for {
		var op struct {
			Status string `json:"status"`
			Error  struct {
				Code, Message string
				Details       []struct{ Code, Message string }
			} `json:"error"`
		}
		h, err := c.send(ctx, http.MethodGet, poll, "", nil, &op)
		if err != nil {
			return err
		}
		switch strings.ToLower(op.Status) {
		case "succeeded":
			return nil
		case "failed", "canceled":
			e := &Error{Status: http.StatusOK, Code: op.Error.Code, Message: op.Error.Message, Call: call}
			if len(op.Error.Details) > 0 { // the detail names the cause, the outside only that it failed
				e.Code, e.Message = op.Error.Details[0].Code, op.Error.Details[0].Message
			}
			return e
		}
		if h.Get("Retry-After") == "" {
			h = header
		}
		if err := c.pause(ctx, retryAfter(h, pollInterval)); err != nil {
			return fmt.Errorf("%s: not finished: %w", call, err)
		}
	}
}

// ensure reads a resource, and writes it when it is not there.
func (c *Client) ensure(ctx context.Context, id, apiVersion string, in, out any) error {
	err := c.Get(ctx, id, apiVersion, out)
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return c.Put(ctx, id, apiVersion, in, out)
	}
	return err
}

// list reads all pages of a list.
func list[T any](ctx context.Context, c *Client, path, apiVersion string) ([]T, error) {
	var all []T
	for path != "" {
		var page struct {
			Value     []T    `json:"value"`
			NextLink  string `json:"nextLink"`
			ODataNext string `json:"@odata.nextLink"` // Graph's name for it
		}
		if err := c.Do(ctx, http.MethodGet, path, apiVersion, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Value...)
		if path = page.NextLink; path == "" {
			path = page.ODataNext
		}
	}
	return all, nil
}

// GroupID is the id of a resource group.
func GroupID(subscription, group string) string {
	return "/subscriptions/" + url.PathEscape(subscription) + "/resourceGroups/" + url.PathEscape(group)
}

// EventGridID is the id of an Event Grid resource in a group; typed names the
// types and names alternately: "partnerNamespaces", "ns1", "channels", "c1".
func EventGridID(subscription, group string, typed ...string) string {
	id := []string{GroupID(subscription, group), "providers", EventGrid}
	for _, segment := range typed {
		id = append(id, url.PathEscape(segment))
	}
	return strings.Join(id, "/")
}
