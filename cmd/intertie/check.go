package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/intertie/intertie/app"
)

type checkCmd struct {
	Data          string `help:"Folder to read; its server must be stopped. Default ${default}." default:"${data}" placeholder:"DIR" env:"INTERTIE_DATA"`
	MasterKeyFile string `name:"master-key-file" help:"File with the key that seals secrets; without it, the one in the folder." placeholder:"FILE" env:"INTERTIE_MASTER_KEY_FILE"`
}

// Run reads everything and changes nothing.
func (c *checkCmd) Run(ctx context.Context, s streams) error {
	o := app.DefaultOptions()
	o.Data, o.MasterKeyFile = c.Data, c.MasterKeyFile
	report, err := app.Check(ctx, o)
	if err != nil {
		return err
	}
	for _, line := range report.Lines() {
		fmt.Fprintln(s.out, line)
	}
	if !report.Sound() {
		return errors.New("the data folder is damaged")
	}
	return nil
}
