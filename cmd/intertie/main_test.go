package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/armclient/armfake"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"intertie": main})
}

// TestScripts runs testdata/script/*.txtar. Commands besides testscript's own:
//
//	ready DIR       waits until the server with that data folder is ready
//	terminate DIR   sends SIGTERM to it
func TestScripts(t *testing.T) {
	fake := armfake.Start(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TMPDIR", e.WorkDir)
			creds := fake.Credentials()
			text := ""
			for name, value := range map[string]string{
				armclient.EnvURL: creds.BaseURL, armclient.EnvTenant: creds.Tenant,
				armclient.EnvClientID: creds.ClientID, armclient.EnvClientSecret: creds.ClientSecret,
				armclient.EnvSubscription: creds.Subscription, armclient.EnvCAFile: creds.CAFile,
				armclient.EnvTenantID: "11111111-1111-1111-1111-111111111111",
			} {
				text += "export " + name + "=" + armclient.Quote(value) + "\n"
			}
			e.Setenv("FAKE_URL", creds.BaseURL)
			folder := filepath.Join(e.WorkDir, "fake")
			if err := os.Mkdir(folder, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(folder, "admin.env"), []byte(text), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": ready, "terminate": terminate},
	})
}

// ready polls run.json, which the server writes when it is ready, and asks
// /readyz of the address in it.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	folder := ts.MkAbs(args[0])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		err := isReady(folder)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			ts.Fatalf("%s is not ready: %v", folder, err)
		}
	}
}

// terminate is what testscript's kill lacks: SIGTERM, which supervisors send.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: terminate DIR")
	}
	at, err := readRunning(ts.MkAbs(args[0]))
	ts.Check(err)
	server, err := os.FindProcess(at.PID)
	ts.Check(err)
	ts.Check(server.Signal(syscall.SIGTERM))
}

type running struct {
	URL string
	PID int
}

func readRunning(folder string) (at running, err error) {
	text, err := os.ReadFile(filepath.Join(folder, "run.json"))
	if err != nil {
		return at, err
	}
	return at, json.Unmarshal(text, &at)
}

func isReady(folder string) error {
	at, err := readRunning(folder)
	if err != nil {
		return err
	}
	tlsConfig, err := armclient.Credentials{CAFile: filepath.Join(folder, "ca.pem")}.TLSConfig()
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get(at.URL + "/readyz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /readyz: %s", resp.Status)
	}
	return nil
}
