package main

import (
	"context"
	"fmt"
)

type subscriptionCmd struct {
	Create subscriptionCreateCmd `cmd:"" help:"Create an Azure subscription and print its id."`
	List   subscriptionListCmd   `cmd:"" help:"List the Azure subscriptions."`
}

type subscriptionCreateCmd struct {
	account
	Name string `arg:"" help:"Name to show."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run prints the id alone, so that a script can take it as it is.
func (c *subscriptionCreateCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	id, err := client.CreateSubscription(ctx, c.Name)
	if err != nil {
		return explain(err)
	}
	if c.JSON {
		return printJSON(s.out, map[string]string{"subscriptionId": id, "displayName": c.Name})
	}
	_, err = fmt.Fprintln(s.out, id)
	return err
}

type subscriptionListCmd struct {
	account
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints a table, or JSON.
func (c *subscriptionListCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Subscriptions(ctx)
	if err != nil {
		return explain(err)
	}
	if c.JSON {
		return printJSON(s.out, orEmpty(all))
	}
	rows := [][]string{{"NAME", "ID", "STATE"}}
	for _, sub := range all {
		rows = append(rows, []string{sub.Name, sub.ID, sub.State})
	}
	return printTable(s.out, rows)
}
