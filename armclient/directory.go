package armclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// Principal is a service principal of the server's directory.
type Principal struct {
	Name     string `json:"displayName"`
	AppID    string `json:"appId"` // what AZURE_CLIENT_ID wants
	ObjectID string `json:"id"`    // what role assignments want
	Secret   string `json:"-"`     // set by CreatePrincipal only: the server shows it once
}

// CreatePrincipal makes an application, its service principal and a secret,
// and assigns the role (by name, such as "Contributor") at the scope (an ARM
// id). The role is looked up first, so that a misspelt one leaves nothing
// behind.
func (c *Client) CreatePrincipal(ctx context.Context, name, role, scope string) (Principal, error) {
	scope = strings.TrimRight(scope, "/")
	definition, err := c.roleDefinition(ctx, role, scope)
	if err != nil {
		return Principal{}, err
	}
	var app struct{ ID, AppID string }
	if err := c.Do(ctx, http.MethodPost, "/graph/v1.0/applications", "", map[string]any{"displayName": name}, &app); err != nil {
		return Principal{}, fmt.Errorf("creating application %s: %w", name, err)
	}
	p := Principal{Name: name, AppID: app.AppID}
	var sp struct{ ID string }
	if err := c.Do(ctx, http.MethodPost, "/graph/v1.0/servicePrincipals", "", map[string]any{"appId": app.AppID}, &sp); err != nil {
		return Principal{}, fmt.Errorf("creating service principal %s: %w", name, err)
	}
	p.ObjectID = sp.ID
	var password struct{ SecretText string }
	path := "/graph/v1.0/applications/" + url.PathEscape(app.ID) + "/addPassword"
	body := map[string]any{"passwordCredential": map[string]any{"displayName": name}}
	if err := c.Do(ctx, http.MethodPost, path, "", body, &password); err != nil {
		return Principal{}, fmt.Errorf("creating a secret for %s: %w", name, err)
	}
	p.Secret = password.SecretText
	if err := c.assign(ctx, definition, p.ObjectID, scope); err != nil {
		return Principal{}, fmt.Errorf("giving %s the role %s: %w", name, role, err)
	}
	return p, nil
}

// Principals lists the service principals of the directory.
func (c *Client) Principals(ctx context.Context) ([]Principal, error) {
	return list[Principal](ctx, c, "/graph/v1.0/servicePrincipals", "")
}

func (c *Client) roleDefinition(ctx context.Context, role, scope string) (string, error) {
	filter := url.Values{"$filter": {"roleName eq '" + strings.ReplaceAll(role, "'", "''") + "'"}}
	type definition struct{ ID string }
	found, err := list[definition](ctx, c,
		scope+"/providers/Microsoft.Authorization/roleDefinitions?"+filter.Encode(), versionAuthorization)
	if err != nil {
		return "", fmt.Errorf("looking up role %s: %w", role, err)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("there is no role %q", role)
	}
	return found[0].ID, nil
}

func (c *Client) assign(ctx context.Context, definition, principal, scope string) error {
	path := scope + "/providers/Microsoft.Authorization/roleAssignments/" + uuid.NewString()
	body := map[string]any{"properties": map[string]any{
		"roleDefinitionId": definition,
		"principalId":      principal,
		"principalType":    "ServicePrincipal",
	}}
	err := c.Do(ctx, http.MethodPut, path, versionAuthorization, body, nil)
	var refused *Error
	if errors.As(err, &refused) && refused.Code == "RoleAssignmentExists" {
		return nil
	}
	return err
}

// Subscription is an Azure subscription: the unit a partner or a customer owns.
type Subscription struct {
	ID    string `json:"subscriptionId"`
	Name  string `json:"displayName"`
	State string `json:"state"`
}

// CreateSubscription makes an Azure subscription, as Azure does it for
// programs: through an alias. It returns the subscription's id.
func (c *Client) CreateSubscription(ctx context.Context, displayName string) (string, error) {
	var alias struct {
		Properties struct{ SubscriptionID string }
	}
	body := map[string]any{"properties": map[string]any{"displayName": displayName, "workload": "Production"}}
	path := "/providers/Microsoft.Subscription/aliases/" + uuid.NewString()
	if err := c.Put(ctx, path, versionAliases, body, &alias); err != nil {
		return "", fmt.Errorf("creating subscription %s: %w", displayName, err)
	}
	if alias.Properties.SubscriptionID == "" {
		return "", fmt.Errorf("creating subscription %s: the answer holds no subscription id", displayName)
	}
	return alias.Properties.SubscriptionID, nil
}

// Subscriptions lists the Azure subscriptions this principal can see.
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	return list[Subscription](ctx, c, "/subscriptions", versionSubscriptions)
}
