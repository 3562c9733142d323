package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWebhookAudiences(t *testing.T) {
	const one, two = "11111111-aaaa-4bbb-8ccc-000000000001", "22222222-aaaa-4bbb-8ccc-000000000002"
	for name, tt := range map[string]struct {
		file, env string
		args      []string
		want      map[string][]string
	}{
		"flags":       {args: []string{"--webhook-audiences=api://a=" + one + ", " + two, "--webhook-audiences", "api://b=*", "--webhook-audiences", "api://b=" + one}, want: map[string][]string{"api://a": {one, two}, "api://b": {"*", one}}},
		"environment": {env: "api://a=" + one + "\nhttps://b.example/=*\n", want: map[string][]string{"api://a": {one}, "https://b.example/": {"*"}}},
		"file":        {file: "webhook-audiences:\n  api://a: " + one + ", " + two + "\n  api://b: '*'\n", want: map[string][]string{"api://a": {one, two}, "api://b": {"*"}}},
		"flag over file": {
			file: "webhook-audiences: {api://a: '*'}\n", args: []string{"--webhook-audiences=api://b=" + one}, want: map[string][]string{"api://b": {one}},
		},
		"none": {},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			if tt.env != "" {
				t.Setenv("INTERTIE_WEBHOOK_AUDIENCES", tt.env)
			}
			args := append([]string{"serve"}, tt.args...)
			if tt.file != "" {
				args = append(args, "--config", writeConfig(t, tt.file))
			}
			c, _, err := parse(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Serve.options().WebhookAudiences); diff != "" {
				t.Error(diff)
			}
		})
	}
	clearEnv(t)
	if _, _, err := parse(t, "serve", "--webhook-audiences=api://a"); err == nil {
		t.Error("an application without subscriptions is taken")
	}
}
