package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A list is the same wherever it is set, blanks and all.
func TestLists(t *testing.T) {
	clearEnv(t)
	want := []time.Duration{time.Second, 2 * time.Minute}
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		file string
	}{
		"flags":           {args: []string{"--retry-schedule=1s, 2m", "--regions= West Europe , northeurope", "--allowed-hosts", "a.example, ", "--allowed-hosts", "b.example", "--trusted-proxies=10.0.0.0/8, 192.168.0.1"}},
		"environment":     {env: map[string]string{"INTERTIE_RETRY_SCHEDULE": " 1s ,2m", "INTERTIE_REGIONS": "West Europe,northeurope", "INTERTIE_ALLOWED_HOSTS": "a.example , b.example", "INTERTIE_TRUSTED_PROXIES": "10.0.0.0/8 ,192.168.0.1"}},
		"lists in a file": {file: "retry-schedule: [1s, 2m]\nregions:\n- West Europe\n- northeurope\nallowed-hosts: [a.example, ' b.example']\ntrusted-proxies: [10.0.0.0/8, 192.168.0.1]\n"},
		"texts in a file": {file: "retry-schedule: 1s, 2m\nregions: West Europe, northeurope\nallowed-hosts: a.example, b.example\ntrusted-proxies: 10.0.0.0/8, 192.168.0.1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			args := append([]string{"serve"}, c.args...)
			if c.file != "" {
				args = append(args, "--config", writeConfig(t, c.file))
			}
			got, _, err := parse(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			o := got.Serve.options()
			if !slices.Equal(o.RetrySchedule, want) || !slices.Equal(o.Regions, []string{"West Europe", "northeurope"}) ||
				!slices.Equal(o.AllowedHosts, []string{"a.example", "b.example"}) || !slices.Equal(o.TrustedProxies, []string{"10.0.0.0/8", "192.168.0.1"}) {
				t.Errorf("got %q, %q, %q, %v", o.Regions, o.AllowedHosts, o.TrustedProxies, o.RetrySchedule)
			}
			if err := o.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
	if _, _, err := parse(t, "serve", "--retry-schedule=1s, soon"); err == nil || !strings.Contains(err.Error(), `"soon"`) {
		t.Errorf("got %v", err)
	}
}

// What somebody took for a setting is no silent default.
func TestUnknownVariables(t *testing.T) {
	for name, want := range map[string]string{
		"INTERTIE_LISTENHTTP":            "did you mean INTERTIE_LISTEN_HTTP?",
		"INTERTIE_PORTAL":                "INTERTIE_PORTAL, which is no setting",
		"INTERTIE_LISTEN_HTTP":           "",
		"INTERTIE_URL":                   "", // of admin.env
		"INTERTIE_SERVICE_HOST":          "", // of Kubernetes
		"INTERTIE_SERVICE_PORT_HTTPS":    "",
		"INTERTIE_PORT":                  "",
		"INTERTIE_PORT_8443_TCP_ADDR":    "",
		"INTERTIE_EDGE_PORT_443_TCP":     "",
		"INTERTIE_EDGE_SERVICE_PORT_WEB": "",
		"INTERTIED":                      "",
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			t.Setenv(name, "127.0.0.1:80")
			_, _, err := parse(t, "serve")
			if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if _, _, err := parse(t, "env"); err != nil {
				t.Errorf("another command: %v", err)
			}
		})
	}
}
