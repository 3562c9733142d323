package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/intertie/intertie/app"
	"github.com/intertie/intertie/armclient"
)

// account is whom the client commands work as: the admin of a data folder, or
// whoever the environment names.
type account struct {
	Data string `help:"Data folder whose admin to use. Without it: the environment if INTERTIE_URL is set, else ./intertie-data." placeholder:"DIR" env:"INTERTIE_DATA"`
}

func (a account) client() (*armclient.Client, error) {
	creds, err := a.credentials()
	if err != nil {
		return nil, err
	}
	return armclient.New(creds)
}

func (a account) credentials() (armclient.Credentials, error) {
	if a.Data == "" && os.Getenv(armclient.EnvURL) != "" {
		creds, err := armclient.FromEnv()
		if err != nil {
			return creds, fmt.Errorf("using the server of %s: %w", armclient.EnvURL, err)
		}
		return creds, nil
	}
	folder := a.folder()
	creds, err := armclient.FromEnvFile(filepath.Join(folder, "admin.env"))
	if err != nil {
		return creds, noServerYet(folder, err)
	}
	// A server that runs now may be on another port than at its first start.
	var running struct {
		URL string `json:"url"`
	}
	if text, err := os.ReadFile(filepath.Join(folder, "run.json")); err == nil &&
		json.Unmarshal(text, &running) == nil && running.URL != "" {
		creds.BaseURL = running.URL
	}
	return creds, nil
}

func (a account) folder() string {
	if a.Data == "" {
		return app.DefaultOptions().Data
	}
	return a.Data
}

func noServerYet(folder string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no admin.env in %s: run intertie serve --data %s once", folder, armclient.Quote(folder))
	}
	return err
}

// explain adds what the user can do about an error.
func explain(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w (is intertie serve running?)", err)
	}
	return err
}
