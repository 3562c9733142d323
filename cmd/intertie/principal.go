package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/intertie/intertie/armclient"
)

type principalCmd struct {
	Create principalCreateCmd `cmd:"" help:"Create a service principal with a role at a scope, and print its secret."`
	List   principalListCmd   `cmd:"" help:"List the service principals."`
}

type principalCreateCmd struct {
	account
	Name  string `arg:"" help:"Name to show."`
	Role  string `help:"Role, by name." default:"Contributor"`
	Scope string `help:"ARM id that the role is for; the account's own subscription unless set." placeholder:"ID"`
	JSON  bool   `name:"json" help:"Print JSON instead of export lines."`
}

// Run prints export lines that make any Azure SDK work as the new principal.
func (c *principalCreateCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	creds := client.Credentials()
	scope := c.Scope
	if scope == "" {
		if creds.Subscription == "" {
			return usageError{fmt.Errorf("name a --scope: %s is not set", armclient.EnvSubscription)}
		}
		scope = "/subscriptions/" + creds.Subscription
	}
	if !strings.HasPrefix(scope, "/") {
		return usageError{errors.New("--scope must be an ARM id like /subscriptions/ID, or / for everything")}
	}
	p, err := client.CreatePrincipal(ctx, c.Name, c.Role, scope)
	if err != nil {
		return explain(err)
	}
	subscription := creds.Subscription
	if parts := strings.Split(scope, "/"); len(parts) > 2 && strings.EqualFold(parts[1], "subscriptions") {
		subscription = parts[2]
	}
	if c.JSON {
		return printJSON(s.out, map[string]string{
			"name": p.Name, "clientId": p.AppID, "clientSecret": p.Secret, "objectId": p.ObjectID,
			"tenantId": creds.Tenant, "subscriptionId": subscription, "role": c.Role, "scope": scope, "url": creds.BaseURL,
		})
	}
	_, err = fmt.Fprintf(s.out, "# %s: %s of %s, object id %s\n", strings.Join(strings.Fields(p.Name), " "), c.Role, scope, p.ObjectID)
	for _, v := range []struct{ name, value string }{
		{armclient.EnvAuthorityHost, creds.BaseURL},
		{armclient.EnvTenant, creds.Tenant},
		{armclient.EnvClientID, p.AppID},
		{armclient.EnvClientSecret, p.Secret},
		{armclient.EnvSubscription, subscription},
		{armclient.EnvCAFile, creds.CAFile},
		{"REQUESTS_CA_BUNDLE", creds.CAFile},
		{"NODE_EXTRA_CA_CERTS", creds.CAFile},
		{armclient.EnvURL, creds.BaseURL},
	} {
		if err == nil && v.value != "" {
			_, err = fmt.Fprintf(s.out, "export %s=%s\n", v.name, armclient.Quote(v.value))
		}
	}
	return err
}

type principalListCmd struct {
	account
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints a table, or JSON.
func (c *principalListCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Principals(ctx)
	if err != nil {
		return explain(err)
	}
	if c.JSON {
		return printJSON(s.out, orEmpty(all))
	}
	rows := [][]string{{"NAME", "CLIENT ID", "OBJECT ID"}}
	for _, p := range all {
		rows = append(rows, []string{p.Name, p.AppID, p.ObjectID})
	}
	return printTable(s.out, rows)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// orEmpty makes JSON's [] of no elements, where nil would be null.
func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func printTable(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}
